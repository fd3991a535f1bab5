"""What a plan was, and its cycle's figures, as of a position or an instant: counted again by what counts a Check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from activities.review import count_cycle
from domain.errors import NotFound, Problem
from domain.messages import PlanStep
from ledger import past_streams
from ledger.as_of import AsOf, stand_then
from ledger.cycles import list_checks, read_cycle
from ledger.door import Driver
from ledger.plans import plan_json, read_plan


@dataclass(frozen=True, slots=True)
class CycleThen:
    """A cycle as it stood; `figures` as a Check of that moment would have counted them."""

    cycle: int
    starts_on: date
    ends_on: date
    state: str
    members: int
    assigned: int
    items: dict[str, int]
    """How many were in which state."""
    figures: dict[str, Any] | None
    """None: whoever asks does not see everything that they are counted from."""


@dataclass(frozen=True, slots=True)
class PlanThen:
    """A plan as it stood."""

    plan: str
    at: datetime
    position: int | None
    status: str
    launched_at: datetime
    version: int
    canary: tuple[str, ...]
    spec: dict[str, Any]
    cycle: CycleThen | None
    """None: none had started."""
    checks: list[dict[str, Any]]
    """The Checks that were stored by then."""


async def plan_then(
    connection: Driver,
    tenant_id: int,
    as_of: AsOf,
    plan_id: str,
    *,
    cycle: int | None = None,
    counted: bool = True,
) -> PlanThen:
    """A plan and one of its cycles as they stood; call it in a REPEATABLE READ transaction.

    A position alone that a stored Check of the plan names means that Check: its instant, and its cycle where none is named.
    Some twenty statements beside those of `stand_then`; rows as a Check of the cycle reads, and the events of its members,
    items and lists.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        as_of: the moment.
        plan_id: the plan.
        cycle: its number; the newest that had started where none is named.
        counted: whether the figures are counted.

    Raises:
        NotFound: there is no such plan, or was none then, or no such cycle.
    """
    now = await read_plan(connection, tenant_id, plan_id)
    as_of, meant = await _of_check(connection, tenant_id, as_of, plan_id)
    number = cycle or meant or await _newest(connection, tenant_id, as_of, plan_id)
    window = now.plan.attribution_window
    state = await read_cycle(connection, tenant_id, plan_id, number)
    since = None if state is None else state.span[0] - window
    position = await stand_then(connection, tenant_id, as_of, past_streams.CYCLE, plan_id, number, since)
    try:
        standing = await read_plan(connection, tenant_id, plan_id)
    except NotFound:
        raise NotFound(Problem("plan", plan_id, "not_there_then", {"at": as_of.at.isoformat()})) from None
    then = await _cycle_then(connection, tenant_id, as_of, plan_id, number, counted=counted)
    if then is None and cycle is not None:
        raise NotFound(Problem("cycle", str(cycle), "not_there_then", {"at": as_of.at.isoformat()}))
    return PlanThen(
        plan=plan_id,
        at=as_of.at,
        position=position,
        status=standing.status,
        launched_at=standing.launched_at,
        version=standing.version,
        canary=standing.canary,
        spec=plan_json(standing.plan),
        cycle=then,
        checks=await list_checks(connection, tenant_id, plan_id),
    )


async def _of_check(connection: Driver, tenant_id: int, as_of: AsOf, plan_id: str) -> tuple[AsOf, int | None]:
    """The moment of the plan's Check that counted at this position, and its cycle."""
    if as_of.position is None:
        return as_of, None
    row = await connection.fetchrow(
        """
        SELECT k.as_of, k.cycle, e.known_at FROM plan_check k JOIN event e ON e.tenant_id = $1
            AND e.stream = 'plan/' || k.plan_id AND e.type = 'cycle_checked'
            AND e.payload->>'cycle' = k.cycle::text AND e.payload->>'kind' = k.kind
        WHERE k.tenant_id = $1 AND k.plan_id = $2 AND k.position = $3 AND ($4::timestamptz IS NULL OR k.as_of = $4)
        ORDER BY k.kind, k.cycle DESC LIMIT 1""",
        tenant_id,
        plan_id,
        as_of.position,
        as_of.at if as_of.at_named else None,
    )
    if row is None:
        return as_of, None
    return replace(as_of, at=row["as_of"], standing_at=row["known_at"]), int(row["cycle"])


async def _newest(connection: Driver, tenant_id: int, as_of: AsOf, plan_id: str) -> int:
    """The newest cycle that had started; 0 for none."""
    return int(
        await connection.fetchval(
            """
            SELECT coalesce(max(c.cycle), 0) FROM plan_cycle c
            WHERE c.tenant_id = $1 AND c.plan_id = $2 AND CASE WHEN $4::bigint IS NULL THEN c.started_at <= $3 ELSE EXISTS (
                SELECT FROM event e JOIN event_position p ON p.tenant_id = $1 AND p.stream = e.stream
                    AND p.version = e.version
                WHERE e.tenant_id = $1 AND e.stream = 'plan/' || $2::text AND e.type = 'cycle_started'
                  AND e.payload->>'cycle' = c.cycle::text AND p.position <= $4) END""",
            tenant_id,
            plan_id,
            as_of.at,
            as_of.position,
        )
    )


async def _cycle_then(
    connection: Driver, tenant_id: int, as_of: AsOf, plan_id: str, cycle: int, *, counted: bool
) -> CycleThen | None:
    state = await read_cycle(connection, tenant_id, plan_id, cycle)
    if state is None:
        return None
    members = await connection.fetchrow(
        "SELECT count(*) AS members, count(guide_id) AS assigned FROM plan_member"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3",
        tenant_id,
        plan_id,
        cycle,
    )
    items = await connection.fetch(
        "SELECT state, count(*) AS items FROM task WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3"
        " GROUP BY 1 ORDER BY 1",
        tenant_id,
        plan_id,
        cycle,
    )
    step = PlanStep(plan_id=plan_id, cycle=cycle, at=as_of.at, rehearsal=False)
    return CycleThen(
        cycle=cycle,
        starts_on=state.starts_on,
        ends_on=state.ends_on,
        state=state.state,
        members=members["members"],
        assigned=members["assigned"],
        items={row["state"]: row["items"] for row in items},
        figures=await count_cycle(connection, tenant_id, step) if counted else None,
    )
