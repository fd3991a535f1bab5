"""What was put off, or left by who is absent, stays to be done, whatever is reported late or corrected."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest_asyncio

from activities.absence import tell_absent
from ledger.snoozing import snooze
from tests.brand import Brand, at, plan
from tests.three_guides import BY_TURNS, guides, hq, lists

CLAIMED = plan(day={"claim_until": "11:00"}, care=BY_TURNS)


@pytest_asyncio.fixture
async def three(shop: Brand) -> AsyncIterator[Brand]:
    await shop.hire("G2")
    await shop.hire("G3")
    yield shop


async def test_a_late_fact_of_an_absent_guides_day_leaves_what_was_carried_carried(three: Brand) -> None:
    one, two, _ = await guides(three)
    await three.due_on(2, *(f"M{n}" for n in range(9)))
    await three.start(plan(care={**BY_TURNS, "items_per_day": 3}, day={"open_items": "expire"}))
    await three.morning(2, one, two)
    mine = (await lists(three))[one]
    told = await tell_absent(three.ledger, "G1", hq(at(2, 11)))
    assert told.stays == 3
    assert await three.rows("SELECT state, carried FROM guide_day WHERE guide_id = $1", one) == [
        ("closed", 3)
    ]
    await three.report(mine[0], one, at(2, 10), "interested", known_at=at(2, 12))
    state = await three.rows("SELECT done, carried FROM guide_day WHERE guide_id = $1", one)
    assert state == [(1, 2)]


async def test_a_late_fact_leaves_what_was_put_off_carried(three: Brand) -> None:
    one, *_ = await guides(three)
    members = await three.due_on(2, "M1", "M2")
    await three.start(plan(care={"guides": ["G1"]}, day={"open_items": "expire"}))
    await three.morning(2, one)
    first, second = [await three.task(member) for member in members]
    await snooze(three.ledger, three.command("a", at(2, 10)), first, one, date(2026, 3, 4), "other")
    await three.evening(2, one)
    assert await three.rows("SELECT carried FROM guide_day") == [(1,)]
    await three.report(second, one, at(2, 11), "interested", known_at=at(2, 22))
    assert await three.rows("SELECT done, carried FROM guide_day") == [(1, 1)]


async def test_a_correction_does_not_expire_what_had_been_put_off(three: Brand) -> None:
    one, *_ = await guides(three)
    (member,) = await three.due_on(2, "M1")
    await three.start(plan(care={"guides": ["G1"]}, day={"open_items": "expire"}))
    await three.morning(2, one)
    task = await three.task(member)
    await snooze(three.ledger, three.command("a", at(2, 10)), task, one, date(2026, 3, 4), "other")
    await three.evening(2, one)
    await three.morning(3, one)
    await three.morning(4, one)
    assert await lists(three, 4) == {one: [task]}
    taken = await three.report(task, one, at(4, 10), "interested")
    await three.correct(
        task, taken.version, at(4, 10, 30), performed_by=one, occurred_at=at(4, 10), outcome="no_answer"
    )
    assert (await three.standing(task))[0] == "open"


async def test_a_correction_does_not_expire_what_an_absent_guide_left(three: Brand) -> None:
    one, *_ = await guides(three)
    (member,) = await three.due_on(2, "M1")
    await three.start(plan(care={"guides": ["G1"]}, day={"open_items": "expire"}))
    await three.morning(2, one)
    task = await three.task(member)
    await tell_absent(three.ledger, "G1", hq(at(2, 11)))
    assert await three.standing(task) == ("open", None, date(2026, 3, 2))
    await three.morning(3, one)
    taken = await three.report(task, one, at(3, 10), "interested")
    await three.correct(
        task, taken.version, at(3, 10, 30), performed_by=one, occurred_at=at(3, 10), outcome="no_answer"
    )
    assert (await three.standing(task))[0] == "open"


async def test_a_late_fact_of_one_item_does_not_expire_another_that_was_put_off(three: Brand) -> None:
    one, *_ = await guides(three)
    (member,) = await three.due_on(2, "M1")
    await three.due_on(3, "M1", category="SOAP")
    await three.start(
        plan(
            care={"guides": ["G1"]},
            day={"open_items": "expire"},
            members={"bought_categories": ["TIN", "SOAP"]},
        )
    )
    await three.morning(2, one)
    tin, soap = await three.task(member), await three.task(member, category="SOAP")
    assert await lists(three) == {one: [tin]}
    await snooze(three.ledger, three.command("a", at(2, 10)), tin, one, date(2026, 3, 5), "other")
    await three.evening(2, one)
    await three.morning(3, one)
    assert await lists(three, 3) == {one: [soap]}
    taken = await three.report(soap, one, at(3, 10), "interested", grade="D")
    await three.correct(
        soap, taken.version, at(3, 11), performed_by=one, occurred_at=at(3, 10), outcome="interested"
    )
    assert (await three.standing(tin))[0] == "open"


async def test_a_voided_report_brings_back_what_had_been_put_off(three: Brand) -> None:
    one, *_ = await guides(three)
    (member,) = await three.due_on(2, "M1")
    await three.start(plan(care={"guides": ["G1"]}, day={"open_items": "expire"}))
    await three.morning(2, one)
    task = await three.task(member)
    await snooze(three.ledger, three.command("a", at(2, 10)), task, one, date(2026, 3, 4), "other")
    await three.evening(2, one)
    await three.morning(4, one)
    taken = await three.report(task, one, at(4, 10), "interested")
    await three.correct(task, taken.version, at(4, 10, 30), why="another member")
    assert (await three.standing(task))[0] == "open"
