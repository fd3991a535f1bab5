"""A store's pool: due items of plans whose items are claimed, until the hour at which what is left goes to whom it was assigned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from ledger.door import Driver
from ledger.due_items import (
    Holds,
    PlanOnDay,
    ZoneDay,
    capacity_arguments,
    due_arguments,
    listable,
    place,
    within_capacity,
)
from ledger.member_keys import MemberKeys
from ledger.people import NOBODY, read_people

_POOL = f"""
WITH {listable(only="g.store_id = $15")}
SELECT o.task_id, o.member_id, o.guide_id, o.attempts, o.invitation, t.plan_id, t.due_on, t.run_out_on, c.name AS category,
       g.code AS assigned_to
FROM within_budget o
JOIN task t ON t.tenant_id = $1 AND t.task_id = o.task_id
JOIN category c ON c.tenant_id = $1 AND c.category_id = t.category_id
JOIN guide g ON g.tenant_id = $1 AND g.guide_id = o.guide_id
ORDER BY {place("o")}"""

_UNCLAIMED = f"""
WITH {within_capacity(everybody=False)}
SELECT l.guide_id, l.task_id FROM listed l
LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = l.guide_id AND d.business_date = $2
WHERE d.state IS DISTINCT FROM 'closed' ORDER BY l.guide_id, l.rank"""


@dataclass(frozen=True, slots=True)
class PooledItem:
    """An item that waits to be claimed; `assigned_to` gets it at the cut-off."""

    task_id: UUID
    member_id: UUID
    guide_id: UUID
    attempts: int
    invitation: bool
    plan_id: str
    due_on: date
    run_out_on: date
    category: str
    assigned_to: str
    member: str = ""
    """Masked; empty where it was not asked for."""


async def read_pool(
    connection: Driver,
    zone_day: ZoneDay,
    *,
    store_id: UUID,
    plans: Sequence[PlanOnDay],
    at: datetime,
    keys: MemberKeys | None = None,
) -> list[PooledItem]:
    """What lies in a store's pool at `at`, in the order of lists. One round trip, two with members' names (`keys`)."""
    if not plans:
        return []
    rows = await connection.fetch(_POOL, *due_arguments(zone_day, plans, at), store_id)
    people = {} if keys is None else await read_people(
        connection, zone_day.tenant_id, keys, {row["member_id"] for row in rows}
    )  # fmt: skip
    return [
        PooledItem(
            **dict(row),
            member="" if keys is None else people.get(row["member_id"], NOBODY).masked,
        )
        for row in rows
    ]


async def unclaimed(
    connection: Driver,
    zone_day: ZoneDay,
    *,
    plans: Sequence[PlanOnDay],
    at: datetime,
    holds: Holds,
) -> dict[UUID, list[UUID]]:
    """What nobody claimed, by the guide it is assigned to, as far as there is room on the lists. One round trip."""
    rows = await connection.fetch(_UNCLAIMED, *due_arguments(zone_day, plans, at), *capacity_arguments(holds))
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        found.setdefault(row["guide_id"], []).append(row["task_id"])
    return found


async def on_list(connection: Driver, tenant_id: int, task_id: UUID, day: date) -> UUID | None:
    """On whose list of the day an item is; None: on nobody's."""
    found: UUID | None = await connection.fetchval(
        "SELECT guide_id FROM list_item WHERE tenant_id = $1 AND business_date = $2 AND task_id = $3",
        tenant_id,
        day,
        task_id,
    )
    return found
