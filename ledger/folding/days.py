"""Guides' days and lists, as the events of the days tell them.

A list that is cut and neither published nor closed is a draft: no event tells of it, and it stands as it is. What was
on a list that version 1 of `day_closed` closed unpublished no event tells either.
"""

from __future__ import annotations

from ledger.folding.projections import Projection
from ledger.folding.telling import Fields


def _guide_day(fields: Fields) -> str:
    published, closed, counted, changed = (Fields(fields.careful, f"{one}.payload") for one in "pdno")
    guide, day = (
        Fields(fields.careful).cast(f"split_part(s.name, '/', {part})", kind)
        for part, kind in ((1, "uuid"), (2, "date"))
    )
    return f"""
WITH e AS (
    SELECT DISTINCT ON (stream, type) stream, name, version, type, occurred_at, payload FROM told_other
    WHERE type IN ('list_published', 'clocked_in', 'day_closed') ORDER BY stream, type, version
), s AS (
    SELECT stream, name, max(version) AS version FROM e GROUP BY 1, 2 HAVING bool_or(type <> 'clocked_in')
)
SELECT s.stream AS told_stream, greatest(s.version, n.version, x.version) AS told_version, {guide} AS guide_id, {day} AS business_date,
       coalesce(p.payload->>'time_zone', nullif(d.payload->>'time_zone', '')) AS time_zone,
       CASE WHEN d.stream IS NULL THEN 'published' ELSE 'closed' END AS state,
       coalesce(jsonb_array_length({published.array("tasks")}) + coalesce(x.more, 0), {closed.of("listed", "integer")}) AS listed,
       coalesce({published.of("target_calls", "integer")}, {closed.of("target_calls", "integer")}) AS target_calls,
       coalesce({published.of("target_invitations", "integer")}, {closed.of("target_invitations", "integer")}) AS target_invitations,
       coalesce({counted.of("done", "integer")}, {closed.of("done", "integer")}) AS done,
       coalesce({counted.of("reached", "integer")}, {closed.of("reached", "integer")}) AS reached,
       coalesce({counted.of("carried", "integer")}, {closed.of("carried", "integer")}) AS carried,
       coalesce({counted.of("late", "integer")}, 0) AS late,
       coalesce({counted.of("corrected", "integer")}, 0) AS corrected,
       coalesce({counted.of("version", "integer")}, 1) AS figures_version,
       coalesce({published.of("opens_at", "timestamptz")}, {closed.of("opens_at", "timestamptz")}) AS opens_at,
       CASE WHEN coalesce(p.payload->>'closes_at', d.payload->>'closes_at') IS NOT NULL THEN
           least(coalesce({published.of("closes_at", "timestamptz")}, {closed.of("closes_at", "timestamptz")}),
                 d.occurred_at) END AS closes_at,
       p.occurred_at AS published_at, d.occurred_at AS closed_at, c.occurred_at AS clocked_in_at
FROM s
LEFT JOIN e p ON p.stream = s.stream AND p.type = 'list_published'
LEFT JOIN e d ON d.stream = s.stream AND d.type = 'day_closed'
LEFT JOIN e c ON c.stream = s.stream AND c.type = 'clocked_in'
LEFT JOIN (
    SELECT DISTINCT ON (stream) stream, version, payload FROM told_other WHERE type = 'day_recounted'
    ORDER BY stream, version DESC
) n ON n.stream = s.stream
LEFT JOIN (
    SELECT o.stream, max(o.version) AS version, sum(CASE o.type WHEN 'list_extended' THEN 1 ELSE -1 END
               * coalesce(jsonb_array_length({changed.array("tasks")}), 0))::integer AS more
    FROM told_other o WHERE o.type IN ('list_extended', 'list_shortened') GROUP BY 1
) x ON x.stream = s.stream"""


def _guide_absence(fields: Fields) -> str:
    told = Fields(fields.careful, "o.payload")
    return f"""
SELECT o.stream AS told_stream, o.version AS told_version, {told.of("guide", "uuid")} AS guide_id,
       {told.of("business_date", "date")} AS business_date, o.occurred_at AS told_at
FROM told_other o WHERE o.type = 'guide_absent'"""


def _list_item(fields: Fields) -> str:
    told = Fields(fields.careful, "o.payload")
    guide, day = (
        Fields(fields.careful).cast(f"split_part(o.name, '/', {part})", kind)
        for part, kind in ((1, "uuid"), (2, "date"))
    )
    task = Fields(fields.careful).cast("i.task", "uuid")
    return f"""
SELECT o.stream AS told_stream, o.version AS told_version, {guide} AS guide_id, {day} AS business_date,
       (i.rank + coalesce({told.of("first_rank", "integer")}, 1) - 1)::integer AS rank, {task} AS task_id
FROM told_other o CROSS JOIN jsonb_array_elements_text({told.array("tasks")}) WITH ORDINALITY AS i(task, rank)
WHERE o.type IN ('list_published', 'list_extended', 'day_closed') AND NOT EXISTS (
    SELECT FROM told_other w WHERE w.stream = o.stream AND w.type = 'list_shortened' AND w.version > o.version
      AND w.payload->'tasks' ? i.task)"""


def _guide_urge(fields: Fields) -> str:
    guide, day = (
        Fields(fields.careful).cast(f"split_part(o.name, '/', {part})", kind)
        for part, kind in ((1, "uuid"), (2, "date"))
    )
    tasks = Fields(fields.careful, "o.payload").array("tasks")
    task = Fields(fields.careful).cast("i.task", "uuid")
    return f"""
SELECT o.stream AS told_stream, o.version AS told_version, {guide} AS guide_id, {day} AS business_date, o.version,
       o.occurred_at AS urged_at, o.actor,
       ARRAY(SELECT {task} FROM jsonb_array_elements_text({tasks}) WITH ORDINALITY AS i(task, rank) ORDER BY i.rank) AS tasks
FROM told_other o WHERE o.type = 'urged'"""


def _evening_rule(fields: Fields) -> str:
    told = Fields(fields.careful, "o.payload")
    return f"""
SELECT o.stream AS told_stream, o.version AS told_version, coalesce(o.payload->>'store', '') AS subject, o.version,
       {told.of("from_on", "date")} AS from_on, {told.of("close_from", "time")} AS close_from,
       nullif(o.payload->'score', 'null'::jsonb) AS score, o.known_at AS decided_at
FROM told_other o WHERE o.type = 'evening_rule_set'"""


_DRAFT = """EXISTS (
    SELECT FROM daogou.guide_day d WHERE d.tenant_id = $1 AND d.guide_id = k.guide_id
      AND d.business_date = k.business_date)
    AND NOT EXISTS (
        SELECT FROM told_other o WHERE o.stream = 'guide-day/' || k.guide_id || '/' || k.business_date
          AND (o.type = 'list_published' OR o.type = 'day_closed' AND o.schema_version > 1))"""

DAY = Projection(
    table="guide_day",
    label="guide's day",
    key=("guide_id", "business_date"),
    columns=(
        "time_zone", "state", "listed", "done", "reached", "carried", "late", "corrected", "figures_version", "opens_at", "closes_at", "published_at",
        "closed_at", "clocked_in_at", "target_calls", "target_invitations",
    ),
    told=_guide_day,
    stream="'guide-day/' || k.guide_id || '/' || k.business_date",
    untold=frozenset({"time_zone", "opens_at", "closes_at"}),
    unfounded="k.state = 'cut'",
    filled={
        "time_zone": "(SELECT s.time_zone FROM daogou.guide g JOIN daogou.store s USING (tenant_id, store_id)"
        " WHERE g.tenant_id = $1 AND g.guide_id = t.guide_id)",
        "opens_at": "coalesce(t.published_at, t.closed_at)",
        "closes_at": "coalesce(t.closed_at, t.published_at + interval '1 day')",
    },
)  # fmt: skip
ITEM_OF_LIST = Projection(
    table="list_item",
    label="item of a list",
    key=("guide_id", "business_date", "rank"),
    columns=("task_id",),
    told=_list_item,
    stream="'guide-day/' || k.guide_id || '/' || k.business_date",
    unfounded=_DRAFT,
    renewed=True,
)
URGE = Projection(
    table="guide_urge",
    label="urge",
    key=("guide_id", "business_date", "version"),
    columns=("urged_at", "actor", "tasks"),
    told=_guide_urge,
    stream="'guide-day/' || k.guide_id || '/' || k.business_date",
)
ABSENCE = Projection(
    table="guide_absence",
    label="absence",
    key=("guide_id", "business_date"),
    columns=("told_at",),
    told=_guide_absence,
    stream="'guide-day/' || k.guide_id || '/' || k.business_date",
)
EVENING_RULE = Projection(
    table="evening_rule",
    label="rule of the evening",
    key=("subject", "version"),
    columns=("from_on", "close_from", "score", "decided_at"),
    told=_evening_rule,
    stream="'evening/' || coalesce(nullif(k.subject, ''), 'brand')",
    as_text=frozenset({"score"}),
)
