"""The day of a time zone and release hour: lists are cut, guide-days started, published and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.context import Context
from activities.opening import cut_zone
from activities.purchases import plans_on
from domain.calendar import local_instant
from domain.messages import (
    BusinessTime,
    Changed,
    Cut,
    DayStep,
    DayView,
    GuideDayRun,
    GuideDayStep,
    Slot,
    Started,
)
from domain.plan import clock_text
from ledger.closing import close
from ledger.open_days import open_days
from ledger.publishing import AT_ONCE, publish, publish_many, released

STARTS_IN_FLIGHT = 40
"""Temporal's starts are the scarce resource; beyond some 50 at once its latency grows to seconds."""
PUBLISHED_IN_FLIGHT = 2
"""Transactions that publish lists beside each other."""


class DispatchActivities:
    """Lists and guide-days."""

    def __init__(self, context: Context, client: Client | None = None) -> None:
        self._context = context
        self._client = client

    @activity.defn(name="read_day")
    async def read_day(self, step: DayStep) -> DayView:
        """When the day opens, nudges and closes, by the plans that work on it."""
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            plans = [standing.plan for standing, _ in await plans_on(connection, ledger.tenant_id, step)]
        if not plans:
            return DayView(working=False, opens_at=step.at, closes_at=step.at)
        # What was not claimed is pushed at the cut-off, which is a slot like those at which guides are nudged.
        slots = {(nudge, "", 1) for plan in plans for nudge in plan.day.nudges}
        slots |= {(plan.day.claim_until, "", 1) for plan in plans if plan.day.claim_until is not None}
        slots |= {(one.at, one.to.value, one.open_percent) for plan in plans for one in plan.day.escalations}
        return DayView(
            working=True,
            opens_at=local_instant(step.day, plans[0].day.release, step.time_zone),
            closes_at=local_instant(step.day, max(plan.day.close for plan in plans), step.time_zone),
            slots=tuple(
                Slot(
                    name=clock_text(at),
                    at=local_instant(step.day, at, step.time_zone),
                    escalate_to=level,
                    open_percent=percent,
                )
                for at, level, percent in sorted(slots)
            ),
        )

    @activity.defn(name="cut_lists")
    async def cut_lists(self, step: DayStep) -> Cut:
        """Cut the lists of all guides of the zone, at the first release hour from the items of all plans."""
        opened = await cut_zone(self._context.ledger, step)
        return Cut(lists=opened.lists)

    @activity.defn(name="start_guide_days")
    async def start_guide_days(self, step: DayStep) -> Started:
        """Publish the zone's lists, then start a workflow for every guide-day that is not closed.

        Nobody waits for the starts to see her list. Days that run already are left alone; one that failed or timed out is
        started again: its steps are idempotent, and its day is still open.
        """
        ledger = self._context.ledger
        client = self._client or activity.client()
        await self.publish_lists(step)
        async with ledger.connection() as connection:
            days = await open_days(
                connection, ledger.tenant_id, first=step.day, last=step.day, time_zone=step.time_zone
            )
        window = asyncio.Semaphore(STARTS_IN_FLIGHT)
        time = BusinessTime(offset_seconds=step.offset_seconds, rehearsal=step.rehearsal)

        async def start(run: GuideDayRun) -> bool:
            async with window:
                activity.heartbeat()
                try:
                    await client.start_workflow(
                        "GuideDayWorkflow",
                        run,
                        id=guide_day_workflow_id(run),
                        task_queue=activity.info().task_queue,
                        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                        execution_timeout=timedelta(days=4),
                    )
                except WorkflowAlreadyStartedError:
                    return False
                return True

        results = await asyncio.gather(
            *(
                start(
                    GuideDayRun(
                        guide_id=day.guide_id,
                        day=day.day,
                        opens_at=day.opens_at,
                        closes_at=day.closes_at,
                        time=time,
                    )
                )
                for day in days
            )
        )
        return Started(started=sum(results))

    async def publish_lists(self, step: DayStep) -> int:
        """Publish the lists of a zone that are cut and released, some at a time; returns how many.

        Two transactions at once: while one is composed here, the other is written there.
        """
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            guides = await released(
                connection, ledger.tenant_id, day=step.day, time_zone=step.time_zone, at=step.at
            )
        command = self._context.command(
            f"publish/{step.time_zone}/{step.day}", step.at, rehearsal=step.rehearsal
        )
        window = asyncio.Semaphore(PUBLISHED_IN_FLIGHT)

        async def publish_some(some: Sequence[UUID]) -> int:
            async with window, ledger.transaction() as connection:
                return await publish_many(
                    connection,
                    ledger.tenant_id,
                    command,
                    guides=some,
                    day=step.day,
                )

        starts = range(0, len(guides), AT_ONCE)
        return sum(await asyncio.gather(*(publish_some(guides[at : at + AT_ONCE]) for at in starts)))

    @activity.defn(name="publish_list")
    async def publish_list(self, step: GuideDayStep) -> Changed:
        """Publish the guide's list, once."""
        ledger = self._context.ledger
        command = self._context.command(
            f"guide-day/{step.guide_id}/{step.day}/publish", step.at, rehearsal=step.rehearsal
        )
        async with ledger.transaction() as connection:
            changed = await publish(
                connection, ledger.tenant_id, command, guide_id=step.guide_id, day=step.day
            )
        return Changed(changed=changed)

    @activity.defn(name="close_day")
    async def close_day(self, step: GuideDayStep) -> Changed:
        """Close the guide's day, once."""
        ledger = self._context.ledger
        command = self._context.command(
            f"guide-day/{step.guide_id}/{step.day}/close", step.at, rehearsal=step.rehearsal
        )
        async with ledger.transaction() as connection:
            changed = await close(connection, ledger.tenant_id, command, guide_id=step.guide_id, day=step.day)
        return Changed(changed=changed)


def guide_day_workflow_id(run: GuideDayRun) -> str:
    """Guide ids are keyed digests, so the id tells nothing about a person."""
    return f"guide-day/{run.guide_id}/{run.day}"
