"""Plans whose workflow still has something to do, and where it would begin: all that Temporal needs to be told."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.door import Driver
from ledger.plans import FINAL


@dataclass(frozen=True, slots=True)
class UnfinishedPlan:
    """A plan with work left: the cycle its workflow begins with, and whether that cycle's members are selected."""

    plan_id: str
    version: int
    cycle: int
    opened: bool


async def unfinished_plans(connection: Driver, tenant_id: int) -> list[UnfinishedPlan]:
    """Plans that run, are paused, or wait for their last figures, by id.

    A cycle that was checked is begun with once more: its Check and Act are in the ledger and change nothing, and what
    a lost workflow had left of them is done.
    """
    rows = await connection.fetch(
        """
        SELECT p.plan_id, p.version, p.cycle, p.status = ANY($2) AS at_end,
               p.cycle >= (p.spec->'period'->>'cycles')::int AS last_cycle,
               min(c.cycle) FILTER (WHERE c.state = 'running') AS running,
               coalesce(bool_or(c.state = 'checked'), false) AS unsettled
        FROM plan p LEFT JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = p.plan_id
        WHERE p.tenant_id = $1
        GROUP BY p.tenant_id, p.plan_id ORDER BY p.plan_id""",
        tenant_id,
        list(FINAL),
    )
    return [
        UnfinishedPlan(
            row["plan_id"], row["version"], row["running"] or max(row["cycle"], 1), opened=row["cycle"] > 0
        )
        for row in rows
        if row["running"] is not None or row["unsettled"] or not (row["at_end"] or row["last_cycle"])
    ]
