"""What systems of record say, in a test's brand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.confirmation import Claims, Standing
from ledger.confirmations import GradedClaim, Scope, count_claims, list_claims
from ledger.signs import Sign, list_signs
from ledger.system_records import SystemRecord, add_records
from ledger.watermarks import move
from tests.brand import Brand, at

LATER = at(30)
"""When everybody looks back."""


@dataclass
class Records:
    """Adds records of one source and looks at what they make of claims."""

    brand: Brand
    source: str = "pbx"
    number: int = 0
    told: dict[str, SystemRecord] = field(default_factory=dict)

    async def add(self, record: SystemRecord, *, known_at: datetime | None = None) -> str:
        """Add one; gives its name in lists."""
        async with self.brand.ledger.transaction() as connection:
            kept = await add_records(
                connection, 1, self.source, [record], known_at=known_at or record.occurred_at, message="m"
            )
        assert not kept.differing
        return f"{record.kind}/{self.source}/{record.key}"

    async def call(
        self,
        guide: UUID,
        member: UUID,
        when: datetime,
        seconds: int = 60,
        *,
        also: Sequence[UUID] = (),
        answered: bool | None = None,
    ) -> str:
        self.number += 1
        record = SystemRecord(
            "calls",
            f"c{self.number}",
            0,
            member,
            when,
            guide_id=guide,
            also=tuple(also),
            seconds=seconds,
            answered=seconds > 0 if answered is None else answered,
        )
        self.told[record.key] = record
        return await self.add(record)

    async def correct(self, name: str, *, known_at: datetime, **changes: Any) -> None:
        """A later revision of a call."""
        before = self.told[name.rpartition("/")[2]]
        after = self.told[before.key] = replace(before, revision=before.revision + 1, **changes)
        await self.add(after, known_at=known_at)

    async def other(
        self,
        kind: str,
        member: UUID,
        when: datetime,
        *,
        guide: UUID | None = None,
        store: UUID | None = None,
    ) -> str:
        self.number += 1
        key = f"{kind[0]}{self.number}"
        return await self.add(SystemRecord(kind, key, 0, member, when, guide_id=guide, store_id=store))

    async def complete(
        self, until: datetime, *kinds: str, known_at: datetime | None = None, source: str = "pbx"
    ) -> None:
        """The source has told everything of these kinds."""
        await self.brand.execute(
            "INSERT INTO feed (tenant_id, source, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING",
            source,
            at(1),
        )
        async with self.brand.ledger.transaction() as connection:
            await move(
                connection,
                1,
                source,
                dict.fromkeys(kinds, until),
                known_at=known_at or until,
            )

    async def claims(self, as_of: datetime = LATER) -> list[GradedClaim]:
        """Every claim, however it stands."""
        async with self.brand.ledger.connection() as connection:
            listed = await list_claims(connection, 1, Scope(as_of), frozenset(Standing), limit=100)
        return list(listed.claims)

    async def standing(self, as_of: datetime = LATER) -> Standing:
        """How the only claim stands."""
        (claim,) = await self.claims(as_of)
        return claim.standing

    async def count(self, as_of: datetime = LATER) -> tuple[Claims, Mapping[str, Claims]]:
        async with self.brand.ledger.connection() as connection:
            counted = await count_claims(connection, 1, Scope(as_of))
        return counted.total, counted.guides

    async def signs(self, *, selves: Sequence[tuple[UUID, UUID]] = ()) -> list[Sign]:
        async with self.brand.ledger.connection() as connection:
            return await list_signs(connection, 1, Scope(LATER), selves=selves)
