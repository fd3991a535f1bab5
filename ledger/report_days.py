"""The guide-days that a report belongs to: which day it is, what stood around it, and which days wait for it.

A day belongs to the zone in which its guide worked on it, wherever she stands now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.amending import Around
from domain.calendar import local_instant
from ledger.case_standing import WAITED
from ledger.consents import LATEST
from ledger.door import Driver
from ledger.member_history import Known
from ledger.recounting import GuideDay


@dataclass(frozen=True, slots=True)
class Done:
    """What a guide did on an item. `on`: the day it is kept under, where it is kept; None: that of the instant."""

    task_id: UUID
    guide_id: UUID
    occurred_at: datetime
    on: date | None = None
    corrects: int | None = None
    """Version of the check-in that it takes the place of: a complaint that told does not stand against itself."""


async def day_of(connection: Driver, tenant_id: int, guide_id: UUID, instant: datetime) -> date | None:
    """The business date of an instant where the guide stood then (`day_at` in the schema); None: there is no such guide."""
    day: date | None = await connection.fetchval(
        "SELECT d.on_day FROM guide g CROSS JOIN LATERAL day_at(g.guide_id, $3) d"
        " WHERE g.tenant_id = $1 AND g.guide_id = $2",
        tenant_id,
        guide_id,
        instant,
    )
    return day


async def lock_days(
    connection: Driver, tenant_id: int, task_id: UUID, days: Sequence[GuideDay]
) -> Sequence[GuideDay]:
    """Let nobody else close or count these guide-days, nor later ones that list the item, until the transaction ends.

    Call it first of all locks; answers those later ones. Rows grow with the days of one cycle.
    """
    wanted = sorted(set(days))
    rows = await connection.fetch(
        """
        SELECT d.guide_id, d.business_date FROM guide_day d
        JOIN (
            SELECT * FROM unnest($2::uuid[], $3::date[])
            UNION SELECT i.guide_id, i.business_date FROM task t
            JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
            -- Every day by name: the index goes by day and item.
            CROSS JOIN generate_series(greatest(c.starts_on, $5::date), c.ends_on, interval '1 day') AS day
            JOIN list_item i ON i.tenant_id = $1 AND i.business_date = day::date AND i.task_id = t.task_id
            WHERE t.tenant_id = $1 AND t.task_id = $4
        ) AS w(guide_id, day) ON w.guide_id = d.guide_id AND w.day = d.business_date
        WHERE d.tenant_id = $1 ORDER BY d.guide_id, d.business_date FOR UPDATE OF d""",
        tenant_id,
        [guide for guide, _ in wanted],
        [day for _, day in wanted],
        task_id,
        min(day for _, day in wanted),
    )
    return sorted({(UUID(str(row["guide_id"])), row["business_date"]) for row in rows} - set(wanted))


async def look_around(
    connection: Driver,
    tenant_id: int,
    known: Known,
    done: Done,
    *,
    known_at: datetime,
    products: Sequence[str] = (),
) -> tuple[Around, bool]:
    """What else stood when something occurred on an item, done by a guide; and whether its day is closed at `known_at`.

    `products`: what the report names, to be told which of it are categories of the brand.
    """
    row = await connection.fetchrow(
        f"""
        SELECT n.on_day, n.time_zone, d.closes_at, coalesce(d.state = 'closed', false) AS closed,
               $5 <@ p.paused AS while_paused, coalesce(m.opted_out_at <= $5, false) AS opted_out,
               {LATEST.format(member="m.member_id", purpose="phone", at="$5")} AS phone_agreed,
               EXISTS (SELECT FROM complaint_case c WHERE c.tenant_id = $1 AND c.member_id = m.member_id
                       AND {WAITED.format(at="$5")} AND (c.task_id, c.report) IS DISTINCT FROM ($8, $9::int)) AS complaint_open,
               ARRAY(SELECT y.name FROM category y WHERE y.tenant_id = $1 AND y.name = ANY($6::text[])) AS categories
        FROM guide g
        CROSS JOIN LATERAL (SELECT coalesce($7::date, a.on_day) AS on_day, a.time_zone FROM day_at(g.guide_id, $5) a) n
        JOIN plan p ON p.tenant_id = $1 AND p.plan_id = $2
        JOIN member m ON m.tenant_id = $1 AND m.member_id = $3
        LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = g.guide_id
             AND d.business_date = n.on_day
        WHERE g.tenant_id = $1 AND g.guide_id = $4""",
        tenant_id,
        known.plan_id,
        known.member_id,
        done.guide_id,
        done.occurred_at,
        list(products),
        done.on,
        done.task_id,
        done.corrects,
    )
    on = row["on_day"]
    closes_at = row["closes_at"] or local_instant(on, known.plan.day.close, row["time_zone"])
    closed = row["closed"] or known_at > closes_at
    around = Around(
        plan_id=known.plan_id,
        member_id=known.member_id,
        on=on,
        day_closes_at=closes_at,
        day_closed=closed,
        cycle_ends_on=known.ends_on[known.history.item(done.task_id).cycle],
        while_paused=row["while_paused"],
        opted_out=row["opted_out"],
        phone_withdrawn=row["phone_agreed"] is False,
        complaint_open=row["complaint_open"],
        categories=tuple(row["categories"]),
    )
    return around, closed
