"""`daogou day`: how the day stands, and opening and closing it by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import uuid4

import click
from rich.console import RenderableType

from activities.opening import ZoneRelease, close_guide_days, open_zone_day, releases_of
from activities.plans import SELECT_AHEAD, cycle_instants, plan_zone
from cli import day_screens as screens
from cli.completeness import complete_line
from cli.day_lists import register
from cli.day_screens import Opened
from cli.session import Session, json_option, pass_session
from domain.calendar import business_date
from domain.errors import Problem, Refused
from domain.playbook import nearest
from domain.urging import MOST_URGES
from infra.clock import now
from infra.day_workflows import start_day
from infra.plan_workflows import Told, start_plan
from ledger import facts
from ledger.cycles import read_cycle
from ledger.door import Driver
from ledger.guides import guide_id_of
from ledger.ledger import Command, Ledger
from ledger.plans import list_plans, running_plans
from ledger.store_days import ListStillOpen, StoreDay, lists_still_open, read_store_days, store_zones
from ledger.urging import UrgedGuide, urge
from ledger.watermarks import complete_until

ACTOR = "hq"
CYCLE_BEGINS_WITHIN = timedelta(seconds=30)
"""How long a plan launched a moment ago is waited for: its workflow selects the members first."""
LOOK_EVERY = 0.2

zone_option = click.option("--zone", metavar="ZONE", help="只看这个时区 / this time zone only.")
date_option = click.option(
    "--date", "day", type=click.DateTime(["%Y-%m-%d"]), help="哪一天（默认今天）/ which day (default: today)."
)


@click.group("day", invoke_without_command=True)
@json_option
@click.pass_context
def day(context: click.Context) -> None:
    """今天各店的清单；开启、提前收尾 / The day: open it, close it."""
    if context.invoked_subcommand is None:
        context.invoke(status_command, zone=None, day=None)


register(day)


@day.command("status")
@zone_option
@date_option
@json_option
@pass_session
def status_command(session: Session, zone: str | None, day: datetime | None) -> None:
    """各门店的清单：导购、任务、完成、状态 / Every store's lists: guides, items, done, state."""
    stores, until = session.run(_status(session, zone, day.date() if day else None))
    session.show(
        {"stores": stores, "complete_until": until},
        *_standing(session, stores),
        complete_line(session.words, until),
    )


async def _status(
    session: Session, zone: str | None, on: date | None
) -> tuple[list[StoreDay], dict[str, datetime | None]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        days = await _days(connection, ledger.tenant_id, zone, on)
        stores = await read_store_days(connection, ledger.tenant_id, days)
        return stores, await complete_until(connection, ledger.tenant_id, now())


def _standing(session: Session, stores: Sequence[StoreDay]) -> list[RenderableType]:
    if stores:
        return list(screens.standing(session, stores))
    return [session.words("day.nothing"), f"  {session.command('day', 'open')}"]


@day.command("open")
@zone_option
@date_option
@json_option
@pass_session
def open_command(session: Session, zone: str | None, day: datetime | None) -> None:
    """手动开启今天：结算购买、生成清单；同一天只生成一次 / Open the day by hand; each date once."""
    opened, stores = session.run(_open(session, zone, day.date() if day else None))
    session.show(
        {
            "opened": [
                {
                    "day": one.release.day,
                    "time_zone": one.release.time_zone,
                    "release": one.release.release,
                    "closes_at": one.release.closes_at,
                    "cut": one.opened.cut,
                    "lists": one.opened.lists,
                    "workflow_started": one.told.as_json(),
                }
                for one in opened
            ],
            "stores": stores,
        },
        *screens.opened(session, opened),
        *_standing(session, stores),
    )


async def _open(session: Session, zone: str | None, on: date | None) -> tuple[list[Opened], list[StoreDay]]:
    async with session.ledger() as (ledger, _):
        await _cycles_begun(session, ledger)
        at = now()
        async with ledger.connection() as connection:
            days = await _days(connection, ledger.tenant_id, zone, None)
            releases = await releases_of(connection, ledger.tenant_id, at=at)
        due = _due([one for one in releases if one.time_zone in days], days, at=at, on=on)
        opened = []
        for one in due:
            done = await open_zone_day(
                ledger, day=one.day, time_zone=one.time_zone, release=one.release, at=at
            )
            told = await start_day(session.settings, one.day, one.time_zone, one.release)
            opened.append(Opened(one, done, told))
        async with ledger.connection() as connection:
            return opened, await read_store_days(connection, ledger.tenant_id, days)


def _due(
    releases: Sequence[ZoneRelease], days: dict[str, date], *, at: datetime, on: date | None
) -> list[ZoneRelease]:
    """The release hours that may be opened now; refused, with the reason, where there is none."""
    today = ", ".join(f"{day} ({zone})" for zone, day in days.items())
    if on is not None and on not in days.values():
        raise Refused([Problem("--date", on.isoformat(), "not_today", {"today": today})])
    releases = [one for one in releases if on in (None, one.day)]
    if not releases:
        raise Refused([Problem("day", today, "no_plan_works_today")])
    due = [one for one in releases if one.opens_at <= at < one.closes_at]
    if not due:
        code = "release_ahead" if any(at < one.opens_at for one in releases) else "day_is_over"
        hours = sorted({f"{one.release} ({one.time_zone})" for one in releases})
        raise Refused([Problem("day", today, code, {"hours": ", ".join(hours)})])
    return due


async def _cycles_begun(session: Session, ledger: Ledger) -> None:
    """Wait until the members of every plan that is due are selected; its workflow does that within seconds.

    Raises:
        Refused: no plan runs, or one does not begin: nothing drives it.
    """
    async with ledger.connection() as connection:
        if not await running_plans(connection, ledger.tenant_id):
            raise Refused(await _none_runs(connection, ledger.tenant_id))
        waiting = await _not_begun(connection, ledger.tenant_id)
    told = [await start_plan(session.settings, plan_id) for plan_id in waiting]
    driven = all(one in {Told.YES, Told.NOT_NEEDED} for one in told)
    until = now() + CYCLE_BEGINS_WITHIN
    while waiting:
        if not driven or now() > until:
            raise Refused([Problem("plan", plan_id, "cycle_not_begun") for plan_id in waiting])
        await asyncio.sleep(LOOK_EVERY)
        async with ledger.connection() as connection:
            waiting = await _not_begun(connection, ledger.tenant_id)


async def _none_runs(connection: Driver, tenant_id: int) -> list[Problem]:
    """Why no plan runs: those that are paused, else that there is none."""
    plans = await list_plans(connection, tenant_id)
    paused = [one["plan_id"] for one in plans if one["status"] == "paused"]
    return [Problem("plan", plan, "plan_paused", {"plan": plan}) for plan in paused] or [
        Problem("plan", "", "no_plan_runs")
    ]


async def _not_begun(connection: Driver, tenant_id: int) -> list[str]:
    """Running plans whose first cycle is due by now and has not begun."""
    late = []
    for standing in await running_plans(connection, tenant_id):
        if await read_cycle(connection, tenant_id, standing.plan.plan, max(standing.cycle, 1)) is None:
            zone = await plan_zone(connection, tenant_id, standing.plan)
            opens_at, _ = cycle_instants(standing.plan, 1, zone)
            if opens_at - SELECT_AHEAD <= now():
                late.append(standing.plan.plan)
    return late


@day.command("urge")
@click.argument("guide")
@click.option(
    "--key",
    metavar="NAME",
    help="给这次催办起的名字，重复执行不会再催 / your own name for it; given again, nothing is done.",
)
@json_option
@pass_session
def urge_command(session: Session, guide: str, key: str | None) -> None:
    """催办：没做完的排到最前面并通知她 / Urge a guide about what is open."""
    urged = session.run(_urge(session, guide, key))
    text = "day.urged_before" if urged.duplicate else "day.urged"
    words = session.words
    session.show(
        urged,
        words(text, guide=guide, day=urged.day, open=urged.open_items, most=MOST_URGES),
        words("day.urge_sent")
        if urged.told
        else words("day.urge_unrouted", command=session.command("outbox", "channel", "add", "--help")),
    )


async def _urge(session: Session, guide: str, key: str | None) -> UrgedGuide:
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            await _refuse_unknown(connection, ledger.tenant_id, None, guide)
            guide_id = await guide_id_of(connection, ledger.tenant_id, guide)
        at = now()
        command = Command(f"urge/{ACTOR}/{key or uuid4()}", at, at, ACTOR)
        return await urge(ledger, command, guide_id=guide_id, guide_code=guide)


@day.command("close")
@click.option("--store", metavar="CODE", help="只收这家门店 / this store only.")
@click.option("--guide", metavar="CODE", help="只收这位导购 / this guide only.")
@click.option("--reason", required=True, metavar="TEXT", help="为什么 / why; kept on the record.")
@zone_option
@json_option
@pass_session
def close_command(
    session: Session, store: str | None, guide: str | None, reason: str, zone: str | None
) -> None:
    """提前收尾：今天的清单现在就关 / The evening, early: today's lists close now."""
    closed, stores = session.run(_close(session, store, guide, reason, zone))
    session.show(
        {"closed": closed, "reason": reason, "stores": stores},
        session.words("day.closed" if closed else "day.closed_before", count=closed, reason=reason),
        *_standing(session, stores),
    )


async def _close(
    session: Session, store: str | None, guide: str | None, reason: str, zone: str | None
) -> tuple[int, list[StoreDay]]:
    if not reason.strip():
        raise Refused([Problem("--reason", reason, "reason_missing")])
    if store is not None and guide is not None:
        raise Refused([Problem("--guide", guide, "store_or_guide", {"store": store})])
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            days = await _days(connection, ledger.tenant_id, zone, None)
            await _refuse_unknown(connection, ledger.tenant_id, store, guide)
            if not await read_store_days(connection, ledger.tenant_id, days):
                today = ", ".join(f"{day} ({zone})" for zone, day in days.items())
                raise Refused([Problem("day", today, "no_lists_today")])
            still_open = await lists_still_open(connection, ledger.tenant_id, days)
        closed = 0
        for day_, guides in _by_day(still_open, store, guide).items():
            closed += await close_guide_days(
                ledger,
                guide_ids=[one.guide_id for one in guides],
                day=day_,
                at=now(),
                actor=ACTOR,
                reason=reason,
            )
        async with ledger.connection() as connection:
            return closed, await read_store_days(connection, ledger.tenant_id, days)


def _by_day(
    still_open: Sequence[ListStillOpen], store: str | None, guide: str | None
) -> dict[date, list[ListStillOpen]]:
    grouped: dict[date, list[ListStillOpen]] = {}
    for one in still_open:
        if store in (None, one.store) and guide in (None, one.guide):
            grouped.setdefault(one.day, []).append(one)
    return grouped


async def _refuse_unknown(connection: Driver, tenant_id: int, store: str | None, guide: str | None) -> None:
    everyone = await facts.guides(connection, tenant_id)
    for option, value, known, code in (
        ("--store", store, frozenset(one.store_code for one in everyone), "unknown_store"),
        ("--guide", guide, frozenset(one.code for one in everyone), "unknown_guide"),
    ):
        if value is not None and value not in known:
            raise Refused([Problem(option, value, code, {"nearest": nearest(value, known) or "—"})])


async def _days(connection: Driver, tenant_id: int, zone: str | None, on: date | None) -> dict[str, date]:
    """The day in each zone of the brand's stores: today there, unless one is named."""
    zones = await store_zones(connection, tenant_id)
    if not zones:
        raise Refused([Problem("stores", "", "no_stores")])
    if zone is not None and zone not in zones:
        raise Refused([Problem("--zone", zone, "no_store_in_zone", {"zones": ", ".join(zones)})])
    at = now()
    return {name: on or business_date(at, name) for name in zones if zone in (None, name)}
