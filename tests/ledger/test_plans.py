"""Plans: launched once, acted on, paused, resumed, closed."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.act import adjust_goal, tune_means
from domain.errors import Conflict, NotFound, Refused
from domain.plan import Plan
from ledger.plans import (
    PlanState,
    adjust,
    change_status,
    list_plans,
    plan_json,
    read_plan,
    references,
    running_plans,
)
from tests.brand import Brand, at, plan


async def standing(brand: Brand) -> PlanState:
    async with brand.ledger.connection() as connection:
        return await read_plan(connection, 1, "p1")


async def turn(brand: Brand, status: str, command_id: str = "") -> Any:
    async with brand.ledger.transaction() as connection:
        return await change_status(
            connection, 1, brand.command(command_id), "p1", status=status, reason="stocktaking"
        )


async def act(brand: Brand, before: PlanState, target: int, command_id: str = "") -> Any:
    adjusted = adjust_goal(before.plan, Decimal(target), reason="too low", figures={"due": 3})
    async with brand.ledger.transaction() as connection:
        return await adjust(connection, 1, brand.command(command_id), before, adjusted)


async def test_a_plan_is_launched_as_it_was_checked(brand: Brand) -> None:
    launched = await brand.launch(plan())
    assert (launched.duplicate, launched.stream, launched.version) == (False, "plan/p1", 1)
    state = await standing(brand)
    assert state == PlanState(plan(), "running", 0, 1, at(1))


async def test_launching_the_same_playbook_again_changes_nothing(brand: Brand) -> None:
    await brand.launch(plan(), "first")
    before = await brand.everything()
    again = await brand.launch(plan(), "second")
    assert again.duplicate
    assert await brand.everything() == before


async def test_a_plan_launched_five_times_at_once_is_launched_once(brand: Brand) -> None:
    results = await asyncio.gather(*(brand.launch(plan(), "launch") for _ in range(5)))
    assert sorted(result.duplicate for result in results) == [False] + [True] * 4
    assert await brand.value("SELECT count(*) FROM plan") == 1


@pytest.mark.parametrize("other", [plan(name="Another"), plan(goal={"target": 81})])
async def test_another_playbook_under_a_name_that_runs_is_refused(brand: Brand, other: Plan) -> None:
    await brand.launch(plan())
    before = await brand.everything()
    with pytest.raises(Refused) as refusal:
        await brand.launch(other, "other")
    assert [(p.field, p.value, p.code) for p in refusal.value.problems] == [("plan", "p1", "plan_exists")]
    assert await brand.everything() == before


async def test_an_adjusted_goal_holds_at_once_and_leaves_its_reason(brand: Brand) -> None:
    await brand.launch(plan())
    appended = await act(brand, await standing(brand), 85)
    state = await standing(brand)
    assert (appended.version, state.version, state.plan.goal.target) == (2, 2, Decimal(85))
    rows = await brand.rows(
        "SELECT payload->>'lever', payload->>'reason', payload->'figures'->>'due', actor FROM event"
        " WHERE type = 'plan_adjusted'"
    )
    assert rows == [("goal", "too low", "3", "hq")]


async def test_an_adjusted_script_reaches_the_playbook_with_its_version(brand: Brand) -> None:
    await brand.launch(plan())
    before = await standing(brand)
    adjusted = tune_means(before.plan, script="New", reason="opinions", figures={})
    async with brand.ledger.transaction() as connection:
        await adjust(connection, 1, brand.command(), before, adjusted)
    means = (await standing(brand)).plan.means[0]
    assert (means.script, means.script_version) == ("New", 2)


async def test_an_adjustment_sent_twice_counts_once(brand: Brand) -> None:
    await brand.launch(plan())
    before = await standing(brand)
    await act(brand, before, 85, "act/1")
    again = await act(brand, before, 85, "act/1")
    assert again.duplicate
    assert (await standing(brand)).version == 2


async def test_an_adjustment_decided_on_a_plan_that_changed_meanwhile_is_a_conflict(brand: Brand) -> None:
    await brand.launch(plan())
    seen = await standing(brand)
    await act(brand, seen, 85)
    with pytest.raises(Conflict):
        await act(brand, seen, 90)
    assert (await standing(brand)).plan.goal.target == Decimal(85)


async def test_the_version_of_a_plan_is_that_of_its_stream(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    await act(shop, await standing(shop), 85)
    await turn(shop, "paused")
    await turn(shop, "running")
    assert (await standing(shop)).version == await shop.value(
        "SELECT version FROM stream_head WHERE stream = 'plan/p1'"
    )
    await act(shop, await standing(shop), 90)
    assert (await standing(shop)).version == 6


async def test_a_paused_plan_gets_no_lists_takes_check_ins_and_goes_on_when_resumed(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    await shop.morning(2, guide)
    task = await shop.task((await shop.listed(2, guide))[0])
    await turn(shop, "paused")
    assert (await shop.report(task, guide, at(2, 10), "came")).state == "done"
    assert (await shop.dispatch.cut_lists(shop.day(3))).lists == 0
    assert not (await shop.dispatch.read_day(shop.day(3))).working
    await turn(shop, "running")
    assert (await shop.dispatch.read_day(shop.day(3))).working
    assert (await shop.dispatch.cut_lists(shop.day(3))).lists == 1


async def test_a_closed_plan_stays_closed(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    await turn(shop, "closed")
    assert (await shop.dispatch.cut_lists(shop.day(2))).lists == 0
    for status, code in (("running", "plan_ended"), ("paused", "plan_ended"), ("closed", "plan_already")):
        with pytest.raises(Refused) as refusal:
            await turn(shop, status)
        assert refusal.value.problems[0].code == code
    assert (await standing(shop)).status == "closed"


async def test_a_status_that_stands_already_is_refused(brand: Brand) -> None:
    await brand.launch(plan())
    with pytest.raises(Refused) as refusal:
        await turn(brand, "running")
    assert refusal.value.problems[0].code == "plan_already"


async def test_an_unknown_plan_is_not_found(brand: Brand) -> None:
    with pytest.raises(NotFound) as missing:
        await standing(brand)
    assert missing.value.problem.code == "unknown_plan"


async def test_a_playbook_may_name_categories_stores_and_active_guides(shop: Brand) -> None:
    await shop.hire("G2", active=False)
    async with shop.ledger.connection() as connection:
        known = await references(connection, 1)
    assert (known.categories, known.stores, known.guides) == (
        frozenset({"TIN"}),
        frozenset({"S1"}),
        frozenset({"G1"}),
    )


async def test_plans_are_listed_newest_first_and_running_ones_by_name(brand: Brand) -> None:
    await brand.launch(plan())
    await brand.launch(plan(plan="p0"))
    await turn(brand, "paused")
    async with brand.ledger.connection() as connection:
        running = [state.plan.plan for state in await running_plans(connection, 1)]
        listed = [(row["plan_id"], row["status"]) for row in await list_plans(connection, 1)]
    assert running == ["p0"]
    assert listed == [("p0", "running"), ("p1", "paused")]


def test_a_playbook_goes_into_the_ledger_without_floats_and_comes_back_the_same() -> None:
    whole = plan(
        goal={"measure": "revenue", "target": "1234.50"},
        period={"start": date(2026, 3, 2), "cycles": 3},
        day={"release": "08:15", "nudges": ["10:00"], "close": "20:30"},
        act={"raise_at": "100", "lower_at": "60.5"},
    )
    assert Plan.model_validate(plan_json(whole)) == whole
    assert "float" not in {type(value).__name__ for value in _leaves(plan_json(whole))}


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in _leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner)]
    return [value]


async def test_members_given_by_hand_are_in_the_ledger_by_id_and_still_assigned(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "13800001234")
    given = {"strategies": [{"strategy": "manual", "members": {"G1": ["13800001234", "nobody"]}}]}
    standing = plan(care=given)
    await shop.start(standing)
    assert await shop.value("SELECT count(*) FROM event WHERE payload::text LIKE '%13800001234%'") == 0
    assert await shop.rows("SELECT member_id, strategy FROM plan_member") == [(member, "manual")]
    await shop.launch(standing, "again")
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'plan_launched'") == 1
