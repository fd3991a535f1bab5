"""What a day costs Temporal in history events, everything counted: a day of a few guides from release to Check, in real time.

Histories do not grow with items; those that all guides share do not grow with guides. So the guide-days of a few tell what
each costs, and what is shared is shared out among those of the brand.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.acting import change_plan_status
from activities.asked import Asked
from activities.dispatch import guide_day_workflow_id
from bench.day.brand import Shape, plan_id, write_brand
from bench.day.cutting import migrated, opened
from bench.ledger.dispatch import Place
from domain.messages import GuideDayRun, ReleaseRun
from infra.clock import now
from infra.databases import ensure_months_ahead
from infra.plan_workflows import workflow_id
from infra.reconciler import Reconciler, wanted_releases
from infra.schedules import ensure_schedules, schedule_id
from infra.seal_workflow import SEAL_ID
from infra.workers import running_workers
from ledger.ledger import Ledger
from ledger.open_days import open_days
from workflows.seal import EVERY

MOST_GUIDES = 50
RELEASE = "10:00"
PATIENCE_S = 120.0
LOOK_S = 0.1
A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """History events."""

    own: int
    """The longest history of a guide-day."""
    shared: int
    """Of what all guides of the brand share on a day: release, dispatch, plans with their whole cycle, seals."""

    def a_guide_day(self, guides: int) -> float:
        """Where so many share."""
        return self.own + self.shared / guides


async def count_events(place: Place, address: str, shape: Shape, *, lasts: timedelta) -> Counted:
    """Let a day of a few guides pass, from its plans' launch to their Check; it closes `lasts` from now.

    On a Temporal where nothing else runs; nothing of it goes on there afterwards.
    """
    few = _today(replace(shape, guides=min(shape.guides, MOST_GUIDES), items_a_guide=5), lasts)
    urls = await migrated(place, "events")
    async with opened(urls, place) as ledger:
        await write_brand(ledger, urls.admin, few)
        await ensure_months_ahead(ledger, now().date())
        client = await Client.connect(address, data_converter=pydantic_data_converter)
        async with running_workers(client, ledger):
            counted = await _passed(client, ledger, few)
            for left in (SEAL_ID, *(workflow_id(plan_id(number)) for number in range(few.plans))):
                await client.get_workflow_handle(left).terminate("counted")
            return counted


async def _passed(client: Client, ledger: Ledger, shape: Shape) -> Counted:
    reconciler = Reconciler(client, ledger, now)
    await reconciler.once()  # plans, seals; no cycle has begun, so no day
    await _until(ledger, "SELECT count(*) = $1 FROM plan_cycle", shape.plans)
    async with ledger.connection() as connection:
        await ensure_schedules(client, await wanted_releases(connection, ledger.tenant_id))
    schedule = client.get_schedule_handle(schedule_id(ReleaseRun(time_zone=shape.time_zone, release=RELEASE)))
    await schedule.trigger()  # as it does by itself at the release hour
    await _until(ledger, "SELECT count(*) = $1 FROM guide_day WHERE state <> 'cut'", shape.guides)
    async with ledger.connection() as connection:
        days = await open_days(connection, ledger.tenant_id)
    ids = [
        guide_day_workflow_id(
            GuideDayRun(guide_id=one.guide_id, day=one.day, opens_at=one.opens_at, closes_at=one.closes_at)
        )
        for one in days
    ]
    await _until(ledger, "SELECT count(*) = $1 FROM guide_day WHERE state = 'closed'", shape.guides)
    for number in range(
        shape.plans
    ):  # the Check follows some minutes later; an early close does not wait for it
        await change_plan_status(ledger, plan_id(number), "closed", "done", Asked(None, now(), "bench"))
    await reconciler.once()
    await _until(ledger, "SELECT count(*) = $1 FROM plan_check", shape.plans)
    own = [await _length(client, one, ended=True) for one in ids]
    shared = [
        *[await _length(client, one, ended=True) for one in await _triggered(schedule)],
        await _length(client, f"dispatch/{shape.time_zone}/{RELEASE}/{shape.day}", ended=True),
        *[await _length(client, workflow_id(plan_id(number))) for number in range(shape.plans)],
        # Its first round is as long as each of those that follow.
        await _length(client, SEAL_ID) * (A_DAY // EVERY),
    ]
    return Counted(max(own), sum(shared))


async def _triggered(schedule: ScheduleHandle) -> list[str]:
    """Ids of what it started."""
    told = (await schedule.describe()).info.recent_actions
    return [
        one.action.workflow_id for one in told if isinstance(one.action, ScheduleActionExecutionStartWorkflow)
    ]


async def _length(client: Client, workflow: str, *, ended: bool = False) -> int:
    """Events of its history; `ended`: once it is at its end."""
    handle = client.get_workflow_handle(workflow)
    if ended:
        await handle.result()
    return (await handle.describe()).history_length


async def _until(ledger: Ledger, question: str, count: int) -> None:
    """Ask again and again until the answer is yes.

    Raises:
        SystemExit: it is not, for longer than one waits.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        async with ledger.connection() as connection:
            if await connection.fetchval(question, count):
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE_S:.0f} s: {question} ({count})")
        await asyncio.sleep(LOOK_S)


def _today(shape: Shape, lasts: timedelta) -> Shape:
    """The same on a day that is going on now, in a zone where it is late morning."""
    present = now()
    hours = (11 - present.hour) % 24
    hours = hours - 24 if hours > 14 else hours
    zone = f"Etc/GMT{'-' if hours >= 0 else '+'}{abs(hours)}"  # the sign of these names runs the other way
    there = present.astimezone(ZoneInfo(zone))

    def clock(part: float) -> str:
        return (there + lasts * part).time().replace(microsecond=0).isoformat()

    told = {
        "release": RELEASE,
        "nudges": [clock(0.4), clock(0.5)],
        "escalate": [
            {"at": clock(0.6), "to": "store"},
            {"at": clock(0.7), "to": "region"},
            {"at": clock(0.8), "to": "hq"},
        ],
        "close": clock(1),
    }
    return replace(shape, day=there.date(), time_zone=zone, hours=told)
