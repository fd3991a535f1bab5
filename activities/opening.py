"""Opening and closing days, ledger first: what the day's workflow does, anybody may do when it is due.

Lists are cut once a zone and release hour and published once a guide, under the same command ids, whether by the
workflow, at a clock-in while Temporal is away, or by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from uuid import UUID

from activities.context import Context
from activities.purchases import PurchaseActivities, plans_on
from domain.calendar import business_date, local_instant
from domain.errors import NotFound, Problem, Refused
from domain.events import ClockedIn
from domain.messages import DayStep
from domain.plan import clock_text
from ledger import facts
from ledger.cycles import read_cycle
from ledger.days import PlanOnDay, close, cut_lists, publish
from ledger.door import Driver
from ledger.ledger import Command, Ledger, guide_day_stream, record
from ledger.plans import running_plans
from ledger.zone_days import lists_cut, note_cut, wait_turn


@dataclass(frozen=True, slots=True)
class ZoneRelease:
    """A release hour (HH:MM) of a time zone on a date on which at least one running plan works."""

    day: date
    time_zone: str
    release: str
    opens_at: datetime
    closes_at: datetime


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


async def releases_of(connection: Driver, tenant_id: int, *, at: datetime) -> list[ZoneRelease]:
    """The release hours of the local date at `at` in every zone where a guide of a running plan stands."""
    guides = [guide for guide in await facts.guides(connection, tenant_id) if guide.active]
    found: dict[tuple[str, str], ZoneRelease] = {}
    for standing in await running_plans(connection, tenant_id):
        plan = standing.plan
        cycle = await read_cycle(connection, tenant_id, plan.plan, standing.cycle)
        if cycle is None or cycle.state != "running":
            continue
        zones = {guide.time_zone for guide in guides if plan.care.takes_part(guide.code)}
        for zone in sorted(zones):
            day = business_date(at, zone)
            if not cycle.starts_on <= day <= cycle.ends_on or not plan.working_calendar.is_working(day):
                continue
            release = clock_text(plan.day.release)
            opens_at = local_instant(day, time_of_day.fromisoformat(release), zone)
            closes_at = local_instant(day, plan.day.close, zone)
            known = found.get((zone, release))
            if known is not None:
                closes_at = max(closes_at, known.closes_at)
            found[zone, release] = ZoneRelease(day, zone, release, opens_at, closes_at)
    return [found[key] for key in sorted(found)]


async def cut_zone(ledger: Ledger, step: DayStep) -> OpenedDay:
    """Cut the lists of a zone's release hour from the items of all plans, once.

    One transaction; whoever comes second waits for the first and finds them cut.
    """
    async with ledger.transaction() as connection:
        await wait_turn(connection, ledger.tenant_id, day=step.day, time_zone=step.time_zone)
        before = await lists_cut(
            connection, ledger.tenant_id, day=step.day, time_zone=step.time_zone, release=step.release
        )
        if before is not None:
            return OpenedDay(cut=False, lists=before)
        found = await plans_on(connection, ledger.tenant_id, step, any_release=True)
        if not found:
            return OpenedDay(cut=False, lists=0)
        closes = max(standing.plan.day.close for standing, _ in found)
        lists = await cut_lists(
            connection,
            ledger.tenant_id,
            day=step.day,
            time_zone=step.time_zone,
            plans=[
                PlanOnDay(
                    standing.plan.plan,
                    standing.cycle,
                    standing.plan.care.items_per_day,
                    expire=standing.plan.day.open_items == "expire",
                )
                for standing, _ in found
            ],
            opens_at=local_instant(step.day, time_of_day.fromisoformat(step.release), step.time_zone),
            closes_at=local_instant(step.day, closes, step.time_zone),
        )
        await note_cut(
            connection,
            ledger.tenant_id,
            day=step.day,
            time_zone=step.time_zone,
            release=step.release,
            at=step.at,
            lists=lists,
        )
    return OpenedDay(cut=True, lists=lists)


async def open_zone_day(
    ledger: Ledger, *, day: date, time_zone: str, release: str, at: datetime
) -> OpenedDay:
    """What the day's workflow does at the release hour, without it: settle what was bought, then cut the lists."""
    step = DayStep(day=day, time_zone=time_zone, release=release, at=at)
    async with ledger.connection() as connection:
        before = await lists_cut(connection, ledger.tenant_id, day=day, time_zone=time_zone, release=release)
    if before is not None:
        return OpenedDay(cut=False, lists=before)
    await PurchaseActivities(Context(ledger, lambda: at)).settle_purchases(step)
    return await cut_zone(ledger, step)


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
            raise NotFound(Problem("guide", guide_code, "unknown_guide", {"nearest": "—"}))
        guide_id, zone = guide["guide_id"], guide["time_zone"]
        day = business_date(at, zone)
        there = await _guide_day(connection, ledger.tenant_id, guide_id, day)
        due = [] if there else await releases_of(connection, ledger.tenant_id, at=at)
    for one in due:
        if one.time_zone == zone and one.opens_at <= at < one.closes_at:
            await open_zone_day(ledger, day=day, time_zone=zone, release=one.release, at=at)
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
            Command(f"{key}/clock-in", at, at, actor),
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
