"""One check-in as a Temporal Update whose handler records it by an activity: local, 6 history events each, or regular, 11.

The embedded dev server as `daogou up` runs it, tuned and with its file database in WAL mode; one entity workflow a guide;
client and worker in a process of their own. The activity writes one row through asyncpg in a transaction of its own, in the
same PostgreSQL, fsync on: a local activity is the cheapest way Temporal has to do that, a regular one the usual.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Literal
from uuid import uuid4

import asyncpg
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.ledger.load import Ran
from infra.temporal_process import TemporalProcess

QUEUE = "bench"
By = Literal["local", "regular"]
"""Kinds of activity."""
ENTITIES = 50
AN_ANSWER = timedelta(seconds=30)


@workflow.defn(name="GuideOnTemporal")
class GuideOnTemporal:
    """A guide whose check-ins are updates."""

    def __init__(self) -> None:
        self._ended = False

    @workflow.run
    async def run(self) -> None:
        """Wait for the end."""
        await workflow.wait_condition(lambda: self._ended and workflow.all_handlers_finished())

    @workflow.update
    async def check_in(self, item: int) -> int:
        """Record one."""
        return await workflow.execute_local_activity(  # type: ignore[no-any-return] # by name
            "record", item, result_type=int, start_to_close_timeout=AN_ANSWER
        )

    @workflow.update
    async def check_in_regularly(self, item: int) -> int:
        """The same by an activity any worker may run."""
        return await workflow.execute_activity(  # type: ignore[no-any-return] # by name
            "record", item, result_type=int, start_to_close_timeout=AN_ANSWER
        )

    @workflow.signal
    def end(self) -> None:
        """No more come."""
        self._ended = True


@asynccontextmanager
async def running_temporal(home: Path) -> AsyncIterator[str]:
    """The dev server as `daogou up` runs it; gives its address."""
    server = TemporalProcess(home)
    try:
        await server.start()
        yield server.address
    finally:
        await server.stop()
        server.close()


def run_updates(temporal: str, url: str, count: int, at_once: int, by: By) -> Ran:
    """Send so many updates, `at_once` in flight, to workflows that run already; recorded by this kind of activity."""
    return asyncio.run(_run_updates(temporal, url, count, at_once, by))


async def _run_updates(temporal: str, url: str, count: int, at_once: int, by: By) -> Ran:
    check_in = GuideOnTemporal.check_in if by == "local" else GuideOnTemporal.check_in_regularly
    pool = await asyncpg.create_pool(url, min_size=at_once, max_size=at_once)
    await pool.execute(
        "CREATE TABLE IF NOT EXISTS recorded (item integer, outcome text, known_at timestamptz)"
    )

    @activity.defn(name="record")
    async def record(item: int) -> int:
        await pool.execute("INSERT INTO recorded VALUES ($1, 'interested', now())", item)
        return item

    client = await Client.connect(temporal)
    times: list[float] = []
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[GuideOnTemporal],
        activities=[record],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_workflow_tasks=at_once,
        max_concurrent_local_activities=at_once,
        max_concurrent_activities=at_once,
    ):
        run = uuid4()
        handles: list[WorkflowHandle[GuideOnTemporal, None]] = [
            await client.start_workflow(GuideOnTemporal.run, id=f"bench/{run}/{number}", task_queue=QUEUE)
            for number in range(ENTITIES)
        ]
        await asyncio.gather(*(handle.execute_update(check_in, 0) for handle in handles))
        waiting = iter(range(count))

        async def go() -> None:
            for item in waiting:
                began = perf_counter()
                await handles[item % ENTITIES].execute_update(check_in, item)
                times.append(perf_counter() - began)

        began, used = perf_counter(), process_time()
        await asyncio.gather(*(go() for _ in range(at_once)))
        spent, used = perf_counter() - began, process_time() - used
        for handle in handles:
            await handle.signal(GuideOnTemporal.end)
        await asyncio.gather(*(handle.result() for handle in handles))
    await pool.close()
    return Ran(count, spent, tuple(times), used)
