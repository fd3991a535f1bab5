"""Plans, their cycles and their Checks, as the events of the plan's stream tell them."""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields

_LAST = """last AS (
    SELECT DISTINCT ON (stream, type) stream, type, version, occurred_at, payload FROM told_other
    WHERE kind = 'plan' ORDER BY stream, type, version DESC
)"""

# A pause lasts until the earliest instant at which anything later took it back.
_PAUSED = """paused AS (
    SELECT stream, range_agg(tstzrange(occurred_at, until)) AS paused FROM (
        SELECT stream, occurred_at, payload->>'status' AS status,
               min(occurred_at) FILTER (WHERE payload->>'status' <> 'paused') OVER (
                   PARTITION BY stream ORDER BY version ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS until
        FROM told_other WHERE type = 'plan_status_changed'
    ) s WHERE status = 'paused' AND (until IS NULL OR until > occurred_at) GROUP BY stream
)"""


def _plan(fields: Fields) -> str:
    of = Fields(fields.careful, "c.payload").of
    stores = Fields(fields.careful, "l.payload").array("canary")
    return f"""
WITH {_LAST}, {_PAUSED}, newest AS (SELECT stream, max(version) AS version FROM told_other WHERE kind = 'plan' GROUP BY 1)
SELECT l.stream AS told_stream, n.version AS told_version, l.name AS plan_id, coalesce(s.payload->>'status', 'running') AS status,
       coalesce(a.payload, l.payload)->'spec' AS spec, coalesce({of("cycle", "integer")}, 0) AS cycle,
       n.version, l.occurred_at AS launched_at,
       CASE WHEN k.stream IS NULL THEN nullif(ARRAY(SELECT jsonb_array_elements_text({stores})), '{{}}') END AS canary,
       coalesce(p.paused, '{{}}') AS paused,
       CASE WHEN s.payload->>'status' IN ('closed', 'recalled') THEN s.occurred_at END AS ended_at
FROM told_other l JOIN newest n ON n.stream = l.stream
LEFT JOIN last a ON a.stream = l.stream AND a.type = 'plan_adjusted'
LEFT JOIN last s ON s.stream = l.stream AND s.type = 'plan_status_changed'
LEFT JOIN last c ON c.stream = l.stream AND c.type = 'cycle_started'
LEFT JOIN last k ON k.stream = l.stream AND k.type = 'canary_confirmed'
LEFT JOIN paused p ON p.stream = l.stream
WHERE l.type = 'plan_launched'"""


def _cycle(fields: Fields) -> str:
    told = Fields(fields.careful, "c.payload")
    checked = Fields(fields.careful, "payload").of("cycle", "integer")
    return f"""
SELECT c.stream AS told_stream, coalesce(k.version, c.version) AS told_version, c.name AS plan_id,
       {told.of("cycle", "integer")} AS cycle, {told.of("starts_on", "date")} AS starts_on,
       {told.of("ends_on", "date")} AS ends_on, c.payload->>'time_zone' AS time_zone,
       CASE WHEN k.stream IS NULL THEN 'running' WHEN k.kind = 'settled' THEN 'settled' ELSE 'checked' END AS state,
       c.payload->'days_per_unit' AS days_per_unit, coalesce(c.payload->'rhythms', '{{}}') AS rhythms, c.known_at AS started_at
FROM told_other c LEFT JOIN (
    SELECT DISTINCT ON (stream, {checked}) stream, {checked} AS cycle, version, payload->>'kind' AS kind
    FROM told_other WHERE type = 'cycle_checked' ORDER BY stream, {checked}, version DESC
) k ON k.stream = c.stream AND k.cycle = {told.of("cycle", "integer")}
WHERE c.type = 'cycle_started'"""


def _check(fields: Fields) -> str:
    told = Fields(fields.careful, "payload")
    cycle, kind = told.of("cycle", "integer"), "payload->>'kind'"
    return f"""
SELECT DISTINCT ON (stream, {cycle}, {kind}) stream AS told_stream, version AS told_version,
       name AS plan_id, {cycle} AS cycle,
       {kind} AS kind, {told.of("as_of", "timestamptz")} AS as_of, {told.of("position", "bigint")} AS position,
       payload->'figures' AS figures
FROM told_other WHERE type = 'cycle_checked' ORDER BY stream, {cycle}, {kind}, version DESC"""


PLAN = Projection(
    table="plan",
    label="plan",
    key=("plan_id",),
    columns=("status", "spec", "cycle", "version", "launched_at", "canary", "paused", "ended_at"),
    told=_plan,
    stream="'plan/' || k.plan_id",
    as_text=frozenset({"spec"}),
)
CYCLE = Projection(
    table="plan_cycle",
    label="cycle",
    key=("plan_id", "cycle"),
    columns=("starts_on", "ends_on", "time_zone", "state", "days_per_unit", "rhythms", "started_at"),
    told=_cycle,
    stream="'plan/' || k.plan_id",
    as_text=frozenset({"days_per_unit", "rhythms"}),
)
CHECK = Projection(
    table="plan_check",
    label="Check",
    key=("plan_id", "cycle", "kind"),
    columns=("as_of", "position", "figures"),
    told=_check,
    stream="'plan/' || k.plan_id",
    as_text=frozenset({"figures"}),
)
