-- An independent count of a leaderboard, from the events' own payloads and the imported purchases: no projection is read.
-- $1 first day, $2 last day, $3 as of, $4 attribution window in days. A row a guide who had a list or reported.
WITH event AS (SELECT * FROM daogou.event WHERE tenant_id = 1 AND known_at <= $3::timestamptz),
item AS (
    SELECT stream, payload->>'plan' AS plan, (payload->>'member')::uuid AS member, payload->>'category' AS category
    FROM event WHERE type = 'task_created'
), listed AS (
    SELECT e.payload->>'guide' AS guide, i.plan, i.member, i.stream
    FROM event e, jsonb_array_elements_text(e.payload->'tasks') AS task JOIN item i ON i.stream = 'task/' || task
    WHERE e.type = 'list_published' AND (e.payload->>'business_date')::date BETWEEN $1 AND $2
), corrected AS (
    SELECT stream, (payload->>'supersedes')::int AS version FROM event WHERE payload ? 'supersedes'
), valid AS (
    SELECT e.performed_by AS guide, e.payload->>'plan' AS plan, (e.payload->>'member')::uuid AS member, e.occurred_at,
           (e.payload->>'reached')::boolean AS reached, e.payload->>'outcome' AS outcome,
           (e.payload->>'business_date')::date AS day, e.stream
    FROM event e WHERE e.type IN ('checked_in', 'check_in_corrected') AND e.occurred_at <= $3
      AND (e.stream, e.version) NOT IN (SELECT stream, version FROM corrected)
), own AS (
    SELECT * FROM valid WHERE day BETWEEN $1 AND $2
), gone AS (
    SELECT DISTINCT stream FROM event WHERE type = 'task_left' AND payload->>'state' = 'withdrawn'
      AND stream NOT IN (SELECT stream FROM valid)
), part AS (
    SELECT guide, plan, member, bool_and(stream IN (SELECT stream FROM gone)) AS all_gone FROM listed GROUP BY 1, 2, 3
    UNION ALL SELECT guide, plan, member, false FROM own
), due AS (
    SELECT guide, plan, member, bool_and(all_gone) AS gone FROM part GROUP BY 1, 2, 3
), reached AS (
    SELECT guide, plan, member, max(occurred_at) AS at FROM own WHERE reached GROUP BY 1, 2, 3
), category AS (
    SELECT replace(e.stream, 'plan/', '') AS plan, c.category_id
    FROM event e, jsonb_array_elements_text(e.payload->'spec'->'members'->'bought_categories') AS named
    JOIN daogou.category c ON c.name = named WHERE e.type = 'plan_launched'
), bought AS (
    SELECT p.member_id AS member, coalesce(o.occurred_at, p.occurred_at) AS at, p.quantity, p.value_minor, p.category_id
    FROM daogou.purchase p
    LEFT JOIN daogou.purchase o ON p.is_return AND NOT o.is_return AND o.product = p.product
         AND o.basket = coalesce(p.return_of, p.basket) AND o.known_at <= $3
    WHERE p.occurred_at <= $3 AND p.known_at <= $3
), effect AS (
    SELECT r.guide, r.plan, r.member, coalesce(sum(b.quantity), 0) > 0 AND bool_or(b.quantity > 0) AS success,
           coalesce(sum(b.value_minor), 0) AS value
    FROM reached r
    LEFT JOIN bought b ON b.member = r.member AND b.at > r.at AND b.at <= r.at + make_interval(days => $4::int)
         AND b.category_id IN (SELECT category_id FROM category c WHERE c.plan = r.plan)
         AND NOT EXISTS (SELECT FROM valid v WHERE v.reached AND v.member = r.member AND v.occurred_at < b.at
                         AND v.occurred_at > r.at)
    GROUP BY 1, 2, 3
)
SELECT g.code,
       (SELECT count(*) FROM due d WHERE d.guide = g.id AND NOT d.gone)::int AS due,
       (SELECT count(*) FROM reached r WHERE r.guide = g.id)::int AS completed,
       (SELECT count(*) FROM effect e WHERE e.guide = g.id AND e.success)::int AS success,
       (SELECT coalesce(sum(e.value), 0) FROM effect e WHERE e.guide = g.id AND e.success)::int AS revenue,
       (SELECT count(DISTINCT (o.plan, o.member)) FROM own o WHERE o.guide = g.id AND o.outcome = 'added_friend')::int AS added
FROM (SELECT guide_id::text AS id, code FROM daogou.guide) g
WHERE g.id IN (SELECT guide FROM due) ORDER BY 1
