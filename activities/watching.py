"""Whether the live day runs as it should: releases that have passed without anybody cutting their lists."""

from __future__ import annotations

from datetime import datetime, timedelta

from activities.opening import ZoneRelease, releases_of
from ledger.door import Driver
from ledger.zone_days import last_cut

MISSED_AFTER = timedelta(minutes=10)
"""A release hour that has passed by more, with no list cut, was missed."""


async def releases_and_misses(
    connection: Driver, tenant_id: int, *, at: datetime
) -> list[tuple[ZoneRelease, bool]]:
    """The release hours of today, each in its zone, and whether it was missed: nobody cut its lists."""
    found = []
    for one in await releases_of(connection, tenant_id, at=at):
        missed = at - one.opens_at > MISSED_AFTER and not await _cut(connection, tenant_id, one)
        found.append((one, missed))
    return found


async def _cut(connection: Driver, tenant_id: int, one: ZoneRelease) -> bool:
    cut = await last_cut(connection, tenant_id, day=one.day, time_zone=one.time_zone, release=one.release)
    return cut is not None
