"""What pause means: each line of the table in docs/pause.md, held by a test.

M1 is due on Monday the 2nd, M2 on Wednesday the 4th; the plan is paused on Monday at 11:00.
"""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from activities.acting import change_plan_status
from activities.asked import Asked
from domain.messages import PlanRun, PlanStep
from tests.brand import Brand, at, plan

RUN = PlanRun(plan_id="p1", opened=True)


@pytest.fixture
async def guide(brand: Brand) -> UUID:
    """The guide of both members; Monday's list is published."""
    await brand.open_store()
    guide = await brand.hire()
    await brand.due_on(2, "M1", guide=guide)
    await brand.due_on(4, "M2", guide=guide)
    await brand.start(plan(day={"open_items": "expire"}))
    await brand.morning(2, guide)
    await pause(brand)
    return guide


async def pause(brand: Brand, hour: int = 11) -> None:
    await change_plan_status(brand.ledger, "p1", "paused", "stock", Asked(None, at(2, hour), "hq"))


async def resume(brand: Brand, day: int, hour: int = 8) -> None:
    await change_plan_status(brand.ledger, "p1", "running", "stock is back", Asked(None, at(day, hour), "hq"))


async def item(brand: Brand, code: str) -> UUID:
    return UUID(
        str(
            await brand.value(
                "SELECT task_id FROM task WHERE member_id = member_id_of($1)",
                code,
            )
        )
    )


async def test_due_dates_stay_and_what_became_due_is_on_the_first_list_afterwards(
    brand: Brand, guide: UUID
) -> None:
    before = await brand.rows("SELECT task_id, due_on, state FROM task ORDER BY 1")
    await brand.evening(2, guide)
    for day in (3, 4):
        await brand.morning(day, guide)
    assert await brand.rows("SELECT task_id, due_on, state FROM task ORDER BY 1") == before
    await resume(brand, 5)
    await brand.morning(5, guide)
    assert len(await brand.listed(5, guide)) == 2


async def test_no_list_is_cut_while_it_is_paused(brand: Brand, guide: UUID) -> None:
    await brand.morning(3, guide)
    assert await brand.listed(3, guide) == []


async def test_the_cycle_ends_when_it_would_have_and_is_checked_after_the_resumption(
    brand: Brand, guide: UUID
) -> None:
    view = await brand.plans.read_plan(RUN)
    assert view.status == "paused"
    ends = "SELECT ends_on FROM plan_cycle"
    before = await brand.value(ends)
    await resume(brand, 5)
    after = await brand.plans.read_plan(RUN)
    assert (after.checks_at, await brand.value(ends)) == (view.checks_at, before)
    assert before == date(2026, 3, 11)


async def test_a_published_list_stays_and_a_report_of_it_counts_and_is_marked(
    brand: Brand, guide: UUID
) -> None:
    assert len(await brand.listed(2, guide)) == 1
    await brand.report(await item(brand, "M1"), guide, at(2, 12), "interested")
    assert await brand.rows("SELECT outcome, conflict FROM check_in") == [("interested", "plan_paused")]
    assert (
        await brand.value("SELECT payload->>'conflict' FROM event WHERE type = 'checked_in'") == "plan_paused"
    )


async def test_what_occurred_before_the_pause_is_not_marked_however_late_it_comes(
    brand: Brand, guide: UUID
) -> None:
    task = await item(brand, "M1")
    await brand.report(task, guide, at(2, 10), "interested", known_at=at(2, 15))
    assert await brand.rows("SELECT conflict FROM check_in") == [(None,)]


async def test_what_occurred_during_the_pause_is_marked_even_after_the_resumption(
    brand: Brand, guide: UUID
) -> None:
    await resume(brand, 2, 16)
    await brand.report(await item(brand, "M1"), guide, at(2, 12), "interested", known_at=at(2, 17))
    assert await brand.rows("SELECT conflict FROM check_in") == [("plan_paused",)]


async def test_after_the_resumption_nothing_is_marked(brand: Brand, guide: UUID) -> None:
    await resume(brand, 2, 14)
    await brand.report(await item(brand, "M1"), guide, at(2, 15), "interested")
    assert await brand.rows("SELECT conflict FROM check_in") == [(None,)]


async def test_nobody_is_nudged_for_it(brand: Brand, guide: UUID) -> None:
    paused = await brand.reminders.nudge_guides(brand.day(2, 12, slot="12:00"))
    await resume(brand, 2, 16)
    resumed = await brand.reminders.nudge_guides(brand.day(2, 17, slot="17:00"))
    assert (paused.guides, resumed.guides) == (0, 1)


async def test_its_items_carry_over_even_where_the_plan_lets_them_expire(brand: Brand, guide: UUID) -> None:
    await brand.evening(2, guide)
    assert await brand.value("SELECT state FROM task WHERE task_id = $1", await item(brand, "M1")) == "open"
    await resume(brand, 3)
    await brand.morning(3, guide)
    await brand.evening(3, guide)
    assert (
        await brand.value("SELECT state FROM task WHERE task_id = $1", await item(brand, "M1")) == "expired"
    )


async def test_attribution_windows_run_on(brand: Brand, guide: UUID) -> None:
    """Reached before the pause, bought during it and inside the 14 days: a success."""
    member = await brand.value("SELECT member_id_of('M1')")
    await brand.report(await item(brand, "M1"), guide, at(2, 10), "interested")
    await brand.buy(UUID(str(member)), at(6), guide=guide)
    await brand.evening(2, guide)
    await resume(brand, 10)
    step = PlanStep(plan_id="p1", cycle=1, at=at(11, 21, 5), rehearsal=True)
    await brand.review.check_cycle(step)
    await brand.review.settle_cycles(step.model_copy(update={"at": at(26, 0)}))
    succeeded = await brand.value(
        "SELECT (figures->'total'->>'succeeded')::int FROM plan_check WHERE kind = 'settled'"
    )
    assert succeeded == 1


async def test_members_stay_in_the_denominators(brand: Brand, guide: UUID) -> None:
    await brand.evening(2, guide)
    step = PlanStep(plan_id="p1", cycle=1, at=at(11, 21, 5), rehearsal=True)
    await resume(brand, 11, 20)
    await brand.review.check_cycle(step)
    assert await brand.value("SELECT (figures->'total'->>'due')::int FROM plan_check") == 2
