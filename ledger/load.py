"""What is due to guides in the days to come, counted in the database: one row a guide, kind and day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from domain.check_in import MOST_DIAL_DAYS
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class DueItems:
    """Items of a kind that are due to a guide on a day."""

    guide_id: UUID
    invitation: bool
    day: date
    items: int


async def due_ahead(
    connection: Driver, tenant_id: int, *, until: date, without: str | None = None
) -> list[DueItems]:
    """Open items of all running plans, or all but one, due until a day; what was put off, on the day it was put off to.

    One round trip.
    """
    rows = await connection.fetch(
        """
        SELECT t.guide_id, coalesce(l.spec->'means'->0->>'item', 'call') = 'invitation' AS invitation,
               greatest(t.due_on, CASE WHEN t.last_attempt_on IS NULL OR t.last_attempt_on < t.snoozed_on
                                  THEN (t.snoozed_until AT TIME ZONE c.time_zone)::date END) AS day,
               count(*)::int AS items
        FROM task t
        JOIN plan l ON l.tenant_id = $1 AND l.plan_id = t.plan_id AND l.status = 'running' AND l.cycle = t.cycle
        JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
        JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
             AND pm.member_id = t.member_id
        WHERE t.tenant_id = $1 AND t.state = 'open' AND t.due_on <= $2
          AND pm.grade IS DISTINCT FROM 'D' AND pm.dial_days < $3
          AND t.plan_id IS DISTINCT FROM $4::text
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
        tenant_id,
        until,
        MOST_DIAL_DAYS,
        without,
    )
    return [DueItems(**dict(row)) for row in rows]
