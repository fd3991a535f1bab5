"""The moment a board stands at, and what was reported by then: asked again at the same moment, a board is the same.

A board names an instant and a position. Of reports that became known shortly before the instant it is their place in the
ledger that says whether they count: they may have been committed, or placed, after the board was read. Older ones were
all there: no transaction lives so long (`ledger.database.TIMEOUTS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.as_of import resolve
from ledger.door import Driver
from ledger.sequencer import last_position

LATEST = "interval '15 minutes'"
"""So long before the instant the place in the ledger decides."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Nothing that occurred or became known after `at`, or was placed after `position`, counts."""

    at: datetime
    position: int | None = None


async def read_moment(
    connection: Driver, tenant_id: int, *, at: datetime | None, position: int | None, now: datetime
) -> Moment:
    """The moment that is named; now and the last position where none is.

    Args:
        connection: that sees positions: the worker's, or one for upkeep.
        tenant_id: the brand.
        at: an instant, or None.
        position: of the ledger, or None.
        now: the present.

    Raises:
        Refused: the instant is to come, or no event has that position.
    """
    if at is None and position is None:
        return Moment(now, await last_position(connection, tenant_id))
    named = await resolve(connection, tenant_id, position=position, at=at, now=now)
    return Moment(named.at, named.position)


def told(known: str, stream: str, version: str) -> str:
    """SQL: whether an event counts at the moment. $1 tenant, $2 instant, $3 position or null."""
    return (
        f"({known} <= $2::timestamptz AND ($3::bigint IS NULL OR {known} <= $2::timestamptz - {LATEST} OR EXISTS ("
        f"SELECT FROM event_position e WHERE e.tenant_id = $1 AND e.stream = {stream} AND e.version = {version}"
        " AND e.position <= $3)))"
    )


_STREAM = "'task/' || k.task_id"


def held(columns: str, where: str) -> str:
    """SQL: the reports that held at the moment, as `k`: those that were not corrected by then.

    $1 tenant, $2 instant, $3 position or null; `where` holds what else is asked of `k`.
    """
    known = told("k.known_at", _STREAM, "k.version")
    corrected = told("k.superseded_at", _STREAM, "k.superseded_by")
    kept = f"k.tenant_id = $1 AND k.occurred_at <= $2::timestamptz AND {known} AND {where}"
    return (
        f"SELECT {columns} FROM check_in k WHERE {kept}"
        f" UNION ALL SELECT {columns} FROM check_in_superseded k WHERE {kept} AND NOT {corrected}"
    )
