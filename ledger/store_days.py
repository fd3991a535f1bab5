"""How a day stands in every store: a row a store, counted from lists and check-ins as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class StoreDay:
    """A store's lists of a day. `cut`, `published` and `closed` count guides by how their list stands."""

    store: str
    name: str
    time_zone: str
    day: date
    guides: int
    clocked_in: int
    listed: int
    done: int
    """Items with a check-in on the day."""
    cut: int
    published: int
    closed: int
    closes_at: datetime
    """The latest close among the store's lists."""


@dataclass(frozen=True, slots=True)
class ListStillOpen:
    """A guide's list that is not closed."""

    guide_id: UUID
    guide: str
    store: str
    day: date


async def store_zones(connection: Driver, tenant_id: int) -> list[str]:
    """The time zones of the brand's stores, by name."""
    rows = await connection.fetch(
        "SELECT DISTINCT time_zone FROM store WHERE tenant_id = $1 ORDER BY time_zone", tenant_id
    )
    return [row["time_zone"] for row in rows]


async def read_store_days(connection: Driver, tenant_id: int, days: Mapping[str, date]) -> list[StoreDay]:
    """The stores with a list on the day of their zone (`days`: zone to date), by code."""
    rows = await connection.fetch(
        """
        SELECT s.code AS store, s.name, s.time_zone, d.business_date AS day, count(*) AS guides,
               count(d.clocked_in_at) AS clocked_in, sum(d.listed)::int AS listed, sum(k.done)::int AS done,
               count(*) FILTER (WHERE d.state = 'cut') AS cut,
               count(*) FILTER (WHERE d.state = 'published') AS published,
               count(*) FILTER (WHERE d.state = 'closed') AS closed, max(d.closes_at) AS closes_at
        FROM guide_day d
        JOIN unnest($2::text[], $3::date[]) AS z(zone, day) ON z.zone = d.time_zone AND z.day = d.business_date
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
        JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS done FROM list_item i
            WHERE i.tenant_id = $1 AND i.guide_id = d.guide_id AND i.business_date = d.business_date
              AND EXISTS (SELECT FROM check_in c WHERE c.tenant_id = $1 AND c.task_id = i.task_id
                          AND c.business_date = d.business_date)
        ) k
        WHERE d.tenant_id = $1
        GROUP BY 1, 2, 3, 4 ORDER BY 1""",
        tenant_id,
        list(days),
        list(days.values()),
    )
    return [StoreDay(**dict(row)) for row in rows]


async def lists_still_open(
    connection: Driver, tenant_id: int, days: Mapping[str, date]
) -> list[ListStillOpen]:
    """The lists of these days (zone to date) that are not closed, by guide's code."""
    rows = await connection.fetch(
        """
        SELECT d.guide_id, g.code AS guide, s.code AS store, d.business_date AS day
        FROM guide_day d
        JOIN unnest($2::text[], $3::date[]) AS z(zone, day) ON z.zone = d.time_zone AND z.day = d.business_date
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
        JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        WHERE d.tenant_id = $1 AND d.state <> 'closed' ORDER BY g.code""",
        tenant_id,
        list(days),
        list(days.values()),
    )
    return [ListStillOpen(**dict(row)) for row in rows]


async def read_guides_of_day(connection: Driver, tenant_id: int, store_id: UUID, day: date) -> list[UUID]:
    """Guides of a store with a list on the day, closed or not, in the order of their ids."""
    rows = await connection.fetch(
        "SELECT d.guide_id FROM guide g JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = g.guide_id"
        " AND d.business_date = $3 WHERE g.tenant_id = $1 AND g.store_id = $2 ORDER BY d.guide_id",
        tenant_id,
        store_id,
        day,
    )
    return [row["guide_id"] for row in rows]
