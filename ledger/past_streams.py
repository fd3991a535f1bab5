"""Which streams tell how a plan's cycle, a guide's day, a member or an item stood: SQL for `as_of.stand_then`.

They are found by what the projections hold now, for no row of them is ever taken away, and by the index of the items a
guide ever held.
"""

from __future__ import annotations

PLAN = "SELECT 'plan/' || $2::text AS stream"
"""A plan alone: $2 is its name."""

CYCLE = """
WITH own AS MATERIALIZED (
    SELECT member_id FROM daogou.plan_member WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3
), items AS MATERIALIZED (
    SELECT task_id FROM daogou.task WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3
)
SELECT 'plan/' || $2::text AS stream
UNION ALL SELECT 'plan-member/' || $2::text || '/' || $3::integer || '/' || member_id FROM own
UNION ALL SELECT 'task/' || task_id FROM items
-- Contacts of other cycles and plans may win a purchase.
UNION ALL
SELECT 'task/' || k.task_id FROM own o JOIN daogou.check_in k ON k.tenant_id = $1 AND k.member_id = o.member_id
WHERE k.reached AND k.occurred_at > $4::timestamptz AND (k.plan_id, k.cycle) <> ($2, $3)
UNION ALL
SELECT 'guide-day/' || l.guide_id || '/' || l.business_date
FROM daogou.plan_cycle c JOIN daogou.list_item l ON l.tenant_id = $1
     AND l.business_date BETWEEN c.starts_on AND c.ends_on
JOIN items i ON i.task_id = l.task_id
WHERE c.tenant_id = $1 AND c.plan_id = $2 AND c.cycle = $3"""
"""A cycle with everything its Check counts: plan, cycle, and the instant since which contacts count."""

_HELD = """
    SELECT h.stream FROM daogou.items_held($2::uuid, $3) AS h(stream)
    UNION
    SELECT 'task/' || l.task_id FROM daogou.list_item l WHERE l.tenant_id = $1 AND l.guide_id = $2"""

GUIDE = f"""
WITH held AS MATERIALIZED ({_HELD}), items AS MATERIALIZED (
    SELECT t.task_id, t.plan_id, t.cycle, t.member_id FROM held h
    JOIN daogou.task t ON t.tenant_id = $1 AND t.task_id = substr(h.stream, 6)::uuid
)
SELECT 'guide/' || $2::uuid AS stream
UNION ALL
SELECT 'guide-day/' || d.guide_id || '/' || d.business_date FROM daogou.guide_day d
WHERE d.tenant_id = $1 AND d.guide_id = $2
UNION ALL SELECT 'task/' || task_id FROM items
UNION ALL SELECT 'plan/' || plan_id FROM items
UNION ALL SELECT 'plan-member/' || plan_id || '/' || cycle || '/' || member_id FROM items
UNION ALL
SELECT 'case/' || c.case_id FROM (SELECT DISTINCT member_id FROM items) i
JOIN daogou.complaint_case c ON c.tenant_id = $1 AND c.member_id = i.member_id"""
"""A guide with her days and every item she ever held: $2 is her id, $3 the instant."""

MEMBER = """
WITH places AS MATERIALIZED (
    SELECT plan_id, cycle, member_id FROM daogou.plan_member WHERE tenant_id = $1 AND member_id = $2
), items AS MATERIALIZED (
    SELECT t.task_id FROM places p JOIN daogou.task t ON t.tenant_id = $1 AND t.plan_id = p.plan_id
         AND t.cycle = p.cycle AND t.member_id = p.member_id
)
SELECT 'member/' || $2::uuid AS stream
UNION ALL SELECT 'plan/' || plan_id FROM places
UNION ALL SELECT 'plan-member/' || plan_id || '/' || cycle || '/' || member_id FROM places
UNION ALL SELECT 'task/' || task_id FROM items
UNION ALL SELECT 'case/' || case_id FROM daogou.complaint_case WHERE tenant_id = $1 AND member_id = $2"""
"""A member with the cycles they were in and their items: $2 is their id."""

TASK = """
SELECT 'task/' || $2::uuid AS stream
UNION ALL SELECT 'plan/' || plan_id FROM daogou.task WHERE tenant_id = $1 AND task_id = $2
UNION ALL
SELECT 'guide-day/' || l.guide_id || '/' || l.business_date
FROM daogou.task t JOIN daogou.plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
-- A day at a time, for that is how the index is kept.
CROSS JOIN generate_series(c.starts_on::timestamp, c.ends_on, interval '1 day') AS d(day)
JOIN daogou.list_item l ON l.tenant_id = $1 AND l.business_date = d.day::date AND l.task_id = t.task_id
WHERE t.tenant_id = $1 AND t.task_id = $2"""
"""An item with the lists it was on: $2 is its id."""
