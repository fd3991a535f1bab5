"""Commands on plans: said twice they count once, a recall takes everything back, a canary tries one store."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from activities import acting
from activities.acting import (
    adjust_goal_of,
    change_plan_status,
    confirm_canary,
    launch_plan,
    recall_plan,
    replace_guide_in,
    tune_means_of,
    withdraw_recalled,
)
from activities.asked import Asked
from domain.day_norm import Capacity
from domain.errors import NotFound, Problem, Refused
from domain.messages import PlanRun, PlanStep
from ledger.due_items import Holds, PlanOnDay, ZoneDay
from ledger.list_cutting import cut_lists
from tests.brand import MONDAY, ZONE, Brand, at, plan


def asked(key: str | None = None, when: datetime | None = None) -> Asked:
    return Asked(key, when or at(1, 10), "hq")


async def codes(brand: Brand) -> list[str]:
    return [
        str(row[0])
        for row in await brand.rows("SELECT type FROM event WHERE stream = 'plan/p1' ORDER BY version")
    ]


@pytest.fixture
async def running(brand: Brand) -> Brand:
    """Two stores with a guide each; M1 and M2 are S1's, M3 is S2's, all due on Monday; nothing is cut yet."""
    await brand.open_store("S1")
    await brand.open_store("S2")
    first, second = await brand.hire("G1", "S1"), await brand.hire("G2", "S2")
    await brand.due_on(2, "M1", "M2", guide=first)
    await brand.due_on(2, "M3", guide=second)
    await brand.category("SOAP")
    return brand


async def refused(command: object) -> Problem:
    with pytest.raises(Refused) as caught:
        await command  # type: ignore[misc]
    return caught.value.problems[0]


async def test_a_launch_given_again_changes_nothing(running: Brand) -> None:
    first = await launch_plan(running.ledger, plan(), asked())
    again = await launch_plan(running.ledger, plan(), asked())
    assert (first.duplicate, again.duplicate) == (False, True)
    assert await codes(running) == ["plan_launched"]


async def test_another_playbook_under_the_same_name_is_refused(running: Brand) -> None:
    await launch_plan(running.ledger, plan(), asked())
    problem = await refused(launch_plan(running.ledger, plan(name="Other"), asked()))
    assert (problem.field, problem.code) == ("plan", "plan_exists")


async def test_every_problem_of_a_launch_is_told_at_once_and_nothing_is_written(running: Brand) -> None:
    wrong = plan(members={"bought_categories": ["TINS"], "stores": ["S9"]})
    with pytest.raises(Refused) as caught:
        await launch_plan(running.ledger, wrong, asked(), canary=("S8",))
    assert {(one.field, one.value) for one in caught.value.problems} == {
        ("members.bought_categories", "TINS"),
        ("members.stores", "S9"),
        ("canary", "S8"),
    }
    assert await running.value("SELECT count(*) FROM event") == 0


@pytest.mark.parametrize("what", ["pause", "goal", "means", "people", "confirm"])
async def test_the_same_request_sent_again_changes_nothing_and_says_so(running: Brand, what: str) -> None:
    await launch_plan(running.ledger, plan(), asked(), canary=("S1",))

    async def ask() -> bool:
        key = asked("request-1")
        match what:
            case "pause":
                return (await change_plan_status(running.ledger, "p1", "paused", "why", key)).duplicate
            case "goal":
                return (await adjust_goal_of(running.ledger, "p1", Decimal(90), "why", key)).duplicate
            case "means":
                return (
                    await tune_means_of(
                        running.ledger, "p1", script="New", lead_days=None, reason="why", asked=key
                    )
                ).duplicate
            case "people":
                return (await replace_guide_in(running.ledger, "p1", "G1", "G2", "why", key))[0].duplicate
            case _:
                return (await confirm_canary(running.ledger, "p1", "why", key)).duplicate

    assert [await ask(), await ask()] == [False, True]
    assert len(await codes(running)) == 2


async def test_what_cannot_be_is_refused_with_the_field(running: Brand) -> None:
    await launch_plan(running.ledger, plan(), asked())
    ledger = running.ledger
    assert (await refused(change_plan_status(ledger, "p1", "paused", " ", asked()))).code == "reason_missing"
    assert (await refused(change_plan_status(ledger, "p1", "running", "why", asked()))).code == "plan_already"
    assert (
        await refused(adjust_goal_of(ledger, "p1", Decimal("NaN"), "why", asked()))
    ).field == "goal.target"
    assert (await refused(confirm_canary(ledger, "p1", "why", asked()))).code == "not_in_canary"
    with pytest.raises(NotFound):
        await recall_plan(ledger, "p9", "why", asked())
    assert await codes(running) == ["plan_launched"]


async def test_a_recall_withdraws_every_open_item_and_what_was_done_stays(
    running: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acting, "CHUNK", 1)
    await running.start(plan())
    guide = await running.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    await running.morning(2, guide)
    (done,), (open_item,) = await running.rows(
        "SELECT task_id FROM list_item WHERE guide_id = $1 ORDER BY rank", guide
    )
    await running.report(done, guide, at(2, 9, 30), "interested")
    acted = await recall_plan(running.ledger, "p1", "wrong price", asked())
    assert (acted.status, acted.duplicate) == ("recalled", False)
    assert await running.rows("SELECT state, reason, count(*) FROM task GROUP BY 1, 2 ORDER BY 1") == [
        ("done", None, 1),
        ("withdrawn", "recalled", 2),
    ]
    problem = await refused(running.report(open_item, guide, at(2, 11), "interested"))
    assert problem.code == "task_closed"
    running.now = at(3)
    await running.morning(3)
    assert await running.value("SELECT count(*) FROM list_item WHERE business_date = $1", at(3).date()) == 0


async def test_a_recall_that_was_killed_half_way_is_finished_by_giving_it_again(running: Brand) -> None:
    await running.start(plan())
    await change_plan_status(running.ledger, "p1", "recalled", "wrong price", asked())
    assert await running.value("SELECT count(*) FROM task WHERE state = 'open'") == 3
    again = await recall_plan(running.ledger, "p1", "wrong price", asked())
    assert again.duplicate
    assert await running.value("SELECT count(*) FROM task WHERE state = 'open'") == 0
    assert await withdraw_recalled(running.ledger, "p1", at=at(2, 12), actor="hq") == 0


async def test_a_recall_that_was_killed_half_way_is_finished_by_the_check(running: Brand) -> None:
    await running.start(plan())
    await change_plan_status(running.ledger, "p1", "recalled", "wrong price", asked())
    view = await running.plans.read_plan(PlanRun(plan_id="p1"))
    assert view.status == "closed", "its workflow goes to its end"
    running.now = at(2, 12)
    await running.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(2, 12)))
    assert await running.rows("SELECT DISTINCT state, reason FROM task") == [("withdrawn", "recalled")]
    total = await running.value("SELECT figures->'total' FROM plan_check")
    assert (total["withdrawn"], total["due"]) == (3, 0), "who was taken off before any attempt is not due"


async def test_nothing_comes_after_a_recall(running: Brand) -> None:
    await launch_plan(running.ledger, plan(), asked())
    await recall_plan(running.ledger, "p1", "wrong price", asked())
    ledger = running.ledger
    for command in (
        change_plan_status(ledger, "p1", "running", "why", asked()),
        adjust_goal_of(ledger, "p1", Decimal(90), "why", asked()),
        replace_guide_in(ledger, "p1", "G1", "G2", "why", asked()),
    ):
        assert (await refused(command)).code in {"plan_ended", "plan_closed"}


async def test_a_canary_reaches_one_store_until_it_is_confirmed(running: Brand) -> None:
    await launch_plan(running.ledger, plan(), asked(when=at(1)), canary=("S1",))
    running.now = at(2, 8, 30)
    await running.assignment.start_cycle(PlanStep(plan_id="p1", cycle=1, at=at(2, 8, 30), rehearsal=True))
    await running.morning(2)
    stores = "SELECT s.code FROM guide_day d JOIN guide g USING (guide_id) JOIN store s USING (store_id) WHERE business_date = $1"
    assert await running.rows(stores, MONDAY) == [("S1",)]
    await confirm_canary(running.ledger, "p1", "S1 did well", asked())
    await running.morning(3)
    assert sorted(await running.rows(stores, at(3).date())) == [("S1",), ("S2",)]
    assert (await codes(running))[-1] == "canary_confirmed"


async def test_a_launch_given_again_with_other_canary_stores_is_refused(running: Brand) -> None:
    await launch_plan(running.ledger, plan(), asked())
    problem = await refused(launch_plan(running.ledger, plan(), asked(), canary=("S1",)))
    assert (problem.field, problem.code) == ("canary", "launched_elsewhere")


async def test_a_day_that_closes_before_a_killed_recall_is_finished_withdraws_its_items(
    running: Brand,
) -> None:
    await running.start(plan(day={"open_items": "expire"}))
    guide = await running.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    await running.morning(2, guide)
    await change_plan_status(running.ledger, "p1", "recalled", "wrong price", asked(when=at(2, 10)))
    await running.evening(2, guide)
    assert await running.rows("SELECT state, reason, count(*) FROM task GROUP BY 1, 2 ORDER BY 1") == [
        ("open", None, 1),
        ("withdrawn", "recalled", 2),
    ]


async def test_a_contact_before_the_recall_counts_however_late_the_phone_reports_it(running: Brand) -> None:
    await running.start(plan())
    guide = await running.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    await running.morning(2, guide)
    (first,), (second,) = await running.rows(
        "SELECT task_id FROM list_item WHERE guide_id = $1 ORDER BY rank", guide
    )
    await recall_plan(running.ledger, "p1", "wrong price", asked(when=at(2, 11)))
    kept = await running.report(first, guide, at(2, 10), "refused", grade="D", known_at=at(2, 11, 5))
    assert kept.state == "done"
    missed = await running.report(second, guide, at(2, 10, 30), "no_answer", known_at=at(2, 11, 5))
    assert missed.state == "withdrawn", "it does not come back onto a list"
    assert await running.rows("SELECT outcome, grade, conflict FROM check_in ORDER BY 1") == [
        ("no_answer", "C", "plan_recalled"),
        ("refused", "D", "plan_recalled"),
    ]
    assert (await running.standing(second))[:2] == ("withdrawn", "recalled")


async def test_a_cycle_does_not_begin_in_a_plan_that_came_to_its_end_meanwhile(running: Brand) -> None:
    await launch_plan(running.ledger, plan(), asked())
    await recall_plan(running.ledger, "p1", "wrong price", asked())
    await running.assignment.start_cycle(PlanStep(plan_id="p1", cycle=1, at=at(2, 8, 30), rehearsal=True))
    assert await running.value("SELECT count(*) FROM plan_cycle") == 0
    assert await running.value("SELECT count(*) FROM task") == 0


async def test_a_plan_paused_between_reading_and_cutting_gets_nothing_onto_lists(running: Brand) -> None:
    await running.start(plan())
    await change_plan_status(running.ledger, "p1", "paused", "stock", asked(when=at(2, 8, 59)))
    async with running.ledger.transaction() as connection:
        lists = await cut_lists(
            connection,
            ZoneDay(1, MONDAY, ZONE),
            plans=[PlanOnDay("p1", 1)],
            holds=Holds(Capacity(50, 30)),
            opens_at=at(2, 9),
            closes_at=at(2, 21),
        )
    assert lists == 0
