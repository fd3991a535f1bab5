"""A store manager closes her store's day in the evening, before it closes by itself: the same close, done once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from activities.asked import Asked
from activities.opening import close_guide_days
from domain.calendar import business_date
from domain.errors import NotFound, Problem, Refused
from domain.evening import may_close
from ledger.closing import BY_MANAGER
from ledger.evening_rules import read_evening_rules
from ledger.ledger import Ledger
from ledger.store_days import read_guides_of_day


@dataclass(frozen=True, slots=True)
class StoreDayClosed:
    """What it came to: how many lists were closed now; `duplicate`: every list of the day was closed before."""

    store: str
    day: date
    lists: int
    closed: int

    @property
    def duplicate(self) -> bool:
        """Nothing was left to close."""
        return not self.closed


async def close_store_day(ledger: Ledger, store: str, asked: Asked) -> StoreDayClosed:
    """Close every list of the store's day of `asked.at`; given again it changes nothing.

    What is reported of the day from then on is a late fact, or comes after the close (`ledger.closing.close`).
    Three round trips, and those of a close for each list.

    Raises:
        NotFound: no such store.
        Refused: it is too early in the day, or no guide of the store has a list today.
    """
    tenant = ledger.tenant_id
    async with ledger.connection() as connection:
        found = await connection.fetchrow(
            "SELECT store_id, time_zone FROM store WHERE tenant_id = $1 AND code = $2", tenant, store
        )
        if found is None:
            raise NotFound(Problem("store", store, "unknown_store", {"nearest": "—"}))
        day = business_date(asked.at, found["time_zone"])
        rules = await read_evening_rules(connection, tenant, day)
        local = asked.at.astimezone(ZoneInfo(found["time_zone"])).time()
        may_close(local, rules.close_of(found["store_id"]), store)
        guides = await read_guides_of_day(connection, tenant, found["store_id"], day)
    if not guides:
        raise Refused([Problem("store", store, "no_lists_of_store", {"date": day.isoformat()})])
    closed = await close_guide_days(
        ledger, guide_ids=guides, day=day, at=asked.at, actor=asked.actor, reason=BY_MANAGER
    )
    return StoreDayClosed(store, day, len(guides), closed)
