"""The lists of a day are cut: one statement for all guides of a zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger.contacts import hold_all
from ledger.door import Driver
from ledger.due_items import (
    AT_WORK,
    Holds,
    PlanOnDay,
    ZoneDay,
    capacity_arguments,
    due_arguments,
    within_capacity,
)

SORTING_MEMORY = "128MB"
"""So much a sort of the cut may take, and twice as much what it looks up in: half a million items sort in it."""

# Where a store has a pool, its guides' days begin with empty lists, on which comes what they claim.
_EMPTY = f"""
    UNION ALL
    SELECT g.guide_id, 0 FROM guide g
    WHERE g.tenant_id = $1 AND g.store_id IN (SELECT store_id FROM within_budget WHERE pooled) AND {AT_WORK}
      AND g.guide_id <> ALL ($11::uuid[])
      AND g.guide_id NOT IN (SELECT guide_id FROM lists)"""


def _cut(*, pooled: bool) -> str:
    """SQL of the cut; `pooled`: whether items of any plan wait in pools. Without them nothing is kept but the lists."""
    return f"""
WITH {within_capacity(everybody=True)}, lists AS (
    SELECT guide_id, count(*) AS items FROM listed GROUP BY 1
), begun AS (
    SELECT guide_id, items FROM lists {_EMPTY if pooled else ""}
), days AS (
    INSERT INTO guide_day (tenant_id, guide_id, business_date, time_zone, state, listed, opens_at, closes_at,
                           target_calls, target_invitations)
    SELECT $1, b.guide_id, $2, $3, 'cut', b.items, $8, $20, $21::int, coalesce(own.invitations, $22::int)
    FROM begun b LEFT JOIN unnest($23::uuid[], $24::int[]) AS own(guide_id, invitations) ON own.guide_id = b.guide_id
    ON CONFLICT DO NOTHING RETURNING guide_id
), items AS (
    INSERT INTO list_item (tenant_id, guide_id, business_date, rank, task_id)
    SELECT $1, guide_id, $2, rank, task_id FROM listed JOIN days USING (guide_id)
)
SELECT (SELECT count(*) FROM guide_day WHERE tenant_id = $1 AND business_date = $2 AND time_zone = $3)
       + (SELECT count(*) FROM days)"""


async def cut_lists(
    connection: Driver,
    zone_day: ZoneDay,
    *,
    plans: Sequence[PlanOnDay],
    opens_at: datetime,
    closes_at: datetime,
    holds: Holds,
) -> int:
    """Cut the lists of every guide of a zone with something due; returns the lists there are for the day.

    Order, conditions and capacity are those of `ledger.due_items`; one item a member. Who is off that day gets none.
    Cutting again changes nothing: a list that is there stays. Call it in a transaction; it holds all contact accounts until that
    ends. Three round trips whatever the number of guides; rows written: one a list and one an item on it.
    """
    await hold_all(connection, zone_day.tenant_id)
    # Items sort in memory, and the planner may not go through all of a set for each item where it expects the set to be
    # empty, as lists are in the morning.
    await connection.execute(
        "SELECT set_config('work_mem', $1, true), set_config('enable_material', 'off', true)", SORTING_MEMORY
    )
    return int(
        await connection.fetchval(
            _cut(pooled=any(plan.pooled for plan in plans)),
            *due_arguments(zone_day, plans, opens_at),
            *capacity_arguments(holds),
            closes_at,
            holds.target and holds.target.calls,
            holds.target and holds.target.invitations,
            list(holds.target_invitations),
            list(holds.target_invitations.values()),
        )
    )
