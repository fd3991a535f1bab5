"""What counts as open on a guide's list: one rule, for the nudge and for whoever sends it later."""

from __future__ import annotations

from ledger.case_standing import NO_COMPLAINT
from ledger.due_items import PUT_OFF

ITEMS_OF_DAY = """
    CROSS JOIN LATERAL (SELECT l.rank, l.task_id FROM list_item l
        WHERE l.tenant_id = $1 AND l.guide_id = d.guide_id AND l.business_date = d.business_date ORDER BY l.rank OFFSET 0) i
    CROSS JOIN LATERAL (SELECT k.* FROM task k WHERE k.tenant_id = $1 AND k.task_id = i.task_id OFFSET 0) t
    JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id"""
"""Joins items, their tasks and plans to the guide-day `d`: each list and each task by its key, whatever the statistics say.

In the morning statistics know nothing of today, and the planner takes the day's items for one: it would read all of them
anew for each guide. `OFFSET 0` keeps it from looking for a list's rows, and a task's, by anything but what stands here, and
the order by rank from reading them by any other index than the key.
"""

ITEM_UNTOUCHED = """(t.state = 'open' AND t.guide_id = d.guide_id
    AND t.last_attempt_on IS DISTINCT FROM d.business_date)"""
"""Nobody reported on it that day, and it is still hers."""

PLAN_ASKS = "(p.status = 'running' AND (p.canary IS NULL OR s.code = ANY(p.canary)))"
"""The plan wants it done now: neither paused, closed nor recalled, nor being tried in other stores only (`s`)."""


def item_open(at: str) -> str:
    """SQL: the item waits for her now. `at`: the instant.

    One she put off waits again when its hour has come, one of a member who complained when that is settled.
    """
    undisturbed = NO_COMPLAINT.format(member="t.member_id")
    return f"({ITEM_UNTOUCHED} AND {PLAN_ASKS} AND NOT {PUT_OFF.format(at=at)} AND {undisturbed})"
