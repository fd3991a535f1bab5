"""Running a rehearsal: a server that skips time, the real workers, one workflow awaited once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from pathlib import Path
from typing import NoReturn

from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from domain.messages import BusinessTime, RehearsalOutcome, RehearsalRun
from domain.plan import Plan, clock_text
from infra.clock import now
from infra.databases import ensure_months
from infra.embedded_temporal import time_skipping_server
from infra.server_errors import EmbeddedServerError
from infra.workers import running_workers
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger
from workflows.options import BULK
from workflows.rehearsal import RehearsalWorkflow

WEEK = timedelta(weeks=1)
PATIENCE = timedelta(minutes=45)
LOOK_EVERY = 0.3
LOOK_FOR = 10.0
SILENT_AT_MOST = 5.0
"""Seconds: how often the progress is read, how long one reading may take, how long PostgreSQL may be silent."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rehearsal has got: the last business day on which every list is closed, and all counts so far."""

    day: date | None
    days: int
    check_ins: int


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal came to on the Temporal side.

    `most_events_a_guide_day` is the longest history of a guide-day; `temporal_events` counts every history of
    the rehearsal: plan, dispatches, guide-days and the driver.
    """

    outcome: RehearsalOutcome
    guide_days: int
    temporal_events: int
    most_events_a_guide_day: int


def offset_for(plan: Plan, present: datetime) -> timedelta:
    """The whole weeks between the server's clock and the plan's time, so that its start still lies ahead."""
    start = datetime.combine(plan.period.start, time(0), UTC) - timedelta(days=2)
    return -WEEK * ceil((present + timedelta(minutes=1) - start) / WEEK)


async def rehearse(
    ledger: Ledger,
    plan: Plan,
    *,
    seed: int,
    home: Path,
    on_progress: Callable[[Progress], None] | None = None,
    keep_histories: Callable[[str, str], None] | None = None,
) -> Rehearsed:
    """Rehearse a launched plan to the end of its last cycle, and count what it cost Temporal.

    Args:
        ledger: holds the launched plan and its facts.
        plan: the plan.
        seed: of the simulated guides.
        home: where the servers note what they started.
        on_progress: called a few times a second.
        keep_histories: called with workflow name and history as JSON, for one history of each workflow;
            replay tests are made of them.
    """
    offset = offset_for(plan, now())
    last = plan.cycle_days(plan.period.cycles)[-1] + plan.attribution_window + timedelta(days=2)
    await ensure_months(ledger, plan.period.start - timedelta(days=31), last)
    run = RehearsalRun(
        plan_id=plan.plan,
        seed=seed,
        time=BusinessTime(offset_seconds=int(offset.total_seconds()), rehearsal=True),
    )
    async with (
        time_skipping_server(home, data_converter=pydantic_data_converter) as server,
        running_workers(server.client, ledger),
    ):
        handle = await server.client.start_workflow(
            RehearsalWorkflow.run, run, id=f"rehearsal/{plan.plan}", task_queue=BULK
        )
        outcome = await _outcome(handle, ledger, on_progress)
        if on_progress:
            on_progress(await read_progress(ledger))
        rehearsed = await _count_events(server.client, ledger, plan, outcome)
        if keep_histories:
            await _keep(server.client, ledger, plan, keep_histories)
        return rehearsed


async def _keep(client: Client, ledger: Ledger, plan: Plan, keep: Callable[[str, str], None]) -> None:
    async with ledger.connection() as connection:
        day = await connection.fetchrow(
            "SELECT guide_id, business_date, time_zone FROM guide_day WHERE tenant_id = $1"
            " ORDER BY business_date, guide_id LIMIT 1",
            ledger.tenant_id,
        )
    ids = {
        "PlanWorkflow": f"plan/{plan.plan}",
        "RehearsalWorkflow": f"rehearsal/{plan.plan}",
        "DispatchWorkflow": f"dispatch/{day['time_zone']}/{clock_text(plan.day.release)}/{day['business_date']}",
        "GuideDayWorkflow": f"guide-day/{day['guide_id']}/{day['business_date']}",
    }
    for name, workflow_id in ids.items():
        async for history in _runs(client, workflow_id):
            keep(name, history.to_json())


async def _outcome(
    handle: WorkflowHandle[RehearsalWorkflow, RehearsalOutcome],
    ledger: Ledger,
    on_progress: Callable[[Progress], None] | None,
) -> RehearsalOutcome:
    """The result, or an error as soon as one of the servers is gone.

    Where time is skipped, retries that wait for a server take no time at all: without this they would go on for ever
    and fill the log.
    """
    result = asyncio.create_task(handle.result())
    watching = asyncio.create_task(_watch(ledger, on_progress))
    try:
        await asyncio.wait(
            {result, watching}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE.total_seconds()
        )
        if watching.done():
            watching.result()
        if not result.done():
            raise EmbeddedServerError(
                f"the rehearsal did not end within {PATIENCE}", remedy="look into the log, and run it again"
            )
        return result.result()
    except RPCError as error:
        raise EmbeddedServerError(
            "the time-skipping Temporal server stopped during the rehearsal", remedy="run the command again"
        ) from error
    finally:
        for task in (result, watching):
            task.cancel()
        await asyncio.gather(result, watching, return_exceptions=True)


async def _watch(ledger: Ledger, on_progress: Callable[[Progress], None] | None) -> NoReturn:
    """Tell the progress; raise once PostgreSQL has not answered for a while."""
    clock = asyncio.get_running_loop().time
    answered = clock()
    while True:
        try:
            async with asyncio.timeout(LOOK_FOR):
                progress = await read_progress(ledger)
        except DATABASE_LOST as error:
            if clock() - answered >= SILENT_AT_MOST:
                raise EmbeddedServerError(
                    "PostgreSQL stopped during the rehearsal", remedy="run the command again"
                ) from error
        else:
            answered = clock()
            if on_progress:
                on_progress(progress)
        await asyncio.sleep(LOOK_EVERY)


async def read_progress(ledger: Ledger) -> Progress:
    """How far the ledger has got."""
    async with ledger.connection() as connection:
        row = await connection.fetchrow(
            """
            SELECT max(business_date) AS day, count(*) AS days,
                   (SELECT count(*) FROM check_in WHERE tenant_id = $1) AS check_ins
            FROM (SELECT business_date FROM guide_day WHERE tenant_id = $1
                  GROUP BY 1 HAVING bool_and(state = 'closed')) closed""",
            ledger.tenant_id,
        )
    return Progress(row["day"], row["days"], row["check_ins"])


async def _count_events(client: Client, ledger: Ledger, plan: Plan, outcome: RehearsalOutcome) -> Rehearsed:
    async with ledger.connection() as connection:
        days = await connection.fetch(
            "SELECT guide_id, business_date, time_zone FROM guide_day WHERE tenant_id = $1 ORDER BY 1, 2",
            ledger.tenant_id,
        )
    release = clock_text(plan.day.release)
    guide_days = sorted({f"guide-day/{row['guide_id']}/{row['business_date']}" for row in days})
    zones = sorted({row["time_zone"] for row in days})
    worked = [day for cycle in range(1, outcome.plan.cycles + 1) for day in plan.cycle_days(cycle)]
    others = [f"dispatch/{zone}/{release}/{day}" for zone in zones for day in worked]
    window = asyncio.Semaphore(16)

    async def count(workflow_id: str) -> int:
        async with window:
            return await count_history(client, workflow_id)

    lengths = await asyncio.gather(*(count(workflow_id) for workflow_id in guide_days))
    rest = await asyncio.gather(
        *(count(workflow_id) for workflow_id in (*others, f"plan/{plan.plan}", f"rehearsal/{plan.plan}"))
    )
    return Rehearsed(outcome, len(guide_days), sum(lengths) + sum(rest), max(lengths, default=0))


async def count_history(client: Client, workflow_id: str) -> int:
    """Events of a workflow's history, all runs of a continue-as-new chain together."""
    return sum([len(history.events) async for history in _runs(client, workflow_id)])


async def _runs(client: Client, workflow_id: str) -> AsyncIterator[WorkflowHistory]:
    """The histories of a continue-as-new chain, the newest first."""
    run_id: str | None = None
    while True:
        history = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        yield history
        started = history.events[0].workflow_execution_started_event_attributes
        run_id = started.continued_execution_run_id or None
        if run_id is None:
            return
