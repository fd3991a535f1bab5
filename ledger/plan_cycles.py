"""Running plans with their cycles, in one query each: read at every clock-in and every pass over the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from domain.plan import Plan
from ledger.door import Driver
from ledger.plans import parse_spec


@dataclass(frozen=True, slots=True)
class PlanInCycle:
    """A running plan whose current cycle runs: its first and last day, and when it began."""

    plan: Plan
    starts_on: date
    ends_on: date
    started_at: datetime


async def plans_in_cycle(connection: Driver, tenant_id: int) -> list[PlanInCycle]:
    """Every running plan whose members of the current cycle are selected, by name."""
    rows = await connection.fetch(
        """
        SELECT p.spec::text AS spec, c.starts_on, c.ends_on, c.started_at
        FROM plan p
        JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = p.plan_id AND c.cycle = p.cycle AND c.state = 'running'
        WHERE p.tenant_id = $1 AND p.status = 'running' ORDER BY p.plan_id""",
        tenant_id,
    )
    return [
        PlanInCycle(parse_spec(row["spec"]), row["starts_on"], row["ends_on"], row["started_at"])
        for row in rows
    ]


async def cycles_to_begin(connection: Driver, tenant_id: int) -> list[tuple[Plan, int]]:
    """Running plans whose next cycle has not begun, though nothing of the one before stands against it, by name."""
    rows = await connection.fetch(
        """
        SELECT p.spec::text AS spec, p.cycle + 1 AS cycle FROM plan p
        WHERE p.tenant_id = $1 AND p.status = 'running' AND p.cycle < (p.spec->'period'->>'cycles')::int
          AND NOT EXISTS (SELECT FROM plan_cycle c WHERE c.tenant_id = $1 AND c.plan_id = p.plan_id
                          AND c.state = 'running')
        ORDER BY p.plan_id""",
        tenant_id,
    )
    return [(parse_spec(row["spec"]), row["cycle"]) for row in rows]


async def unended_plans(connection: Driver, tenant_id: int) -> list[Plan]:
    """Every plan that runs or is paused, by name."""
    rows = await connection.fetch(
        "SELECT spec::text AS spec FROM plan WHERE tenant_id = $1 AND status IN ('running', 'paused') ORDER BY plan_id",
        tenant_id,
    )
    return [parse_spec(row["spec"]) for row in rows]
