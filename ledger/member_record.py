"""The record a Check counts of one member, as it stood when that Check was taken.

What `ledger/records.py` reads of a whole cycle, for one member, and cut at a ledger position: what was written after the
Check's snapshot is not in it. Three round trips; rows are the member's own.

Whoever does not see positions gets the cut by *known* alone (`whole` of `ledger.why`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.figures import Item, MemberRecord
from ledger.door import Driver
from ledger.records import Counting, contacts_of, purchases_of

LAST = 2**63 - 1
"""After every position."""


@dataclass(frozen=True, slots=True)
class MemberInCycle:
    """Whose record in which cycle, and what of it is read: as the arguments of `cycle_records`."""

    member: UUID
    plan_id: str
    cycle: int
    categories: Sequence[int]
    since: datetime
    window: timedelta


async def member_record(
    connection: Driver, tenant_id: int, whose: MemberInCycle, *, as_of: datetime, up_to: int = LAST
) -> MemberRecord:
    """The record as of an instant and a ledger position."""
    member, plan_id, cycle, since = whose.member, whose.plan_id, whose.cycle, whose.since
    rows = await connection.fetch(
        """
        SELECT 1 AS kind, t.first_due_on, coalesce(e.attempts, 0) = 0 AND e.state = 'withdrawn' AS withdrawn, NULL AS guide
        FROM task t CROSS JOIN LATERAL (
            SELECT bool_or(e.version = 1) AS made,
                   (array_agg(coalesce(e.payload->'leaves_item'->>'attempts', e.payload->>'attempt')::int
                       ORDER BY e.version DESC) FILTER (WHERE e.type = 'checked_in' OR e.payload ? 'leaves_item'))[1]
                       AS attempts,
                   (array_agg(coalesce(e.payload->'leaves_item'->>'state', e.payload->>'state')
                       ORDER BY e.version DESC) FILTER (WHERE e.type IN ('checked_in', 'task_left')
                           OR e.payload ? 'leaves_item'))[1] AS state
            FROM event e WHERE e.tenant_id = $1 AND e.stream = 'task/' || t.task_id AND NOT EXISTS (
                SELECT FROM event_position p WHERE p.tenant_id = $1 AND p.stream = e.stream
                  AND p.version = e.version AND p.position > $6)
        ) e
        WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND t.member_id = $4 AND t.known_at <= $5 AND e.made
        UNION ALL
        (SELECT 2, NULL, NULL, e.payload->>'guide' FROM event e
         WHERE e.tenant_id = $1 AND e.stream = 'plan-member/' || $2 || '/' || $3 || '/' || $4
           AND e.type = 'member_assigned' AND NOT EXISTS (
                SELECT FROM event_position p WHERE p.tenant_id = $1 AND p.stream = e.stream
                  AND p.version = e.version AND p.position > $6)
         ORDER BY e.version DESC LIMIT 1)
        ORDER BY 1, 2""",
        tenant_id,
        plan_id,
        cycle,
        member,
        as_of,
        up_to,
    )
    what = Counting(plan_id, cycle, whose.categories, since, as_of, whose.window)
    contacts, others = await contacts_of(connection, tenant_id, what, [member], up_to=up_to)
    purchases = await purchases_of(connection, tenant_id, [member], whose.categories, since, as_of)
    return MemberRecord(
        member_id=str(member),
        guide_id=next((row["guide"] for row in rows if row["kind"] == 2), None),
        store_id="",
        items=tuple(Item(row["first_due_on"], bool(row["withdrawn"])) for row in rows if row["kind"] == 1),
        contacts=tuple(contacts.get(member, ())),
        purchases=tuple(purchases.get(member, ())),
        other_plans=tuple(others.get(member, ())),
    )
