"""A zone's day: that its lists are cut once a release hour, by whoever comes first.

Cut again, where a plan's cycle began after it, only guides without a list get one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class LastCut:
    """When a release hour's lists were cut last, and how many guides had one afterwards."""

    at: datetime
    lists: int


async def last_cut(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str, release: str
) -> LastCut | None:
    """The last cut of this release hour; None while it is not cut."""
    row = await connection.fetchrow(
        "SELECT cut_at, lists FROM zone_day"
        " WHERE tenant_id = $1 AND business_date = $2 AND time_zone = $3 AND release = $4",
        tenant_id,
        day,
        time_zone,
        release,
    )
    return None if row is None else LastCut(row["cut_at"], row["lists"])


async def wait_turn(connection: Driver, tenant_id: int, *, day: date, time_zone: str) -> None:
    """Take turns in cutting a zone's day; held until the transaction ends."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(format('daogou.cut/%s/%s/%s', $1::int, $2::date, $3::text), 0))",
        tenant_id,
        day,
        time_zone,
    )


async def wait_store_turn(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str, store_id: UUID
) -> None:
    """Take turns in changing the lists of one store during the day, while nobody changes those of the whole zone."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock_shared(hashtextextended(format('daogou.cut/%s/%s/%s', $1::int, $2::date, $3::text), 0)),"
        " pg_advisory_xact_lock(hashtextextended(format('daogou.lists/%s/%s/%s', $1::int, $2::date, $4::uuid), 0))",
        tenant_id,
        day,
        time_zone,
        store_id,
    )


async def note_cut(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str, release: str, at: datetime, lists: int
) -> None:
    """Note that the lists of this release hour are cut; call it in the transaction that cut them."""
    await connection.execute(
        "INSERT INTO zone_day (tenant_id, time_zone, business_date, release, cut_at, lists)"
        " VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (tenant_id, business_date, time_zone, release)"
        " DO UPDATE SET cut_at = excluded.cut_at, lists = excluded.lists",
        tenant_id,
        time_zone,
        day,
        release,
        at,
        lists,
    )
