"""A plan's life beside what people decide: pause, resume, early close, on the time-skipping server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Life:
    """A plan whose workflow runs on its own; nobody works its lists."""

    brand: Brand
    server: WorkflowEnvironment
    handle: Handle

    async def change(self, status: str, *, told: bool = True) -> None:
        """Change the plan's status and tell its workflow, unless the signal is to be lost."""
        async with self.brand.ledger.transaction() as connection:
            command = self.brand.command(when=at(1))
            await change_status(connection, 1, command, "p1", status=status, reason="a decision of HQ")
        if told:
            await self.handle.signal(PlanWorkflow.changed)

    async def pass_by(self, **time: float) -> None:
        """Let so much time pass."""
        await self.server.sleep(timedelta(**time))

    async def cycles(self) -> int:
        return int(await self.brand.value("SELECT count(*) FROM plan_cycle"))

    async def reach_cycle(self, cycle: int) -> None:
        """Let time pass until the cycle has begun."""
        while await self.cycles() < cycle:
            await self.pass_by(hours=12)

    async def checks(self) -> list[tuple[int, str]]:
        """Cycle and kind of every Check, in the order they were written."""
        rows = await self.brand.rows(
            "SELECT (payload->>'cycle')::int, payload->>'kind' FROM event WHERE type = 'cycle_checked'"
            " ORDER BY version"
        )
        return [(cycle, kind) for cycle, kind in rows]


@asynccontextmanager
async def running_plan(
    database: LedgerDatabase, home: Path, standing: Plan | None = None
) -> AsyncIterator[Life]:
    """The plan's workflow, started on its own."""
    brand = Brand(database.ledger)
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
        handle = await server.client.start_workflow(PlanWorkflow.run, run, id="plan/p1", task_queue=PLANS)
        yield Life(brand, server, handle)


async def test_a_paused_plan_waits_and_goes_on_where_it_stood_when_resumed(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    async with running_plan(ledger_database, home) as life:
        await life.change("paused")
        await life.pass_by(days=30)
        assert await life.cycles() == 0
        await life.change("running")
        outcome = await life.handle.result()
    assert outcome == PlanOutcome(cycles=1, status="running")
    assert await life.cycles() == 1


async def test_a_plan_closed_before_its_first_day_ends_without_a_cycle(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    async with running_plan(ledger_database, home) as life:
        await life.change("closed")
        assert await life.handle.result() == PlanOutcome(cycles=0, status="closed")
    assert await life.cycles() == 0


async def test_a_plan_closed_early_is_checked_at_once_and_settled_when_its_windows_close(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    async with running_plan(ledger_database, home) as life:
        # The plan starts on a Monday at most a week and two days ahead of the server's clock.
        await life.pass_by(days=12)
        assert await life.cycles() == 1
        await life.change("closed")
        assert await life.handle.result() == PlanOutcome(cycles=1, status="closed")
    checks = await life.brand.rows("SELECT kind, as_of FROM plan_check ORDER BY as_of")
    assert [kind for kind, _ in checks] == ["provisional", "settled"]
    assert checks[0][1] < at(13, 21), "checked before the cycle's planned end"
    assert checks[1][1] - checks[0][1] == timedelta(days=14)
    left = await life.brand.value("SELECT count(*) FROM task WHERE state = 'open'")
    assert left == 0, "what is open when a plan closes expires with it"


async def test_each_cycle_is_settled_when_its_own_windows_have_closed(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    four = plan(period={"working_days": 5, "cycles": 4})
    async with running_plan(ledger_database, home, four) as life:
        assert await life.handle.result() == PlanOutcome(cycles=4, status="running")
    written = await life.checks()
    first, last = (1, "settled"), (4, "provisional")
    assert written.index(first) < written.index(last), "cycle 1 settles on 20 March, cycle 4 ends on 21 March"
    assert sorted(written) == [(cycle, kind) for cycle in (1, 2, 3, 4) for kind in ("provisional", "settled")]
    rows = await life.brand.rows("SELECT max(as_of) - min(as_of) FROM plan_check GROUP BY cycle")
    assert {row[0] for row in rows} == {timedelta(days=14)}


async def test_a_plan_closed_after_its_first_cycle_ends_with_every_cycle_settled(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    two = plan(period={"working_days": 5, "cycles": 2})
    async with running_plan(ledger_database, home, two) as life:
        await life.reach_cycle(2)
        await life.change("closed")
        assert await life.handle.result() == PlanOutcome(cycles=2, status="closed")
    assert await life.brand.rows("SELECT cycle, state FROM plan_cycle ORDER BY 1") == [
        (1, "settled"),
        (2, "settled"),
    ]


async def test_what_is_decided_without_a_signal_is_seen_all_the_same(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    async with running_plan(ledger_database, home) as life:
        await life.change("paused")
        # Past its first day, and before the last window closes on 27 March, whatever weekday it began on.
        await life.pass_by(days=20)
        await life.change("running", told=False)
        await life.pass_by(hours=7)
        assert await life.cycles() == 1
        await life.change("closed", told=False)
        assert await life.handle.result() == PlanOutcome(cycles=1, status="closed")


async def test_a_guide_day_that_never_closes_does_not_hold_up_the_check(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    async with running_plan(ledger_database, home) as life:
        await life.reach_cycle(1)
        guide = await life.brand.value("SELECT guide_id FROM guide")
        await life.brand.morning(4, guide)
        assert await life.handle.result() == PlanOutcome(cycles=1, status="running")
    assert await life.brand.rows("SELECT state, closed_at FROM guide_day") == [("closed", at(4, 21))]
    assert await life.checks() == [(1, "provisional"), (1, "settled")]


async def test_a_long_wait_goes_on_in_a_new_run_where_it_stood(
    ledger_database: LedgerDatabase, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server suggests it after some four thousand events.
    monkeypatch.setattr(
        workflow.Info,
        "is_continue_as_new_suggested",
        lambda info: info.get_current_history_length() > 40,
    )
    async with running_plan(ledger_database, home) as life:
        await life.change("paused")
        # Past its first day, and before the last window closes on 27 March, whatever weekday it began on.
        await life.pass_by(days=20)
        await life.change("running", told=False)
        assert await life.handle.result() == PlanOutcome(cycles=1, status="running")
        newest = await life.server.client.get_workflow_handle("plan/p1").fetch_history()
    started = newest.events[0].workflow_execution_started_event_attributes
    assert started.continued_execution_run_id
    assert await life.brand.value("SELECT count(*) FROM event WHERE type = 'cycle_started'") == 1
    assert await life.checks() == [(1, "provisional"), (1, "settled")]
