"""A guide's month: a row a business day with a list, from the figures its close stored; what is not closed is counted now.

A day counts items, a cycle distinct members: who is on two lists of a month is in two days here and once in a Check, so
neither the days nor their sum add up to a cycle's members.

Cost: three round trips, two where every day is closed. Rows: a guide-day a day, and the lists that are not closed, usually
today's; each through an index that begins with the guide, so the years before change nothing (docs/performance.md, History).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.calendar import business_date
from domain.rate import Rate
from ledger.door import Driver
from ledger.guides import unknown_guide


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Items of lists, not members.

    `due`: on the list. `attempted`: with a check-in of the guide that day. `followed_up`: with one that reached the member.
    `late` and `corrected`: of the attempted, those reported after the close, and by a correction.
    """

    due: int = 0
    attempted: int = 0
    followed_up: int = 0
    late: int = 0
    corrected: int = 0

    @property
    def completion_rate(self) -> Rate:
        """Followed up ÷ due."""
        return Rate(self.followed_up, self.due)

    @property
    def attempt_rate(self) -> Rate:
        """Attempted ÷ due."""
        return Rate(self.attempted, self.due)


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """One business day with a list."""

    day: date
    state: str
    """cut, published or closed."""
    counts: ItemCounts
    carried: int | None
    """Items left open at the close; None: it is not closed."""
    figures_version: int | None
    """Of the figures: 1 is the close's, each late fact or correction adds one; None: counted now."""


@dataclass(frozen=True, slots=True)
class GuideMonth:
    """The days of a month that the asker sees, by date, and their sum."""

    guide_code: str
    guide_name: str
    month: date
    """Its first day."""
    days: tuple[DayOfMonth, ...]
    as_of: datetime

    @property
    def total(self) -> ItemCounts:
        """Items of all these days: a member on two lists counts in both."""
        return add_days(day.counts for day in self.days)


def add_days(days: Iterable[ItemCounts]) -> ItemCounts:
    """The items of several days."""
    every = list(days)
    return ItemCounts(
        due=sum(day.due for day in every),
        attempted=sum(day.attempted for day in every),
        followed_up=sum(day.followed_up for day in every),
        late=sum(day.late for day in every),
        corrected=sum(day.corrected for day in every),
    )


async def read_guide_month(
    connection: Driver, tenant_id: int, guide_code: str, month: date | None, *, at: datetime
) -> GuideMonth:
    """The month of a guide, as far as whoever stands on the connection sees her days.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        guide_code: the brand's own.
        month: a day of it; None: the one that `at` is in at the guide's store.
        at: now.

    Raises:
        NotFound: no such guide.
    """
    head = await connection.fetchrow(
        """
        SELECT g.guide_id, coalesce(p.name, '') AS name, coalesce(s.time_zone, 'UTC') AS time_zone FROM guide g
        -- Whoever looks back at the days of a guide who was transferred does not see where she stands now.
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        LEFT JOIN guide_person p ON p.tenant_id = $1 AND p.guide_id = g.guide_id
        WHERE g.tenant_id = $1 AND g.code = $2""",
        tenant_id,
        guide_code,
    )
    if head is None:
        raise unknown_guide(guide_code)
    first = (month or business_date(at, head["time_zone"])).replace(day=1)
    rows = await connection.fetch(
        """
        SELECT business_date, state, listed, done, reached, carried, late, corrected, figures_version FROM guide_day
        WHERE tenant_id = $1 AND guide_id = $2 AND business_date >= $3 AND business_date < $4 ORDER BY business_date""",
        tenant_id,
        head["guide_id"],
        first,
        _next_month(first),
    )
    running = [row["business_date"] for row in rows if row["state"] != "closed"]
    live = await _count_now(connection, tenant_id, head["guide_id"], running) if running else {}
    days = tuple(
        DayOfMonth(
            day=row["business_date"],
            state=row["state"],
            counts=ItemCounts(row["listed"], row["done"], row["reached"], row["late"], row["corrected"])
            if row["state"] == "closed"
            else live.get(row["business_date"], ItemCounts()),
            carried=row["carried"],
            figures_version=row["figures_version"] if row["state"] == "closed" else None,
        )
        for row in rows
    )
    return GuideMonth(guide_code, head["name"], first, days, at)


def _next_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


# As `ledger.closing` counts a day when it closes it.
_NOW = """
SELECT i.business_date, count(*)::int AS due, count(k.reached)::int AS attempted,
       count(*) FILTER (WHERE k.reached)::int AS followed_up, count(*) FILTER (WHERE k.late)::int AS late,
       count(*) FILTER (WHERE k.corrected)::int AS corrected
FROM list_item i
LEFT JOIN LATERAL (
    SELECT bool_or(c.reached) AS reached, bool_or(c.late) AS late, bool_or(c.corrects IS NOT NULL) AS corrected
    FROM check_in c
    WHERE c.tenant_id = $1 AND c.task_id = i.task_id AND c.business_date = i.business_date AND c.guide_id = $2
) k ON true
WHERE i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = ANY($3) GROUP BY 1"""


async def _count_now(
    connection: Driver, tenant_id: int, guide_id: UUID, days: list[date]
) -> dict[date, ItemCounts]:
    rows = await connection.fetch(_NOW, tenant_id, guide_id, days)
    return {
        row["business_date"]: ItemCounts(
            row["due"], row["attempted"], row["followed_up"], row["late"], row["corrected"]
        )
        for row in rows
    }
