"""Opening and closing days, ledger first: what the day's workflow does, anybody may do when it is due.

Lists are cut once a zone and release hour and published once a guide, under the same command ids, whether by the
workflow, at a clock-in while Temporal is away, or by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from uuid import UUID
from weakref import WeakKeyDictionary

from activities.assignment import AssignmentActivities
from activities.context import Context
from activities.plans import SELECT_AHEAD, cycle_instants, on_day, plan_zone, pooled
from activities.purchases import PurchaseActivities, plans_on
from domain.calendar import business_date, local_instant
from domain.errors import Conflict, Problem, Refused
from domain.events import ClockedIn
from domain.messages import DayStep, PlanStep
from domain.plan import clock_text
from ledger.calendars import days_off, zone_days
from ledger.closing import close
from ledger.day_norms import asked_of_day
from ledger.door import Driver
from ledger.due_items import ZoneDay
from ledger.guide_zones import GuideAt, GuideZones, guide_zones
from ledger.guides import unknown_guide
from ledger.ledger import Command, Ledger, guide_day_stream, record
from ledger.list_cutting import cut_lists
from ledger.plan_cycles import cycles_to_begin, plans_in_cycle
from ledger.pool import Pool
from ledger.publishing import publish
from ledger.zone_days import last_cut, note_cut, wait_turn

SETTLE_TRIES = 5
"""How often purchases are settled anew because somebody else settled them at the same time."""


@dataclass(frozen=True, slots=True)
class ZoneRelease:
    """A release hour (HH:MM) of a time zone on a date on which at least one running plan works."""

    day: date
    time_zone: str
    release: str
    opens_at: datetime
    closes_at: datetime
    started_at: datetime
    """When the youngest of its cycles began."""


@dataclass(frozen=True, slots=True)
class OpenedDay:
    """How many guides have a list; `cut` says that it was cut now, not before."""

    cut: bool
    lists: int


@dataclass(frozen=True, slots=True)
class AtWork:
    """A guide who clocked in: whether that published the list, and how many items it has (0: no list today)."""

    guide_id: UUID
    day: date
    published: bool
    listed: int


async def releases_of(
    connection: Driver, tenant_id: int, *, at: datetime, guide: GuideAt | None = None
) -> list[ZoneRelease]:
    """The release hours of the local date at `at` in every zone where a guide of a running plan stands.

    With `guide` only those of that guide's own zone and plans. Two or three queries, whatever the number of plans.
    """
    plans = await plans_in_cycle(connection, tenant_id)
    zones = (
        GuideZones((guide,))
        if guide
        else await guide_zones(connection, tenant_id, [one.plan for one in plans])
    )
    calendars = await zone_days(connection, tenant_id, guide=guide.code if guide else None)
    found: dict[tuple[str, str], ZoneRelease] = {}
    for one in plans:
        for zone in zones.of(one.plan):
            day = business_date(at, zone)
            if not one.starts_on <= day <= one.ends_on:
                continue
            if not calendars.works(one.plan.working_calendar, zone, day):
                continue
            release = clock_text(one.plan.day.release)
            opens_at = local_instant(day, time_of_day.fromisoformat(release), zone)
            closes_at = local_instant(day, one.plan.day.close, zone)
            known = found.get((zone, release))
            found[zone, release] = ZoneRelease(
                day,
                zone,
                release,
                opens_at,
                max(closes_at, known.closes_at) if known else closes_at,
                max(one.started_at, known.started_at) if known else one.started_at,
            )
    return [found[key] for key in sorted(found)]


async def wants_cut(connection: Driver, tenant_id: int, one: ZoneRelease) -> bool:
    """Whether its lists are not cut yet, or a plan's cycle has begun since: then guides without a list get one."""
    cut = await last_cut(connection, tenant_id, day=one.day, time_zone=one.time_zone, release=one.release)
    return cut is None or cut.at < one.started_at


async def cut_zone(ledger: Ledger, step: DayStep) -> OpenedDay:
    """Cut the lists of a zone's release hour from the items of all plans, once.

    One transaction; whoever comes second waits for the first and finds them cut. Where a plan's cycle has begun since,
    guides who have no list yet get one; a list that is there stays.
    """
    async with ledger.transaction() as connection:
        await wait_turn(connection, ledger.tenant_id, day=step.day, time_zone=step.time_zone)
        return await _cut(connection, ledger.tenant_id, step)


async def _cut(connection: Driver, tenant_id: int, step: DayStep) -> OpenedDay:
    before = await last_cut(
        connection, tenant_id, day=step.day, time_zone=step.time_zone, release=step.release
    )
    found = await plans_on(connection, tenant_id, step, any_release=True)
    if before is not None and all(cycle.started_at <= before.at for _, cycle in found):
        return OpenedDay(cut=False, lists=before.lists)
    if not found:
        return OpenedDay(cut=False, lists=0)
    closes = max(standing.plan.day.close for standing, _ in found)
    off = await days_off(
        connection,
        tenant_id,
        {standing.plan.plan: standing.plan.working_calendar for standing, _ in found},
        day=step.day,
        zone=step.time_zone,
    )
    opens_at = local_instant(step.day, time_of_day.fromisoformat(step.release), step.time_zone)
    holds = await asked_of_day(
        connection,
        tenant_id,
        day=step.day,
        time_zone=step.time_zone,
        plans=[standing.plan for standing, _ in found],
    )
    lists = await cut_lists(
        connection,
        ZoneDay(tenant_id, step.day, step.time_zone, off),
        plans=[
            on_day(standing, pooled=pooled(standing.plan, step.day, step.time_zone, step.at))
            for standing, _ in found
        ],
        opens_at=opens_at,
        closes_at=local_instant(step.day, closes, step.time_zone),
        holds=holds,
    )
    await note_cut(
        connection,
        tenant_id,
        day=step.day,
        time_zone=step.time_zone,
        release=step.release,
        # A cycle that began a moment ago is in this cut, however the clocks of two machines stand.
        at=max(step.at, *(cycle.started_at for _, cycle in found)),
        lists=lists,
    )
    return OpenedDay(cut=True, lists=lists)


async def open_zone_day(
    ledger: Ledger, *, day: date, time_zone: str, release: str, at: datetime
) -> OpenedDay:
    """What workflows do up to the release hour, without them: begin due cycles, settle what was bought, cut the lists.

    Guides who come at once take turns: within a process before they hold a connection, between processes by a lock.
    """
    step = DayStep(day=day, time_zone=time_zone, release=release, at=at)
    async with _turns(ledger), ledger.transaction() as turn:
        await wait_turn(turn, ledger.tenant_id, day=day, time_zone=time_zone)
        begun = await _begin_due_cycles(turn, ledger, at)
        before = await last_cut(turn, ledger.tenant_id, day=day, time_zone=time_zone, release=release)
        if before is not None and not begun:
            found = await plans_on(turn, ledger.tenant_id, step, any_release=True)
            if all(cycle.started_at <= before.at for _, cycle in found):
                return OpenedDay(cut=False, lists=before.lists)
        await _settle(ledger, step)
        return await _cut(turn, ledger.tenant_id, step)


async def _settle(ledger: Ledger, step: DayStep) -> None:
    """Settle what was bought; the day's own workflow may be at it as well."""
    for left in reversed(range(SETTLE_TRIES)):
        try:
            await PurchaseActivities(Context(ledger, lambda: step.at)).settle_purchases(step)
        except Conflict:
            if not left:
                raise
        else:
            return


async def _begin_due_cycles(connection: Driver, ledger: Ledger, at: datetime) -> int:
    """Begin the cycles whose members should have been selected by now; returns how many."""
    begun = 0
    for plan, cycle in await cycles_to_begin(connection, ledger.tenant_id):
        zone = await plan_zone(connection, ledger.tenant_id, plan)
        opens_at, closes_at = cycle_instants(plan, cycle, zone)
        if opens_at - SELECT_AHEAD <= at < closes_at:
            step = PlanStep(plan_id=plan.plan, cycle=cycle, at=at)
            await AssignmentActivities(Context(ledger, lambda: at)).start_cycle(step)
            begun += 1
    return begun


_TURNS: WeakKeyDictionary[Pool, asyncio.Lock] = WeakKeyDictionary()


def _turns(ledger: Ledger) -> asyncio.Lock:
    return _TURNS.setdefault(ledger.engine, asyncio.Lock())


async def clock_in(ledger: Ledger, guide_code: str, *, at: datetime, actor: str) -> AtWork:
    """A guide comes to work: the list is there, even where nothing else has published it yet.

    Raises:
        NotFound: no such guide, or not an active one.
        Refused: the list is not released yet.
    """
    async with ledger.connection() as connection:
        guide = await connection.fetchrow(
            "SELECT g.guide_id, s.time_zone FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id"
            " WHERE g.tenant_id = $1 AND g.code = $2 AND g.active",
            ledger.tenant_id,
            guide_code,
        )
    if guide is None:
        raise unknown_guide(guide_code)
    guide_id, zone = guide["guide_id"], guide["time_zone"]
    day = business_date(at, zone)
    upkeep = ledger.for_upkeep()  # a zone's lists are nobody's own
    async with upkeep.connection() as connection:
        there = await _guide_day(connection, ledger.tenant_id, guide_id, day)
        due = [] if there else await _to_open(connection, ledger.tenant_id, GuideAt(guide_code, zone), at)
    for one in due:
        await open_zone_day(upkeep, day=day, time_zone=zone, release=one, at=at)
    key = f"guide-day/{guide_id}/{day}"
    async with ledger.transaction() as connection:
        there = await _guide_day(connection, ledger.tenant_id, guide_id, day)
        if there is not None and there[1] > at:
            opens_at = there[1].isoformat()
            raise Refused([Problem("guide", guide_code, "not_released_yet", {"opens_at": opens_at})])
        published = await publish(
            connection,
            ledger.tenant_id,
            Command(f"{key}/publish", at, at, actor),
            guide_id=guide_id,
            day=day,
        )
        noted = await record(
            connection,
            ledger.tenant_id,
            Command(f"{key}/clock-in", at, at, actor, performed_by=str(guide_id)),
            [(guide_day_stream(guide_id, day), ClockedIn(guide=guide_id, business_date=day))],
        )
        if not noted.duplicate:
            await connection.execute(
                "UPDATE guide_day SET clocked_in_at = $4"
                " WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
                ledger.tenant_id,
                guide_id,
                day,
                at,
            )
    return AtWork(guide_id, day, published=published, listed=there[0] if there else 0)


async def _to_open(connection: Driver, tenant_id: int, guide: GuideAt, at: datetime) -> list[str]:
    """Release hours of the guide's zone that have passed and whose lists nobody has cut, or not from all plans."""
    hours = {
        one.release
        for one in await releases_of(connection, tenant_id, at=at, guide=guide)
        if one.opens_at <= at < one.closes_at and await wants_cut(connection, tenant_id, one)
    }
    # A plan whose cycle nothing has begun: its release hour is not among those of running cycles.
    for plan, cycle in await cycles_to_begin(connection, tenant_id):
        opens_at, closes_at = cycle_instants(plan, cycle, guide.time_zone)
        if plan.care.takes_part(guide.code) and opens_at <= at < closes_at:
            hours.add(clock_text(plan.day.release))
    return sorted(hours)


async def _guide_day(
    connection: Driver, tenant_id: int, guide_id: UUID, day: date
) -> tuple[int, datetime] | None:
    row = await connection.fetchrow(
        "SELECT listed, opens_at FROM guide_day WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3",
        tenant_id,
        guide_id,
        day,
    )
    return None if row is None else (row["listed"], row["opens_at"])


async def close_guide_days(
    ledger: Ledger, *, guide_ids: Sequence[UUID], day: date, at: datetime, actor: str, reason: str
) -> int:
    """The evening, by hand: close these guides' days now; returns how many were not closed before."""
    closed = 0
    for guide_id in guide_ids:
        command = Command(f"guide-day/{guide_id}/{day}/close", at, at, actor)
        async with ledger.transaction() as connection:
            closed += await close(
                connection, ledger.tenant_id, command, guide_id=guide_id, day=day, reason=reason
            )
    return closed
