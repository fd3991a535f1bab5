"""Keeps Temporal in line with the ledger: Temporal may lose anything, the ledger is read again.

Every pass starts what should run and does not, tells what has not been told, and closes what an outage left open.
It never decides: each workflow reads the ledger before each step. `resume` is one pass that starts everything anew.

Cost of a pass: seven reads, however many plans and guides there are; a call to Temporal for each release hour of the day,
for each plan that changed, and for every unfinished plan each `ALL_PLANS_EVERY` passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from activities.opening import open_zone_day, releases_of
from domain.messages import DayRun, GuideDayRun, ReleaseRun
from domain.plan import clock_text
from infra.day_workflows import AGAIN, ONCE, start_dispatch, start_guide_day, start_plan_workflow
from infra.plan_workflows import signal_changed
from infra.schedules import drop_schedules, ensure_schedules
from infra.seal_workflow import start_seal_workflow
from ledger.database import DATABASE_LOST
from ledger.door import Driver
from ledger.guide_zones import guide_zones
from ledger.ledger import Ledger
from ledger.open_days import OpenDay, open_days
from ledger.plan_cycles import unended_plans
from ledger.unfinished import unfinished_plans
from ledger.zone_days import last_cut

EVERY = 20.0
"""Seconds between two passes."""
ALL_PLANS_EVERY = 3
"""Plans that did not change are looked after once in so many passes: Temporal may have lost their workflow."""
DROP_EVERY = 30
"""Schedules nobody needs are looked for once in so many passes."""
SCHEDULE_MAY_TAKE = timedelta(minutes=1)
"""So long after a release hour its Schedule is given to start the day."""
OVERDUE = timedelta(minutes=15)
"""So long after its hour a guide-day that is not published or not closed is given a workflow; 10,000 that close at once
take Temporal's dev server some six minutes."""
MOST_A_PASS = 500
"""Guide-days given a workflow in one pass."""
STARTS_IN_FLIGHT = 40

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What was started or made in a pass."""

    plans: int = 0
    days: int = 0
    guide_days: int = 0
    schedules: int = 0

    @property
    def nothing(self) -> bool:
        """Whether everything ran already."""
        return self == Reconciled()


class Reconciler:
    """One a worker process; several beside each other do no harm."""

    def __init__(self, client: Client, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._client = client
        self._ledger = ledger
        self._now = now
        self._told: dict[str, int] = {}
        self._passes = 0

    async def run(self) -> None:
        """Reconcile until cancelled; an outage of either server is waited out."""
        while True:
            try:
                done = await self.once()
                if not done.nothing:
                    log.info("reconciled", plans=done.plans, days=done.days, guide_days=done.guide_days)
            except (*DATABASE_LOST, RPCError) as error:
                log.warning("reconciler_waits", reason=type(error).__name__)
            await asyncio.sleep(EVERY)

    async def once(self) -> Reconciled:
        """One pass that leaves alone what runs."""
        at = self._now()
        plans = await self._plans()
        if self._passes % ALL_PLANS_EVERY == 0:
            await start_seal_workflow(self._client)
        schedules = await self._schedules()
        days = await self._days(at, restart=False)
        overdue = await self._guide_days(lambda day: _left_behind(day, at), restart=False, most=MOST_A_PASS)
        self._passes += 1
        return Reconciled(plans, days, overdue, schedules)

    async def resume(self) -> Reconciled:
        """Start every workflow anew from the ledger, whatever Temporal has: it may be empty, or ahead."""
        at = self._now()
        async with self._ledger.connection() as connection:
            plans = await unfinished_plans(connection, self._ledger.tenant_id)
        started = await _window(
            [partial(start_plan_workflow, self._client, plan, restart=True) for plan in plans]
        )
        await start_seal_workflow(self._client, restart=True)
        schedules = await self._schedules()
        guide_days = await self._guide_days(lambda _: True, restart=True)
        return Reconciled(started, await self._days(at, restart=True), guide_days, schedules)

    async def _plans(self) -> int:
        async with self._ledger.connection() as connection:
            plans = await unfinished_plans(connection, self._ledger.tenant_id)
        started = 0
        everything = self._passes % ALL_PLANS_EVERY == 0
        for plan in plans:
            if not everything and self._told.get(plan.plan_id) == plan.version:
                continue
            if await start_plan_workflow(self._client, plan):
                started += 1
            elif self._told.get(plan.plan_id) != plan.version:
                await signal_changed(self._client, plan.plan_id)
            self._told[plan.plan_id] = plan.version
        return started

    async def _schedules(self) -> int:
        async with self._ledger.connection() as connection:
            wanted = await wanted_releases(connection, self._ledger.tenant_id)
        made = await ensure_schedules(self._client, wanted)
        if self._passes % DROP_EVERY == 0:
            await drop_schedules(self._client, wanted)
        return made

    async def _days(self, at: datetime, *, restart: bool) -> int:
        tenant_id = self._ledger.tenant_id
        async with self._ledger.connection() as connection:
            due = [
                (
                    one,
                    await last_cut(
                        connection, tenant_id, day=one.day, time_zone=one.time_zone, release=one.release
                    ),
                )
                for one in await releases_of(connection, tenant_id, at=at)
                if one.opens_at + SCHEDULE_MAY_TAKE <= at < one.closes_at
            ]
        started = 0
        for one, cut in due:
            run = DayRun(day=one.day, time_zone=one.time_zone, release=one.release)
            # One that ran to its end without cutting a list came before there was a plan, and is not the day's.
            reuse = AGAIN if cut is None else ONCE
            started += await start_dispatch(self._client, run, reuse=reuse, restart=restart)
            if cut is not None and cut.at < one.started_at:
                # The day runs, and a plan's cycle has begun since its lists were cut.
                await open_zone_day(
                    self._ledger, day=one.day, time_zone=one.time_zone, release=one.release, at=at
                )
        return started

    async def _guide_days(
        self, wanted: Callable[[OpenDay], bool], *, restart: bool, most: int | None = None
    ) -> int:
        async with self._ledger.connection() as connection:
            days = [day for day in await open_days(connection, self._ledger.tenant_id) if wanted(day)]
        runs = [
            GuideDayRun(guide_id=day.guide_id, day=day.day, opens_at=day.opens_at, closes_at=day.closes_at)
            for day in days[:most]
        ]
        return await _window([partial(start_guide_day, self._client, run, restart=restart) for run in runs])


def _left_behind(day: OpenDay, at: datetime) -> bool:
    """Whether a guide-day should long have been published or closed: no workflow is at it."""
    return day.closes_at + OVERDUE <= at or (day.state == "cut" and day.opens_at + OVERDUE <= at)


async def wanted_releases(connection: Driver, tenant_id: int) -> list[ReleaseRun]:
    """The release hours of every plan that is not at its end, in each zone where a guide of it stands."""
    plans = await unended_plans(connection, tenant_id)
    zones = await guide_zones(connection, tenant_id, plans)
    wanted = {(zone, clock_text(plan.day.release)) for plan in plans for zone in zones.of(plan)}
    return [ReleaseRun(time_zone=zone, release=release) for zone, release in sorted(wanted)]


async def _window(starts: list[Callable[[], Awaitable[bool]]]) -> int:
    """Run many starts, a bounded number at once; returns how many started something."""
    window = asyncio.Semaphore(STARTS_IN_FLIGHT)

    async def one(start: Callable[[], Awaitable[bool]]) -> bool:
        async with window:
            return await start()

    return sum(await asyncio.gather(*(one(start) for start in starts)))
