"""Figures of the running engine, each read with a cost that does not grow with the years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.door import Driver

RATE_OVER = timedelta(seconds=60)
"""Check-ins a second are counted over so long."""
MOST_COUNTED = 100_000
"""Rows waiting are counted up to here: beyond it the number says "too many" well enough."""


@dataclass(frozen=True, slots=True)
class PublishedLists:
    """Lists published today for one release hour (HH:MM local) of a time zone."""

    time_zone: str
    release: str
    lists: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows that wait, and the seconds the oldest has."""

    rows: int
    oldest_s: float


async def lists_published(connection: Driver, tenant_id: int, *, at: datetime) -> list[PublishedLists]:
    """Of each zone's local date at `at`; one look by primary key a guide."""
    rows = await connection.fetch(
        """
        SELECT s.time_zone, to_char(d.opens_at AT TIME ZONE s.time_zone, 'HH24:MI') AS release, count(*) AS lists
        FROM guide g
        JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = g.guide_id
             AND d.business_date = ($2::timestamptz AT TIME ZONE s.time_zone)::date
        WHERE g.tenant_id = $1 AND d.published_at IS NOT NULL
        GROUP BY 1, 2 ORDER BY 1, 2""",
        tenant_id,
        at,
    )
    return [PublishedLists(row["time_zone"], row["release"], row["lists"]) for row in rows]


async def check_ins_a_second(connection: Driver, tenant_id: int, *, at: datetime) -> float:
    """Check-ins taken in the minute before `at`, by the block range index on their time."""
    taken = await connection.fetchval(
        "SELECT count(*) FROM check_in WHERE tenant_id = $1 AND known_at > $2 AND known_at <= $3",
        tenant_id,
        at - RATE_OVER,
        at,
    )
    return int(taken) / RATE_OVER.total_seconds()


async def sequencer_lag(connection: Driver, tenant_id: int, *, at: datetime) -> Waiting:
    """Events that have no position yet."""
    row = await connection.fetchrow(
        """
        SELECT count(*) AS rows, min(known_at) AS oldest
        FROM (SELECT known_at FROM event_pending WHERE tenant_id = $1 ORDER BY id LIMIT $2) waiting""",
        tenant_id,
        MOST_COUNTED,
    )
    return Waiting(row["rows"], _age(row["oldest"], at))


async def complaints_overdue(connection: Driver, tenant_id: int, *, at: datetime) -> int:
    """Complaints that nobody has answered by their deadline; by an index that holds what is unfinished."""
    overdue: int = await connection.fetchval(
        "SELECT count(*)::int FROM complaint_case WHERE tenant_id = $1 AND state IN ('open', 'answered')"
        " AND state = 'open' AND deadline_at < $2",
        tenant_id,
        at,
    )
    return overdue


async def oldest_transaction_s(connection: Driver) -> float:
    """Seconds the oldest open transaction of this database has run, of the logins this one may see; 0: none is open."""
    age = await connection.fetchval("SELECT oldest_transaction_s()")
    return max(0.0, float(age or 0))


def _age(instant: datetime | None, at: datetime) -> float:
    return 0.0 if instant is None else max(0.0, (at - instant).total_seconds())
