"""The past asked for again: a plan's figures as of a stored Check equal the ones stored then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from activities.acting import change_plan_status
from activities.asked import Asked
from activities.looking_back import PlanThen, plan_then
from activities.members import set_consent
from domain.consent import Purpose, Source
from domain.errors import NotFound, Refused
from infra.databases import ensure_tenant
from ledger.as_of import resolve
from ledger.consents import Heard
from ledger.cycles import list_checks, read_check
from ledger.looking_back import guide_then, member_then, task_then
from ledger.plans import read_plan
from ledger.sequencer import sequence
from ledger.today import read_todays_list
from tests.activities.test_cycles import the_guide
from tests.brand import Brand, at
from tests.conftest import ID_SECRET, LedgerDatabase
from tests.histories import History, Step, steps
from tests.shared_database import empty

CHEAP = settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LATER = at(31) + timedelta(days=365)


async def looked(
    brand: Brand, reader: Callable[..., Awaitable[Any]], *named: Any, when: datetime, **more: Any
) -> Any:
    async with (
        brand.ledger.connection() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        as_of = await resolve(connection, 1, position=None, at=when, now=LATER)
        return await reader(connection, 1, as_of, *named, **more)


async def then(
    brand: Brand,
    plan_id: str = "p1",
    *,
    position: int | None = None,
    when: datetime | None = None,
    cycle: int | None = None,
) -> PlanThen:
    async with (
        brand.ledger.connection() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        as_of = await resolve(connection, 1, position=position, at=when, now=LATER)
        return await plan_then(connection, 1, as_of, plan_id, cycle=cycle)


@CHEAP
@given(history=st.lists(steps, min_size=6, max_size=30), canary=st.booleans())
async def test_after_any_history_the_figures_as_of_a_stored_check_equal_the_stored_ones(
    shared_database: LedgerDatabase, history: list[Step], canary: bool
) -> None:
    await empty(shared_database)
    await ensure_tenant(shared_database.ledger, ID_SECRET)
    told = History(Brand(shared_database.ledger))
    await told.begin(canary=canary)
    # A rehearsal's settling counts weeks ahead of its clock: what comes after it must be known after it.
    history = [step for step in history if step[0] != "settle"]
    half = len(history) // 2
    await told.go([*history[:half], ("check", 1, 0), *history[half:], ("settle", 0, 0)])
    told.now += timedelta(days=21)
    await told.go(history[:4])
    ledger = shared_database.ledger
    async with ledger.connection() as connection:
        await sequence(connection, 1)
        checks = await list_checks(connection, 1, "p1")
        assert checks
        stored = [await read_check(connection, 1, "p1", one["cycle"], one["kind"]) for one in checks]
    for one, kept in zip(checks, stored, strict=True):
        assert kept is not None
        by_position = await then(told.brand, position=one["position"])
        named = await then(told.brand, position=one["position"], when=one["as_of"], cycle=one["cycle"])
        assert by_position == named
        assert (named.at, named.position, named.cycle and named.cycle.cycle) == (*kept[:2], one["cycle"])
        assert named.cycle is not None
        assert named.cycle.figures == kept[2], one


async def test_a_guides_day_is_as_it_was_in_its_order(shop: Brand) -> None:
    guide = await the_guide(shop)
    first, second = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.morning(2, guide)
    tasks = [await shop.task(first), await shop.task(second)]
    await shop.report(tasks[0], guide, at(2, 10), "interested", grade="A")
    await shop.report(tasks[1], guide, at(2, 12), "no_answer")
    await shop.evening(2, guide)
    seen = await looked(shop, guide_then, "G1", day=date(2026, 3, 2), keys=shop.ledger.keys, when=at(2, 11))
    assert seen.day is not None
    assert [(item.task_id, item.done, item.state) for item in seen.day.list.items] == [
        (tasks[0], True, "done"),
        (tasks[1], False, "open"),
    ]
    assert (seen.day.list.state, seen.day.listed, seen.day.done, seen.day.reached) == ("published", 2, 1, 1)
    assert (seen.store, seen.open_items, seen.day.closed_at) == ("S1", 1, None)
    closed = await looked(shop, guide_then, "G1", day=None, keys=shop.ledger.keys, when=at(3))
    assert closed.day is not None
    assert (closed.day.list.state, closed.day.done, closed.day.reached) == ("closed", 2, 1)
    before = await looked(shop, guide_then, "G1", day=None, keys=shop.ledger.keys, when=at(1))
    assert (before.day, before.open_items) == (None, 0)
    async with shop.ledger.connection() as connection:
        now = await read_todays_list(connection, 1, "G1", date(2026, 3, 2), keys=shop.ledger.keys)
    assert closed.day.list == now


async def test_an_item_is_as_it_was_with_its_reports_and_lists(shop: Brand) -> None:
    guide = await the_guide(shop)
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    task = await shop.task(member)
    await shop.report(task, guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    await shop.morning(3, guide)
    await shop.report(task, guide, at(3, 10), "interested", grade="A")
    seen = await looked(shop, task_then, task, when=at(2, 12))
    assert (seen.item.state, seen.item.guide, seen.item.attempts) == ("open", "G1", 1)
    assert [one["outcome"] for one in seen.item.check_ins] == ["no_answer"]
    assert [(one["day"], one["rank"], one["state"]) for one in seen.lists] == [
        (date(2026, 3, 2), 1, "published")
    ]
    with pytest.raises(NotFound):
        await looked(shop, task_then, task, when=at(1))


async def test_a_member_is_as_they_were(shop: Brand) -> None:
    guide = await the_guide(shop)
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.report(await shop.task(member), guide, at(2, 10), "interested", grade="A")
    heard = Heard(Purpose.CONTACT, given=False, source=Source.PHONE, reason="why")
    await set_consent(shop.ledger, "M1", heard, Asked("no", at(4), "hq"), occurred_at=at(4))
    before = await looked(shop, member_then, "M1", when=at(2, 9))
    assert (before.opted_out_at, before.plans[0]["guide"], before.plans[0]["grade"]) == (None, "G1", None)
    assert [item.state for item in before.items] == ["open"]
    after = await looked(shop, member_then, "M1", when=at(5))
    assert (after.opted_out_at, after.plans[0]["grade"], after.items[0].state) == (at(4), "A", "done")
    nothing = await looked(shop, member_then, "M1", when=at(1))
    assert (nothing.plans, nothing.items) == ((), ())


async def test_neither_the_future_nor_a_position_beyond_the_last_can_be_asked_for(shop: Brand) -> None:
    await shop.start()
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
    with pytest.raises(Refused) as future:
        await then(shop, when=LATER + timedelta(seconds=1))
    with pytest.raises(Refused) as beyond:
        await then(shop, position=10_000)
    with pytest.raises(Refused) as nothing:
        await then(shop)
    codes = [told.value.problems[0].code for told in (future, beyond, nothing)]
    assert codes == ["as_of_future", "as_of_beyond", "as_of_nothing"]


async def test_a_plan_is_asked_for_before_it_was_and_after_it_changed(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start(when=at(2, 8, 30))
    await change_plan_status(shop.ledger, "p1", "paused", "why", Asked("pause", at(3), "hq"))
    early = await then(shop, when=at(1, 12))
    assert (early.status, early.cycle) == ("running", None)
    running = await then(shop, when=at(2, 12))
    assert (running.status, running.cycle and running.cycle.items) == ("running", {"open": 1})
    assert (await then(shop, when=at(4))).status == "paused"
    with pytest.raises(NotFound):
        await then(shop, when=at(1, 8))
    with pytest.raises(NotFound):
        await then(shop, "p9", when=at(4))
    async with shop.ledger.connection() as connection:
        assert (await read_plan(connection, 1, "p1")).status == "paused"
