"""Items are claimed (领取) from a store's pool, each by one guide; what is unclaimed at the cut-off goes to whom it was assigned.

Ledger first: no workflow is needed. Whoever claims has the store's turn, whoever pushes the zone's (`ledger.zone_days`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from activities.asked import Asked
from activities.plans import on_day, pooled
from activities.purchases import plans_on
from domain.calendar import business_date, local_instant
from domain.errors import NotFound, Problem, Refused
from domain.messages import DayStep
from ledger.calendars import days_off, off_duty
from ledger.changing_lists import DayHours, extend_lists
from ledger.contact_accounts import read_account
from ledger.contacts import hold_all, hold_member_of
from ledger.day_norms import asked_of_day
from ledger.door import Driver
from ledger.due_items import AT_WORK, ZoneDay
from ledger.guides import unknown_guide
from ledger.ledger import Command, Ledger
from ledger.plans import PlanState
from ledger.store_pool import PooledItem, on_list, read_pool, unclaimed
from ledger.tasks import Moving, change_tasks
from ledger.zone_days import wait_store_turn, wait_turn

ACTOR = "daogou"
"""Who pushes what nobody claimed."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A store's pool now."""

    store: str
    day: date
    until: datetime | None
    """When the next of its plans pushes what is unclaimed; None: no plan's items are claimed now."""
    items: tuple[PooledItem, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """An item is on the guide's list now; `duplicate`: it was there already."""

    task_id: UUID
    guide: str
    day: date
    rank: int
    duplicate: bool


async def store_pool(ledger: Ledger, store: str, at: datetime) -> Pool:
    """What a store's guides can claim now, members masked.

    Raises:
        NotFound: there is no such store.
    """
    tenant = ledger.tenant_id
    async with ledger.connection() as connection:
        place = await connection.fetchrow(
            "SELECT store_id, time_zone FROM store WHERE tenant_id = $1 AND code = $2", tenant, store
        )
        if place is None:
            raise NotFound(Problem("store", store, "unknown_store", {"nearest": "—"}))
        zone = place["time_zone"]
        day = business_date(at, zone)
        plans = await _pooled_plans(connection, tenant, day, zone, at)
        items = await read_pool(
            connection,
            ZoneDay(tenant, day, zone),
            store_id=place["store_id"],
            plans=[on_day(plan) for plan in plans],
            at=at,
            keys=ledger.keys,
        )
    return Pool(store, day, _until(plans, day, zone), tuple(items))


def _until(plans: Sequence[PlanState], day: date, zone: str) -> datetime | None:
    hours = [local_instant(day, until, zone) for one in plans if (until := one.plan.day.claim_until)]
    return min(hours, default=None)


async def _pooled_plans(
    connection: Driver, tenant_id: int, day: date, zone: str, at: datetime
) -> list[PlanState]:
    """Running plans of the day that have been released and whose cut-off is ahead."""
    step = DayStep(day=day, time_zone=zone, release="", at=at)
    return [
        standing
        for standing, _ in await plans_on(connection, tenant_id, step, any_release=True)
        if pooled(standing.plan, day, zone, at) and local_instant(day, standing.plan.day.release, zone) <= at
    ]


async def claim(ledger: Ledger, guide: str, task_id: UUID, asked: Asked) -> Claimed:
    """Let a guide have an item of her store's pool: it comes on her list of the day, beyond her capacity too.

    Again by the same guide it changes nothing. Some thirteen round trips, rows those of one store's pool.

    Raises:
        NotFound: no such guide at work today, or the item is not in the pool of her store.
        Refused: somebody else has it, or her day is over.
    """
    tenant = ledger.tenant_id
    async with ledger.transaction() as connection:
        hers = await connection.fetchrow(
            "SELECT g.guide_id, g.store_id, s.time_zone FROM guide g"
            " JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id"
            " WHERE g.tenant_id = $1 AND g.code = $2 AND g.active",
            tenant,
            guide,
        )
        if hers is None:
            raise unknown_guide(guide)
        guide_id, zone = hers["guide_id"], hers["time_zone"]
        day = business_date(asked.at, zone)
        await wait_store_turn(connection, tenant, day=day, time_zone=zone, store_id=hers["store_id"])
        listed = await on_list(connection, tenant, task_id, day)
        if listed == guide_id:
            return await _claimed(connection, tenant, guide, guide_id, task_id, day, duplicate=True)
        # The pool is read when nobody else can take the member's contact: another store may have an item about her, too.
        await hold_member_of(connection, tenant, task_id)
        plans = await _pooled_plans(connection, tenant, day, zone, asked.at)
        items = await read_pool(
            connection,
            ZoneDay(tenant, day, zone),
            store_id=hers["store_id"],
            plans=[on_day(plan) for plan in plans],
            at=asked.at,
        )
        item = next((one for one in items if one.task_id == task_id), None)
        if item is None:
            raise await _not_in_pool(connection, tenant, task_id, hers["store_id"], listed, asked.at)
        plan = next(one.plan for one in plans if one.plan.plan == item.plan_id)
        if not plan.care.takes_part(guide):
            raise Refused([Problem("guide", guide, "guide_not_in_plan")])
        await _refuse_if_away(connection, tenant, guide, guide_id, day)
        command = Command(f"claim/{task_id}/{day}/{guide_id}", asked.at, asked.at, asked.actor, str(guide_id))
        came = await extend_lists(
            connection,
            tenant,
            command,
            _hours(plans, day, zone),
            more={guide_id: [task_id]},
            why="claimed",
            holds=await asked_of_day(
                connection, tenant, day=day, time_zone=zone, plans=[one.plan for one in plans]
            ),
        )
        if not came:
            raise Refused([Problem("guide", guide, "list_is_closed", {"date": day.isoformat()})])
        if item.guide_id != guide_id:
            move = Command(f"{command.command_id}/move", asked.at, asked.at, asked.actor, str(guide_id))
            moving = [Moving(task_id, item.attempts, item.guide_id, guide_id, lent=True)]
            await change_tasks(connection, tenant, move, moving=moving)
        return await _claimed(connection, tenant, guide, guide_id, task_id, day, duplicate=False)


def _hours(plans: Sequence[PlanState], day: date, zone: str) -> DayHours:
    return DayHours(
        day,
        zone,
        min(local_instant(day, one.plan.day.release, zone) for one in plans),
        max(local_instant(day, one.plan.day.close, zone) for one in plans),
    )


async def _not_in_pool(
    connection: Driver, tenant_id: int, task_id: UUID, store_id: UUID, listed: UUID | None, at: datetime
) -> NotFound | Refused:
    """Of what was in her own store's pool she is told how it stands; of others nothing, not even that they are there."""
    member = await connection.fetchval(
        "SELECT t.member_id FROM task t JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id"
        " JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id AND p.spec->'day'->>'claim_until' IS NOT NULL"
        " WHERE t.tenant_id = $1 AND t.task_id = $2 AND g.store_id = $3",
        tenant_id,
        task_id,
        store_id,
    )
    if member is None:
        return NotFound(Problem("task_id", str(task_id), "unknown_task"))
    if listed:
        return Refused([Problem("task_id", str(task_id), "claimed_by_other")])
    account = await read_account(connection, tenant_id, member, at=at)
    return Refused([Problem("task_id", str(task_id), "not_in_pool" if account.left else "no_contact_left")])


async def _refuse_if_away(connection: Driver, tenant_id: int, guide: str, guide_id: UUID, day: date) -> None:
    here = await connection.fetchval(
        f"SELECT true FROM guide g WHERE g.tenant_id = $1 AND $2::date IS NOT NULL AND g.guide_id = $3 AND {AT_WORK}",
        tenant_id,
        day,
        guide_id,
    )
    if not here or await off_duty(connection, tenant_id, [guide_id], day):
        raise Refused([Problem("guide", guide, "guide_is_away", {"date": day.isoformat()})])
    row = await connection.fetchrow(
        "SELECT state FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 FOR UPDATE",
        tenant_id,
        guide_id,
        day,
    )
    if row is not None and row["state"] == "closed":
        raise Refused([Problem("guide", guide, "list_is_closed", {"date": day.isoformat()})])


async def _claimed(
    connection: Driver,
    tenant_id: int,
    guide: str,
    guide_id: UUID,
    task_id: UUID,
    day: date,
    *,
    duplicate: bool,
) -> Claimed:
    rank = await connection.fetchval(
        "SELECT rank FROM list_item WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 AND task_id = $4",
        tenant_id,
        guide_id,
        day,
        task_id,
    )
    return Claimed(task_id, guide, day, int(rank), duplicate)


async def push_unclaimed(ledger: Ledger, *, day: date, time_zone: str, at: datetime) -> int:
    """Push what nobody claimed by the cut-offs that have passed at `at`; answers the items. Again it pushes nothing.

    One transaction for a zone: one look, one append, whatever the number of guides and items.
    """
    tenant = ledger.tenant_id
    step = DayStep(day=day, time_zone=time_zone, release="", at=at)
    async with ledger.transaction() as connection:
        found = await plans_on(connection, tenant, step, any_release=True)
        claimable = [
            standing
            for standing, _ in found
            if standing.plan.day.claim_until is not None
            and not pooled(standing.plan, day, time_zone, at)
            and at < local_instant(day, standing.plan.day.close, time_zone)
        ]
        if not claimable:
            return 0
        await wait_turn(connection, tenant, day=day, time_zone=time_zone)
        holds = await asked_of_day(
            connection, tenant, day=day, time_zone=time_zone, plans=[one.plan for one, _ in found]
        )
        off = await days_off(
            connection,
            tenant,
            {one.plan.plan: one.plan.working_calendar for one in claimable},
            day=day,
            zone=time_zone,
        )
        await hold_all(connection, tenant)
        more = await unclaimed(
            connection,
            ZoneDay(tenant, day, time_zone, off),
            plans=[on_day(one) for one in claimable],
            at=at,
            holds=holds,
        )
        if not more:
            return 0
        # What has been pushed is not found again, so the first of it names the command.
        first = min(str(task) for tasks in more.values() for task in tasks)
        command = Command(f"push/{day}/{first}", at, at, ACTOR)
        hours = _hours(claimable, day, time_zone)
        came = await extend_lists(connection, tenant, command, hours, more=more, why="unclaimed", holds=holds)
        return sum(len(tasks) for tasks in came.values())


async def push_unclaimed_everywhere(ledger: Ledger, at: datetime) -> int:
    """The same in every zone of the brand's stores, for the worker's loop: cut-offs pass whether Temporal is there or not."""
    async with ledger.connection() as connection:
        zones = await connection.fetch(
            "SELECT DISTINCT time_zone FROM store WHERE tenant_id = $1 AND EXISTS (SELECT FROM plan p WHERE p.tenant_id = $1"
            " AND p.status = 'running' AND p.spec->'day'->>'claim_until' IS NOT NULL) ORDER BY 1",
            ledger.tenant_id,
        )
    pushed = 0
    for row in zones:
        zone = row["time_zone"]
        pushed += await push_unclaimed(ledger, day=business_date(at, zone), time_zone=zone, at=at)
    return pushed
