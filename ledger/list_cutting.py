"""The lists of a day are cut: one statement for all guides of a zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from domain.check_in import MOST_DIAL_DAYS
from ledger.calendars import NOBODY_OFF, DaysOff
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class PlanOnDay:
    """A running plan that works on the day: its capacity a guide, and what happens to items left open."""

    plan_id: str
    cycle: int
    items_per_day: int
    expire: bool


async def cut_lists(
    connection: Driver,
    tenant_id: int,
    *,
    day: date,
    time_zone: str,
    plans: Sequence[PlanOnDay],
    off: DaysOff = NOBODY_OFF,
    opens_at: datetime,
    closes_at: datetime,
) -> int:
    """Cut the lists of every guide of a zone with something due; returns the lists there are for the day.

    Order: grade (A, B, never called, C), due date, value, member; one item a member. The largest capacity among the day's plans
    cuts the list. Who is off that day gets none. Cutting again changes nothing: a list that is there stays. Call it in
    a transaction.
    """
    await connection.execute(
        """
        WITH due AS (
            SELECT t.guide_id, t.task_id, t.member_id, row_number() OVER (
                ORDER BY CASE pm.grade WHEN 'A' THEN 0 WHEN 'B' THEN 1 WHEN 'C' THEN 3 ELSE 2 END,
                         t.first_due_on, pm.value_minor DESC, t.member_id, t.category_id, t.task_id) AS place
            FROM task t
            JOIN unnest($4::text[], $5::int[]) AS p(plan_id, cycle)
              ON p.plan_id = t.plan_id AND p.cycle = t.cycle
            JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
            JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
                 AND pm.member_id = t.member_id
            JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id AND g.active
                 AND g.guide_id <> ALL ($10::uuid[])
            JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id AND s.time_zone = $3
                 AND NOT EXISTS (SELECT FROM unnest($11::text[], $12::uuid[]) AS x(plan_id, store_id)
                                 WHERE x.plan_id = t.plan_id AND x.store_id = s.store_id)
            JOIN plan l ON l.tenant_id = $1 AND l.plan_id = t.plan_id
                 AND l.status = 'running' AND (l.canary IS NULL OR s.code = ANY(l.canary))
            JOIN member m ON m.tenant_id = $1 AND m.member_id = t.member_id
            WHERE t.tenant_id = $1 AND t.state = 'open' AND t.due_on <= $2
              AND pm.grade IS DISTINCT FROM 'D' AND pm.dial_days < $9
              AND (pm.last_dial_on IS NULL OR pm.last_dial_on < $2)
              AND (m.opted_out_at IS NULL OR m.opted_out_at > $7)
              -- nobody is called twice a day: neither about this item nor about another one that was listed before
              AND t.member_id NOT IN (SELECT lt.member_id FROM list_item o
                                      JOIN task lt ON lt.tenant_id = $1 AND lt.task_id = o.task_id
                                      WHERE o.tenant_id = $1 AND o.business_date = $2)
        ), one_a_member AS ( -- nobody is called twice a day; the member's other items come another day
            SELECT DISTINCT ON (member_id) guide_id, task_id, place FROM due ORDER BY member_id, place
        ), ranked AS (
            SELECT guide_id, task_id, row_number() OVER (PARTITION BY guide_id ORDER BY place) AS rank
            FROM one_a_member
        ), listed AS (
            SELECT guide_id, task_id, rank FROM ranked WHERE rank <= $6
        ), days AS (
            INSERT INTO guide_day (tenant_id, guide_id, business_date, time_zone, state, listed, opens_at, closes_at)
            SELECT $1, guide_id, $2, $3, 'cut', count(*), $7, $8 FROM listed GROUP BY guide_id
            ON CONFLICT DO NOTHING RETURNING guide_id
        )
        INSERT INTO list_item (tenant_id, guide_id, business_date, rank, task_id)
        SELECT $1, guide_id, $2, rank, task_id FROM listed JOIN days USING (guide_id)""",
        tenant_id,
        day,
        time_zone,
        [plan.plan_id for plan in plans],
        [plan.cycle for plan in plans],
        max((plan.items_per_day for plan in plans), default=0),
        opens_at,
        closes_at,
        MOST_DIAL_DAYS,
        list(off.guides),
        [plan_id for plan_id, _ in off.stores],
        [store_id for _, store_id in off.stores],
    )
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM guide_day WHERE tenant_id = $1 AND business_date = $2 AND time_zone = $3",
            tenant_id,
            day,
            time_zone,
        )
    )
