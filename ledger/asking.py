"""Who asks: the API's connections stand for somebody before they are used, and row-level security holds them to it.

Cost: one round trip each time a connection is taken from the pool. A request holds the one it signed on with, so a route
that takes one at a time and does nothing for upkeep, as a check-in, pays it once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any
from uuid import UUID

from domain.policy import CHANGING, Right, Role, rights_of
from ledger.database import begun_connection
from ledger.door import Driver
from ledger.ledger import Ledger, Lend

CHANGING_RIGHTS = sorted(right.value for right in CHANGING)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and how far they reach, as it stands at this moment."""

    account_id: UUID
    guide_id: UUID | None
    credential_id: UUID
    by_token: bool
    csrf: bytes | None
    """SHA-256 of what a session's changing requests repeat."""
    must_change: bool
    device_id: UUID | None
    rights: frozenset[Right]
    withheld: frozenset[Right]
    """Rights of the roles that the token shown does not hold."""
    sees_all: bool
    changes_all: bool
    guides: frozenset[UUID]
    """Whose days and items are seen."""
    acts_for: frozenset[UUID]
    """Whose work may be recorded."""
    stores: frozenset[UUID]
    binds: frozenset[UUID]
    """Stores whose phones may be bound."""
    plans: frozenset[str]
    """Campaigns that are seen."""
    steers: frozenset[str]

    @property
    def actor(self) -> str:
        """How events name them."""
        return f"account/{self.account_id}"

    def sees_guide(self, guide_id: UUID) -> bool:
        """Whether this guide's days and items are in reach."""
        return self.sees_all or guide_id in self.guides

    def may_act_for(self, guide_id: UUID) -> bool:
        """Whether this guide's work may be recorded."""
        return self.changes_all or guide_id in self.acts_for

    def may_steer(self, plan: str) -> bool:
        """Whether this plan may be changed."""
        return self.changes_all or plan in self.steers


async def sign_on(connection: Driver, shown: bytes, at: datetime) -> Asker | None:
    """Make the account whose credential has this SHA-256 the one who asks on `connection`; None: nobody does.

    One round trip, two index lookups; it grows with the grants of the account and the guides in their scope.
    """
    # Staff changes whose day has begun come first, so that rights change with the day whatever else is late; nobody waits
    # for whoever holds the staff meanwhile.
    row = await connection.fetchrow(
        "SELECT s.* FROM apply_staff_changes_in_passing($2) AS at, LATERAL sign_on($1, at, $3) AS s",
        shown,
        at,
        CHANGING_RIGHTS,
    )
    if row is None:
        return None
    return asker_of(row)


def asker_of(row: Mapping[str, Any], *, guide: str = "guide_id", device: str = "device_id") -> Asker:
    """The asker a row of `sign_on` tells of; `guide` and `device` are what these columns are called in it."""
    told = row["rights"]
    held, rights = _rights(tuple(row["roles"]), None if told is None else tuple(told))
    return Asker(
        account_id=row["account_id"],
        guide_id=row[guide],
        credential_id=row["credential_id"],
        by_token=row["kind"] == "token",
        csrf=row["csrf"],
        must_change=row["must_change"],
        device_id=row[device],
        rights=rights,
        withheld=held - rights,
        sees_all=row["sees_all"],
        changes_all=row["changes_all"],
        guides=frozenset(row["guides"]),
        acts_for=frozenset(row["acts_for"]),
        stores=frozenset(row["stores"]),
        binds=frozenset(row["binds"]),
        plans=frozenset(row["plans"]),
        steers=frozenset(row["steers"]),
    )


@lru_cache(maxsize=1024)
def _rights(
    roles: tuple[str, ...], told: tuple[str, ...] | None
) -> tuple[frozenset[Right], frozenset[Right]]:
    """What the roles hold, and what of it the credential does."""
    held = rights_of(frozenset(Role(role) for role in roles))
    return held, held if told is None else frozenset(one for one in held if one.value in told)


def standing_for_upkeep(ledger: Ledger) -> Ledger:
    """The ledger of an API process for work that is nobody's own."""
    lend = _upkeep(ledger)
    return replace(ledger, lend=lend, lend_for_upkeep=lend)


def _upkeep(ledger: Ledger) -> Lend:
    @asynccontextmanager
    async def lend() -> AsyncIterator[Driver]:
        async with begun_connection(ledger.engine, _stand_for_upkeep) as (driver, _):
            yield driver

    return lend


async def _stand_for_upkeep(driver: Driver) -> None:
    await driver.execute("SELECT stand_for_upkeep()")


@dataclass
class Standing:
    """A request's own connection, on which its asker stands; a second one at the same time is signed on anew.

    Before something is done for upkeep the own one is given back: a request never holds a connection while it waits for
    another, unless its own code takes one inside the other. Twenty requests that did would wait for each other until all
    of them were told that the database is away.
    """

    ledger: Ledger
    """The process's, without anybody standing on it."""
    shown: bytes
    at: datetime
    asker: Asker
    _held: Driver | None
    _holding: AsyncExitStack
    _lent: bool = field(init=False, default=False)

    def bound(self) -> Ledger:
        """The ledger as far as the asker reaches."""
        return replace(self.ledger, lend=self._lend, lend_for_upkeep=self._for_upkeep)

    @asynccontextmanager
    async def _lend(self) -> AsyncIterator[Driver]:
        if self._held is not None and self._held.is_closed() and not self._lent:
            await self.let_go()
        if self._held is None or self._lent:
            async with begun_connection(
                self.ledger.engine, partial(sign_on, shown=self.shown, at=self.at)
            ) as (
                driver,
                _,
            ):
                yield driver
            return
        self._lent = True
        try:
            yield self._held
        finally:
            self._lent = False

    @asynccontextmanager
    async def _for_upkeep(self) -> AsyncIterator[Driver]:
        await self.let_go()
        async with _upkeep(self.ledger)() as driver:
            yield driver

    async def let_go(self) -> None:
        """Give the connection back, unless it is lent, for something else is done first."""
        if self._held is not None and not self._lent:
            self._held = None
            await self._holding.aclose()


@asynccontextmanager
async def standing(ledger: Ledger, shown: bytes, at: datetime) -> AsyncIterator[Standing | None]:
    """Sign a request on as whoever shows this credential; None: nobody does.

    Args:
        ledger: the process's own, on the role `daogou_api`.
        shown: SHA-256 of the session's or token's secret.
        at: the instant of the request.
    """
    async with AsyncExitStack() as holding:
        driver, asker = await holding.enter_async_context(
            begun_connection(ledger.engine, partial(sign_on, shown=shown, at=at))
        )
        yield None if asker is None else Standing(ledger, shown, at, asker, driver, holding)
