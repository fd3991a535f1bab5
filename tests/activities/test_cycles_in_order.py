"""A ledger that was restored, or a workflow started anew, finds its way through the cycles in order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from activities.acting import adjust_goal_of
from activities.asked import Asked
from domain.errors import Conflict
from domain.messages import PlanStep
from ledger.unfinished import UnfinishedPlan, unfinished_plans
from tests.brand import Brand, at, plan

THREE_DAYS = {"start": "2026-03-02", "working_days": 1, "cycles": 3}


@pytest.fixture
async def first_cycle(brand: Brand) -> Brand:
    """Three cycles of one day; the first has begun, and one member of two was followed up on it."""
    await brand.open_store()
    guide = await brand.hire()
    await brand.due_on(2, "M1", "M2", guide=guide)
    await brand.start(plan(period=THREE_DAYS, act={"raise_at": 120, "lower_at": 90}))
    await brand.morning(2, guide)
    task = await brand.value("SELECT task_id FROM list_item WHERE rank = 1")
    await brand.report(task, guide, at(2, 10), "interested")
    await brand.evening(2, guide)
    return brand


async def unfinished(brand: Brand) -> list[UnfinishedPlan]:
    async with brand.ledger.connection() as connection:
        return await unfinished_plans(connection, 1)


def step(cycle: int, day: int, hour: int = 21) -> PlanStep:
    return PlanStep(plan_id="p1", cycle=cycle, at=at(day, hour, 5), rehearsal=True)


async def test_a_cycle_does_not_begin_before_the_one_before_it_is_checked(first_cycle: Brand) -> None:
    with pytest.raises(Conflict):
        await first_cycle.assignment.start_cycle(step(2, 3, 8))
    await first_cycle.review.check_cycle(step(1, 2))
    await first_cycle.assignment.start_cycle(step(2, 3, 8))
    assert await first_cycle.rows("SELECT cycle, state FROM plan_cycle ORDER BY 1") == [
        (1, "checked"),
        (2, "running"),
    ]


async def test_a_workflow_begins_with_the_earliest_cycle_that_is_not_checked(first_cycle: Brand) -> None:
    (before,) = await unfinished(first_cycle)
    assert (before.cycle, before.opened) == (1, True)
    await first_cycle.review.check_cycle(step(1, 2))
    (checked,) = await unfinished(first_cycle)
    assert (checked.cycle, checked.opened) == (1, True), "its Act may not have been done"
    await first_cycle.review.act_on_check(step(1, 2))
    await first_cycle.assignment.start_cycle(step(2, 3, 8))
    # As a ledger restored to before the Check would stand beside a Temporal that is ahead.
    await first_cycle.execute("UPDATE plan_cycle SET state = 'running' WHERE cycle = 1")
    (behind,) = await unfinished(first_cycle)
    assert behind.cycle == 1


async def test_a_plan_whose_last_figures_are_there_is_finished(first_cycle: Brand) -> None:
    await first_cycle.execute("UPDATE plan_cycle SET state = 'settled'")
    await first_cycle.execute("UPDATE plan SET cycle = 3")
    assert await unfinished(first_cycle) == []


async def test_an_act_done_again_leaves_alone_what_a_manager_decided_since(first_cycle: Brand) -> None:
    await first_cycle.review.check_cycle(step(1, 2))
    acted = await first_cycle.review.act_on_check(step(1, 2))
    assert acted.goal == "lower"
    after = await adjust_goal_of(
        first_cycle.ledger, "p1", Decimal(99), "we can", Asked(None, at(2, 22), "hq")
    )
    again = await first_cycle.review.act_on_check(step(1, 2, 23))
    assert again.goal == "keep"
    assert await first_cycle.value("SELECT spec->'goal'->>'target' FROM plan") == "99"
    assert after.version == await first_cycle.value("SELECT version FROM plan")


async def test_a_decision_to_keep_the_goal_is_noted_so_that_it_is_not_decided_again(brand: Brand) -> None:
    await brand.open_store()
    guide = await brand.hire()
    await brand.due_on(2, "M1", "M2", guide=guide)
    half = {"measure": "completion_rate", "target": 50, "by": "2026-03-31"}
    await brand.start(plan(period=THREE_DAYS, goal=half, act={"raise_at": 120, "lower_at": 90}))
    await brand.morning(2, guide)
    task = await brand.value("SELECT task_id FROM list_item WHERE rank = 1")
    await brand.report(task, guide, at(2, 10), "interested")
    await brand.evening(2, guide)
    await brand.review.check_cycle(step(1, 2))
    assert (await brand.review.act_on_check(step(1, 2))).goal == "keep"
    await adjust_goal_of(brand.ledger, "p1", Decimal(99), "we can", Asked(None, at(2, 22), "hq"))
    assert (await brand.review.act_on_check(step(1, 2, 23))).goal == "keep", "half of 99 would lower it"
    assert await brand.value("SELECT spec->'goal'->>'target' FROM plan") == "99"
