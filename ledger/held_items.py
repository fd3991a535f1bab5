"""What a guide holds in running cycles: the members she looks after and their open items."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class HeldMember:
    """A member a guide looks after; the value is the net 90-day spend at the cycle's start, in minor units."""

    member_id: UUID
    home_store_id: UUID | None
    """Where the member is at home on the day asked for: a closed store's successor, or nowhere."""
    value_minor: int
    quadrant: str


async def plans_held_by(connection: Driver, tenant_id: int, guide_id: UUID) -> list[str]:
    """Plans not at their end in whose running cycle the guide has members or open items, by id."""
    rows = await connection.fetch(
        """
        SELECT p.plan_id FROM plan p
        JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = p.plan_id AND c.cycle = p.cycle AND c.state = 'running'
        WHERE p.tenant_id = $1 AND p.status IN ('running', 'paused') AND (
            EXISTS (SELECT FROM plan_member m WHERE m.tenant_id = $1 AND m.guide_id = $2
                    AND m.plan_id = p.plan_id AND m.cycle = p.cycle)
            OR EXISTS (SELECT FROM task t WHERE t.tenant_id = $1 AND t.guide_id = $2 AND t.plan_id = p.plan_id
                       AND t.state = 'open'))
        ORDER BY p.plan_id""",
        tenant_id,
        guide_id,
    )
    return [row["plan_id"] for row in rows]


async def members_held_by(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int, guide_id: UUID, at: datetime
) -> dict[UUID, HeldMember]:
    """The members the guide looks after in a cycle, by id; stores that are closed at `at` are nobody's home."""
    rows = await connection.fetch(
        """
        SELECT pm.member_id, CASE WHEN c.store_id IS NULL THEN m.home_store_id ELSE c.to_store_id END AS home_store_id,
               pm.value_minor, pm.quadrant
        FROM plan_member pm JOIN member m ON m.tenant_id = $1 AND m.member_id = pm.member_id
        LEFT JOIN store_closing c ON c.tenant_id = $1 AND c.store_id = m.home_store_id AND c.from_at <= $5
        WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.cycle = $3 AND pm.guide_id = $4 ORDER BY pm.member_id""",
        tenant_id,
        plan_id,
        cycle,
        guide_id,
        at,
    )
    return {row["member_id"]: HeldMember(**dict(row)) for row in rows}


async def members_per_guide(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int
) -> dict[UUID, int]:
    """How many members each guide has in a cycle."""
    rows = await connection.fetch(
        "SELECT guide_id, count(*) AS members FROM plan_member"
        " WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 AND guide_id IS NOT NULL GROUP BY 1",
        tenant_id,
        plan_id,
        cycle,
    )
    return {row["guide_id"]: row["members"] for row in rows}


async def holders(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int, members: list[UUID]
) -> dict[UUID, UUID]:
    """Who looks after these members in a cycle; those nobody does are left out."""
    rows = await connection.fetch(
        "SELECT member_id, guide_id FROM plan_member WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3"
        " AND member_id = ANY($4) AND guide_id IS NOT NULL",
        tenant_id,
        plan_id,
        cycle,
        members,
    )
    return {row["member_id"]: row["guide_id"] for row in rows}
