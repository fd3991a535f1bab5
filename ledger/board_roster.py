"""Who stood where on which day: the guides and stores of a board.

A day of a guide is the store's where she stood on it, as row-level security has it (`stood_in`, 0007.sql); a change
decided after the moment, or belatedly, does not move the days before. Cost: three round trips; rows grow with the guides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from domain.board_span import Span
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class StoreOnBoard:
    """A store."""

    code: str
    name: str
    region: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Posting:
    """From a day on she stands in another store."""

    from_on: date
    from_at: datetime
    decided_at: datetime
    before: UUID | None
    store: UUID | None


@dataclass(frozen=True, slots=True)
class GuideOnBoard:
    """A guide; `postings` in their order, the later of one day last."""

    code: str
    name: str
    store_id: UUID
    postings: tuple[Posting, ...] = ()


@dataclass(frozen=True, slots=True)
class Roster:
    """Guides and stores, and who stood where."""

    guides: Mapping[UUID, GuideOnBoard]
    stores: Mapping[UUID, StoreOnBoard]
    at: datetime

    def store_on(self, guide: UUID, day: date) -> UUID:
        """The store in which she stood on a day."""
        known = self.guides[guide]
        found: Posting | None = None
        for one in known.postings:
            if one.decided_at <= self.at and one.from_on <= day:
                day_begins = one.from_at + timedelta(days=(day - one.from_on).days)
                found = one if day_begins >= one.decided_at else found
        if found is not None:
            return found.store or found.before or known.store_id
        if known.postings:
            return known.postings[0].before or known.postings[0].store or known.store_id
        return known.store_id

    def stood(self, guide: UUID, span: Span) -> frozenset[UUID]:
        """The stores in which she stood in a span."""
        if not self.guides[guide].postings:
            return frozenset({self.guides[guide].store_id})
        return frozenset(
            self.store_on(guide, span.since + timedelta(days=offset)) for offset in range(span.days)
        )

    def guides_in(self, stores: Collection[UUID] | None, span: Span) -> list[UUID]:
        """Guides who stood in one of these stores in the span, all where None, in the order of their codes."""
        return sorted(
            (one for one in self.guides if stores is None or self.stood(one, span) & frozenset(stores)),
            key=lambda one: self.guides[one].code,
        )

    def stores_of(self, *, store: str | None = None, region: str | None = None) -> frozenset[UUID]:
        """Ids of the stores of a code or region."""
        return frozenset(
            one
            for one, told in self.stores.items()
            if store in (None, told.code) and region in (None, told.region)
        )


async def read_roster(connection: Driver, tenant_id: int, *, at: datetime) -> Roster:
    """The roster of the brand at an instant, as far as the connection sees it."""
    stores = await connection.fetch(
        "SELECT store_id, code, name, region, time_zone FROM store WHERE tenant_id = $1", tenant_id
    )
    guides = await connection.fetch(
        "SELECT g.guide_id, g.code, g.store_id, coalesce(p.name, '') AS name FROM guide g"
        " LEFT JOIN guide_person p ON p.tenant_id = $1 AND p.guide_id = g.guide_id WHERE g.tenant_id = $1",
        tenant_id,
    )
    postings = await connection.fetch(
        "SELECT guide_id, from_on, from_at, decided_at, before_store_id, store_id FROM guide_posting"
        " WHERE tenant_id = $1 AND (superseded_at IS NULL OR superseded_at > $2) ORDER BY guide_id, from_on, version",
        tenant_id,
        at,
    )
    moves: dict[UUID, list[Posting]] = {}
    for row in postings:
        moves.setdefault(row["guide_id"], []).append(
            Posting(
                row["from_on"], row["from_at"], row["decided_at"], row["before_store_id"], row["store_id"]
            )
        )
    return Roster(
        {
            row["guide_id"]: GuideOnBoard(
                row["code"], row["name"], row["store_id"], tuple(moves.get(row["guide_id"], ()))
            )
            for row in guides
        },
        {
            row["store_id"]: StoreOnBoard(row["code"], row["name"], row["region"], row["time_zone"])
            for row in stores
        },
        at,
    )
