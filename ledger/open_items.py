"""What counts as open on a guide's list: one rule, for the nudge and for whoever sends it later."""

from __future__ import annotations

from ledger.case_standing import NO_COMPLAINT
from ledger.due_items import PUT_OFF

WHERE_SHE_STANDS = """
    CROSS JOIN LATERAL (SELECT x.* FROM guide x WHERE x.tenant_id = $1 AND x.guide_id = d.guide_id OFFSET 0) g
    CROSS JOIN LATERAL (SELECT x.* FROM store x WHERE x.tenant_id = $1 AND x.store_id = g.store_id OFFSET 0) s"""
"""Joins the guide `g` and her store `s` to the guide-day `d`, each by its key: see `open_on_list`."""

ITEMS_OF_DAY = """
    CROSS JOIN LATERAL (SELECT x.rank, x.task_id FROM list_item x
        WHERE x.tenant_id = $1 AND x.guide_id = d.guide_id AND x.business_date = d.business_date ORDER BY x.rank OFFSET 0) i
    CROSS JOIN LATERAL (SELECT x.* FROM task x WHERE x.tenant_id = $1 AND x.task_id = i.task_id OFFSET 0) t
    CROSS JOIN LATERAL (SELECT x.* FROM plan x WHERE x.tenant_id = $1 AND x.plan_id = t.plan_id OFFSET 0) p"""
"""Joins items, their tasks and plans to the guide-day `d`, each by its key: see `open_on_list`."""

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


def open_on_list(at: str) -> str:
    """SQL: joins to the guide-days `d` where they stand and `n.open_items`, how many wait on each list at the instant.

    List by list and item by item, each by its key, whatever PostgreSQL expects of the day. In the morning its statistics
    know nothing of today and it takes the lists for one row, later it takes what is open of them for a few: either way
    it would loop over all guides or all items where one is to be looked up. `OFFSET 0` and the count leave it nothing
    else than to look up, and the order by rank no other index of the lists than their key.
    """
    return f"""{WHERE_SHE_STANDS}
    CROSS JOIN LATERAL (
        SELECT count(*)::int AS open_items FROM (SELECT d.guide_id, d.business_date) AS d {ITEMS_OF_DAY}
        WHERE {item_open(at)}
    ) n"""
