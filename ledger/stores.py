"""Stores as they were imported, with the regions and dealers they belong to: the places a role is granted in.

Both reads are one round trip; of the API's connection they answer the stores in the asker's reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ledger.calendars import NO_STORE_ZONE
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class StoreLine:
    """A store; region and dealer are empty where it has none, `last_on` is its last day where it closes."""

    store: str
    name: str
    region: str
    dealer: str
    time_zone: str
    opens_at: str
    """HH:MM in the store's own time, like `closes_at`."""
    closes_at: str
    last_on: date | None


@dataclass(frozen=True, slots=True)
class Places:
    """Names of regions and dealers, each with how many stores it has, by name."""

    regions: dict[str, int]
    dealers: dict[str, int]


async def store_in_reach(connection: Driver, tenant_id: int, code: str) -> bool:
    """Whether whoever stands on the connection sees a store of this code."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM store WHERE tenant_id = $1 AND code = $2", tenant_id, code
        )
    )


async def manages_store(connection: Driver, tenant_id: int, code: str) -> bool:
    """Whether whoever stands on the connection is HQ, to whom every store is known, or manages the store of this code."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM store s WHERE s.tenant_id = $1 AND s.code = $2"
            " AND (changes_all() OR s.store_id = ANY (reach('binds')))",
            tenant_id,
            code,
        )
    )


async def usual_zone(connection: Driver, tenant_id: int) -> str:
    """The time zone of most stores that are seen: whose date it is where a brand says something of today."""
    zone: str | None = await connection.fetchval(
        "SELECT time_zone FROM store WHERE tenant_id = $1 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1",
        tenant_id,
    )
    return zone or NO_STORE_ZONE


async def list_stores(
    connection: Driver,
    tenant_id: int,
    *,
    region: str | None = None,
    dealer: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> list[StoreLine]:
    """Stores by code, those of one region or dealer, after a code."""
    rows = await connection.fetch(
        """
        SELECT s.code AS store, s.name, s.region, s.dealer, s.time_zone,
               to_char(s.opens_at, 'HH24:MI') AS opens_at, to_char(s.closes_at, 'HH24:MI') AS closes_at, c.last_on
        FROM store s LEFT JOIN store_closing c ON c.tenant_id = $1 AND c.store_id = s.store_id
        WHERE s.tenant_id = $1 AND ($2::text IS NULL OR s.region = $2) AND ($3::text IS NULL OR s.dealer = $3)
          AND ($4::text IS NULL OR s.code > $4)
        ORDER BY s.code LIMIT $5""",
        tenant_id,
        region,
        dealer,
        after,
        limit,
    )
    return [StoreLine(**dict(row)) for row in rows]


async def list_places(connection: Driver, tenant_id: int) -> Places:
    """Every region and dealer there is."""
    rows = await connection.fetch(
        """
        SELECT GROUPING(region) = 0 AS is_region, coalesce(region, dealer) AS name, count(*) AS stores
        FROM store WHERE tenant_id = $1 GROUP BY GROUPING SETS ((region), (dealer))
        ORDER BY coalesce(region, dealer) COLLATE "C\"""",
        tenant_id,
    )
    named = [row for row in rows if row["name"]]
    return Places(
        {row["name"]: row["stores"] for row in named if row["is_region"]},
        {row["name"]: row["stores"] for row in named if not row["is_region"]},
    )
