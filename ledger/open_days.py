"""Guide-days that are not closed: who still has a workflow to get, a Check to hold up, a close to come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class OpenDay:
    """A guide-day that is not closed; `state` is cut or published."""

    guide_id: UUID
    day: date
    opens_at: datetime
    closes_at: datetime
    state: str


async def open_days(
    connection: Driver,
    tenant_id: int,
    *,
    first: date | None = None,
    last: date | None = None,
    time_zone: str | None = None,
) -> list[OpenDay]:
    """Guide-days that are not closed, by date and guide: all, or those from `first` to `last`, or of a zone."""
    rows = await connection.fetch(
        """
        SELECT guide_id, business_date AS day, opens_at, closes_at, state FROM guide_day
        WHERE tenant_id = $1 AND state <> 'closed'
          AND business_date BETWEEN coalesce($2::date, '-infinity') AND coalesce($3::date, 'infinity')
          AND ($4::text IS NULL OR time_zone = $4)
        ORDER BY business_date, guide_id""",
        tenant_id,
        first,
        last,
        time_zone,
    )
    return [OpenDay(**row) for row in rows]


async def count_open_days(
    connection: Driver, tenant_id: int, *, plan_id: str, cycle: int, until: date
) -> int:
    """Guide-days up to `until` that hold items of a cycle and are not closed yet."""
    return int(
        await connection.fetchval(
            """
            SELECT count(*) FROM guide_day d
            WHERE d.tenant_id = $1 AND d.state <> 'closed' AND d.business_date <= $4
              AND EXISTS (SELECT FROM list_item i JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
                          WHERE i.tenant_id = $1 AND i.guide_id = d.guide_id
                            AND i.business_date = d.business_date AND t.plan_id = $2 AND t.cycle = $3)""",
            tenant_id,
            plan_id,
            cycle,
            until,
        )
    )
