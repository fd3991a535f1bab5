-- Projections are folds of the events: what versions before did not write where they added a column, and the index by
-- which the past of a guide is found.
-- Safe beside the version before: rows get what it would have written. The index is built while nothing is appended: on a
-- big ledger that takes minutes.
SET ROLE daogou_owner;
SET LOCAL search_path = daogou;

-- The items a guide ever held, as their events say: whom they were made for, and to whom they went.
CREATE INDEX event_item_of_guide ON event (tenant_id, (payload->>'guide'), known_at)
    WHERE type IN ('task_created', 'task_reassigned');

-- Columns of 0002, of plans and cycles that were there before it. A pause lasts until the earliest instant at which
-- anything later took it back.
UPDATE plan_cycle c SET started_at = e.known_at
FROM event e
WHERE c.started_at = '-infinity' AND e.tenant_id = c.tenant_id AND e.stream = 'plan/' || c.plan_id
  AND e.type = 'cycle_started' AND (e.payload->>'cycle')::integer = c.cycle;

WITH said AS (
    SELECT e.tenant_id, e.stream, e.occurred_at, e.payload->>'status' AS status,
           row_number() OVER (PARTITION BY e.tenant_id, e.stream ORDER BY e.version DESC) = 1 AS newest,
           min(e.occurred_at) FILTER (WHERE e.payload->>'status' <> 'paused') OVER (
               PARTITION BY e.tenant_id, e.stream ORDER BY e.version
               ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS until
    FROM event e WHERE e.stream >= 'plan/' AND e.stream < 'plan0' AND e.type = 'plan_status_changed'
), told AS (
    SELECT tenant_id, stream,
           coalesce(range_agg(tstzrange(occurred_at, until)) FILTER (
               WHERE status = 'paused' AND (until IS NULL OR until > occurred_at)), '{}') AS paused,
           max(occurred_at) FILTER (WHERE newest AND status IN ('closed', 'recalled')) AS ended_at
    FROM said GROUP BY 1, 2
)
UPDATE plan p SET paused = t.paused, ended_at = t.ended_at
FROM told t
WHERE t.tenant_id = p.tenant_id AND t.stream = 'plan/' || p.plan_id
  AND (t.paused, t.ended_at) IS DISTINCT FROM (p.paused, p.ended_at);

-- Who came before there was a list, on a day that was closed without one being published.
UPDATE guide_day d SET clocked_in_at = e.occurred_at
FROM event e
WHERE d.state = 'closed' AND d.published_at IS NULL AND d.clocked_in_at IS NULL AND e.tenant_id = d.tenant_id
  AND e.stream = 'guide-day/' || d.guide_id || '/' || d.business_date AND e.type = 'clocked_in';
RESET ROLE;
RESET search_path;
