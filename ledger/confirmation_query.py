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


def _kept(more: str) -> str:
    """Purchases of the claim's member that were not taken back."""
    return f"""
    SELECT 'purchases/' || p.basket || '/' || p.product AS name, p.occurred_at, p.category_id, NULL::uuid AS guide_id
    FROM purchase p
    WHERE p.tenant_id = $1 AND p.member_id = c.member_id AND NOT p.is_return AND p.known_at <= $2 AND p.occurred_at <= $2
      AND {more}
      AND p.quantity + coalesce((
          SELECT sum(b.quantity) FROM purchase b
          WHERE b.tenant_id = $1 AND b.member_id = p.member_id AND b.category_id = p.category_id AND b.is_return
            AND coalesce(b.return_of, b.basket) = p.basket AND b.product = p.product AND b.known_at <= $2
            AND b.occurred_at <= $2), 0) > 0"""


_SHARING = "system_record_also a JOIN valid_records($2) r USING (tenant_id, source, kind, key, revision)"


def _recorded(more: str) -> str:
    """Records of the claim's member; those of a number that several members share are looked up in a table of their own.

    Not by `also`: under row-level security conditions of arrays, which are not leakproof, use no index.
    """
    return " UNION ALL ".join(
        f"""
    SELECT r.kind || '/' || r.source || '/' || r.key AS name, r.occurred_at, NULL::integer AS category_id,
           CASE r.kind WHEN 'friends' THEN r.guide_id END AS guide_id
    FROM {whose}.member_id = c.member_id AND r.tenant_id = $1 AND r.occurred_at <= $2 AND {more}"""
        for whose in ("valid_records($2) r WHERE r", f"{_SHARING} WHERE a.tenant_id = $1 AND a")
    )


def _on_the_day(at: str, days: str = "0") -> str:
    """On the claim's local day, or so many days later; first as instants, for the index."""
    return (
        f"{at} >= c.occurred_at - interval '2 days' AND {at} <= c.occurred_at + ({days} + 2) * interval '1 day'"
        f" AND ({at} AT TIME ZONE c.time_zone)::date BETWEEN c.business_date AND c.business_date + {days}"
    )


def _after(at: str) -> str:
    """Within the attribution window after the claim."""
    return f"{at} > c.occurred_at AND {at} <= c.occurred_at + $12::interval"


_BOUGHT = _kept(_on_the_day("p.occurred_at", "$10::int"))
_SEEN = "r.kind IN ('redemptions', 'visits')"
_CAME = " UNION ALL ".join((
    _recorded(f"{_SEEN} AND {_on_the_day('r.occurred_at')}"), _kept(_on_the_day("p.occurred_at")),
))  # fmt: skip
_CAME_OF_IT = " UNION ALL ".join((
    _recorded(f"({_SEEN} OR r.kind = 'friends' AND r.guide_id = c.guide_id) AND {_after('r.occurred_at')}"),
    _kept(f"p.category_id = c.category_id AND {_after('p.occurred_at')}"),
))  # fmt: skip

# Each claim looks its evidence up by index, so the cost is a claim's, whatever else there is and whatever the planner
# thinks of it. What came after a contact is won by the last one that reached the member before, of any plan.
_CLAIMS = f"""
WITH claim AS MATERIALIZED (
    SELECT c.task_id, c.version, c.plan_id, c.cycle, c.member_id, c.guide_id, c.occurred_at, c.business_date, c.channel,
           c.outcome, c.reached, t.category_id, g.store_id, g.code AS guide, coalesce(s.code, '') AS store,
           coalesce(d.time_zone, s.time_zone, p.time_zone) AS time_zone
    FROM check_in_ever c
    JOIN task t ON t.tenant_id = $1 AND t.task_id = c.task_id
    JOIN guide g ON g.tenant_id = $1 AND g.guide_id = c.guide_id
    JOIN plan_cycle p ON p.tenant_id = $1 AND p.plan_id = c.plan_id AND p.cycle = c.cycle
    -- Where she stands now may be out of the asker's reach, though what she did is in it.
    LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
    -- The zone she worked in that day, wherever she stands now.
    LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = c.guide_id AND d.business_date = c.business_date
    WHERE c.tenant_id = $1 AND c.known_at <= $2 AND c.superseded_at > $2 AND c.occurred_at <= $2
      AND ($3::timestamptz IS NULL OR c.occurred_at >= $3) AND ($4::timestamptz IS NULL OR c.occurred_at < $4)
      AND ($5::text IS NULL OR c.plan_id = $5) AND ($6::int IS NULL OR c.cycle = $6)
      AND ($7::uuid[] IS NULL OR c.guide_id = ANY($7))
), graded AS MATERIALIZED (
    SELECT c.*, coalesce(l.answered, false) AS answered, coalesce(l.short, false) AS short,
           coalesce(l.unanswered, false) AS unanswered, f.names IS NOT NULL AS friend, b.names IS NOT NULL AS bought,
           v.names IS NOT NULL AS came,
           coalesce(c.occurred_at + $8::interval <= $13::timestamptz, false) AS calls_told,
           coalesce(c.occurred_at + $9::interval <= $14::timestamptz, false) AS friends_told,
           coalesce((c.business_date + $10::int + 1)::timestamp AT TIME ZONE c.time_zone <= $15::timestamptz, false)
               AS purchases_told,
           coalesce((c.business_date + 1)::timestamp AT TIME ZONE c.time_zone <= $16::timestamptz, false)
               AS visits_told,
           coalesce(l.names, '{{}}') || coalesce(f.names, '{{}}') || coalesce(b.names, '{{}}') || coalesce(v.names, '{{}}')
               AS records,
           coalesce(o.names, '{{}}') || coalesce(f.names, '{{}}') || coalesce(b.names, '{{}}') || coalesce(v.names, '{{}}')
               AS came_of_it
    FROM claim c
    LEFT JOIN LATERAL (
        SELECT bool_or(r.answered AND r.seconds > $11) AS answered, bool_or(r.answered AND r.seconds <= $11) AS short,
               bool_or(NOT r.answered) AS unanswered, array_agg(r.kind || '/' || r.source || '/' || r.key) AS names
        FROM valid_records($2) r
        WHERE c.channel = 'phone' AND r.tenant_id = $1 AND r.guide_id = c.guide_id AND r.kind = 'calls'
          AND r.occurred_at BETWEEN c.occurred_at - $8::interval AND c.occurred_at + $8::interval
          AND (r.member_id = c.member_id OR c.member_id = ANY (r.also))
    ) l ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(r.kind || '/' || r.source || '/' || r.key) AS names FROM valid_records($2) r
        WHERE c.outcome = 'added_friend' AND r.tenant_id = $1 AND r.guide_id = c.guide_id AND r.kind = 'friends'
          AND r.occurred_at BETWEEN c.occurred_at - $9::interval AND c.occurred_at + $9::interval
          AND (r.member_id = c.member_id OR c.member_id = ANY (r.also))
    ) f ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(k.name) AS names FROM ({_BOUGHT}) k WHERE c.outcome = 'bought'
    ) b ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(k.name) AS names FROM ({_CAME}) k WHERE c.outcome = 'came' OR c.channel = 'in_store'
    ) v ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(k.name) AS names FROM ({_CAME_OF_IT}) k
        WHERE c.reached AND NOT EXISTS (
            SELECT FROM check_in_ever n JOIN task t ON t.tenant_id = $1 AND t.task_id = n.task_id
            WHERE n.tenant_id = $1 AND n.member_id = c.member_id AND n.reached AND n.known_at <= $2
              AND n.superseded_at > $2
              AND n.occurred_at >= c.occurred_at AND n.occurred_at < k.occurred_at
              AND (n.occurred_at, n.plan_id, n.guide_id, n.task_id, n.version)
                  > (c.occurred_at, c.plan_id, c.guide_id, c.task_id, c.version)
              AND (k.category_id IS NULL OR t.category_id = k.category_id)
              AND (k.guide_id IS NULL OR n.guide_id = k.guide_id))
    ) o ON true
)"""

# How many check-ins there are, hour by hour and guide by guide: what a slice is cut by.
BY_HOUR = """
SELECT date_trunc('hour', c.occurred_at) AS hour, count(*) AS number FROM check_in_ever c
WHERE c.tenant_id = $1 AND c.known_at <= $2 AND c.superseded_at > $2 AND c.occurred_at <= $2
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

_ALIKE = ", ".join(SIGNATURE)
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
