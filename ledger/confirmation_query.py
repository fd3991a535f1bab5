"""The one query that finds evidence for claims, set-based; what is made of it is `domain.confirmation`'s.

Arguments of every statement here: $1 tenant, $2 as of, $3 since, $4 until, $5 plan, $6 cycle, $7 guides, $8 span of a call,
$9 span of a friend, $10 days of a purchase, $11 seconds of a short call, $12 attribution window, $13 to $16 up to when
calls, friends, purchases and visits are complete. What is not named is null.
"""

from __future__ import annotations

SIGNATURE = (
    "channel",
    "outcome",
    "answered",
    "short",
    "unanswered",
    "friend",
    "bought",
    "came",
    "calls_told",
    "friends_told",
    "purchases_told",
    "visits_told",
)
"""All that `domain.confirmation.stand` looks at: check-ins that agree in these stand alike."""

# The claims; what their members' records, purchases and later contacts are; which of them prove a claim, and which came
# of one: the last reached contact before it wins, of any plan, as for the Check.
_CLAIMS = """
WITH claim AS MATERIALIZED (
    SELECT c.task_id, c.version, c.plan_id, c.cycle, c.member_id, c.guide_id, c.occurred_at, c.business_date, c.channel,
           c.outcome, g.store_id, g.code AS guide, s.code AS store, s.time_zone
    FROM check_in c
    JOIN guide g ON g.tenant_id = $1 AND g.guide_id = c.guide_id
    JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
    WHERE c.tenant_id = $1 AND c.known_at <= $2 AND c.occurred_at <= $2
      AND ($3::timestamptz IS NULL OR c.occurred_at >= $3) AND ($4::timestamptz IS NULL OR c.occurred_at < $4)
      AND ($5::text IS NULL OR c.plan_id = $5) AND ($6::int IS NULL OR c.cycle = $6)
      AND ($7::uuid[] IS NULL OR c.guide_id = ANY($7))
), span AS MATERIALIZED (
    SELECT min(occurred_at) - greatest($9::interval, interval '2 days') AS first,
           max(occurred_at) + greatest($12::interval, interval '2 days') AS last FROM claim
), party AS MATERIALIZED (
    SELECT r.kind, r.kind || '/' || r.source || '/' || r.key AS name, r.guide_id, p.member_id, r.occurred_at, r.seconds,
           r.answered
    FROM valid_records($2) r CROSS JOIN LATERAL unnest(r.member_id || r.also) AS p(member_id)
    WHERE r.tenant_id = $1 AND r.occurred_at >= (SELECT first FROM span)
      AND r.occurred_at <= least((SELECT last FROM span), $2) AND p.member_id IN (SELECT member_id FROM claim)
), kept AS MATERIALIZED (
    SELECT 'purchases/' || p.basket || '/' || p.product AS name, p.member_id, p.occurred_at, p.category_id
    FROM purchase p
    LEFT JOIN (
        SELECT coalesce(r.return_of, r.basket) AS basket, r.product, sum(r.quantity) AS back FROM purchase r
        WHERE r.tenant_id = $1 AND r.is_return AND r.known_at <= $2 AND r.occurred_at <= $2
          AND r.member_id IN (SELECT member_id FROM claim)
        GROUP BY 1, 2
    ) b ON b.basket = p.basket AND b.product = p.product
    WHERE p.tenant_id = $1 AND NOT p.is_return AND p.known_at <= $2 AND p.occurred_at >= (SELECT first FROM span)
      AND p.occurred_at <= least((SELECT last FROM span), $2) AND p.member_id IN (SELECT member_id FROM claim)
      AND p.quantity + coalesce(b.back, 0) > 0
), call AS (
    SELECT c.task_id, c.version, bool_or(r.answered AND r.seconds > $11) AS answered,
           bool_or(r.answered AND r.seconds <= $11) AS short, bool_or(NOT r.answered) AS unanswered,
           array_agg(DISTINCT r.name) AS names
    FROM claim c JOIN party r ON r.guide_id = c.guide_id AND r.member_id = c.member_id
    WHERE c.channel = 'phone' AND r.kind = 'calls'
      AND r.occurred_at BETWEEN c.occurred_at - $8::interval AND c.occurred_at + $8::interval
    GROUP BY 1, 2
), proof AS (
    SELECT c.task_id, c.version, 'friend' AS what, r.name FROM claim c
    JOIN party r ON r.guide_id = c.guide_id AND r.member_id = c.member_id AND r.kind = 'friends'
    WHERE c.outcome = 'added_friend'
      AND r.occurred_at BETWEEN c.occurred_at - $9::interval AND c.occurred_at + $9::interval
    UNION ALL
    SELECT c.task_id, c.version, 'bought', k.name FROM claim c JOIN kept k ON k.member_id = c.member_id
    WHERE c.outcome = 'bought'
      AND (k.occurred_at AT TIME ZONE c.time_zone)::date BETWEEN c.business_date AND c.business_date + $10::int
    UNION ALL
    SELECT c.task_id, c.version, 'came', f.name FROM claim c JOIN (
        SELECT member_id, occurred_at, name FROM party WHERE kind IN ('visits', 'redemptions')
        UNION ALL SELECT member_id, occurred_at, name FROM kept
    ) f ON f.member_id = c.member_id
    WHERE (c.outcome = 'came' OR c.channel = 'in_store')
      AND (f.occurred_at AT TIME ZONE c.time_zone)::date = c.business_date
), proven AS (
    SELECT task_id, version, bool_or(what = 'friend') AS friend, bool_or(what = 'bought') AS bought,
           bool_or(what = 'came') AS came, array_agg(DISTINCT name) AS names
    FROM proof GROUP BY 1, 2
), fact AS (
    SELECT name, member_id, occurred_at, category_id, NULL::uuid AS guide_id FROM kept
    UNION ALL
    SELECT name, member_id, occurred_at, NULL, CASE kind WHEN 'friends' THEN guide_id END FROM party WHERE kind <> 'calls'
), contact AS (
    SELECT k.task_id, k.version, k.plan_id, k.guide_id, k.member_id, k.occurred_at, t.category_id
    FROM check_in k JOIN task t ON t.tenant_id = $1 AND t.task_id = k.task_id
    WHERE k.tenant_id = $1 AND k.reached AND k.known_at <= $2 AND k.occurred_at >= (SELECT first FROM span)
      AND k.occurred_at <= least((SELECT last FROM span), $2) AND k.member_id IN (SELECT member_id FROM fact)
), won AS (
    SELECT DISTINCT ON (f.name, f.member_id) f.name, k.task_id, k.version
    FROM fact f JOIN contact k ON k.member_id = f.member_id
    WHERE f.occurred_at > k.occurred_at AND f.occurred_at <= k.occurred_at + $12::interval
      AND (f.category_id IS NULL OR f.category_id = k.category_id)
      AND (f.guide_id IS NULL OR f.guide_id = k.guide_id)
    ORDER BY f.name, f.member_id, k.occurred_at DESC, k.plan_id DESC, k.guide_id DESC, k.task_id, k.version
), came_of AS (
    SELECT task_id, version, array_agg(name ORDER BY name) AS names FROM won GROUP BY 1, 2
), graded AS MATERIALIZED (
    SELECT c.*, coalesce(l.answered, false) AS answered, coalesce(l.short, false) AS short,
           coalesce(l.unanswered, false) AS unanswered, coalesce(p.friend, false) AS friend,
           coalesce(p.bought, false) AS bought, coalesce(p.came, false) AS came,
           coalesce(c.occurred_at + $8::interval <= $13::timestamptz, false) AS calls_told,
           coalesce(c.occurred_at + $9::interval <= $14::timestamptz, false) AS friends_told,
           coalesce((c.business_date + $10::int + 1)::timestamp AT TIME ZONE c.time_zone <= $15::timestamptz, false)
               AS purchases_told,
           coalesce((c.business_date + 1)::timestamp AT TIME ZONE c.time_zone <= $16::timestamptz, false)
               AS visits_told,
           coalesce(l.names, '{}') || coalesce(p.names, '{}') AS records,
           coalesce(o.names, '{}') || coalesce(p.names, '{}') AS came_of_it
    FROM claim c
    LEFT JOIN call l USING (task_id, version)
    LEFT JOIN proven p USING (task_id, version)
    LEFT JOIN came_of o USING (task_id, version)
)"""

_ALIKE = ", ".join(SIGNATURE)
# How many check-ins there are, hour by hour and guide by guide: what a slice is cut by.
BY_HOUR = """
SELECT date_trunc('hour', c.occurred_at) AS hour, count(*) AS number FROM check_in c
WHERE c.tenant_id = $1 AND c.known_at <= $2 AND c.occurred_at <= $2
  AND ($3::timestamptz IS NULL OR c.occurred_at >= $3) AND ($4::timestamptz IS NULL OR c.occurred_at < $4)
  AND ($5::text IS NULL OR c.plan_id = $5) AND ($6::int IS NULL OR c.cycle = $6)
  AND ($7::uuid[] IS NULL OR c.guide_id = ANY($7))
GROUP BY 1 ORDER BY 1"""
BY_GUIDE = """
SELECT c.guide_id, count(*) AS number FROM check_in c
WHERE c.tenant_id = $1 AND c.known_at <= $2 AND c.occurred_at <= $2
  AND ($3::timestamptz IS NULL OR c.occurred_at >= $3) AND ($4::timestamptz IS NULL OR c.occurred_at < $4)
  AND ($5::uuid[] IS NULL OR c.guide_id = ANY($5))
GROUP BY 1 ORDER BY 1"""

_CASE = f"concat_ws('/', {_ALIKE})"

COUNTS = f"""{_CLAIMS}
SELECT guide_id, store_id, plan_id, {_ALIKE}, cardinality(came_of_it) > 0 AS outcome_there, count(*)::int AS number
FROM graded GROUP BY guide_id, store_id, plan_id, {_ALIKE}, outcome_there"""

CASES = f"{_CLAIMS} SELECT DISTINCT {_CASE} AS told, {_ALIKE} FROM graded"

# $17 the cases wanted, $18 to $20 where the page before ended, $21 most rows
LISTED = f"""{_CLAIMS}
SELECT g.task_id, g.version, g.plan_id AS plan, g.cycle, g.guide_id, g.guide, g.store, g.member_id, g.occurred_at, g.records,
       g.came_of_it, {_ALIKE}
FROM graded g
WHERE {_CASE} = ANY ($17::text[])
  AND ($18::timestamptz IS NULL OR (g.occurred_at, g.task_id, g.version) > ($18, $19::uuid, $20::int))
ORDER BY g.occurred_at, g.task_id, g.version LIMIT $21"""
