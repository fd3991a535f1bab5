"""For whom a board is made: which stores' figures it may show, and the snapshot they are counted in.

Figures are counted whole, by a connection that sees everything, and cut to the stores in reach by the day (as a Check's
are, `check_in_reach`): counted under the asker's own rows they would come out too low and change with every transfer, for
whose purchases one sees changes. What is about members is never read here: those lists are the asker's own rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.board import Basis
from domain.board_span import Span
from domain.errors import NotFound, Problem
from domain.leaderboard import By
from ledger.board_moment import Moment, read_moment
from ledger.board_roster import Roster, read_roster
from ledger.door import Driver
from ledger.guides import unknown_guide
from ledger.ledger import Ledger
from ledger.performances import Work
from ledger.watermarks import complete_until


@dataclass(frozen=True, slots=True)
class Audience:
    """Who looks at a board.

    Attributes:
        stores: whose days are theirs; None: all.
        plans: campaigns that are theirs as a whole, over all stores.
        guide: who they are themselves, who sees the board of the store where she stands.
    """

    stores: frozenset[UUID] | None = None
    plans: frozenset[str] = frozenset()
    guide: UUID | None = None


EVERYBODY = Audience()
"""Whoever works on the server itself."""


@dataclass(frozen=True, slots=True)
class When:
    """The moment that is asked of; nothing named: now."""

    now: datetime
    at: datetime | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """What of it is asked for: one plan, one store, one region; by code."""

    plan: str | None = None
    store: str | None = None
    region: str | None = None


ANYWHERE = Where()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a board is of: the audience laid over the brand, and what was asked for."""

    roster: Roster
    moment: Moment
    stores: frozenset[UUID] | None
    plan_id: str | None
    guide: UUID | None
    whole: bool
    campaign: bool = False
    """Whether it is one campaign as a whole, of which nothing but what takes part in it exists for the audience."""

    def zone(self) -> str:
        """The clock of most of the stores."""
        zones = Counter(
            store.time_zone
            for one, store in self.roster.stores.items()
            if self.stores is None or one in self.stores
        )
        return min(zones, key=lambda name: (-zones[name], name), default="UTC")

    def guides(self, span: Span) -> list[UUID]:
        """Guides with a day in scope, by code."""
        return self.roster.guides_in(self.stores, span)

    def work(self, by: By, span: Span, guides: Sequence[UUID] | None = None) -> Work:
        """What is read for it: of these guides, or of all in scope."""
        every = self.guides(span) if guides is None else guides
        return Work(self.roster, every, self.key_of(by), span, self.moment, self.plan_id)

    def key_of(self, by: By) -> Callable[[UUID, date], str | None]:
        """Whom a day of a guide counts for on this board."""

        def key(guide: UUID, day: date) -> str | None:
            store = self.roster.store_on(guide, day)
            if self.stores is not None and store not in self.stores:
                return None
            if by == "guide":
                return str(guide)
            return str(store) if by == "store" else self.roster.stores[store].region

        return key


@asynccontextmanager
async def snapshot(ledger: Ledger) -> AsyncIterator[Driver]:
    """A connection that sees the whole brand, in one snapshot in which nothing can be written."""
    async with (
        ledger.for_upkeep().connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


async def read_scope(
    connection: Driver, tenant_id: int, audience: Audience, when: When, where: Where = ANYWHERE
) -> Scope:
    """What a board is of.

    Args:
        connection: of `snapshot`.
        tenant_id: the brand.
        audience: for whom.
        when: the moment asked of.
        where: what of it; a plan is one that the asker sees.

    Raises:
        NotFound: no such store or region, or none in reach.
        Refused: the moment is none.
    """
    moment = await read_moment(connection, tenant_id, at=when.at, position=when.position, now=when.now)
    roster = await read_roster(connection, tenant_id, at=moment.at)
    plan = where.plan
    if plan is None and not audience.stores and audience.guide is None and len(audience.plans) == 1:
        (plan,) = audience.plans
    stores = audience.stores
    campaign = stores is not None and plan is not None and plan in audience.plans
    if campaign:
        stores = None
    elif stores is not None and audience.guide is not None and audience.guide in roster.guides:
        stores |= {roster.guides[audience.guide].store_id}
    whole = stores is None
    if where.store is not None or where.region is not None:
        asked = roster.stores_of(store=where.store, region=where.region)
        if campaign:
            asked = await _taking_part(connection, tenant_id, plan or "", asked)
        stores = asked if stores is None else stores & asked
        whole = False
        if not stores:
            field, value = ("store", where.store) if where.store is not None else ("region", where.region)
            raise NotFound(Problem(field, value or "", f"unknown_{field}", {"nearest": "—"}))
    return Scope(roster, moment, stores, plan, audience.guide, whole, campaign)


async def read_basis(connection: Driver, tenant_id: int, scope: Scope, span: Span, zone: str = "") -> Basis:
    """What the figures of a board rest on."""
    return Basis(
        span.since,
        span.until,
        scope.moment.at,
        scope.moment.position,
        zone or scope.zone(),
        await complete_until(connection, tenant_id, scope.moment.at),
        scope.whole,
    )


_IN_CAMPAIGN = """EXISTS (SELECT FROM plan_member m WHERE m.tenant_id = $1 AND m.plan_id = $2 AND m.guide_id = g.guide_id)"""


async def _taking_part(
    connection: Driver, tenant_id: int, plan_id: str, stores: frozenset[UUID]
) -> frozenset[UUID]:
    """Those of the stores whose guides take part in a campaign."""
    rows = await connection.fetch(
        f"SELECT DISTINCT g.store_id FROM guide g WHERE g.tenant_id = $1 AND g.store_id = ANY($3) AND {_IN_CAMPAIGN}",
        tenant_id,
        plan_id,
        list(stores),
    )
    return frozenset(row["store_id"] for row in rows)


async def guide_in_scope(connection: Driver, tenant_id: int, scope: Scope, code: str, span: Span) -> UUID:
    """The id of a guide with a day in scope.

    Raises:
        NotFound: nobody has this code, or nobody in reach; nobody can tell which.
    """
    found = next((one for one, told in scope.roster.guides.items() if told.code == code), None)
    if found is None or (scope.stores is not None and not scope.roster.stood(found, span) & scope.stores):
        raise unknown_guide(code)
    if scope.campaign:
        asked = f"SELECT {_IN_CAMPAIGN} FROM guide g WHERE g.tenant_id = $1 AND g.guide_id = $3"
        if not await connection.fetchval(asked, tenant_id, scope.plan_id, found):
            raise unknown_guide(code)
    return found
