"""The figures of a closed day are counted anew, when a fact of it comes late or is corrected.

The seal of the day stays; its figures get a new version, an event of its own. Whoever counts holds the row of the
guide-day (`ledger.member_history.lock_days`), so of two late facts at once the second counts both.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

from domain.correcting_events import DayRecounted
from ledger.door import Driver
from ledger.ledger import Command, guide_day_stream, record

# An item without a report that day counts as the close left it: where it was still hers and open by what was known then,
# and no report by now says that it was done before, it was carried over or expired by the plan's rule. Events that were
# corrected since are left out; so are those of the close itself.
_COUNT = """
WITH closing AS (
    SELECT d.closed_at, e.known_at, e.cause || '/expire' AS cause
    FROM guide_day d JOIN event e ON e.tenant_id = $1 AND e.stream = $4 AND e.type = 'day_closed'
    WHERE d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = $3
), listed AS (
    SELECT t.task_id, 'task/' || t.task_id AS stream, t.known_at AS made_at,
           p.spec->'day'->>'open_items' = 'expire' AND NOT c.closed_at <@ p.paused AS expires,
           p.status = 'recalled' AND p.ended_at <= c.closed_at AS recalled, c.known_at AS closed_known_at, c.cause
    FROM closing c
    JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = $2 AND i.business_date = $3
    JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
    JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
), reported AS (
    SELECT k.task_id, bool_or(k.guide_id = $2) AS hers, bool_or(k.guide_id = $2 AND k.reached) AS reached,
           bool_or(k.guide_id = $2 AND k.late) AS late, bool_or(k.guide_id = $2 AND k.corrects IS NOT NULL) AS corrected
    FROM check_in k JOIN listed l ON l.task_id = k.task_id
    WHERE k.tenant_id = $1 AND k.business_date = $3 GROUP BY 1
), left_open AS (
    SELECT l.task_id, l.expires FROM listed l
    WHERE NOT l.recalled AND l.task_id NOT IN (SELECT task_id FROM reported)
      AND (SELECT (e.payload->>'guide')::uuid FROM event e
           WHERE e.tenant_id = $1 AND e.stream = l.stream AND e.known_at BETWEEN l.made_at AND l.closed_known_at
             AND e.type IN ('task_created', 'task_reassigned') ORDER BY e.version DESC LIMIT 1) = $2
      AND coalesce((
           SELECT coalesce(e.payload->'leaves_item'->>'state', e.payload->>'state') FROM event e
           WHERE e.tenant_id = $1 AND e.stream = l.stream AND e.known_at BETWEEN l.made_at AND l.closed_known_at
             AND e.cause <> l.cause AND (e.payload ? 'state' OR e.payload ? 'leaves_item')
             AND NOT EXISTS (SELECT FROM check_in_superseded s WHERE s.tenant_id = $1 AND s.task_id = l.task_id
                             AND s.version = e.version)
           ORDER BY e.version DESC LIMIT 1), 'open') = 'open'
      AND NOT EXISTS (SELECT FROM check_in k WHERE k.tenant_id = $1 AND k.task_id = l.task_id AND k.reached
                      AND k.business_date < $3 AND (k.next_on IS NULL OR k.grade = 'D'))
)
SELECT (SELECT count(*) FROM listed)::int AS listed,
       count(*) FILTER (WHERE hers)::int AS done, count(*) FILTER (WHERE reached)::int AS reached,
       count(*) FILTER (WHERE late)::int AS late, count(*) FILTER (WHERE corrected)::int AS corrected,
       (SELECT count(*) FROM left_open WHERE NOT expires)::int AS carried,
       (SELECT count(*) FROM left_open WHERE expires)::int AS expired
FROM reported"""


async def count_day(connection: Driver, tenant_id: int, *, guide_id: UUID, day: date) -> dict[str, int]:
    """The figures of a closed guide-day as they are now: listed, done, reached, carried, expired, late, corrected."""
    row = await connection.fetchrow(_COUNT, tenant_id, guide_id, day, guide_day_stream(guide_id, day))
    return dict(row)


async def recount_day(
    connection: Driver, tenant_id: int, command: Command, *, guide_id: UUID, day: date, cause_stream: str
) -> bool:
    """Count a closed guide-day anew and keep its new version; False where it is not closed, or there was no list.

    Call it in the transaction that changed a report of the day, after that change. Five round trips; rows read grow with
    one list.
    """
    version = await connection.fetchval(
        "SELECT figures_version FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3"
        " AND state = 'closed' FOR UPDATE",
        tenant_id,
        guide_id,
        day,
    )
    if version is None:
        return False
    figures = await count_day(connection, tenant_id, guide_id=guide_id, day=day)
    recounted = DayRecounted(
        guide=guide_id, business_date=day, version=version + 1, cause_stream=cause_stream, **figures
    )
    await record(connection, tenant_id, command, [(guide_day_stream(guide_id, day), recounted)])
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
    return True
