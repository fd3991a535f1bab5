"""Cycles: drawn from what was known, checked, acted on, and followed by the next."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from domain.errors import NotFound
from domain.messages import PlanStep
from ledger.cycles import read_check, read_cycle
from ledger.plans import read_plan
from ledger.report import read_report
from ledger.sequencer import sequence
from ledger.timeline import timeline
from ledger.today import read_todays_list
from ledger.verify import verify
from tests.brand import Brand, at, plan

TWO = plan(period={"working_days": 5, "cycles": 2}, act={"raise_at": "100", "lower_at": "60"})
"""2 to 6 March, 7 to 11 March."""


async def the_guide(brand: Brand) -> UUID:
    return UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))


def ended(cycle: int) -> PlanStep:
    return PlanStep(plan_id="p1", cycle=cycle, at=at(6 if cycle == 1 else 11, 21, 5), rehearsal=True)


async def test_a_cycle_starts_with_members_guides_reasons_and_first_items(shop: Brand) -> None:
    guide = await the_guide(shop)
    (member,) = await shop.due_on(2, "M1", value=650_00)
    await shop.due_on(3, "M2", guide=guide)
    # Bought yesterday: in the segment, nothing due in the cycle. Today's purchases do not count.
    (stocked,) = await shop.join("M3")
    await shop.buy(stocked, at(1, 20))
    (today,) = await shop.join("M4")
    await shop.buy(today, at(2, 7))
    (optout,) = await shop.due_on(2, "M5")
    await shop.execute("UPDATE member SET opted_out_at = $2 WHERE member_id = $1", optout, at(1))
    opened = await shop.start()
    assert (opened.selected, opened.assigned, opened.unassigned, opened.tasks) == (3, 3, 0, 2)
    rows = await shop.rows(
        "SELECT guide_id, strategy, why, quadrant, value_minor, grade FROM plan_member WHERE member_id = $1",
        member,
    )
    assert rows == [(guide, "round_robin", rows[0][2], "key_growth", 650_00, None)]
    assert await shop.rows("SELECT strategy, count(*) FROM plan_member GROUP BY 1 ORDER BY 1") == [
        ("reception", 1),
        ("round_robin", 2),
    ]
    async with shop.ledger.connection() as connection:
        state = await read_cycle(connection, 1, "p1", 1)
        assert await read_cycle(connection, 1, "p1", 2) is None
    assert state is not None
    assert (state.starts_on, state.ends_on, state.state) == (date(2026, 3, 2), date(2026, 3, 11), "running")


async def test_members_nobody_can_take_are_kept_with_the_reasons_and_get_no_item(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2", "M3")
    opened = await shop.start(plan(care={"members_per_guide": 2}))
    assert (opened.selected, opened.assigned, opened.unassigned, opened.tasks) == (3, 2, 1, 2)
    rows = await shop.rows("SELECT why, tried::text FROM plan_member WHERE guide_id IS NULL")
    assert rows[0][0] == "nobody_can_take"
    assert "round_robin" in rows[0][1]


async def test_a_cycle_of_nobody_starts_too(shop: Brand) -> None:
    opened = await shop.start()
    assert (opened.selected, opened.tasks) == (0, 0)
    assert await shop.value("SELECT count(*) FROM plan_cycle") == 1
    await shop.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(11, 21, 5), rehearsal=True))
    assert await shop.value("SELECT figures->'total'->>'due' FROM plan_check") == "0"


async def test_the_second_cycle_starts_with_the_same_members_after_the_first(shop: Brand) -> None:
    guide = await the_guide(shop)
    called, never, declined, bought = await shop.due_on(2, "M1", "M2", "M3", "M4")
    await shop.start(TWO)
    await shop.morning(2, guide)
    await shop.report(await shop.task(called), guide, at(2, 10), "interested", grade="A")
    await shop.report(await shop.task(declined), guide, at(2, 11), "refused", grade="D")
    await shop.evening(2, guide)
    await shop.buy(bought, at(3, 10))
    await shop.purchases.settle_purchases(shop.day(3, 12))
    await shop.review.check_cycle(ended(1))
    acted = await shop.review.act_on_check(ended(1))
    assert acted.expired == 1
    opened = await shop.start(TWO, 2)
    assert (opened.selected, opened.assigned, opened.tasks) == (3, 3, 2)
    rows = await shop.rows(
        "SELECT member_id, state, first_due_on FROM task WHERE cycle = 2 ORDER BY member_id"
    )
    assert rows == sorted((member, "open", date(2026, 3, 7)) for member in (called, never))
    assert await shop.rows("SELECT cycle, state FROM plan_cycle ORDER BY 1") == [
        (1, "checked"),
        (2, "running"),
    ]
    assert await shop.value("SELECT cycle FROM plan") == 2
    await shop.morning(7, guide)
    assert await shop.listed(7, guide) == [called, never]


async def test_grade_and_dial_days_come_along_into_the_next_cycle(shop: Brand) -> None:
    guide = await the_guide(shop)
    warm, cold = await shop.due_on(2, "M1", "M2")
    await shop.start(TWO)
    await shop.report(await shop.task(warm), guide, at(2, 10), "interested", grade="B")
    await shop.report(await shop.task(cold), guide, at(6, 10), "no_answer")
    await shop.review.check_cycle(ended(1))
    await shop.review.act_on_check(ended(1))
    await shop.start(TWO, 2)
    rows = await shop.rows(
        "SELECT grade, dial_days, last_dial_on, last_reached_at FROM plan_member WHERE cycle = 2 ORDER BY 1"
    )
    assert rows == [("B", 0, None, at(2, 10)), ("C", 1, date(2026, 3, 6), None)]
    await shop.report(await shop.task(warm, cycle=2), guide, at(7, 10), "no_answer")
    assert await shop.value("SELECT grade FROM plan_member WHERE cycle = 2 AND member_id = $1", warm) == "B"


async def test_the_figures_of_a_cycle_trace_to_its_check_ins(shop: Brand) -> None:
    guide = await the_guide(shop)
    members = await shop.due_on(2, "M1", "M2", "M3", "M4", "M5")
    await shop.start(TWO)
    await shop.morning(2, guide)
    tasks = [await shop.task(member) for member in members]
    await shop.report(tasks[0], guide, at(2, 10), "interested", grade="A")
    await shop.report(tasks[1], guide, at(2, 11), "refused", grade="D")
    await shop.report(tasks[2], guide, at(2, 12), "no_answer")
    await shop.buy(members[0], at(3, 10), value=88_00)
    await shop.buy(members[3], at(2, 20))
    await shop.purchases.settle_purchases(shop.day(3))
    await shop.evening(2, guide)
    await shop.review.check_cycle(ended(1))
    async with shop.ledger.connection() as connection:
        report = await read_report(connection, 1, "p1", cycle=1)
        with pytest.raises(NotFound):
            await read_report(connection, 1, "p1", cycle=1, kind="settled")
    total = report.total
    assert (total.due, total.attempted, total.followed_up, total.withdrawn) == (4, 3, 2, 1)
    assert (total.provisional, total.provisional_succeeded, total.repurchased) == (2, 1, 2)
    assert (total.provisional_revenue, total.members_at_start) == (88_00, 5)
    assert (report.tasks, report.check_ins, report.guide_days, report.assigned) == (5, 3, 1, 5)
    assert [row.code for row in report.stores] == ["S1"]
    assert [row.code for row in report.guides] == ["G1"]
    later = PlanStep(plan_id="p1", cycle=1, at=at(25), rehearsal=True)
    assert (await shop.review.settle_cycles(later)).cycles == 1
    async with shop.ledger.connection() as connection:
        final = await read_report(connection, 1, "p1", cycle=1, kind="settled")
    assert (final.total.window_closed, final.total.succeeded, final.total.revenue) == (2, 1, 88_00)


async def test_the_goal_follows_the_result_by_the_plans_rule_once(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2")
    await shop.start(TWO)
    await shop.review.check_cycle(ended(1))
    assert (await shop.review.act_on_check(ended(1))).goal == "lower"
    await shop.review.act_on_check(ended(1))
    async with shop.ledger.connection() as connection:
        assert (await read_plan(connection, 1, "p1")).plan.goal.target == Decimal(75)
    rows = await shop.rows("SELECT payload->>'reason', payload->'figures'->>'due' FROM event"
                           " WHERE type = 'plan_adjusted'")  # fmt: skip
    assert rows == [("by rule: lower", "2")]


async def test_a_check_names_the_position_of_the_ledger_it_counted(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start(TWO)
    events = await shop.value("SELECT count(*) FROM event")
    checked = await shop.review.check_cycle(ended(1))
    assert checked.position == events
    async with shop.ledger.connection() as connection:
        stored = await read_check(connection, 1, "p1", 1, "provisional")
    assert stored is not None
    assert stored[:2] == (ended(1).at, events)


async def test_a_cycle_that_has_not_started_cannot_be_checked(shop: Brand) -> None:
    await shop.launch(TWO)
    with pytest.raises(ValueError, match="has not started"):
        await shop.review.check_cycle(ended(1))
    assert await shop.value("SELECT count(*) FROM plan_check") == 0


async def test_what_was_written_along_the_way_verifies_and_can_be_told(shop: Brand) -> None:
    guide = await the_guide(shop)
    (member,) = await shop.due_on(2, "M1")
    await shop.start(TWO)
    await shop.morning(2, guide)
    task = await shop.task(member)
    await shop.report(task, guide, at(2, 10), "came", grade="A")
    await shop.evening(2, guide)
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
        assert (await verify(connection, 1)).ok
        told = [entry.type for entry in await timeline(connection, 1, "member", "M1")]
        day = [entry.type for entry in await timeline(connection, 1, "guide", "G1")]
        life = [entry.type for entry in await timeline(connection, 1, "plan", "p1")]
        with pytest.raises(NotFound):
            await timeline(connection, 1, "member", "nobody")
    assert told == ["member_assigned", "task_created", "checked_in"]
    assert day == ["list_published", "day_closed"]
    assert life == ["plan_launched", "cycle_started"]


async def test_a_guide_sees_masked_members_and_how_many_more_are_due(shop: Brand) -> None:
    guide = await the_guide(shop)
    await shop.due_on(2, "M1", "M2")
    await shop.start(plan(care={"items_per_day": 1}))
    await shop.morning(2, guide)
    async with shop.ledger.connection() as connection:
        seen = await read_todays_list(connection, 1, "G1", date(2026, 3, 2), keys=shop.ledger.keys)
        with pytest.raises(NotFound):
            await read_todays_list(connection, 1, "G1", date(2026, 3, 3), keys=shop.ledger.keys)
        with pytest.raises(NotFound):
            await read_todays_list(connection, 1, "G9", None, keys=shop.ledger.keys)
    (item,) = seen.items
    assert (item.member, item.category, item.script, item.done) == (
        "W＊＊（尾号1234）",
        "TIN",
        "Hello",
        False,
    )
    assert (seen.rest, seen.state) == (1, "published")
