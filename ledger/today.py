"""A guide's list of a day, as the guide sees it: members masked, and why now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.errors import NotFound, Problem
from domain.plan import Plan
from ledger.case_standing import NO_COMPLAINT
from ledger.door import Driver
from ledger.member_keys import MemberKeys
from ledger.people import NOBODY, Person, read_people
from ledger.plans import parse_spec


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One item: whom to contact, about what, why now, and how it stands."""

    rank: int
    task_id: UUID
    member: str
    """Masked: first character of the name and the last digits of the phone."""
    category: str
    run_out_on: date
    due_on: date
    bought_at: datetime
    grade: str | None
    quadrant: str
    state: str
    done: bool
    script: str
    material: str
    plan_status: str
    """Of the item's plan: where it is paused, nobody is asked to do the item."""
    urged: bool
    """Somebody urged her about it, and nobody has reported on it since: it comes first."""
    cycle_ends_on: date
    """After this day the item does not come again."""
    kind: str = "call"
    """A call, or an invitation into a group."""
    snoozed_until: datetime | None = None
    """Until when the guide put it off; nobody is reminded of it before."""
    done_by_other: bool = False
    """Another guide had reached the member before the item came to this one: nothing is left to do."""
    complaint: bool = False
    """A complaint of the member's waits for its end: they are not contacted until then."""
    silent_since: datetime | None = None
    """The member is going cold: nobody has spoken to them since; None: the item is about what runs out."""


@dataclass(frozen=True, slots=True)
class TodaysList:
    """The list with its day; `rest` counts items that are due but beyond the day's capacity."""

    guide_code: str
    guide_name: str
    store_name: str
    day: date
    state: str
    closes_at: datetime
    items: tuple[ListedItem, ...]
    rest: int
    target_calls: int | None = None
    """What is scored in the evening; None: it was not told on that day."""
    target_invitations: int | None = None


async def has_list(connection: Driver, tenant_id: int, guide_id: UUID, day: date) -> bool:
    """Whether whoever stands on the connection sees a list of the guide on a day."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
            tenant_id,
            guide_id,
            day,
        )
    )


async def read_todays_list(
    connection: Driver, tenant_id: int, guide_code: str, day: date | None, *, keys: MemberKeys
) -> TodaysList:
    """The list of a guide on a day; where no day is named, the newest there is.

    Raises:
        NotFound: no such guide, or no list on that day (nothing was due, or it is not cut yet).
    """
    head = await connection.fetchrow(
        """
        SELECT g.guide_id, coalesce(p.name, '') AS name, coalesce(s.name, '') AS store,
               d.business_date, d.state, d.closes_at, d.target_calls, d.target_invitations
        FROM guide g
        -- Whoever looks back at the days of a guide who was transferred does not see where she stands now.
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        LEFT JOIN guide_person p ON p.tenant_id = $1 AND p.guide_id = g.guide_id
        LEFT JOIN LATERAL (
            SELECT business_date, state, closes_at, target_calls, target_invitations FROM guide_day d
            WHERE d.tenant_id = $1 AND d.guide_id = g.guide_id AND ($3::date IS NULL OR d.business_date = $3)
            ORDER BY business_date DESC LIMIT 1
        ) d ON true
        WHERE g.tenant_id = $1 AND g.code = $2""",
        tenant_id,
        guide_code,
        day,
    )
    if head is None:
        raise NotFound(Problem("guide", guide_code, "unknown_guide", {"nearest": "—"}))
    if head["business_date"] is None:
        raise NotFound(Problem("date", day.isoformat() if day else "", "no_list", {"guide": guide_code}))
    rows = await connection.fetch(
        f"""
        SELECT i.rank, t.task_id, t.member_id, c.name AS category, t.run_out_on, t.due_on, t.bought_at, pm.grade, pm.quadrant, t.state,
               EXISTS (SELECT FROM check_in k WHERE k.tenant_id = $1 AND k.task_id = t.task_id
                       AND k.business_date = $3) AS done,
               p.spec->'means'->0->>'script' AS script, p.spec->'means'->0->>'material' AS material,
               coalesce(p.spec->'means'->0->>'item', 'call') AS kind,
               CASE WHEN t.last_attempt_on IS NULL OR t.last_attempt_on < t.snoozed_on THEN t.snoozed_until END AS snoozed_until,
               p.status AS plan_status, pc.ends_on AS cycle_ends_on,
               t.state = 'open' AND t.last_attempt_on IS DISTINCT FROM $3 AND EXISTS (
                   SELECT FROM guide_urge u WHERE u.tenant_id = $1 AND u.guide_id = $2 AND u.business_date = $3
                     AND t.task_id = ANY(u.tasks)) AS urged,
               t.state = 'done' AND t.guide_id = $2 AND NOT EXISTS (
                   SELECT FROM check_in k WHERE k.tenant_id = $1 AND k.task_id = t.task_id AND k.guide_id = $2
               ) AS done_by_other,
               t.state = 'open' AND NOT {NO_COMPLAINT.format(member="t.member_id")} AS complaint,
               ci.silent_since
        FROM list_item i
        JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
        JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
        JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
             AND pm.member_id = t.member_id
        JOIN plan_cycle pc ON pc.tenant_id = $1 AND pc.plan_id = t.plan_id AND pc.cycle = t.cycle
        JOIN category c ON c.tenant_id = $1 AND c.category_id = t.category_id
        LEFT JOIN cold_item ci ON ci.tenant_id = $1 AND ci.task_id = t.task_id
        WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3 ORDER BY urged DESC, i.rank""",
        tenant_id,
        head["guide_id"],
        head["business_date"],
    )
    people = await read_people(connection, tenant_id, keys, {row["member_id"] for row in rows})
    rest = await connection.fetchval(
        """
        SELECT count(*) FROM task t WHERE t.tenant_id = $1 AND t.guide_id = $2 AND t.state = 'open'
          AND t.due_on <= $3 AND NOT EXISTS (SELECT FROM list_item i WHERE i.tenant_id = $1
              AND i.business_date = $3 AND i.task_id = t.task_id)""",
        tenant_id,
        head["guide_id"],
        head["business_date"],
    )
    return TodaysList(
        guide_code=guide_code,
        guide_name=head["name"],
        store_name=head["store"],
        day=head["business_date"],
        state=head["state"],
        closes_at=head["closes_at"],
        items=tuple(_listed(row, people) for row in rows),
        rest=rest,
        target_calls=head["target_calls"],
        target_invitations=head["target_invitations"],
    )


def _listed(row: Mapping[str, Any], people: Mapping[UUID, Person]) -> ListedItem:
    item = dict(row)
    return ListedItem(member=people.get(item.pop("member_id"), NOBODY).masked, **item)


@dataclass(frozen=True, slots=True)
class PublishedItem:
    """An item of a published list with what a simulated guide has to know."""

    guide_id: UUID
    guide_code: str
    task_id: UUID
    rank: int
    listed: int
    opens_at: datetime
    closes_at: datetime
    plan: Plan
    ends_on: date


async def published_items(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str
) -> list[PublishedItem]:
    """The items of a zone's published lists that still belong to their guide, by guide and rank."""
    rows = await connection.fetch(
        """
        SELECT g.guide_id, g.code, t.task_id, i.rank, d.listed, d.opens_at, d.closes_at,
               t.plan_id, p.spec::text AS spec, c.ends_on
        FROM guide_day d
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
        JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = d.guide_id AND i.business_date = d.business_date
        JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id AND t.guide_id = d.guide_id
        JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
        JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
        WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.time_zone = $3 AND d.state = 'published'
        ORDER BY g.guide_id, i.rank""",
        tenant_id,
        day,
        time_zone,
    )
    plans = {row["plan_id"]: parse_spec(row["spec"]) for row in rows}
    return [
        PublishedItem(
            guide_id=row["guide_id"],
            guide_code=row["code"],
            task_id=row["task_id"],
            rank=row["rank"],
            listed=row["listed"],
            opens_at=row["opens_at"],
            closes_at=row["closes_at"],
            plan=plans[row["plan_id"]],
            ends_on=row["ends_on"],
        )
        for row in rows
    ]
