"""A guide is not there today: what is open on her list goes to others of the store with room, the rest carries over.

One transaction: her absence, the items that move, both lists, and the close of her day. Members stay hers, and so does the
credit for what she has done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from activities.asked import Asked
from activities.assignment import members_to_assign, on_duty, strategy_rules
from activities.plans import takes_part
from activities.purchases import plans_on
from domain.assignment import assign
from domain.calendar import business_date
from domain.day_norm import invites
from domain.errors import Conflict, Problem, Refused
from domain.events import GuideAbsent
from domain.messages import DayStep
from domain.plan import Plan
from ledger import facts
from ledger.calendars import off_duty
from ledger.changing_lists import DayHours, extend_lists
from ledger.closing import ABSENT, close
from ledger.day_norms import asked_of_day
from ledger.door import Driver
from ledger.due_items import AT_WORK, Holds
from ledger.guides import unknown_guide
from ledger.ledger import Command, Ledger, guide_day_stream, record
from ledger.open_items import ITEMS_OF_DAY, item_open
from ledger.plans import read_plan
from ledger.tasks import Moving, change_tasks
from ledger.zone_days import wait_turn

TRIES = 5
"""How often it is decided anew because check-ins came in between."""


@dataclass(frozen=True, slots=True)
class Absent:
    """What her absence did: how many items went to whom, and how many stay hers and come another day."""

    guide: str
    day: date
    to: Mapping[str, int]
    stays: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class _Open:
    """An open item of her list, in its order."""

    task_id: UUID
    member_id: UUID
    plan_id: str
    attempts: int
    invitation: bool
    value_minor: int


async def tell_absent(ledger: Ledger, guide: str, asked: Asked) -> Absent:
    """Note that a guide is absent on the day of `asked.at`; told again it changes nothing.

    Told before her list is cut, none is cut for her and what is due stays due. Round trips grow with the plans on her list,
    rows with the items on it and the guides of her store.

    Raises:
        NotFound: no such guide at work.
        Refused: her day is closed.
    """
    for left in reversed(range(TRIES)):
        try:
            return await _tell_absent(ledger, guide, asked)
        except Conflict:  # somebody reported on an item that was to move
            if not left:
                raise
    raise AssertionError


async def _tell_absent(ledger: Ledger, guide: str, asked: Asked) -> Absent:
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
        await wait_turn(connection, tenant, day=day, time_zone=zone)
        standing = await connection.fetchrow(
            "SELECT d.state, d.opens_at, d.closes_at, d.carried, a.told_at FROM (SELECT 1) one"
            " LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = $3"
            " LEFT JOIN guide_absence a ON a.tenant_id = $1 AND a.guide_id = $2 AND a.business_date = $3",
            tenant,
            guide_id,
            day,
        )
        if standing["told_at"] is not None:
            return Absent(guide, day, {}, standing["carried"] or 0, duplicate=True)
        if standing["state"] == "closed":
            raise Refused([Problem("guide", guide, "list_is_closed", {"date": day.isoformat()})])
        key = f"absent/{guide_id}/{day}"
        command = Command(key, asked.at, asked.at, asked.actor)
        told = guide_day_stream(guide_id, day), GuideAbsent(guide=guide_id, business_date=day)
        await connection.execute(
            "INSERT INTO guide_absence (tenant_id, guide_id, business_date, told_at) VALUES ($1, $2, $3, $4)",
            tenant,
            guide_id,
            day,
            asked.at,
        )
        if standing["state"] is None:
            await record(connection, tenant, command, [told])
            return Absent(guide, day, {}, 0)
        hours = DayHours(day, zone, standing["opens_at"], standing["closes_at"])
        to = await _hand_over(connection, tenant, command, hours, guide_id, hers["store_id"])
        # Her day before its stream, as whoever closes it.
        await connection.execute(
            "SELECT FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 FOR UPDATE",
            tenant,
            guide_id,
            day,
        )
        await record(connection, tenant, command, [told])
        closing = Command(f"guide-day/{guide_id}/{day}/close", asked.at, asked.at, asked.actor)
        if not await close(
            connection, tenant, closing, guide_id=guide_id, day=day, reason=ABSENT, keep=True
        ):  # it was closed since it was looked at
            raise Refused([Problem("guide", guide, "list_is_closed", {"date": day.isoformat()})])
        stays = await connection.fetchval(
            "SELECT carried FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
            tenant,
            guide_id,
            day,
        )
        return Absent(guide, day, to, int(stays))


async def _hand_over(
    connection: Driver, tenant_id: int, command: Command, hours: DayHours, guide_id: UUID, store_id: UUID
) -> dict[str, int]:
    """Move what is open to whoever has room; answers the items by the code of who got them."""
    items = await _open_items(connection, tenant_id, hours.day, guide_id, command.occurred_at)
    plans = {
        plan_id: (await read_plan(connection, tenant_id, plan_id)).plan
        for plan_id in sorted({item.plan_id for item in items})
    }
    step = DayStep(day=hours.day, time_zone=hours.time_zone, release="", at=command.occurred_at)
    of_day = await plans_on(connection, tenant_id, step, any_release=True)
    holds = await asked_of_day(
        connection,
        tenant_id,
        day=hours.day,
        time_zone=hours.time_zone,
        plans=[standing.plan for standing, _ in of_day],
    )
    others = await _others(connection, tenant_id, hours.day, guide_id, store_id)
    for off in await off_duty(connection, tenant_id, others, hours.day):
        del others[off]
    roster = [one for one in await facts.guides(connection, tenant_id) if one.guide_id in others]
    room = {kind: _room(others, holds, invitation=kind) for kind in (False, True)}
    goes: dict[UUID, UUID] = {}
    for plan_id, plan in plans.items():
        mine = [item for item in items if item.plan_id == plan_id]
        left = room[invites(plan)]
        for task_id, other in (
            await _assigned(connection, tenant_id, plan, mine, roster, left, command.occurred_at, hours.day)
        ).items():
            goes[task_id] = other
            left[other] -= 1
    more: dict[UUID, list[UUID]] = {}
    for item in items:
        if item.task_id in goes:
            more.setdefault(goes[item.task_id], []).append(item.task_id)
    lists = Command(f"{command.command_id}/lists", command.occurred_at, command.known_at, command.actor)
    gone = await extend_lists(
        connection, tenant_id, lists, hours, more=more, why=ABSENT, holds=holds, before=guide_id
    )
    attempts = {item.task_id: item.attempts for item in items}
    moving = [
        Moving(task, attempts[task], guide_id, other, lent=True)
        for other, tasks in gone.items()
        for task in tasks
    ]
    move = Command(f"{command.command_id}/move", command.occurred_at, command.known_at, command.actor)
    await change_tasks(connection, tenant_id, move, moving=moving)
    code_of = {one.guide_id: one.code for one in roster}
    return {code_of[other]: len(gone[other]) for other in sorted(gone, key=code_of.__getitem__)}


async def _open_items(
    connection: Driver, tenant_id: int, day: date, guide_id: UUID, at: datetime
) -> list[_Open]:
    rows = await connection.fetch(
        f"""
        SELECT t.task_id, t.member_id, t.plan_id, t.attempts, pm.value_minor,
               coalesce(p.spec->'means'->0->>'item', 'call') = 'invitation' AS invitation
        FROM guide_day d
        JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
        JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        {ITEMS_OF_DAY}
        JOIN plan_member pm ON pm.tenant_id = $1 AND pm.plan_id = t.plan_id AND pm.cycle = t.cycle
             AND pm.member_id = t.member_id
        WHERE d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = $3
          AND ({item_open("$4")} OR {item_open("d.closes_at")} AND t.snoozed_until <= d.closes_at)
        ORDER BY i.rank""",
        tenant_id,
        guide_id,
        day,
        at,
    )
    return [_Open(**dict(row)) for row in rows]


async def _others(
    connection: Driver, tenant_id: int, day: date, guide_id: UUID, store_id: UUID
) -> dict[UUID, dict[str, Any]]:
    """Who of the store is at work and whose day is not closed, with what is on their lists of each kind."""
    rows = await connection.fetch(
        f"""
        SELECT g.guide_id, count(i.task_id) FILTER (WHERE NOT k.invitation) AS calls,
               count(i.task_id) FILTER (WHERE k.invitation) AS invitations
        FROM guide g
        LEFT JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = g.guide_id AND d.business_date = $2
        LEFT JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = g.guide_id AND i.business_date = $2
        LEFT JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id
        LEFT JOIN (SELECT plan_id, coalesce(spec->'means'->0->>'item', 'call') = 'invitation' AS invitation FROM plan
                   WHERE tenant_id = $1) k ON k.plan_id = t.plan_id
        WHERE g.tenant_id = $1 AND g.store_id = $3 AND g.guide_id <> $4 AND d.state IS DISTINCT FROM 'closed' AND {AT_WORK}
        GROUP BY 1""",
        tenant_id,
        day,
        store_id,
        guide_id,
    )
    return {row["guide_id"]: dict(row) for row in rows}


def _room(others: Mapping[UUID, Mapping[str, Any]], holds: Holds, *, invitation: bool) -> dict[UUID, int]:
    """How many items of a kind still fit on each one's list."""
    if invitation:
        most = {one: holds.invitations.get(one, holds.capacity.invitations) for one in others}
        return {one: max(0, most[one] - others[one]["invitations"]) for one in others}
    return {one: max(0, holds.calls.get(one, holds.capacity.calls) - others[one]["calls"]) for one in others}


async def _assigned(
    connection: Driver,
    tenant_id: int,
    plan: Plan,
    items: list[_Open],
    roster: list[facts.GuideFacts],
    room: Mapping[UUID, int],
    at: datetime,
    day: date,
) -> dict[UUID, UUID]:
    """Who gets which item, by the plan's own rule among guides who take part and have room; the others get nobody."""
    taking_part = [
        replace(on_duty(one, plan, day), capacity=room[one.guide_id])
        for one in roster
        if takes_part(one, plan)
    ]
    members = await members_to_assign(
        connection, tenant_id, plan, {item.member_id: item.value_minor for item in items}, at=at
    )
    task_of = {str(item.member_id): item.task_id for item in items}
    return {
        task_of[result.member_id]: UUID(result.guide_id)
        for result in assign(members, taking_part, strategy_rules(plan))
        if result.guide_id is not None
    }
