"""The records a Check counts: every member of a cycle with items, contacts and purchases.

Two times on everything: nothing that was not known at `as_of` is read. Four round trips; rows grow with the
members of the cycle and what they did in it, not with the years before.
"""

from __future__ import annotations

from collections.abc import Sequence
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


async def cycle_records(
    connection: Driver,
    tenant_id: int,
    *,
    plan_id: str,
    cycle: int,
    categories: Sequence[int],
    since: datetime,
    as_of: datetime,
    window: timedelta,
) -> CycleRecords:
    """Read the records of a cycle as they stood at `as_of`.

    Args:
        connection: in a snapshot of its own, so that the parts agree.
        tenant_id: the brand.
        plan_id: which plan.
        cycle: which cycle, 1, 2, …
        categories: the plan's; a purchase of another category is no success.
        since: start of the cycle; purchases before it are not read.
        as_of: nothing that occurred or was known later is read.
        window: the attribution window; contacts of other plans as long before `since` may win a purchase.
    """
    people = await connection.fetch(
        """
        SELECT pm.member_id, pm.guide_id, coalesce(g.store_id, m.home_store_id) AS store_id
        FROM plan_member pm
        JOIN member m ON m.tenant_id = $1 AND m.member_id = pm.member_id
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = pm.guide_id
        WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.cycle = $3 ORDER BY pm.member_id""",
        tenant_id,
        plan_id,
        cycle,
    )
    members = [row["member_id"] for row in people]
    items, tasks = await _items(connection, tenant_id, plan_id, cycle, as_of)
    contacts, others, check_ins = await contacts_of(
        connection, tenant_id, plan_id, cycle, members, since - window, as_of
    )
    purchases = await purchases_of(connection, tenant_id, members, categories, since, as_of)
    guide_days = await connection.fetchval(
        """
        SELECT count(DISTINCT (i.guide_id, i.business_date)) FROM list_item i
        JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
        WHERE i.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3""",
        tenant_id,
        plan_id,
        cycle,
    )
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
    assigned = sum(record.guide_id is not None for record in records)
    return CycleRecords(records, assigned, tasks, check_ins, int(guide_days))


async def _items(
    connection: Driver, tenant_id: int, plan_id: str, cycle: int, as_of: datetime
) -> tuple[dict[UUID, list[Item]], int]:
    rows = await connection.fetch(
        """
        SELECT t.member_id, t.first_due_on, t.state = 'withdrawn' AND t.attempts = 0 AS withdrawn
        FROM task t
        WHERE t.tenant_id = $1 AND t.plan_id = $2 AND t.cycle = $3 AND t.known_at <= $4
        ORDER BY t.member_id, t.first_due_on, t.task_id""",
        tenant_id,
        plan_id,
        cycle,
        as_of,
    )
    items: dict[UUID, list[Item]] = {}
    for row in rows:
        items.setdefault(row["member_id"], []).append(Item(row["first_due_on"], row["withdrawn"]))
    return items, len(rows)


_OF_ONE = """
          AND member_id = ANY($4) AND NOT EXISTS (
              SELECT FROM event_position p WHERE p.tenant_id = $1 AND p.stream = 'task/' || check_in_ever.task_id
                AND p.version = check_in_ever.version AND p.position > $7)"""


async def contacts_of(
    connection: Driver,
    tenant_id: int,
    plan_id: str,
    cycle: int,
    members: Sequence[UUID],
    since: datetime,
    as_of: datetime,
    *,
    up_to: int | None = None,
) -> tuple[dict[UUID, list[Contact]], dict[UUID, list[Contact]], int]:
    """Contacts of the cycle, those of others that may win a purchase, and how many the first are.

    With `up_to`: of `members` only, where they are a few, and none that got its position after this one.
    """
    rows = await connection.fetch(
        f"""
        SELECT member_id, occurred_at, reached, guide_id, plan_id, plan_id = $2 AND cycle = $3 AS ours
        FROM check_in_ever
        WHERE tenant_id = $1 AND known_at <= $6 AND occurred_at <= $6 AND superseded_at > $6
          AND ((plan_id = $2 AND cycle = $3)
               OR (occurred_at > $5 AND member_id = ANY($4) AND reached AND (plan_id, cycle) <> ($2, $3)))
          {"" if up_to is None else _OF_ONE}
        ORDER BY member_id, occurred_at, task_id, version""",
        tenant_id,
        plan_id,
        cycle,
        list(members),
        since,
        as_of,
        *(() if up_to is None else (up_to,)),
    )
    own: dict[UUID, list[Contact]] = {}
    others: dict[UUID, list[Contact]] = {}
    count = 0
    for row in rows:
        contact = Contact(row["occurred_at"], row["reached"], str(row["guide_id"]), row["plan_id"])
        (own if row["ours"] else others).setdefault(row["member_id"], []).append(contact)
        count += row["ours"]
    return own, others, count


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
