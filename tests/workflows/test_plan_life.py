"""A plan's life beside what people decide: pause, resume, early close, on the time-skipping server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from domain.messages import BusinessTime, PlanOutcome, PlanRun
from domain.plan import Plan
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
    database: LedgerDatabase, home: Path, brand: Brand, standing: Plan | None = None
) -> AsyncIterator[tuple[WorkflowEnvironment, Handle]]:
    """The plan's workflow, started on its own; nobody works its lists."""
    await brand.open_store()
    await brand.hire()
    await brand.due_on(4, "M1", "M2")
    standing = standing or plan()
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


async def change(brand: Brand, handle: Handle | None, status: str) -> None:
    """Change the plan's status and tell its workflow, unless the signal is to be lost."""
    async with brand.ledger.transaction() as connection:
        await change_status(
            connection, 1, brand.command(when=at(1)), "p1", status=status, reason="a decision of HQ"
        )
    if handle is not None:
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


async def checks(brand: Brand) -> list[tuple[int, str]]:
    """Cycle and kind of every Check, in the order they were written."""
    rows = await brand.rows(
        "SELECT (payload->>'cycle')::int, payload->>'kind' FROM event WHERE type = 'cycle_checked'"
        " ORDER BY version"
    )
    return [(cycle, kind) for cycle, kind in rows]


async def test_each_cycle_is_settled_when_its_own_windows_have_closed(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    four = plan(period={"working_days": 5, "cycles": 4})
    async with running_plan(ledger_database, home, brand, four) as (_, handle):
        assert await handle.result() == PlanOutcome(cycles=4, status="running")
    written = await checks(brand)
    first, last = (1, "settled"), (4, "provisional")
    assert written.index(first) < written.index(last), "cycle 1 settles on 20 March, cycle 4 ends on 21 March"
    assert sorted(written) == [(cycle, kind) for cycle in (1, 2, 3, 4) for kind in ("provisional", "settled")]
    rows = await brand.rows("SELECT max(as_of) - min(as_of) FROM plan_check GROUP BY cycle")
    assert {row[0] for row in rows} == {timedelta(days=14)}


async def test_a_plan_closed_after_its_first_cycle_ends_with_every_cycle_settled(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    two = plan(period={"working_days": 5, "cycles": 2})
    async with running_plan(ledger_database, home, brand, two) as (server, handle):
        while await cycles(brand) < 2:
            await server.sleep(timedelta(hours=12))
        await change(brand, handle, "closed")
        assert await handle.result() == PlanOutcome(cycles=2, status="closed")
    assert await brand.rows("SELECT cycle, state FROM plan_cycle ORDER BY 1") == [
        (1, "settled"),
        (2, "settled"),
    ]


async def test_what_is_decided_without_a_signal_is_seen_all_the_same(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    async with running_plan(ledger_database, home, brand) as (server, handle):
        await change(brand, handle, "paused")
        await server.sleep(timedelta(days=30))
        await change(brand, None, "running")
        await server.sleep(timedelta(hours=7))
        assert await cycles(brand) == 1
        await change(brand, None, "closed")
        assert await handle.result() == PlanOutcome(cycles=1, status="closed")


async def test_a_guide_day_that_never_closes_does_not_hold_up_the_check(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    async with running_plan(ledger_database, home, brand) as (server, handle):
        while await cycles(brand) < 1:
            await server.sleep(timedelta(hours=12))
        guide = await brand.value("SELECT guide_id FROM guide")
        await brand.morning(4, guide)
        assert await handle.result() == PlanOutcome(cycles=1, status="running")
    assert await brand.rows("SELECT state, closed_at FROM guide_day") == [("closed", at(4, 21))]
    assert await checks(brand) == [(1, "provisional"), (1, "settled")]


async def test_a_long_wait_goes_on_in_a_new_run_where_it_stood(
    ledger_database: LedgerDatabase, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server suggests it after some four thousand events.
    monkeypatch.setattr(
        workflow.Info,
        "is_continue_as_new_suggested",
        lambda info: info.get_current_history_length() > 40,
    )
    brand = Brand(ledger_database.ledger)
    async with running_plan(ledger_database, home, brand) as (server, handle):
        await change(brand, handle, "paused")
        await server.sleep(timedelta(days=30))
        await change(brand, None, "running")
        assert await handle.result() == PlanOutcome(cycles=1, status="running")
        newest = await server.client.get_workflow_handle("plan/p1").fetch_history()
    started = newest.events[0].workflow_execution_started_event_attributes
    assert started.continued_execution_run_id
    assert await brand.value("SELECT count(*) FROM event WHERE type = 'cycle_started'") == 1
    assert await checks(brand) == [(1, "provisional"), (1, "settled")]
