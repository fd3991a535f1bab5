"""A guide's day, a member and an item as they stood; call each in a REPEATABLE READ transaction, once.

Whoever does not see the subject now does not see what it was: it is looked up first as it is, then as it stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.errors import NotFound, Problem
from ledger import past_streams
from ledger.as_of import AsOf, stand_then
from ledger.door import Driver
from ledger.guides import unknown_guide
from ledger.member_keys import MemberKeys
from ledger.members import member_id_of
from ledger.today import TodaysList, read_todays_list


@dataclass(frozen=True, slots=True)
class DayThen:
    """A guide's list of a day in its order, and how far the day had come."""

    list: TodaysList
    listed: int
    done: int
    """Items reported on that day; of a closed day as it was counted at its close."""
    reached: int
    carried: int | None
    published_at: datetime | None
    clocked_in_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class GuideThen:
    """A guide as she stood: her store, her open items, and a day, None where she had none."""

    guide: str
    at: datetime
    position: int | None
    store: str
    open_items: int
    day: DayThen | None


@dataclass(frozen=True, slots=True)
class ItemThen:
    """An item as it stood, with what had been reported of it."""

    task_id: UUID
    plan: str
    cycle: int
    category: str
    guide: str
    state: str
    reason: str | None
    due_on: date
    first_due_on: date
    attempts: int
    check_ins: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class TaskThen:
    """An item as it stood, and the published lists it had been on, in the order of their days."""

    at: datetime
    position: int | None
    item: ItemThen
    lists: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class MemberThen:
    """A member as they stood: the cycles they were in, their items with what was reported, and whether they may be asked."""

    member: str
    at: datetime
    position: int | None
    opted_out_at: datetime | None
    erased_at: datetime | None
    plans: tuple[dict[str, Any], ...]
    items: tuple[ItemThen, ...]
    complaints: tuple[dict[str, Any], ...]
    """Cases of complaints as they stood, by when they were opened."""


def not_there_then(subject: str, name: str, as_of: AsOf) -> NotFound:
    """The answer where the subject came later."""
    return NotFound(Problem(subject, name, "not_there_then", {"at": as_of.at.isoformat()}))


async def guide_then(
    connection: Driver,
    tenant_id: int,
    as_of: AsOf,
    code: str,
    *,
    day: date | None,
    keys: MemberKeys,
) -> GuideThen:
    """A guide with her list of a day, the newest she had then where none is named.

    Rows grow with the items and days she ever had.

    Raises:
        NotFound: no such guide, or no list of hers on that day then.
    """
    guide = await connection.fetchval(
        "SELECT guide_id FROM guide WHERE tenant_id = $1 AND code = $2", tenant_id, code
    )
    if guide is None:
        raise unknown_guide(code)
    position = await stand_then(connection, tenant_id, as_of, past_streams.GUIDE, guide, as_of.at)
    stood = await connection.fetchrow(
        """
        SELECT coalesce(s.code, '') AS store,
               (SELECT count(*) FROM task WHERE tenant_id = $1 AND guide_id = $2 AND state = 'open') AS open_items,
               EXISTS (SELECT FROM guide_day WHERE tenant_id = $1 AND guide_id = $2) AS had_days
        FROM guide g LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        WHERE g.tenant_id = $1 AND g.guide_id = $2""",
        tenant_id,
        guide,
    )
    that_day = None
    if day is not None or stood["had_days"]:
        listed = await read_todays_list(connection, tenant_id, code, day, keys=keys)
        that_day = await _day_then(connection, tenant_id, guide, listed)
    return GuideThen(code, as_of.at, position, stood["store"], stood["open_items"], that_day)


async def _day_then(connection: Driver, tenant_id: int, guide: UUID, listed: TodaysList) -> DayThen:
    row = await connection.fetchrow(
        """
        SELECT d.listed, coalesce(d.done, k.done) AS done, coalesce(d.reached, k.reached) AS reached, d.carried,
               d.published_at, d.clocked_in_at, d.closed_at
        FROM guide_day d CROSS JOIN LATERAL (
            SELECT count(DISTINCT c.task_id) AS done, count(DISTINCT c.task_id) FILTER (WHERE c.reached) AS reached
            FROM list_item i JOIN check_in c ON c.tenant_id = $1 AND c.task_id = i.task_id AND c.business_date = $3
            WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3
        ) k WHERE d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = $3""",
        tenant_id,
        guide,
        listed.day,
    )
    return DayThen(list=listed, **dict(row))


async def task_then(connection: Driver, tenant_id: int, as_of: AsOf, task_id: UUID) -> TaskThen:
    """An item as it stood. Rows grow with its reports and the days of its cycle.

    Raises:
        NotFound: there is no such item, or was none then.
    """
    known = await connection.fetchval(
        "SELECT true FROM task WHERE tenant_id = $1 AND task_id = $2", tenant_id, task_id
    )
    if known is None:
        raise NotFound(Problem("task", str(task_id), "unknown_task"))
    position = await stand_then(connection, tenant_id, as_of, past_streams.TASK, task_id)
    items = await _items(connection, tenant_id)
    if not items:
        raise not_there_then("task", str(task_id), as_of)
    lists = await connection.fetch(
        """
        SELECT coalesce(g.code, '') AS guide, i.business_date AS day, i.rank, d.state
        FROM list_item i JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = i.guide_id
             AND d.business_date = i.business_date
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = i.guide_id
        WHERE i.tenant_id = $1 AND i.task_id = $2 ORDER BY i.business_date""",
        tenant_id,
        task_id,
    )
    return TaskThen(as_of.at, position, items[0], tuple(dict(row) for row in lists))


async def member_then(connection: Driver, tenant_id: int, as_of: AsOf, code: str) -> MemberThen:
    """A member as they stood, found by their code of today; whoever was erased is nobody's to look up any more.

    Rows grow with the member's own cycles and items.

    Raises:
        NotFound: nobody in reach has this code.
    """
    member = await member_id_of(connection, tenant_id, code, "seen")
    position = await stand_then(connection, tenant_id, as_of, past_streams.MEMBER, member)
    stood = await connection.fetchrow(
        "SELECT opted_out_at, erased_at FROM member WHERE tenant_id = $1 AND member_id = $2",
        tenant_id,
        member,
    )
    plans = await connection.fetch(
        """
        SELECT pm.plan_id AS plan, pm.cycle, coalesce(p.status, '') AS status, g.code AS guide, pm.strategy, pm.why,
               pm.quadrant, pm.grade, pm.dial_days, pm.last_dial_on, pm.last_reached_at
        FROM plan_member pm LEFT JOIN plan p ON p.tenant_id = $1 AND p.plan_id = pm.plan_id
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = pm.guide_id
        WHERE pm.tenant_id = $1 ORDER BY pm.plan_id, pm.cycle""",
        tenant_id,
    )
    complaints = await connection.fetch(
        "SELECT case_id, task_id, opened_at, deadline_at, state, answered_at, ended_at, resolution FROM complaint_case"
        " WHERE tenant_id = $1 ORDER BY opened_at, case_id",
        tenant_id,
    )
    return MemberThen(
        member=code,
        at=as_of.at,
        position=position,
        **dict(stood),
        plans=tuple(dict(row) for row in plans),
        items=await _items(connection, tenant_id),
        complaints=tuple(dict(row) for row in complaints),
    )


async def _items(connection: Driver, tenant_id: int) -> tuple[ItemThen, ...]:
    """The items that stand, by their first day."""
    rows = await connection.fetch(
        """
        SELECT t.task_id, t.plan_id AS plan, t.cycle, coalesce(c.name, '') AS category, coalesce(g.code, '') AS guide,
               t.state, t.reason, t.due_on, t.first_due_on, t.attempts
        FROM task t LEFT JOIN category c ON c.tenant_id = $1 AND c.category_id = t.category_id
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id
        WHERE t.tenant_id = $1 ORDER BY t.first_due_on, t.task_id""",
        tenant_id,
    )
    reports = await connection.fetch(
        """
        SELECT k.task_id, coalesce(g.code, '') AS guide, k.occurred_at, k.business_date, k.channel, k.outcome, k.reached,
               k.grade, k.next_on
        FROM check_in k LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = k.guide_id
        WHERE k.tenant_id = $1 ORDER BY k.task_id, k.version""",
        tenant_id,
    )
    return tuple(ItemThen(**dict(row), check_ins=_of(reports, row["task_id"])) for row in rows)


def _of(rows: list[Any], task_id: UUID) -> tuple[dict[str, Any], ...]:
    return tuple(
        {key: value for key, value in dict(row).items() if key != "task_id"}
        for row in rows
        if row["task_id"] == task_id
    )
