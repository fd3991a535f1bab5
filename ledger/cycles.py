"""A cycle of a plan: its members with their guides and reasons, its first items, its Check."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from domain.calendar import local_instant
from domain.check_in import MOST_DIAL_DAYS
from domain.errors import Conflict
from domain.events import CycleChecked, CycleStarted, MemberAssigned, TaskCreated
from domain.rhythm import Rhythm
from ledger.door import Driver, lock_heads
from ledger.founding import NewStreams, founding
from ledger.ledger import TASK_PREFIX, Command, plan_member_prefix, plan_member_stream, plan_stream, record
from ledger.plans import FINAL
from ledger.tasks import NEW_TASKS

# From the events just appended, as `ledger.founding` has it.
NEW_MEMBERS = """
INSERT INTO plan_member (tenant_id, plan_id, cycle, member_id, guide_id, strategy, why, score, runner_up, tried,
                         value_minor, quadrant, grade, dial_days, last_dial_on, last_reached_at)
SELECT $1, payload->>'plan', (payload->>'cycle')::int, (payload->>'member')::uuid, (payload->>'guide')::uuid,
       payload->>'strategy', payload->>'why', (payload->>'score')::int, (payload->>'runner_up')::uuid,
       payload->'tried', (payload->>'value_minor')::bigint, payload->>'quadrant', payload->>'grade',
       (payload->>'dial_days')::int, (payload->>'last_dial_on')::date, (payload->>'last_reached_at')::timestamptz
FROM appended"""


RHYTHMS = TypeAdapter(dict[int, Rhythm])
"""As they stand in `plan_cycle`."""


@dataclass(frozen=True, slots=True)
class CycleState:
    """Where a cycle stands. `days_per_unit` and `rhythms` map category id to what the segment told at its start."""

    starts_on: date
    ends_on: date
    time_zone: str
    state: str
    days_per_unit: dict[int, Decimal]
    started_at: datetime
    rhythms: dict[int, Rhythm]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """Half-open: from its first day's midnight to the one after its last."""
        midnight = time(0)
        return (
            local_instant(self.starts_on, midnight, self.time_zone),
            local_instant(self.ends_on + timedelta(days=1), midnight, self.time_zone),
        )


async def read_cycle(connection: Driver, tenant_id: int, plan_id: str, cycle: int) -> CycleState | None:
    """The cycle as it stands, None if it has not started."""
    row = await connection.fetchrow(
        "SELECT starts_on, ends_on, time_zone, state, days_per_unit::text AS days_per_unit, rhythms::text AS rhythms,"
        " started_at FROM plan_cycle"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3",
        tenant_id,
        plan_id,
        cycle,
    )
    if row is None:
        return None
    rates = {int(key): Decimal(value) for key, value in json.loads(row["days_per_unit"]).items()}
    return CycleState(
        row["starts_on"],
        row["ends_on"],
        row["time_zone"],
        row["state"],
        rates,
        row["started_at"],
        RHYTHMS.validate_json(row["rhythms"]),
    )


async def start_cycle(
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    plan_id: str,
    started: CycleStarted,
    assigned: Sequence[MemberAssigned],
    tasks: Sequence[TaskCreated],
) -> bool:
    """Write a cycle's start, all or none, in one transaction of the caller; False if it was there already.

    The final `cycle_started` is what makes it visible: lists are cut from items of started cycles only. A plan that
    was closed or recalled meanwhile starts nothing.

    Raises:
        Conflict: an earlier cycle is not checked yet.
    """
    if (
        await _at_end(connection, tenant_id, plan_id)
        or await read_cycle(connection, tenant_id, plan_id, started.cycle) is not None
    ):
        return False
    before = await connection.fetchval(
        "SELECT cycle FROM plan_cycle WHERE tenant_id = $1 AND plan_id = $2 AND cycle < $3 AND state = 'running'"
        " ORDER BY cycle LIMIT 1",
        tenant_id,
        plan_id,
        started.cycle,
    )
    if before is not None:
        # Temporal may be ahead of a ledger that was restored: the cycle before would never be checked.
        raise Conflict(f"plan {plan_id}: cycle {before} is not checked yet, so {started.cycle} cannot begin")
    assigned = await _with_what_they_bring(connection, tenant_id, assigned, as_of=command.occurred_at)
    # In the order of their keys, so that every index grows at neighbouring places.
    members = sorted(assigned, key=lambda one: one.member.int)
    items = sorted(tasks, key=lambda one: one.task.int)
    kinds = (
        NewStreams(plan_member_prefix(plan_id, started.cycle), "member", members, NEW_MEMBERS),
        NewStreams(TASK_PREFIX, "task", items, NEW_TASKS),
    )
    async with founding(tenant_id, command, kinds) as events:
        await events.write(connection)
    # Only now, so that nobody waits for the whole draw; whoever closes or recalls the plan holds its head too.
    await lock_heads(connection, tenant_id, [plan_stream(plan_id)])
    if await _at_end(connection, tenant_id, plan_id):
        raise Conflict(f"plan {plan_id} came to its end while its cycle {started.cycle} was drawn")
    await record(connection, tenant_id, command, [(plan_stream(plan_id), started)])
    await connection.execute(
        """
        INSERT INTO plan_cycle (tenant_id, plan_id, cycle, starts_on, ends_on, time_zone, state, days_per_unit,
                                started_at, rhythms)
        VALUES ($1, $2, $3, $4, $5, $6, 'running', $7::text::jsonb, $8, $9::text::jsonb)""",
        tenant_id,
        plan_id,
        started.cycle,
        started.starts_on,
        started.ends_on,
        started.time_zone,
        json.dumps(started.days_per_unit),
        command.known_at,
        json.dumps(started.payload()["rhythms"]),
    )
    await connection.execute(
        "UPDATE plan SET cycle = $3, version = version + 1 WHERE tenant_id = $1 AND plan_id = $2",
        tenant_id,
        plan_id,
        started.cycle,
    )
    return True


async def _at_end(connection: Driver, tenant_id: int, plan_id: str) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT status = ANY($3) FROM plan WHERE tenant_id = $1 AND plan_id = $2",
            tenant_id,
            plan_id,
            list(FINAL),
        )
    )


@dataclass(frozen=True, slots=True)
class CaredFor:
    """A member with a guide in a cycle; the value is the net 90-day spend at its start, in minor units."""

    guide_id: UUID
    value_minor: int
    quadrant: str


async def members_with_guides(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int
) -> dict[UUID, CaredFor]:
    """Who looks after whom in a cycle, by member."""
    rows = await connection.fetch(
        "SELECT member_id, guide_id, value_minor, quadrant FROM plan_member"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 AND guide_id IS NOT NULL ORDER BY member_id",
        tenant_id,
        plan_id,
        cycle,
    )
    return {row["member_id"]: CaredFor(row["guide_id"], row["value_minor"], row["quadrant"]) for row in rows}


async def reassign_members(
    connection: Driver, tenant_id: int, command: Command, moved: Sequence[MemberAssigned]
) -> None:
    """Write who looks after these members from now on, and why; grades and history stay."""
    if not moved:
        return
    events = [(plan_member_stream(one.plan, one.cycle, one.member), one) for one in moved]
    if (await record(connection, tenant_id, command, events)).duplicate:
        return
    await connection.execute(
        """
        UPDATE plan_member pm SET guide_id = a.guide, strategy = a.strategy, why = a.why, score = a.score,
               runner_up = a.runner_up, tried = a.tried::jsonb
        FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::int[], $9::uuid[], $10::text[])
            AS a(member, guide, strategy, why, score, runner_up, tried)
        WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.cycle = $3 AND pm.member_id = a.member""",
        tenant_id,
        *_assignment_columns(moved),
    )


def _assignment_columns(assigned: Sequence[MemberAssigned]) -> list[Any]:
    return [
        assigned[0].plan if assigned else "",
        assigned[0].cycle if assigned else 0,
        [one.member for one in assigned],
        [one.guide for one in assigned],
        [one.strategy for one in assigned],
        [one.why for one in assigned],
        [one.score for one in assigned],
        [one.runner_up for one in assigned],
        [json.dumps(one.tried) for one in assigned],
    ]


async def _with_what_they_bring(
    connection: Driver, tenant_id: int, assigned: Sequence[MemberAssigned], *, as_of: datetime
) -> Sequence[MemberAssigned]:
    """Grade and dial days are of the plan, not of the cycle: they come along from the member's last one.

    But for a D that a purchase has lifted since. One query, and none for a plan's first cycle.
    """
    if not assigned or assigned[0].cycle == 1:
        return assigned
    rows = await connection.fetch(
        """
        WITH declined AS (
            SELECT d.member_id FROM check_in d
            WHERE d.tenant_id = $1 AND d.plan_id = $2 AND d.grade = 'D'
              AND NOT EXISTS (
                  SELECT FROM purchase p WHERE p.tenant_id = $1 AND p.member_id = d.member_id
                    AND p.quantity > 0 AND p.occurred_at > d.occurred_at
                    AND p.occurred_at <= $5 AND p.known_at <= $5)
        )
        SELECT before.member_id,
               CASE WHEN before.grade = 'D' AND before.member_id NOT IN (SELECT member_id FROM declined)
                    THEN NULL ELSE before.grade END AS grade,
               before.dial_days, before.last_dial_on, before.last_reached_at
        FROM (
            SELECT DISTINCT ON (member_id) member_id, grade, dial_days, last_dial_on, last_reached_at
            FROM plan_member
            WHERE tenant_id = $1 AND plan_id = $2 AND cycle < $3 ORDER BY member_id, cycle DESC
        ) before JOIN unnest($4::uuid[]) AS a(member) ON a.member = before.member_id""",
        tenant_id,
        assigned[0].plan,
        assigned[0].cycle,
        [one.member for one in assigned],
        as_of,
    )
    brought = {row["member_id"]: {key: row[key] for key in _BROUGHT} for row in rows}
    return [one.model_copy(update=brought.get(one.member, {})) for one in assigned]


_BROUGHT = ("grade", "dial_days", "last_dial_on", "last_reached_at")


async def dialled_out(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int, as_of: datetime
) -> frozenset[UUID]:
    """Members who were dialled in vain on the most days a plan allows, in its cycles before `cycle`."""
    rows = await connection.fetch(
        """
        SELECT member_id FROM check_in_ever
        WHERE tenant_id = $1 AND plan_id = $2 AND cycle < $3 AND NOT reached
          AND occurred_at <= $4 AND known_at <= $4 AND superseded_at > $4
        GROUP BY 1 HAVING count(DISTINCT business_date) >= $5""",
        tenant_id,
        plan_id,
        cycle,
        as_of,
        MOST_DIAL_DAYS,
    )
    return frozenset(UUID(str(row["member_id"])) for row in rows)


async def record_check(
    connection: Driver, tenant_id: int, command: Command, *, plan_id: str, checked: CycleChecked
) -> bool:
    """Write the Check of a cycle; False if this kind was written before. Call it in a transaction."""
    appended = await record(connection, tenant_id, command, [(plan_stream(plan_id), checked)])
    if appended.duplicate:
        return False
    await connection.execute(
        "INSERT INTO plan_check (tenant_id, plan_id, cycle, kind, as_of, position, figures)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb)",
        tenant_id,
        plan_id,
        checked.cycle,
        checked.kind,
        checked.as_of,
        checked.position,
        json.dumps(checked.figures),
    )
    await connection.execute(
        "UPDATE plan_cycle SET state = $4 WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3",
        tenant_id,
        plan_id,
        checked.cycle,
        "settled" if checked.kind == "settled" else "checked",
    )
    await connection.execute(
        "UPDATE plan SET version = version + 1 WHERE tenant_id = $1 AND plan_id = $2", tenant_id, plan_id
    )
    return True


async def list_checks(connection: Driver, tenant_id: int, plan_id: str) -> list[dict[str, Any]]:
    """The stored Checks of a plan: cycle, kind, as_of and position, in the order of the cycles."""
    rows = await connection.fetch(
        "SELECT cycle, kind, as_of, position FROM plan_check WHERE tenant_id = $1 AND plan_id = $2"
        " ORDER BY cycle, kind",
        tenant_id,
        plan_id,
    )
    return [dict(row) for row in rows]


async def read_check(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int, kind: str
) -> tuple[datetime, int, dict[str, Any]] | None:
    """The stored Check: as of, position, figures; None if there is none yet."""
    row = await connection.fetchrow(
        "SELECT as_of, position, figures::text AS figures FROM plan_check"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 AND kind = $4",
        tenant_id,
        plan_id,
        cycle,
        kind,
    )
    return None if row is None else (row["as_of"], row["position"], json.loads(row["figures"]))


async def read_check_in_reach(
    connection: Driver, plan_id: str, cycle: int, kind: str
) -> tuple[datetime, int, dict[str, Any]] | None:
    """The same as far as whoever asks reaches; without `total` where that is not the whole plan."""
    row = await connection.fetchrow(
        "SELECT as_of, position, figures::text AS figures FROM check_in_reach($1, $2, $3)",
        plan_id,
        cycle,
        kind,
    )
    return None if row is None else (row["as_of"], row["position"], json.loads(row["figures"]))


async def unsettled_cycles(connection: Driver, tenant_id: int, plan_id: str) -> list[tuple[int, datetime]]:
    """Cycles that were checked and have no final figures yet, with the instant of their Check."""
    rows = await connection.fetch(
        """
        SELECT c.cycle, k.as_of FROM plan_cycle c
        JOIN plan_check k ON k.tenant_id = $1 AND k.plan_id = $2 AND k.cycle = c.cycle AND k.kind = 'provisional'
        WHERE c.tenant_id = $1 AND c.plan_id = $2 AND c.state = 'checked' ORDER BY c.cycle""",
        tenant_id,
        plan_id,
    )
    return [(row["cycle"], row["as_of"]) for row in rows]
