"""A guide's own resources: the members she looks after now, with grade, product lines and contacts.

Read as whoever asks sees them. Cost: two round trips; rows grow with her members and what was reported of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.plan import COLD_AFTER_DAYS
from ledger.door import Driver
from ledger.guides import unknown_guide


@dataclass(frozen=True, slots=True)
class Resource:
    """A member she looks after.

    `grade`: the strongest in the plans that run; `products`: the product lines they were ever said to want;
    `next_on`: when their nearest open item is due; `cold`: graded A or B, and untouched for as long as their plan says.
    """

    member_id: UUID
    grade: str | None
    products: tuple[str, ...]
    last_contact_at: datetime | None
    cold: bool
    next_on: date | None


async def read_resources(
    connection: Driver, tenant_id: int, guide_id: UUID, *, at: datetime
) -> list[Resource]:
    """Her members of running and paused plans, the strongest grade first, then the longest silence."""
    rows = await connection.fetch(
        """
        WITH hers AS (
            SELECT pm.member_id, min(pm.grade COLLATE "C") AS grade, max(pm.last_reached_at) AS reached_at,
                   min(coalesce((p.spec->'care'->>'cold_after_days')::int, $4)) FILTER (WHERE pm.grade IN ('A', 'B')) AS cold_after
            FROM plan_member pm JOIN plan p ON p.tenant_id = $1 AND p.plan_id = pm.plan_id AND p.cycle = pm.cycle
            WHERE pm.tenant_id = $1 AND pm.guide_id = $2 AND p.status IN ('running', 'paused') GROUP BY 1
        )
        SELECT h.member_id, h.grade, k.products, greatest(h.reached_at, k.reached_at) AS last_contact_at,
               coalesce(greatest(h.reached_at, k.reached_at) <= $3::timestamptz - make_interval(days => h.cold_after), false) AS cold,
               (SELECT min(t.due_on) FROM task t WHERE t.tenant_id = $1 AND t.member_id = h.member_id AND t.guide_id = $2
                  AND t.state = 'open') AS next_on
        FROM hers h CROSS JOIN LATERAL (
            SELECT max(c.occurred_at) FILTER (WHERE c.reached) AS reached_at,
                   ARRAY(SELECT DISTINCT one FROM check_in d, unnest(d.products) one WHERE d.tenant_id = $1
                         AND d.member_id = h.member_id ORDER BY one) AS products
            FROM check_in c WHERE c.tenant_id = $1 AND c.member_id = h.member_id
        ) k
        ORDER BY h.grade, last_contact_at, h.member_id""",
        tenant_id,
        guide_id,
        at,
        COLD_AFTER_DAYS,
    )
    return [
        Resource(
            **(dict(row) | {"member_id": UUID(str(row["member_id"])), "products": tuple(row["products"])})
        )
        for row in rows
    ]


async def home_of(connection: Driver, tenant_id: int, guide_id: UUID, code: str) -> tuple[str, str]:
    """Code and time zone of the store where the guide stands.

    Raises:
        NotFound: she is not in the asker's reach.
    """
    row = await connection.fetchrow(
        "SELECT s.code, s.time_zone FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id"
        " WHERE g.tenant_id = $1 AND g.guide_id = $2",
        tenant_id,
        guide_id,
    )
    if row is None:
        raise unknown_guide(code)
    return row["code"], row["time_zone"]
