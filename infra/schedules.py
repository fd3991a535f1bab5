"""Temporal Schedules of the live days: one a time zone and release hour, kept in line with the plans."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time, timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.messages import ReleaseRun
from workflows.options import DAYS
from workflows.release import ReleaseWorkflow

CATCH_UP = timedelta(hours=12)
"""An outage of so many hours is caught up; Temporal's own default is a year, which would release old days."""
PREFIX = "release/"

log = structlog.get_logger(__name__)


def schedule_id(run: ReleaseRun) -> str:
    """One a time zone and release hour."""
    return f"{PREFIX}{run.time_zone}/{run.release}"


def day_schedule(run: ReleaseRun) -> Schedule:
    """Every day at the release hour as clocks in the zone show it; without the zone's name it would be UTC."""
    at = time.fromisoformat(run.release)
    return Schedule(
        action=ScheduleActionStartWorkflow(
            ReleaseWorkflow.run, run, id=schedule_id(run), task_queue=DAYS, run_timeout=timedelta(days=4)
        ),
        spec=ScheduleSpec(
            calendars=[
                ScheduleCalendarSpec(
                    second=[ScheduleRange(at.second)],
                    minute=[ScheduleRange(at.minute)],
                    hour=[ScheduleRange(at.hour)],
                )
            ],
            time_zone_name=run.time_zone,
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=CATCH_UP),
    )


async def ensure_schedules(client: Client, wanted: Iterable[ReleaseRun]) -> int:
    """Make what is missing; returns how many were made now."""
    made = 0
    for run in sorted(wanted, key=schedule_id):
        try:
            await client.create_schedule(schedule_id(run), day_schedule(run))
        except ScheduleAlreadyRunningError:
            continue
        log.info("schedule_made", schedule=schedule_id(run))
        made += 1
    return made


async def drop_schedules(client: Client, wanted: Iterable[ReleaseRun]) -> int:
    """Remove those no plan needs any more; returns how many.

    Listing may lag behind: one that is missed goes the next time, and until then starts days that end at once.
    """
    keep = {schedule_id(run) for run in wanted}
    dropped = 0
    async for listed in await client.list_schedules():
        if listed.id.startswith(PREFIX) and listed.id not in keep:
            try:
                await client.get_schedule_handle(listed.id).delete()
            except RPCError as error:
                if error.status != RPCStatusCode.NOT_FOUND:
                    raise
                continue
            log.info("schedule_dropped", schedule=listed.id)
            dropped += 1
    return dropped
