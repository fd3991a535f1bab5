"""What is due to guides in the days to come, and which members have no contact left for it, counted in the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from domain.check_in import MOST_DIAL_DAYS
from ledger.contacts import contacts_of, counted, limits_on
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class DueItems:
    """Items of a kind that are due to a guide on a day."""

    guide_id: UUID
    invitation: bool
    day: date
    items: int


async def due_ahead(
    connection: Driver, tenant_id: int, *, until: date, without: str | None = None
) -> list[DueItems]:
    """Open items of all running plans, or all but one, due until a day; what was put off, on the day it was put off to.

    One round trip.
    """
    rows = await connection.fetch(
        """
        SELECT t.guide_id, coalesce(l.spec->'means'->0->>'item', 'call') = 'invitation' AS invitation,
               greatest(t.due_on, CASE WHEN t.last_attempt_on IS NULL OR t.last_attempt_on < t.snoozed_on
                                  THEN (t.snoozed_until AT TIME ZONE c.time_zone)::date END) AS day,
               count(*)::int AS items
        FROM task t
        JOIN plan l ON l.tenant_id = $1 AND l.plan_id = t.plan_id AND l.status = 'running' AND l.cycle = t.cycle
        JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
        JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
             AND pm.member_id = t.member_id
        WHERE t.tenant_id = $1 AND t.state = 'open' AND t.due_on <= $2
          AND pm.grade IS DISTINCT FROM 'D' AND pm.dial_days < $3
          AND t.plan_id IS DISTINCT FROM $4::text
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
        tenant_id,
        until,
        MOST_DIAL_DAYS,
        without,
    )
    return [DueItems(**dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class ContactsLeft:
    """How many members a plan's items are about, and how many of them have no contact left in the week, or month, of a day."""

    day: date
    members: int
    none_this_week: int
    none_this_month: int


_CONTACTS_LEFT = f"""
WITH wanted AS MATERIALIZED (
    SELECT unnest($6::uuid[]) AS member_id WHERE $3::text IS NULL
    UNION
    SELECT t.member_id FROM task t JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id AND p.cycle = t.cycle
    WHERE t.tenant_id = $1 AND t.plan_id = $3 AND t.state = 'open' AND t.guide_id = ANY ($5)
), limits AS ({limits_on("$2", "$4")}
), taken AS (
    SELECT k.member_id, {counted("k", day="$2")} FROM ({contacts_of("wanted", day="$2")}) k GROUP BY 1
)
SELECT (SELECT count(*) FROM wanted)::int AS members, count(*) FILTER (WHERE c.week >= l.week)::int AS none_this_week,
       count(*) FILTER (WHERE c.month >= l.month)::int AS none_this_month
FROM taken c CROSS JOIN limits l"""


async def contacts_left(
    connection: Driver,
    tenant_id: int,
    *,
    day: date,
    known_at: datetime,
    plan_id: str | None,
    guides: Collection[UUID] = (),
    members: Collection[UUID] = (),
) -> ContactsLeft:
    """How many members of a plan's open items have no contact left, over all plans. One round trip.

    Args:
        connection: one that sees all of the ledger.
        tenant_id: the brand.
        day: in whose week and month.
        known_at: limits count as they had been said by then.
        plan_id: whose open items; None: of a plan that is not launched, `members` instead.
        guides: only what is theirs.
        members: those whom a plan would begin with.
    """
    row = await connection.fetchrow(
        _CONTACTS_LEFT, tenant_id, day, plan_id, known_at, list(guides), list(members)
    )
    return ContactsLeft(day, **dict(row))
