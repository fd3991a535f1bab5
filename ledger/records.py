"""The records a Check counts: every member of a cycle with items, contacts and purchases.

Two times on everything: nothing that was not known at `as_of` is read. Six round trips; rows grow with the
members of the cycle and what they did in it, not with the years before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.figures import Contact, Item, MemberRecord, NetPurchase
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class CycleRecords:
    """The records of a cycle, and the counts that are not of members."""

    members: tuple[MemberRecord, ...]
    assigned: int
    tasks: int
    check_ins: int
    guide_days: int


@dataclass(frozen=True, slots=True)
class Counting:
    """What a Check counts.

    `categories` are the plan's: a purchase of another one is no success. Purchases before `since`, the cycle's start, are not
    read; nothing that occurred or was known after `as_of` is. Contacts of other plans as long before `since` as the
    attribution window may win a purchase.
    """

    plan_id: str
    cycle: int
    categories: Sequence[int]
    since: datetime
    as_of: datetime
    window: timedelta


async def cycle_records(connection: Driver, tenant_id: int, what: Counting) -> CycleRecords:
    """Read the records of a cycle as they stood at `what.as_of`; in a snapshot of its own, so that the parts agree."""
    people = await connection.fetch(f"{_PEOPLE} ORDER BY pm.member_id", tenant_id, what.plan_id, what.cycle)
    counted = await _records(connection, tenant_id, what, people)
    # Lists of the cycle's own days, a day to spare on both sides for the zones of the stores: no other holds its items.
    guide_days = await connection.fetchval(
        """
        SELECT count(DISTINCT (i.guide_id, i.business_date)) FROM list_item i
        JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
        WHERE i.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND i.business_date BETWEEN $4 AND $5""",
        tenant_id,
        what.plan_id,
        what.cycle,
        (what.since - timedelta(days=1)).date(),
        (what.as_of + timedelta(days=1)).date(),
    )
    assigned = sum(record.guide_id is not None for record in counted.members)
    return CycleRecords(counted.members, assigned, counted.tasks, counted.check_ins, int(guide_days))


_PEOPLE = """
SELECT pm.member_id, pm.guide_id, coalesce(g.store_id, m.home_store_id) AS store_id
FROM plan_member pm
JOIN member m ON m.tenant_id = $1 AND m.member_id = pm.member_id
LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = pm.guide_id
WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.cycle = $3"""

# Of a part of the brand: members who count for one of these stores, or whom one of these guides looks after or spoke to.
_WITHIN = """
  AND (coalesce(g.store_id, m.home_store_id) = ANY($5) OR pm.guide_id = ANY($6) OR EXISTS (
      SELECT FROM check_in_ever k WHERE k.tenant_id = $1 AND k.plan_id = $2 AND k.cycle = $3
        AND k.member_id = pm.member_id AND k.guide_id = ANY($6)))"""


@dataclass(frozen=True, slots=True)
class Within:
    """A part of a brand: members counting for these stores, and whomever these guides have to do with."""

    stores: frozenset[UUID]
    guides: frozenset[UUID]


async def member_records(
    connection: Driver, tenant_id: int, what: Counting, *, within: Within | None = None, at_once: int
) -> AsyncIterator[tuple[MemberRecord, ...]]:
    """The same records, `at_once` members at a time: what is held in memory does not grow with the plan.

    Five round trips a slice, each row found by an index of the cycle's or the member's own, whatever lies behind.
    With `within` only the members of that part of the brand, whole: a contact elsewhere may win their purchase.
    """
    after = UUID(int=0)
    part = () if within is None else (list(within.stores), list(within.guides))
    query = f"{_PEOPLE} AND pm.member_id > $4{_WITHIN if part else ''} ORDER BY pm.member_id LIMIT {at_once}"
    while people := await connection.fetch(query, tenant_id, what.plan_id, what.cycle, after, *part):
        yield (await _records(connection, tenant_id, what, people)).members
        after = people[-1]["member_id"]


@dataclass(frozen=True, slots=True)
class _Counted:
    members: tuple[MemberRecord, ...]
    tasks: int
    check_ins: int


async def _records(
    connection: Driver, tenant_id: int, what: Counting, people: Sequence[Mapping[str, Any]]
) -> _Counted:
    members = [row["member_id"] for row in people]
    items, tasks = await _items(connection, tenant_id, what, members)
    contacts, check_ins = await _contacts(connection, tenant_id, what, members)
    purchases = await purchases_of(connection, tenant_id, members, what.categories, what.since, what.as_of)
    # A rival for a purchase matters where there is one, and a contact of ours that may have won it.
    won = [
        member
        for member in members
        if member in purchases and any(one.reached for one in contacts.get(member, ()))
    ]
    others = await _rivals(connection, tenant_id, what, won)
    records = tuple(
        MemberRecord(
            member_id=str(row["member_id"]),
            guide_id=str(row["guide_id"]) if row["guide_id"] else None,
            store_id=str(row["store_id"] or ""),
            items=tuple(items.get(row["member_id"], ())),
            contacts=tuple(contacts.get(row["member_id"], ())),
            purchases=tuple(purchases.get(row["member_id"], ())),
            other_plans=tuple(others.get(row["member_id"], ())),
        )
        for row in people
    )
    return _Counted(records, tasks, check_ins)


async def _items(
    connection: Driver, tenant_id: int, what: Counting, members: Sequence[UUID]
) -> tuple[dict[UUID, list[Item]], int]:
    rows = await connection.fetch(
        """
        SELECT t.member_id, t.first_due_on, t.state = 'withdrawn' AND t.attempts = 0 AS withdrawn
        FROM task t
        WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND t.member_id = ANY($4) AND t.known_at <= $5
        ORDER BY t.member_id, t.first_due_on, t.task_id""",
        tenant_id,
        what.plan_id,
        what.cycle,
        members,
        what.as_of,
    )
    items: dict[UUID, list[Item]] = {}
    for row in rows:
        items.setdefault(row["member_id"], []).append(Item(row["first_due_on"], row["withdrawn"]))
    return items, len(rows)


_KNOWN_BY = """
  AND NOT EXISTS (
      SELECT FROM event_position p WHERE p.tenant_id = $1 AND p.stream = 'task/' || check_in_ever.task_id
        AND p.version = check_in_ever.version AND p.position > $7)"""
# Two reads, each by an index of its own: with an OR between them neither is one, and all there ever was is read.
_OURS = """
SELECT member_id, occurred_at, reached, guide_id, plan_id FROM check_in_ever
WHERE tenant_id = $1 AND plan_id = $2 AND cycle = $3 AND member_id = ANY($4)
  AND known_at <= $6 AND occurred_at <= $6 AND superseded_at > $6 AND $5::timestamptz IS NOT NULL{more}
ORDER BY member_id, occurred_at, task_id, version"""
_OTHERS = """
SELECT member_id, occurred_at, reached, guide_id, plan_id FROM check_in_ever
WHERE tenant_id = $1 AND (plan_id, cycle) <> ($2, $3) AND member_id = ANY($4) AND reached AND occurred_at > $5
  AND known_at <= $6 AND occurred_at <= $6 AND superseded_at > $6{more}
ORDER BY member_id, occurred_at, task_id, version"""


async def contacts_of(
    connection: Driver, tenant_id: int, what: Counting, members: Sequence[UUID], *, up_to: int | None = None
) -> tuple[dict[UUID, list[Contact]], dict[UUID, list[Contact]]]:
    """Contacts of these members in the cycle, and those of others that may win a purchase.

    With `up_to` none that got its position after this one; for a few members.
    """
    own, _ = await _contacts(connection, tenant_id, what, members, up_to=up_to)
    return own, await _rivals(connection, tenant_id, what, members, up_to=up_to)


async def _contacts(
    connection: Driver, tenant_id: int, what: Counting, members: Sequence[UUID], *, up_to: int | None = None
) -> tuple[dict[UUID, list[Contact]], int]:
    return await _read_contacts(connection, tenant_id, what, members, _OURS, up_to)


async def _rivals(
    connection: Driver, tenant_id: int, what: Counting, members: Sequence[UUID], *, up_to: int | None = None
) -> dict[UUID, list[Contact]]:
    return (await _read_contacts(connection, tenant_id, what, members, _OTHERS, up_to))[0]


async def _read_contacts(
    connection: Driver, tenant_id: int, what: Counting, members: Sequence[UUID], query: str, up_to: int | None
) -> tuple[dict[UUID, list[Contact]], int]:
    rows = await connection.fetch(
        query.format(more="" if up_to is None else _KNOWN_BY),
        tenant_id,
        what.plan_id,
        what.cycle,
        list(members),
        what.since - what.window,
        what.as_of,
        *(() if up_to is None else (up_to,)),
    )
    contacts: dict[UUID, list[Contact]] = {}
    for row in rows:
        contact = Contact(row["occurred_at"], row["reached"], str(row["guide_id"]), row["plan_id"])
        contacts.setdefault(row["member_id"], []).append(contact)
    return contacts, len(rows)


async def purchases_of(
    connection: Driver,
    tenant_id: int,
    members: Sequence[UUID],
    categories: Sequence[int],
    since: datetime,
    as_of: datetime,
) -> dict[UUID, list[NetPurchase]]:
    """Lines of these categories since an instant, a return with the instant of what it takes back."""
    rows: list[dict[str, Any]] = await connection.fetch(
        """
        SELECT p.member_id, p.occurred_at, p.quantity, p.value_minor,
               (SELECT min(o.occurred_at) FROM purchase o
                WHERE p.is_return AND o.tenant_id = $1 AND o.basket = coalesce(p.return_of, p.basket)
                  AND o.product = p.product AND NOT o.is_return AND o.known_at <= $5) AS takes_back
        FROM purchase p
        WHERE p.tenant_id = $1 AND p.member_id = ANY($2) AND p.category_id = ANY($3)
          AND p.occurred_at >= $4 AND p.occurred_at <= $5 AND p.known_at <= $5
        ORDER BY p.member_id, p.occurred_at, p.basket, p.product, p.is_return""",
        tenant_id,
        list(members),
        list(categories),
        since,
        as_of,
    )
    purchases: dict[UUID, list[NetPurchase]] = {}
    for row in rows:
        purchases.setdefault(row["member_id"], []).append(
            NetPurchase(row["occurred_at"], row["quantity"], row["value_minor"], row["takes_back"])
        )
    return purchases
