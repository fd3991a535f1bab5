-- An independent count of a cycle, from the events' own payloads and the imported facts: no projection is read.
-- The last two columns are the same counts by store and by guide: key -> [due, followed up, succeeded, revenue].
-- $1 plan, $2 cycle, $3 kind of Check (provisional or settled), $4 attribution window in days
WITH event AS (SELECT * FROM daogou.event WHERE tenant_id = 1),
launched AS (
    SELECT payload->'spec' AS spec FROM event WHERE stream = 'plan/' || $1::text AND type = 'plan_launched'
), cycle AS (
    SELECT (payload->>'starts_on')::date AS starts_on, (payload->>'ends_on')::date AS ends_on,
           payload->>'time_zone' AS zone, (payload->>'selected')::int AS selected
    FROM event WHERE stream = 'plan/' || $1 AND type = 'cycle_started' AND (payload->>'cycle')::int = $2::int
), span AS (
    SELECT starts_on::timestamp AT TIME ZONE zone AS starts, (ends_on + 1)::timestamp AT TIME ZONE zone AS ends,
           (SELECT (payload->>'as_of')::timestamptz FROM event WHERE stream = 'plan/' || $1
             AND type = 'cycle_checked' AND (payload->>'cycle')::int = $2 AND payload->>'kind' = $3::text) AS as_of
    FROM cycle
), categories AS (
    SELECT c.category_id FROM launched, jsonb_array_elements_text(spec->'members'->'bought_categories') AS named
    JOIN daogou.category c ON c.name = named AND c.tenant_id = 1
), members AS (
    -- Who took over is assigned by a later event of the same member; the store is the guide's, else the home store.
    SELECT member, guide, coalesce(g.store_id, m.home_store_id)::text AS store FROM (
        SELECT DISTINCT ON (stream) (payload->>'member')::uuid AS member, payload->>'guide' AS guide FROM event, span
        WHERE type = 'member_assigned' AND payload->>'plan' = $1 AND (payload->>'cycle')::int = $2
          AND known_at <= as_of ORDER BY stream, version DESC
    ) newest JOIN daogou.member m ON m.tenant_id = 1 AND m.member_id = newest.member
    LEFT JOIN daogou.guide g ON g.tenant_id = 1 AND g.guide_id = newest.guide::uuid
), items AS (
    SELECT stream, (payload->>'member')::uuid AS member FROM event, span
    WHERE type = 'task_created' AND payload->>'plan' = $1 AND (payload->>'cycle')::int = $2 AND known_at <= as_of
), corrected AS (
    SELECT stream, (payload->>'supersedes')::int AS version, known_at FROM event WHERE payload ? 'supersedes'
), valid AS (
    -- Every report, of whatever plan, that held by what was known then; what it was corrected to is one itself.
    SELECT e.stream, e.payload->>'plan' AS plan, (e.payload->>'cycle')::int AS cycle,
           (e.payload->>'member')::uuid AS member, e.occurred_at, (e.payload->>'reached')::boolean AS reached,
           e.performed_by
    FROM event e, span WHERE e.type IN ('checked_in', 'check_in_corrected') AND e.known_at <= as_of
      AND NOT EXISTS (SELECT FROM corrected c WHERE (c.stream, c.version) = (e.stream, e.version)
                      AND c.known_at <= as_of)
), reports AS (
    SELECT v.* FROM valid v, span WHERE plan = $1 AND cycle = $2 AND occurred_at <= as_of
), gone AS (
    SELECT stream FROM (
        SELECT DISTINCT ON (stream) stream, coalesce(payload->'leaves_item'->>'state', payload->>'state') AS state
        FROM event JOIN items USING (stream) WHERE payload ? 'state' OR payload ? 'leaves_item'
        ORDER BY stream, version DESC
    ) newest
    WHERE state = 'withdrawn' AND NOT EXISTS (SELECT FROM reports r WHERE r.stream = newest.stream)
), due AS (
    SELECT member, bool_and(stream IN (SELECT stream FROM gone)) AS all_gone,
           EXISTS (SELECT FROM reports r WHERE r.member = items.member) AS attempted,
           (SELECT max(occurred_at) FROM reports r WHERE r.member = items.member AND r.reached) AS last_reached
    FROM items GROUP BY member
), bought AS (
    -- A return that names its purchase (its basket, and the same product) counts when that was bought.
    SELECT p.member_id AS member, coalesce(o.occurred_at, p.occurred_at) AS occurred_at, p.quantity, p.value_minor
    FROM span CROSS JOIN daogou.purchase p
    LEFT JOIN daogou.purchase o ON p.is_return AND NOT o.is_return AND o.tenant_id = 1 AND o.product = p.product
         AND o.basket = coalesce(p.return_of, p.basket) AND o.known_at <= span.as_of
    WHERE p.tenant_id = 1 AND p.category_id IN (SELECT category_id FROM categories)
      AND p.occurred_at <= span.as_of AND p.known_at <= span.as_of
), effect AS (
    SELECT d.member, d.last_reached + make_interval(days => $4::int) <= span.as_of AS closed,
           coalesce(sum(b.quantity), 0) > 0 AND bool_or(b.quantity > 0) AS success,
           coalesce(sum(b.value_minor), 0) AS value
    FROM due d CROSS JOIN span
    LEFT JOIN bought b ON b.member = d.member AND b.occurred_at > d.last_reached
         AND b.occurred_at <= d.last_reached + make_interval(days => $4)
         AND NOT EXISTS ( -- a later contact, of any cycle or plan, wins the purchase
             SELECT FROM valid r WHERE r.reached AND r.member = d.member
               AND r.occurred_at > d.last_reached AND r.occurred_at < b.occurred_at)
    WHERE d.last_reached IS NOT NULL GROUP BY d.member, d.last_reached, span.as_of
), again AS (
    SELECT m.member FROM members m CROSS JOIN span JOIN bought b ON b.member = m.member
         AND b.occurred_at >= span.starts AND b.occurred_at < span.ends
    GROUP BY 1 HAVING sum(b.quantity) > 0 AND bool_or(b.quantity > 0)
), share AS (
    -- Credit: who reached the member last in the cycle, else the assigned guide.
    SELECT coalesce(m.store, '') AS store,
           coalesce((SELECT r.performed_by FROM reports r WHERE r.member = d.member AND r.reached
                     ORDER BY r.occurred_at DESC, r.performed_by DESC LIMIT 1), m.guide, '') AS guide,
           (d.attempted OR NOT d.all_gone)::int AS due, (d.last_reached IS NOT NULL)::int AS followed_up,
           coalesce(e.closed AND e.success, false)::int AS succeeded,
           CASE WHEN e.closed AND e.success THEN e.value ELSE 0 END::bigint AS revenue
    FROM due d JOIN members m USING (member) LEFT JOIN effect e USING (member)
), by_store AS (
    SELECT store AS key, jsonb_build_array(sum(due), sum(followed_up), sum(succeeded), sum(revenue)) AS counts
    FROM share GROUP BY store HAVING sum(due) > 0
), by_guide AS (
    SELECT guide AS key, jsonb_build_array(sum(due), sum(followed_up), sum(succeeded), sum(revenue)) AS counts
    FROM share GROUP BY guide HAVING sum(due) > 0
)
SELECT (SELECT count(*) FROM members) AS members_selected,
       (SELECT count(*) FROM members WHERE guide IS NOT NULL) AS members_assigned,
       (SELECT count(*) FROM members WHERE guide IS NULL) AS members_unassigned,
       (SELECT count(*) FROM items) AS tasks,
       (SELECT count(*) FROM reports) AS check_ins,
       (SELECT count(DISTINCT (payload->>'guide', payload->>'business_date'))
          FROM event, jsonb_array_elements_text(payload->'tasks') AS task
         WHERE type = 'list_published' AND 'task/' || task IN (SELECT stream FROM items)) AS guide_days,
       (SELECT count(*) FROM due WHERE attempted OR NOT all_gone) AS members_due,
       (SELECT count(*) FROM due WHERE all_gone AND NOT attempted) AS members_withdrawn,
       (SELECT count(*) FROM due WHERE attempted) AS members_attempted,
       (SELECT count(*) FROM due WHERE last_reached IS NOT NULL) AS members_followed_up,
       (SELECT count(*) FROM effect WHERE closed) AS members_window_closed,
       (SELECT count(*) FROM effect WHERE closed AND success) AS members_succeeded,
       (SELECT count(*) FROM effect WHERE NOT closed) AS members_provisional,
       (SELECT count(*) FROM again) AS members_repurchased,
       (SELECT coalesce(sum(value), 0) FROM effect WHERE closed AND success)::bigint AS revenue_minor,
       (SELECT jsonb_object_agg(key, counts) FROM by_store)::text AS stores,
       (SELECT jsonb_object_agg(key, counts) FROM by_guide)::text AS guides
