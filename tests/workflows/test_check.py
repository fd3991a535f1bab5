"""The Check counts one moment, and no day that failed to close holds it up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import ActivityEnvironment

import activities.review
from activities.dispatch import DispatchActivities
from domain.errors import Conflict
from domain.messages import PlanRun, PlanStep
from infra.embedded_temporal import time_skipping_server
from ledger.door import Driver
from ledger.ledger import Command
from ledger.plans import change_status
from ledger.sequencer import sequence
from tests.brand import MONDAY, Brand, at, plan
from tests.conftest import LedgerDatabase

ENDED = PlanStep(plan_id="p1", cycle=1, at=at(13, 21, 5), rehearsal=True)
count_cycle = activities.review.count_cycle


async def test_a_check_does_not_see_what_commits_while_it_counts(
    ledger_database: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = Brand(ledger_database.ledger)
    await brand.open_store()
    guide = await brand.hire()
    (member,) = await brand.due_on(2, "M1")
    await brand.start()
    task = await brand.task(member)

    async def count_late(connection: Driver, tenant_id: int, step: PlanStep) -> dict[str, Any]:
        await brand.report(task, guide, at(2, 10), "interested", grade="A")
        async with brand.ledger.connection() as other:
            await sequence(other, 1)
        return await count_cycle(connection, tenant_id, step)

    monkeypatch.setattr(activities.review, "count_cycle", count_late)
    checked = await brand.review.check_cycle(ENDED)
    assert checked.position < await brand.value("SELECT max(position) FROM event_position")
    assert await brand.value("SELECT figures->>'check_ins' FROM plan_check") == "0"


async def test_a_check_during_which_the_plan_changes_is_written_by_its_next_attempt(
    ledger_database: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = Brand(ledger_database.ledger)
    await brand.open_store()
    await brand.hire()
    await brand.start()

    async def count_and_pause(connection: Driver, tenant_id: int, step: PlanStep) -> dict[str, Any]:
        async with brand.ledger.transaction() as other:
            command = Command("pause", at(3), at(3), "hq")
            await change_status(other, 1, command, "p1", status="paused", reason="a decision of HQ")
        return await count_cycle(connection, tenant_id, step)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(activities.review, "count_cycle", count_and_pause)
        # Neither is in the list of what another attempt cannot mend.
        with pytest.raises((Conflict, asyncpg.SerializationError)):
            await brand.review.check_cycle(ENDED)
    assert await brand.value("SELECT count(*) FROM plan_check") == 0
    await brand.review.check_cycle(ENDED)
    assert await brand.value("SELECT count(*) FROM plan_check") == 1


async def test_the_check_closes_overdue_days_once_and_leaves_those_that_are_still_on(
    ledger_database: LedgerDatabase,
) -> None:
    brand = Brand(ledger_database.ledger)
    await brand.open_store()
    guide = await brand.hire()
    await brand.due_on(2, "M1")
    await brand.due_on(3, "M2")
    await brand.start()
    for day in (2, 3):
        await brand.morning(day, guide)
    noon = ENDED.model_copy(update={"at": at(3, 12)})
    still_open = await brand.plans.count_open_days(noon)
    assert (still_open.count, still_open.closes_at) == (2, at(3, 21))
    checked = await brand.review.check_cycle(noon)
    assert checked.closed_days == 1
    rows = await brand.rows("SELECT business_date, state, closed_at FROM guide_day ORDER BY 1")
    assert rows == [(MONDAY, "closed", at(2, 21)), (at(3).date(), "published", None)]
    assert not (await brand.dispatch.close_day(brand.guide_day(guide, 2, 21))).changed
    assert await brand.value("SELECT count(*) FROM event WHERE type = 'day_closed'") == 1


async def test_the_plan_tells_when_its_earliest_unsettled_cycle_can_be_settled(
    ledger_database: LedgerDatabase,
) -> None:
    brand = Brand(ledger_database.ledger)
    await brand.open_store()
    await brand.hire()
    two = plan(period={"working_days": 5, "cycles": 2})
    run = PlanRun(plan_id="p1")
    await brand.start(two)
    assert (await brand.plans.read_plan(run)).next_settle_at is None
    for cycle, day in ((1, 6), (2, 11)):
        step = PlanStep(plan_id="p1", cycle=cycle, at=at(day, 21, 5), rehearsal=True)
        await brand.review.check_cycle(step)
        if cycle == 1:
            await brand.start(two, 2)
    assert (await brand.plans.read_plan(run)).next_settle_at == at(20, 21, 5)
    await brand.review.settle_cycles(ENDED.model_copy(update={"at": at(20, 21, 5)}))
    assert (await brand.plans.read_plan(run)).next_settle_at == at(25, 21, 5)


async def test_a_guide_day_that_failed_is_started_again_and_one_that_runs_is_left_alone(
    ledger_database: LedgerDatabase, home: Path
) -> None:
    brand = Brand(ledger_database.ledger)
    await brand.open_store()
    guide = await brand.hire()
    await brand.due_on(2, "M1")
    await brand.start()
    await brand.dispatch.cut_lists(brand.day(2))
    async with time_skipping_server(home, data_converter=pydantic_data_converter) as server:
        dispatch = DispatchActivities(brand.context(), server.client)

        async def started() -> int:
            return (await ActivityEnvironment().run(dispatch.start_guide_days, brand.day(2))).started

        assert (await started(), await started()) == (1, 0)
        await server.client.get_workflow_handle(f"guide-day/{guide}/2026-03-02").terminate()
        assert await started() == 1
