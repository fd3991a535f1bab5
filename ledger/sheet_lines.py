"""Lines of printed lists: which guides of a store have one, and which item stands behind a line's number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.errors import NotFound, Problem
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class SheetLine:
    """An item on a guide's list of a day; `voided`: how many reports of it on that day were taken back."""

    guide_id: UUID
    task_id: UUID
    time_zone: str
    closes_at: datetime
    voided: int


async def guides_with_lists(
    connection: Driver, tenant_id: int, store: str, day: date | None
) -> tuple[date | None, str, list[str]]:
    """The day (the newest with a list where none is named; None: there is no list), the zone, and the guides' codes.

    Raises:
        NotFound: no such store, or not one in reach.
    """
    found = await connection.fetchrow(
        "SELECT store_id, time_zone FROM store WHERE tenant_id = $1 AND code = $2", tenant_id, store
    )
    if found is None:
        raise NotFound(Problem("store", store, "unknown_store", {"nearest": "—"}))
    rows = await connection.fetch(
        """
        SELECT g.code, d.business_date FROM guide g
        JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = g.guide_id
        WHERE g.tenant_id = $1 AND g.store_id = $2 AND d.business_date = coalesce($3::date, (
            SELECT max(n.business_date) FROM guide o JOIN guide_day n ON n.tenant_id = $1 AND n.guide_id = o.guide_id
            WHERE o.tenant_id = $1 AND o.store_id = $2))
        ORDER BY g.code""",
        tenant_id,
        found["store_id"],
        day,
    )
    return (rows[0]["business_date"] if rows else None), found["time_zone"], [row["code"] for row in rows]


async def read_sheet_line(
    connection: Driver, tenant_id: int, guide_id: UUID, day: date, rank: int
) -> SheetLine | None:
    """The item of that number; None: there is none on her list."""
    row = await connection.fetchrow(
        """
        SELECT i.guide_id, i.task_id, d.time_zone, d.closes_at, (SELECT count(*)::int FROM check_in_superseded k
            WHERE k.tenant_id = $1 AND k.task_id = i.task_id AND k.business_date = $3 AND k.voided) AS voided
        FROM list_item i JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = i.guide_id AND d.business_date = i.business_date
        WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3 AND i.rank = $4""",
        tenant_id,
        guide_id,
        day,
        rank,
    )
    return None if row is None else SheetLine(**dict(row))
