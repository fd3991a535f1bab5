"""Claims held against what systems of record say: found set-based, judged by `domain.confirmation`.

Cost: two round trips, then one a slice of some 100,000 check-ins to count (a row comes back for each kind of case, not
for each check-in) and two to list. A slice reads its check-ins and their members' records, purchases and contacts around
it: some 3 s (docs/performance.md). Everything is read as of an instant: what was not known then does not count, and of a
record the highest revision known then does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.attribution import WINDOW
from domain.confirmation import (
    BOUGHT_DAYS,
    CALL_SPAN,
    FRIEND_SPAN,
    SHORT_CALL_S,
    Claim,
    Claims,
    Evidence,
    Standing,
    Told,
    add_claims,
    stand,
)
from ledger.confirmation_query import BY_HOUR, CASES, COUNTS, LISTED
from ledger.door import Driver
from ledger.watermarks import complete_until

SLICE = 100_000
"""Check-ins that one statement looks at, so that none runs into the pool's two minutes, whatever the scope."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which check-ins: as of an instant, those that occurred in [since, until), of a plan, cycle or guides where named."""

    as_of: datetime
    since: datetime | None = None
    until: datetime | None = None
    plan_id: str | None = None
    cycle: int | None = None
    guides: Collection[UUID] | None = None
    window: timedelta = WINDOW
    """What comes of a contact within it is its outcome."""


@dataclass(frozen=True, slots=True)
class GradedClaim:
    """A check-in, how it stands, and the records that say so (`calls/pbx/123`, `purchases/b12/TIN-1`)."""

    task_id: UUID
    version: int
    plan: str
    cycle: int
    guide_id: UUID
    guide: str
    store: str
    member_id: UUID
    occurred_at: datetime
    channel: str
    outcome: str
    standing: Standing
    records: tuple[str, ...]
    came_of_it: tuple[str, ...]

    @property
    def stream(self) -> str:
        """The item's, for `daogou audit timeline stream`."""
        return f"task/{self.task_id}"


@dataclass(frozen=True, slots=True)
class CountedClaims:
    """Counts in all, by guide, store and plan (ids), and up to when the data was complete."""

    total: Claims
    guides: Mapping[str, Claims]
    stores: Mapping[str, Claims]
    plans: Mapping[str, Claims]
    complete_until: Mapping[str, datetime | None]


@dataclass(frozen=True, slots=True)
class ListedClaims:
    """Claims in the order they occurred, and up to when the data was complete."""

    claims: tuple[GradedClaim, ...]
    complete_until: Mapping[str, datetime | None]
    looked_until: datetime | None = None
    """Where looking stopped before the end, for it had looked at enough; None: it did not."""


async def count_claims(
    connection: Driver, tenant_id: int, scope: Scope, *, at_once: int = SLICE
) -> CountedClaims:
    """How the claims of a scope stand; `at_once`: of so many check-ins one statement."""
    until = await complete_until(connection, tenant_id, scope.as_of)
    parts: dict[str, dict[str, list[Claims]]] = {"guide_id": {}, "store_id": {}, "plan_id": {}}
    every: list[Claims] = []
    for part in await _slices(connection, tenant_id, scope, at_once):
        for row in await connection.fetch(COUNTS, *_arguments(tenant_id, part, until)):
            counted = Claims.of(_standing(row), row["number"], outcome=row["outcome_there"])
            every.append(counted)
            for column, by in parts.items():
                by.setdefault(str(row[column]), []).append(counted)
    guides, stores, plans = ({name: add_claims(by[name]) for name in sorted(by)} for by in parts.values())
    return CountedClaims(add_claims(every), guides, stores, plans, until)


async def list_claims(
    connection: Driver,
    tenant_id: int,
    scope: Scope,
    standings: Collection[Standing],
    *,
    limit: int,
    after: tuple[datetime, UUID, int] | None = None,
    most_slices: int | None = None,
    at_once: int = SLICE,
) -> ListedClaims:
    """The claims of a scope that stand in one of these ways, in the order they occurred, those after a place.

    With `most_slices` it looks at no more than so many before it answers with what it has found.
    """
    until = await complete_until(connection, tenant_id, scope.as_of)
    left = scope if after is None else replace(scope, since=max(after[0], scope.since or after[0]))
    parts = await _slices(connection, tenant_id, left, at_once)
    found: list[GradedClaim] = []
    for number, part in enumerate(parts, 1):
        found += await _listed(connection, tenant_id, part, until, standings, limit - len(found), after)
        if len(found) == limit:
            break
        if number == most_slices and number < len(parts):
            return ListedClaims(tuple(found), until, looked_until=part.until)
    return ListedClaims(tuple(found), until)


async def _listed(
    connection: Driver,
    tenant_id: int,
    part: Scope,
    until: Mapping[str, datetime | None],
    standings: Collection[Standing],
    limit: int,
    after: tuple[datetime, UUID, int] | None,
) -> list[GradedClaim]:
    arguments = _arguments(tenant_id, part, until)
    cases = [row["told"] for row in await connection.fetch(CASES, *arguments) if _standing(row) in standings]
    if not cases:
        return []
    rows = await connection.fetch(LISTED, *arguments, cases, *(after or (None, None, None)), limit)
    return [_graded(row) for row in rows]


async def _slices(connection: Driver, tenant_id: int, scope: Scope, at_once: int) -> list[Scope]:
    """The scope in parts, one after another in time, of whole hours and some `at_once` check-ins each."""
    rows = await connection.fetch(
        BY_HOUR,
        tenant_id,
        scope.as_of,
        scope.since,
        scope.until,
        scope.plan_id,
        scope.cycle,
        None if scope.guides is None else list(scope.guides),
    )
    parts: list[Scope] = []
    since, number = scope.since, 0
    for row in rows:
        if number and number + row["number"] > at_once:
            parts.append(replace(scope, since=since, until=row["hour"]))
            since, number = row["hour"], 0
        number += row["number"]
    return [*parts, replace(scope, since=since)] if rows else []


def _arguments(tenant_id: int, scope: Scope, until: Mapping[str, datetime | None]) -> Sequence[object]:
    return (
        tenant_id,
        scope.as_of,
        scope.since,
        scope.until,
        scope.plan_id,
        scope.cycle,
        None if scope.guides is None else list(scope.guides),
        CALL_SPAN,
        FRIEND_SPAN,
        BOUGHT_DAYS,
        SHORT_CALL_S,
        scope.window,
        until["calls"],
        until["friends"],
        until["purchases"],
        until["visits"],
    )


def _standing(row: Mapping[str, Any]) -> Standing:
    evidence = Evidence(
        answered=row["answered"],
        short=row["short"],
        unanswered=row["unanswered"],
        friend=row["friend"],
        bought=row["bought"],
        came=row["came"],
    )
    told = Told(
        calls=row["calls_told"],
        friends=row["friends_told"],
        purchases=row["purchases_told"],
        visits=row["visits_told"],
    )
    return stand(Claim(row["channel"], row["outcome"]), evidence, told)


def _graded(row: Mapping[str, Any]) -> GradedClaim:
    return GradedClaim(
        task_id=UUID(str(row["task_id"])),
        version=row["version"],
        plan=row["plan"],
        cycle=row["cycle"],
        guide_id=UUID(str(row["guide_id"])),
        guide=row["guide"],
        store=row["store"],
        member_id=UUID(str(row["member_id"])),
        occurred_at=row["occurred_at"],
        channel=row["channel"],
        outcome=row["outcome"],
        standing=_standing(row),
        records=tuple(sorted(row["records"])),
        came_of_it=tuple(sorted(set(row["came_of_it"]))),
    )
