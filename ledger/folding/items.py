"""Items, reports of them, and the members of a cycle, as the events of items and members tell them."""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields


def _task(_: Fields) -> str:
    # The newest of reports, restatements and leavings says where the item stands. A report of an item that had expired
    # left, before it said so itself, the reason for which it expired.
    return """
SELECT 'task/' || c.task_id AS told_stream,
       greatest(c.version, r.version, l.version, m.version, z.version) AS told_version, c.task_id, c.plan_id, c.cycle, c.member_id,
       c.category_id, coalesce(m.guide_id, c.guide_id) AS guide_id, c.run_out_on, coalesce(r.due_on, c.due_on) AS due_on,
       c.due_on AS first_due_on, c.bought_at,
       CASE WHEN l.version > coalesce(r.version, 0) THEN l.state ELSE coalesce(r.state, 'open') END AS state,
       CASE WHEN l.version > coalesce(r.version, 0) OR r.leaves_reason THEN l.reason ELSE r.reason END AS reason,
       coalesce(r.attempt, 0) AS attempts, r.last_on AS last_attempt_on, c.known_at,
       coalesce(z.snoozes, 0) AS snoozes, z.business_date AS snoozed_on, z.until AS snoozed_until, z.reason AS snooze_reason, coalesce(m.lent, false) AS lent
FROM told_item c
LEFT JOIN told_report r ON r.task_id = c.task_id
LEFT JOIN (SELECT DISTINCT ON (task_id) task_id, version, state, reason FROM told_item WHERE type = 'task_left'
           ORDER BY task_id, version DESC) l ON l.task_id = c.task_id
LEFT JOIN (SELECT DISTINCT ON (task_id) task_id, version, guide_id, lent FROM told_item WHERE type = 'task_reassigned'
           ORDER BY task_id, version DESC) m ON m.task_id = c.task_id
LEFT JOIN (SELECT DISTINCT ON (task_id) task_id, version, business_date, until, reason,
                  count(*) OVER (PARTITION BY task_id)::integer AS snoozes
           FROM told_item WHERE type = 'task_snoozed' ORDER BY task_id, version DESC) z ON z.task_id = c.task_id
WHERE c.type = 'task_created'"""


_REPORT = """t.task_id, t.version, t.plan_id, t.cycle, t.member_id, t.performed_by AS guide_id, t.actor, t.occurred_at,
       t.known_at, t.business_date, t.channel, t.outcome, t.reached, t.grade,
       CASE t.products WHEN '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(t.products)) END AS products,
       t.next_on, t.note_id, t.conflict, coalesce(t.late, false) AS late, coalesce(t.skew_s, 0) AS skew_s,
       t.supersedes AS corrects, t.why_id, t.device_id, t.evidence"""


def _check_in(_: Fields) -> str:
    return f"""
SELECT 'task/' || t.task_id AS told_stream, t.version AS told_version, {_REPORT}
FROM told_item t WHERE t.type IN ('checked_in', 'check_in_corrected')
  AND NOT EXISTS (SELECT FROM told_item s WHERE s.task_id = t.task_id AND s.supersedes = t.version)"""


def _check_in_superseded(_: Fields) -> str:
    return f"""
SELECT 'task/' || t.task_id AS told_stream, s.version AS told_version, {_REPORT}, s.known_at AS superseded_at,
       s.version AS superseded_by, s.type = 'check_in_voided' AS voided,
       CASE s.type WHEN 'check_in_voided' THEN s.actor END AS voided_by,
       CASE s.type WHEN 'check_in_voided' THEN s.why_id END AS voided_why_id
FROM told_item t JOIN told_item s ON s.task_id = t.task_id AND s.supersedes = t.version
WHERE t.type IN ('checked_in', 'check_in_corrected')"""


# Of several items of a member the newest report counts. Reports of one member are made one at a time, so their positions
# stand in that order, and those that wait for one come after; only members with several items are looked up.
_REPORTED = """grouped AS MATERIALIZED (
    SELECT r.*, count(*) OVER (PARTITION BY plan_id, cycle, member_id) AS items FROM told_report r
    WHERE r.plan_id IS NOT NULL
), reported AS (
    SELECT plan_id, cycle, member_id, grade, dial_days, dialled_on, reached_at FROM grouped WHERE items = 1
    UNION ALL
    (SELECT DISTINCT ON (plan_id, cycle, member_id) plan_id, cycle, member_id, grade, dial_days,
            max(dialled_on) OVER own AS dialled_on, max(reached_at) OVER own AS reached_at
     FROM (
         SELECT g.*, coalesce(
             (SELECT p.position FROM daogou.event_position p WHERE p.tenant_id = $1
                AND p.stream = 'task/' || g.task_id AND p.version = g.version),
             (SELECT 4611686018427387904 + q.id FROM daogou.event_pending q WHERE q.tenant_id = $1
                AND q.stream = 'task/' || g.task_id AND q.version = g.version)) AS place
         FROM grouped g WHERE items > 1
     ) g
     WINDOW own AS (PARTITION BY plan_id, cycle, member_id)
     ORDER BY plan_id, cycle, member_id, place DESC, known_at DESC)
)"""

# Where anything says in full where it leaves a member, the last that does counts, and what came in order after it.
_RESTATED = """stated AS (
    -- Who sees no positions goes by what was known when.
    SELECT o.*, coalesce(p.position, 4611686018427387904 + q.id, (extract(epoch FROM o.known_at) * 1000000)::bigint) AS place
    FROM (
        SELECT 'task/' || task_id AS stream, version, known_at, plan_id, cycle, member_id, in_full IS TRUE AS in_full,
               CASE WHEN in_full THEN member_grade ELSE grade END AS grade,
               CASE WHEN in_full THEN member_dial_days ELSE dial_days END AS dial_days,
               CASE WHEN in_full THEN member_dial_on WHEN NOT reached THEN business_date END AS last_dial_on,
               CASE WHEN in_full THEN member_reached_at WHEN reached THEN occurred_at END AS last_reached_at
        FROM told_item WHERE (type = 'checked_in' OR in_full)
          AND (plan_id, cycle, member_id) IN (SELECT plan_id, cycle, member_id FROM told_item WHERE in_full
                                              UNION SELECT {plan}, {cycle}, {member} FROM told_other o
                                              WHERE o.type = 'member_restated')
        UNION ALL
        SELECT o.stream, o.version, o.known_at, {plan}, {cycle}, {member}, true, {grade}, {dial_days}, {dial_on}, {reached_at}
        FROM told_other o WHERE o.type = 'member_restated'
    ) o
    LEFT JOIN daogou.event_position p ON p.tenant_id = $1 AND p.stream = o.stream AND p.version = o.version
    LEFT JOIN daogou.event_pending q ON q.tenant_id = $1 AND q.stream = o.stream AND q.version = o.version
), restated AS (
    SELECT DISTINCT ON (plan_id, cycle, member_id) s.plan_id, s.cycle, s.member_id, s.grade, s.dial_days,
           max(s.last_dial_on) OVER own AS last_dial_on, max(s.last_reached_at) OVER own AS last_reached_at
    FROM stated s JOIN (
        SELECT plan_id, cycle, member_id, max(place) FILTER (WHERE in_full) AS since FROM stated GROUP BY 1, 2, 3
    ) f USING (plan_id, cycle, member_id)
    WHERE s.place >= f.since WINDOW own AS (PARTITION BY s.plan_id, s.cycle, s.member_id)
    ORDER BY plan_id, cycle, member_id, s.place DESC
)"""


def _restated(fields: Fields) -> str:
    told, member = Fields(fields.careful, "o.payload"), Fields(fields.careful, "(o.payload->'leaves_member')")
    return _RESTATED.format(
        plan=told.text("plan"),
        cycle=told.of("cycle", "integer"),
        member=told.of("member", "uuid"),
        grade=member.text("grade"),
        dial_days=member.of("dial_days", "integer"),
        dial_on=member.of("last_dial_on", "date"),
        reached_at=member.of("last_reached_at", "timestamptz"),
    )


# What a member brings along into a cycle was not said in version 1: the newest report of the plan's cycles before the
# draw, but for a D that a purchase had lifted.
_BROUGHT = """brought AS (
    SELECT DISTINCT ON (stream) stream, dial_days, CASE WHEN grade <> 'D' OR declined THEN grade END AS grade,
           last_dial_on, last_reached_at
    FROM (
        SELECT f.stream, i.dial_days, i.grade, i.known_at, i.version,
               bool_or(i.grade = 'D' AND NOT EXISTS (
                   SELECT FROM daogou.purchase p WHERE p.tenant_id = $1 AND p.member_id = f.member_id
                     AND p.quantity > 0 AND p.occurred_at > i.occurred_at
                     AND p.occurred_at <= f.known_at AND p.known_at <= f.known_at)) OVER own AS declined,
               max(i.business_date) FILTER (WHERE NOT i.reached) OVER own AS last_dial_on,
               max(i.occurred_at) FILTER (WHERE i.reached) OVER own AS last_reached_at
        FROM told_member f JOIN told_item i ON i.type = 'checked_in' AND i.plan_id = f.plan_id
             AND i.member_id = f.member_id AND i.cycle < f.cycle AND i.known_at < f.known_at
        WHERE f.schema_version = 1 AND f.version = 1 AND f.cycle > 1
        WINDOW own AS (PARTITION BY f.stream)
    ) b ORDER BY stream, known_at DESC, version DESC
)"""


def _member(fields: Fields) -> str:
    return f"""
WITH {_REPORTED}, {_restated(fields)}, {_BROUGHT}
SELECT f.stream AS told_stream, coalesce(l.version, f.version) AS told_version, f.plan_id, f.cycle, f.member_id,
       CASE WHEN l.stream IS NULL THEN f.guide_id ELSE l.guide_id END AS guide_id,
       CASE WHEN l.stream IS NULL THEN f.strategy ELSE l.strategy END AS strategy,
       coalesce(l.why, f.why) AS why,
       CASE WHEN l.stream IS NULL THEN f.score ELSE l.score END AS score,
       CASE WHEN l.stream IS NULL THEN f.runner_up ELSE l.runner_up END AS runner_up,
       coalesce(l.tried, f.tried, '[]') AS tried, f.value_minor, f.quadrant,
       CASE WHEN n.plan_id IS NOT NULL THEN n.grade
            WHEN r.plan_id IS NULL THEN coalesce(b.grade, f.grade) ELSE r.grade END AS grade,
       coalesce(n.dial_days, r.dial_days, b.dial_days, f.dial_days) AS dial_days,
       CASE WHEN n.plan_id IS NOT NULL THEN n.last_dial_on
            ELSE greatest(f.last_dial_on, b.last_dial_on, r.dialled_on) END AS last_dial_on,
       CASE WHEN n.plan_id IS NOT NULL THEN n.last_reached_at
            ELSE greatest(f.last_reached_at, b.last_reached_at, r.reached_at) END AS last_reached_at
FROM told_member f
LEFT JOIN (SELECT DISTINCT ON (stream) * FROM told_member WHERE version > 1 ORDER BY stream, version DESC) l
       ON l.stream = f.stream
LEFT JOIN reported r ON r.plan_id = f.plan_id AND r.cycle = f.cycle AND r.member_id = f.member_id
LEFT JOIN restated n ON n.plan_id = f.plan_id AND n.cycle = f.cycle AND n.member_id = f.member_id
LEFT JOIN brought b ON b.stream = f.stream
WHERE f.version = 1"""


TASK = Projection(
    table="task",
    label="item",
    key=("task_id",),
    columns=(
        "plan_id", "cycle", "member_id", "category_id", "guide_id", "run_out_on", "due_on", "first_due_on", "bought_at",
        "state", "reason", "attempts", "last_attempt_on", "known_at", "snoozes", "snoozed_on", "snoozed_until",
        "snooze_reason", "lent",
    ),
    told=_task,
    stream="'task/' || k.task_id",
)  # fmt: skip
COLD_ITEM = Projection(
    table="cold_item",
    label="item of who is going cold",
    key=("task_id",),
    columns=("silent_since",),
    told=lambda _fields: (
        "SELECT 'task/' || task_id AS told_stream, version AS told_version, task_id, silent_since FROM told_item"
        " WHERE type = 'task_created' AND silent_since IS NOT NULL"
    ),
    stream="'task/' || k.task_id",
)
CHECK_IN = Projection(
    table="check_in",
    label="check-in",
    key=("task_id", "version"),
    columns=(
        "plan_id", "cycle", "member_id", "guide_id", "actor", "occurred_at", "known_at", "business_date", "channel",
        "outcome", "reached", "grade", "products", "next_on", "note_id", "conflict", "late", "skew_s", "corrects", "why_id",
        "device_id", "evidence",
    ),
    told=_check_in,
    stream="'task/' || k.task_id",
)  # fmt: skip
CHECK_IN_SUPERSEDED = Projection(
    table="check_in_superseded",
    label="check-in that holds no more",
    key=("task_id", "version"),
    columns=(
        *CHECK_IN.columns, "superseded_at", "superseded_by", "voided", "voided_by", "voided_why_id",
    ),
    told=_check_in_superseded,
    stream="'task/' || k.task_id",
)  # fmt: skip
MEMBER = Projection(
    table="plan_member",
    label="member of a cycle",
    key=("plan_id", "cycle", "member_id"),
    columns=(
        "guide_id", "strategy", "why", "score", "runner_up", "tried", "value_minor", "quadrant", "grade", "dial_days",
        "last_dial_on", "last_reached_at",
    ),
    told=_member,
    stream="'plan-member/' || k.plan_id || '/' || k.cycle || '/' || k.member_id",
    as_text=frozenset({"tried"}),
)  # fmt: skip
