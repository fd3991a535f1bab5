"""Everything that happened to a member in a plan, for replaying it: the ledger's other half of `domain.standing`.

Cost: eight round trips (three of them locks), rows grow with what happened to one member in one plan. It is asked for
where a report is late, out of order or corrected, never for an ordinary one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.calendar import WorkingCalendar
from domain.plan import Plan
from domain.standing import Bought, Cycle, History, Item, Left, Moved, Reported
from ledger.calendars import LAYERS_OF_STORE, working_days
from ledger.door import Driver, Head, lock_heads
from ledger.ledger import plan_member_stream, plan_stream, task_stream
from ledger.past_closings import PutOff, past_closings
from ledger.plans import parse_spec


@dataclass(frozen=True, slots=True)
class Report:
    """A check-in that holds, as its event tells it; `first_known_at`: when the first version of it became known."""

    version: int
    performed_by: UUID
    occurred_at: datetime
    known_at: datetime
    first_known_at: datetime
    on: date
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a member in a plan, its streams and rows locked."""

    plan_id: str
    member_id: UUID
    plan: Plan
    history: History
    reports: Mapping[tuple[UUID, int], Report]
    """Check-ins that hold, by item and version."""
    superseded: Mapping[tuple[UUID, int], int]
    """Those that do not, and the version of what took their place."""
    heads: Mapping[str, Head]
    carers: Mapping[int, UUID | None]
    """Who looks after the member, by cycle."""
    ends_on: Mapping[int, date]


async def item_of(connection: Driver, tenant_id: int, task_id: UUID) -> tuple[str, UUID] | None:
    """Plan and member of an item, which never change; None: there is no such item."""
    row = await connection.fetchrow(
        "SELECT plan_id, member_id FROM task WHERE tenant_id = $1 AND task_id = $2", tenant_id, task_id
    )
    return None if row is None else (row["plan_id"], UUID(str(row["member_id"])))


async def read_history(connection: Driver, tenant_id: int, plan_id: str, member_id: UUID) -> Known:
    """Lock and read a member's history in a plan; call it in a transaction, after `report_days.lock_days`.

    Locked in the order of whoever changes the same rows: streams of the member, rows of the member, streams of items.
    """
    cycles = [
        row["cycle"]
        for row in await connection.fetch(
            "SELECT cycle FROM plan_member WHERE tenant_id = $1 AND member_id = $2 AND plan_id = $3 ORDER BY cycle",
            tenant_id,
            member_id,
            plan_id,
        )
    ]
    heads = await lock_heads(
        connection, tenant_id, [plan_member_stream(plan_id, cycle, member_id) for cycle in cycles]
    )
    rows = await connection.fetch(
        "SELECT cycle, guide_id FROM plan_member WHERE tenant_id = $1 AND plan_id = $2 AND cycle = ANY($3)"
        " AND member_id = $4 ORDER BY cycle FOR NO KEY UPDATE",
        tenant_id,
        plan_id,
        cycles,
        member_id,
    )
    carers = {row["cycle"]: row["guide_id"] for row in rows}
    tasks = await connection.fetch(
        "SELECT task_id, cycle, first_due_on, known_at FROM task WHERE tenant_id = $1 AND plan_id = $2"
        " AND cycle = ANY($3) AND member_id = $4 ORDER BY task_id",
        tenant_id,
        plan_id,
        cycles,
        member_id,
    )
    streams = {task_stream(row["task_id"]): row for row in tasks}
    heads |= await lock_heads(connection, tenant_id, list(streams))
    plan, spans, recalled_at = await _plan(connection, tenant_id, plan_id, cycles)
    told = await _events(connection, tenant_id, streams)
    history = History(
        calendar=await _calendar(connection, tenant_id, plan, carers),
        cycles=tuple(Cycle(row["cycle"], row["began_at"], row["ended_at"]) for row in spans),
        items=tuple(
            Item(row["task_id"], row["cycle"], row["first_due_on"], row["known_at"], told.makers[stream])
            for stream, row in streams.items()
        ),
        reports=tuple(_fact(task, report) for (task, _), report in told.reports.items()),
        leavings=tuple(told.leavings),
        moves=tuple(told.moves),
        closings=await past_closings(connection, tenant_id, plan_id, told.snoozes, spans),
        bought=await _bought(connection, tenant_id, member_id, spans),
        recalled_at=recalled_at,
    )
    return Known(
        plan_id,
        member_id,
        plan,
        history,
        told.reports,
        told.superseded,
        heads,
        carers,
        {row["cycle"]: row["ends_on"] for row in spans},
    )


async def _plan(
    connection: Driver, tenant_id: int, plan_id: str, cycles: Sequence[int]
) -> tuple[Plan, Sequence[Any], datetime | None]:
    # What is open when a Check is acted on expires; that it was acted on is noted in the plan's stream.
    spans = await connection.fetch(
        """
        SELECT c.cycle, c.starts_on, c.ends_on, c.started_at AS began_at, e.occurred_at AS ended_at, p.spec::text AS spec,
               CASE WHEN p.status = 'recalled' THEN p.ended_at END AS recalled_at
        FROM plan_cycle c JOIN plan p ON p.tenant_id = $1 AND p.plan_id = c.plan_id
        LEFT JOIN event e ON e.tenant_id = $1 AND e.stream = $4 AND e.type = 'goal_decided'
             AND (e.payload->>'cycle')::int = c.cycle
        WHERE c.tenant_id = $1 AND c.plan_id = $2 AND c.cycle = ANY($3) ORDER BY c.cycle""",
        tenant_id,
        plan_id,
        list(cycles),
        plan_stream(plan_id),
    )
    return parse_spec(spans[0]["spec"]), spans, spans[0]["recalled_at"]


@dataclass(frozen=True, slots=True)
class _Told:
    makers: dict[str, UUID]
    reports: dict[tuple[UUID, int], Report]
    superseded: dict[tuple[UUID, int], int]
    leavings: list[Left]
    moves: list[Moved]
    snoozes: dict[UUID, list[PutOff]]


async def _events(connection: Driver, tenant_id: int, streams: Mapping[str, Any]) -> _Told:
    rows = await connection.fetch(
        "SELECT stream, version, type, occurred_at, known_at, performed_by, payload::text AS payload FROM event"
        " WHERE tenant_id = $1 AND stream = ANY($2) AND known_at >= $3 ORDER BY stream, version",
        tenant_id,
        list(streams),
        min(row["known_at"] for row in streams.values()),
    )
    told = _Told({}, {}, {}, [], [], {UUID(str(row["task_id"])): [] for row in streams.values()})
    for row in rows:
        task, payload = UUID(str(streams[row["stream"]]["task_id"])), json.loads(row["payload"])
        match row["type"]:
            case "task_created":
                told.makers[row["stream"]] = UUID(payload["guide"])
            case "task_reassigned":
                move = Moved(task, row["occurred_at"], row["known_at"], UUID(payload["guide"]))
                told.moves.append(move)
            case "task_left":
                at = row["occurred_at"], row["known_at"]
                told.leavings.append(Left(task, *at, payload["state"], payload["reason"]))
            case "task_snoozed":
                on, until = (
                    date.fromisoformat(payload["business_date"]),
                    datetime.fromisoformat(payload["until"]),
                )
                told.snoozes[task].append(PutOff(row["known_at"], on, until))
            case "checked_in" | "check_in_corrected" | "check_in_voided":
                _report(told, task, row, payload)
    return told


def _report(told: _Told, task: UUID, row: Any, payload: Mapping[str, Any]) -> None:
    before = payload.get("supersedes")
    if before is not None:
        told.reports.pop((task, before), None)
        told.superseded[task, before] = row["version"]
    if row["type"] != "check_in_voided":
        first = payload.get("first_known_at")
        told.reports[task, row["version"]] = Report(
            version=row["version"],
            performed_by=UUID(row["performed_by"]),
            occurred_at=row["occurred_at"],
            known_at=row["known_at"],
            first_known_at=row["known_at"] if first is None else datetime.fromisoformat(first),
            on=date.fromisoformat(payload["business_date"]),
            payload=payload,
        )


def told_grade(payload: Mapping[str, Any]) -> str | None:
    """The grade a check-in told; what was written before that was kept apart told the one it led to."""
    grade: str | None = payload.get("told_grade", payload["grade"])
    return grade


def _fact(task: UUID, report: Report) -> Reported:
    next_on = report.payload["next_on"]
    return Reported(
        task_id=task,
        version=report.version,
        performed_by=report.performed_by,
        occurred_at=report.occurred_at,
        known_at=report.known_at,
        on=report.on,
        reached=report.payload["reached"],
        grade=told_grade(report.payload),
        next_on=None if next_on is None else date.fromisoformat(next_on),
    )


async def _calendar(
    connection: Driver, tenant_id: int, plan: Plan, carers: Mapping[int, UUID | None]
) -> WorkingCalendar:
    """The plan's working days in the store of whoever looks after the member now, as a check-in in order counts them."""
    row = await connection.fetchrow(
        f"SELECT s.code, s.time_zone, s.region, {LAYERS_OF_STORE} AS said FROM guide g"
        " JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id WHERE g.tenant_id = $1 AND g.guide_id = $2",
        tenant_id,
        carers[max(carers)] if carers else None,
    )
    if row is None:
        return plan.working_calendar
    return working_days(
        plan.working_calendar, code=row["code"], zone=row["time_zone"], region=row["region"], said=row["said"]
    )


async def _bought(
    connection: Driver, tenant_id: int, member_id: UUID, spans: Sequence[Any]
) -> tuple[Bought, ...]:
    if len(spans) == 1:
        return ()  # it is asked only whether a purchase lifted a D before the next cycle
    rows = await connection.fetch(
        "SELECT occurred_at, known_at FROM purchase WHERE tenant_id = $1 AND member_id = $2 AND quantity > 0"
        " AND occurred_at > $3",
        tenant_id,
        member_id,
        spans[0]["began_at"],
    )
    return tuple(Bought(row["occurred_at"], row["known_at"]) for row in rows)
