"""The figures of a closed day are counted anew, when a fact comes late or is corrected that they rest on.

The seal of the day stays; its figures get a new version, an event of its own. What happened to an item also decides what
later days that listed it had left open, so these are counted too. Whoever counts holds the rows of all these guide-days
(`ledger.report_days.lock_days`), so of two late facts at once the second counts both.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from typing import Any
from uuid import UUID

from domain.correcting_events import DayRecounted
from ledger.closing import ABSENT
from ledger.door import Driver
from ledger.ledger import Command, guide_day_stream, record

FIGURES = ("listed", "done", "reached", "carried", "expired", "late", "corrected")

# An item without a report that day counts as the close left it: where it was still hers and open by what was known then,
# and no report by now says that it was done before, it was carried over or expired by the plan's rule; what was put off
# beyond the close, or left by who was absent, was carried over (`ledger.closing`). What she did and told later is hers,
# though the item went to somebody else meanwhile; `listed` stays that of the list. Events that were
# corrected since are left out; so are those of the close itself, and what others did after it.
_COUNT = """
WITH closing AS (
    SELECT w.guide_id, w.day, d.closed_at, e.known_at, e.cause || '/expire' AS cause,
           e.payload->>'reason' IS NOT DISTINCT FROM $4 AS kept,
           greatest(d.closed_at, coalesce((e.payload->>'closes_at')::timestamptz, (
               SELECT (b.payload->>'closes_at')::timestamptz FROM event b
               WHERE b.tenant_id = $1 AND b.stream = e.stream AND b.type = 'list_published'))) AS put_off_beyond
    FROM unnest($2::uuid[], $3::date[]) AS w(guide_id, day)
    JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = w.guide_id AND d.business_date = w.day AND d.state = 'closed'
    JOIN event e ON e.tenant_id = $1 AND e.stream = 'guide-day/' || w.guide_id || '/' || w.day AND e.type = 'day_closed'
), listed AS (
    SELECT c.guide_id, c.day, t.task_id, 'task/' || t.task_id AS stream, t.known_at AS made_at,
           p.spec->'day'->>'open_items' = 'expire' AND NOT c.closed_at <@ p.paused AND NOT c.kept AS expires,
           p.status = 'recalled' AND p.ended_at <= c.closed_at AS recalled, c.closed_at, c.known_at AS closed_known_at,
           c.cause, c.put_off_beyond
    FROM closing c
    JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = c.guide_id AND i.business_date = c.day
    JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
    JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
), handed_over AS ( -- what others got when she was absent: hers is what she had done by then
    SELECT c.guide_id, c.day, task::uuid AS task_id, c.closed_at FROM closing c
    JOIN event e ON e.tenant_id = $1 AND e.stream = 'guide-day/' || c.guide_id || '/' || c.day
         AND e.type = 'list_shortened'
    CROSS JOIN jsonb_array_elements_text(e.payload->'tasks') AS task
    WHERE c.kept
), reported AS (
    SELECT l.guide_id, l.day, k.task_id, bool_or(k.guide_id = l.guide_id) AS hers,
           bool_or(k.guide_id = l.guide_id AND k.reached) AS reached, bool_or(k.guide_id = l.guide_id AND k.late) AS late,
           bool_or(k.guide_id = l.guide_id AND k.corrects IS NOT NULL) AS corrected
    FROM (SELECT guide_id, day, task_id, closed_at FROM listed UNION ALL SELECT * FROM handed_over) l
    JOIN check_in k ON k.tenant_id = $1 AND k.task_id = l.task_id AND k.business_date = l.day
      AND (k.guide_id = l.guide_id OR k.occurred_at <= l.closed_at)
    GROUP BY 1, 2, 3
), left_open AS (
    SELECT l.guide_id, l.day, l.expires AND NOT EXISTS (
        SELECT FROM (SELECT (e.payload->>'until')::timestamptz AS until, (e.payload->>'business_date')::date AS on_day
                     FROM event e WHERE e.tenant_id = $1 AND e.stream = l.stream AND e.type = 'task_snoozed'
                       AND e.known_at BETWEEN l.made_at AND l.closed_known_at ORDER BY e.version DESC LIMIT 1) z
        WHERE z.until > l.put_off_beyond
          AND NOT EXISTS (SELECT FROM check_in k WHERE k.tenant_id = $1 AND k.task_id = l.task_id
                          AND k.business_date BETWEEN z.on_day AND l.day)) AS expires
    FROM listed l
    WHERE NOT l.recalled
      AND NOT EXISTS (SELECT FROM reported r
                      WHERE r.guide_id = l.guide_id AND r.day = l.day AND r.task_id = l.task_id)
      AND (SELECT (e.payload->>'guide')::uuid FROM event e
           WHERE e.tenant_id = $1 AND e.stream = l.stream AND e.known_at BETWEEN l.made_at AND l.closed_known_at
             AND e.type IN ('task_created', 'task_reassigned') ORDER BY e.version DESC LIMIT 1) = l.guide_id
      AND coalesce((
           SELECT coalesce(e.payload->'leaves_item'->>'state', e.payload->>'state') FROM event e
           WHERE e.tenant_id = $1 AND e.stream = l.stream AND e.known_at BETWEEN l.made_at AND l.closed_known_at
             AND e.cause <> l.cause AND (e.payload ? 'state' OR e.payload ? 'leaves_item')
             AND NOT EXISTS (SELECT FROM check_in_superseded s WHERE s.tenant_id = $1 AND s.task_id = l.task_id
                             AND s.version = e.version)
           ORDER BY e.version DESC LIMIT 1), 'open') = 'open'
      AND NOT EXISTS (SELECT FROM check_in k WHERE k.tenant_id = $1 AND k.task_id = l.task_id AND k.reached
                      AND k.business_date < l.day AND k.occurred_at <= l.closed_at
                      AND (k.next_on IS NULL OR k.grade = 'D'))
)
SELECT c.guide_id, c.day, (SELECT count(*) FROM listed l WHERE (l.guide_id, l.day) = (c.guide_id, c.day))::int AS listed,
       r.*, o.*
FROM closing c
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE hers)::int AS done, count(*) FILTER (WHERE reached)::int AS reached,
           count(*) FILTER (WHERE late)::int AS late, count(*) FILTER (WHERE corrected)::int AS corrected
    FROM reported r WHERE (r.guide_id, r.day) = (c.guide_id, c.day)) r
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE NOT expires)::int AS carried, count(*) FILTER (WHERE expires)::int AS expired
    FROM left_open o WHERE (o.guide_id, o.day) = (c.guide_id, c.day)) o
ORDER BY c.guide_id, c.day"""

# What its close or its newest count said; the first did not say what came late or was corrected, for nothing had.
_TOLD = """
SELECT w.guide_id, w.day, d.figures_version AS version, e.payload::text AS told
FROM unnest($2::uuid[], $3::date[]) AS w(guide_id, day)
JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = w.guide_id AND d.business_date = w.day AND d.state = 'closed'
CROSS JOIN LATERAL (
    SELECT e.payload FROM event e
    WHERE e.tenant_id = $1 AND e.stream = 'guide-day/' || w.guide_id || '/' || w.day
      AND e.type IN ('day_closed', 'day_recounted') ORDER BY e.version DESC LIMIT 1) e"""

GuideDay = tuple[UUID, date]
Figures = dict[str, int]
"""listed, done, reached, carried, expired, and of the items done: late, corrected."""


async def count_days(
    connection: Driver, tenant_id: int, days: Collection[GuideDay]
) -> dict[GuideDay, Figures]:
    """The figures of guide-days as they are now, those that are closed; one round trip."""
    rows = await connection.fetch(_COUNT, tenant_id, *_columns(days), ABSENT)
    return {_day(row): {name: row[name] for name in FIGURES} for row in rows}


async def recount_days(
    connection: Driver,
    tenant_id: int,
    command: Command,
    reported: Collection[GuideDay],
    others: Collection[GuideDay],
    *,
    cause_stream: str,
) -> None:
    """Count closed guide-days anew and keep a new version of their figures: of `others` where they differ.

    Call it in the transaction that changed a report, after that change, the days locked. Two round trips and three for
    each version; rows read grow with the lists of these days.

    Args:
        connection: in that transaction.
        tenant_id: the brand.
        command: names the versions; `<command>/day/<guide>/<date>` is each one's own.
        reported: days whose reports changed, closed or not.
        others: days on whose lists the item stood, closed or not.
        cause_stream: of the item.
    """
    days = {*reported, *others}
    counted = await count_days(connection, tenant_id, days)
    for row in await connection.fetch(_TOLD, tenant_id, *_columns(days)):
        guide_id, day = _day(row)
        figures, told = counted[guide_id, day], json.loads(row["told"])
        if (guide_id, day) not in reported and all(told.get(name, 0) == figures[name] for name in FIGURES):
            continue
        recounted = DayRecounted(
            guide=guide_id,
            business_date=day,
            version=row["version"] + 1,
            cause_stream=cause_stream,
            **figures,
        )
        named = Command(
            f"{command.command_id}/day/{guide_id}/{day}", command.known_at, command.known_at, command.actor
        )
        await record(connection, tenant_id, named, [(guide_day_stream(guide_id, day), recounted)])
        await connection.execute(
            "UPDATE guide_day SET figures_version = $4, done = $5, reached = $6, carried = $7, late = $8, corrected = $9"
            " WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
            tenant_id,
            guide_id,
            day,
            recounted.version,
            recounted.done,
            recounted.reached,
            recounted.carried,
            recounted.late,
            recounted.corrected,
        )


def _columns(days: Collection[GuideDay]) -> tuple[list[UUID], list[date]]:
    wanted = sorted(days)
    return [guide for guide, _ in wanted], [day for _, day in wanted]


def _day(row: Any) -> GuideDay:
    return UUID(str(row["guide_id"])), row["day"]
