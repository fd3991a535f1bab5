"""A plan's life beside what people decide: pause, resume, early close, on the time-skipping server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from domain.messages import BusinessTime, PlanOutcome, PlanRun
from infra.clock import now
from infra.databases import ensure_months
from infra.embedded_temporal import time_skipping_server
from infra.rehearsals import offset_for
from infra.workers import running_workers
from ledger.plans import change_status
from tests.brand import MONDAY, Brand, at, plan
from tests.conftest import LedgerDatabase
from workflows.options import PLANS
from workflows.plan import PlanWorkflow

Handle = WorkflowHandle[PlanWorkflow, PlanOutcome]


@asynccontextmanager
async def running_plan(
    database: LedgerDatabase, home: Path, brand: Brand
) -> AsyncIterator[tuple[WorkflowEnvironment, Handle]]:
    """The plan's workflow, started on its own; nobody works its lists."""
    await brand.open_store()
    await brand.hire()
    await brand.due_on(4, "M1", "M2")
    standing = plan()
    await brand.launch(standing)
    await ensure_months(database.ledger, MONDAY - timedelta(days=40), MONDAY + timedelta(days=90))
    offset = int(offset_for(standing, now()).total_seconds())
    run = PlanRun(plan_id="p1", time=BusinessTime(offset_seconds=offset, rehearsal=True))
    async with (
        time_skipping_server(home, data_converter=pydantic_data_converter) as server,
        running_workers(server.client, database.ledger),
    ):
        yield (
            server,
            await server.client.start_workflow(PlanWorkflow.run, run, id="plan/p1", task_queue=PLANS),
        )


async def change(brand: Brand, handle: Handle, status: str) -> None:
    async with brand.ledger.transaction() as connection:
        await change_status(
            connection, 1, brand.command(when=at(1)), "p1", status=status, reason="a decision of HQ"
        )
    await handle.signal(PlanWorkflow.changed)


async def cycles(brand: Brand) -> int:
    return int(await brand.value("SELECT count(*) FROM plan_cycle"))


async def test_a_paused_plan_waits_and_goes_on_where_it_stood_when_resumed(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    async with running_plan(ledger_database, home, brand) as (server, handle):
        await change(brand, handle, "paused")
        await server.sleep(timedelta(days=30))
        assert await cycles(brand) == 0
        await change(brand, handle, "running")
        outcome = await handle.result()
    assert outcome == PlanOutcome(cycles=1, status="running")
    assert await cycles(brand) == 1


async def test_a_plan_closed_before_its_first_day_ends_without_a_cycle(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    async with running_plan(ledger_database, home, brand) as (_, handle):
        await change(brand, handle, "closed")
        assert await handle.result() == PlanOutcome(cycles=0, status="closed")
    assert await cycles(brand) == 0


async def test_a_plan_closed_early_is_checked_at_once_and_settled_when_its_windows_close(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    async with running_plan(ledger_database, home, brand) as (server, handle):
        # The plan starts on a Monday at most a week and two days ahead of the server's clock.
        await server.sleep(timedelta(days=12))
        assert await cycles(brand) == 1
        await change(brand, handle, "closed")
        assert await handle.result() == PlanOutcome(cycles=1, status="closed")
    checks = await brand.rows("SELECT kind, as_of FROM plan_check ORDER BY as_of")
    assert [kind for kind, _ in checks] == ["provisional", "settled"]
    assert checks[0][1] < at(13, 21), "checked before the cycle's planned end"
    assert checks[1][1] - checks[0][1] == timedelta(days=14)
    left = await brand.value("SELECT count(*) FROM task WHERE state = 'open'")
    assert left == 0, "what is open when a plan closes expires with it"
