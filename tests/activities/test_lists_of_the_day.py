"""One list a guide a day: order, trade-off, pool, absence, items put off, forecast; the folds agree at the end of each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, datetime, time
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.absence import tell_absent
from activities.claiming import claim, push_unclaimed, push_unclaimed_everywhere, store_pool
from activities.forecasting import forecast_plan
from activities.preview import preview_plan
from domain.errors import NotFound, Refused
from domain.events import DayNormSet
from infra.databases import ensure_tenant
from ledger.day_norms import set_day_norm
from ledger.folding.comparing import differences
from ledger.snoozing import snooze
from ledger.today import read_todays_list
from ledger.why import why
from tests.brand import ZONE, Brand, at, plan
from tests.conftest import ID_SECRET, LedgerDatabase
from tests.shared_database import empty
from tests.three_guides import BY_TURNS, guides, hq, lists

INVITE = {"name": "n", "script": "s", "item": "invitation", "days_per_unit": {"TIN": 7}}
CLAIMED = plan(day={"claim_until": "11:00"})


def codes(error: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [problem.code for problem in error.value.problems]


@pytest_asyncio.fixture
async def three(shop: Brand) -> AsyncIterator[Brand]:
    """Three guides in one store; what was projected is what the events tell, whatever a test did."""
    await shop.hire("G2")
    await shop.hire("G3")
    yield shop
    async with shop.ledger.connection() as connection, connection.transaction(isolation="repeatable_read"):
        assert [one async for one in differences(connection, 1)] == []


# --- order and trade-off ------------------------------------------------------------------------------


async def test_calls_and_invitations_each_have_their_capacity(three: Brand) -> None:
    await three.due_on(2, *(f"M{n}" for n in range(9)))
    await three.start(plan(care={**BY_TURNS, "items_per_day": 1}, members={"stores": []}))
    await three.start(plan(plan="p2", care={**BY_TURNS, "invitations_per_day": 1}, means=[INVITE]))
    await three.morning(2, *await guides(three))
    kinds = await three.rows(
        "SELECT t.plan_id, count(*) FROM list_item i JOIN task t USING (tenant_id, task_id) GROUP BY 1 ORDER BY 1"
    )
    assert kinds == [("p1", 3), ("p2", 3)]


async def test_booked_visits_take_invitations_off_and_the_stores_total_stays(three: Brand) -> None:
    one, two, last = await guides(three)
    members = await three.due_on(2, *(f"M{n}" for n in range(6)))
    await three.start(plan(care=BY_TURNS, means=[INVITE]))
    await three.morning(2, one, two, last)
    visits = 0
    for member in members:
        task = await three.task(member)
        guide = await three.value("SELECT guide_id FROM task WHERE task_id = $1", task)
        if guide == one:
            await three.report(task, one, at(2, 10), "booked_visit", next_on=date(2026, 3, 3))
            visits += 1
    assert visits == 2
    await three.evening(2, one, two, last)
    await three.morning(3, one, two, last)
    targets = await three.rows(
        "SELECT guide_id, target_calls, target_invitations FROM guide_day WHERE business_date = '2026-03-03'"
    )
    assert {guide: invitations for guide, _, invitations in targets} == {one: 20, two: 35, last: 35}
    assert {calls for _, calls, _ in targets} == {50}


async def test_the_brand_says_what_a_guide_is_asked_for(three: Brand) -> None:
    norm = DayNormSet(calls=1, invitations=9, invitations_a_visit=2, reason="spring")
    async with three.ledger.transaction() as connection:
        await set_day_norm(connection, 1, three.command(), norm)
    await three.due_on(2, *(f"M{n}" for n in range(6)))
    await three.start(plan(care={**BY_TURNS, "items_per_day": None}))
    everyone = await guides(three)
    await three.morning(2, *everyone)
    assert {guide: len(tasks) for guide, tasks in (await lists(three)).items()} == dict.fromkeys(everyone, 1)
    async with three.ledger.connection() as connection:
        shown = await read_todays_list(connection, 1, "G1", None, keys=three.ledger.keys)
    assert (shown.target_calls, shown.target_invitations, shown.rest) == (1, 9, 1)


# --- the pool ---------------------------------------------------------------------------------------


async def test_one_of_two_guides_who_claim_at_once_gets_the_item(three: Brand) -> None:
    await three.due_on(2, "M1", "M2")
    await three.start(CLAIMED)
    everyone = await guides(three)
    await three.morning(2, *everyone)
    assert await lists(three) == {}
    pool = await store_pool(three.ledger, "S1", at(2, 10))
    assert (len(pool.items), pool.until) == (2, at(2, 11))
    task = pool.items[0].task_id
    told = await asyncio.gather(
        *(claim(three.ledger, code, task, hq(at(2, 10))) for code in ("G2", "G3")), return_exceptions=True
    )
    refused = [one for one in told if isinstance(one, Refused)]
    assert [problem.code for one in refused for problem in one.problems] == ["claimed_by_other"]
    (got,) = [one for one in told if not isinstance(one, BaseException)]
    (holder,) = await lists(three)
    assert await three.value("SELECT guide_id FROM task WHERE task_id = $1", task) == holder
    again = await claim(three.ledger, got.guide, task, hq(at(2, 10, 5)))
    assert again.duplicate
    assert len((await store_pool(three.ledger, "S1", at(2, 10))).items) == 1
    await three.report(task, holder, at(2, 10, 30), "interested")
    async with three.ledger.connection() as connection:
        told_why = await why(connection, 1, task, now=at(2, 12))
    assert [one.type for one in told_why.days[0].events] == ["list_published", "list_extended"]


async def test_what_is_unclaimed_at_the_cut_off_goes_to_whom_it_was_assigned(three: Brand) -> None:
    await three.due_on(2, "M1", "M2", "M3")
    await three.start(plan(day={"claim_until": "11:00", "nudges": ["12:00"]}, care=BY_TURNS))
    everyone = await guides(three)
    await three.morning(2, *everyone)
    assert await push_unclaimed(three.ledger, day=date(2026, 3, 2), time_zone=ZONE, at=at(2, 10, 59)) == 0
    view = await three.dispatch.read_day(three.day(2))
    assert [slot.name for slot in view.slots if not slot.escalate_to] == ["11:00", "12:00"]
    assert (await three.reminders.nudge_guides(three.day(2, 11, slot="11:00"))).guides == 0
    assigned = dict(await three.rows("SELECT task_id, guide_id FROM task"))
    assert {task: guide for guide, tasks in (await lists(three)).items() for task in tasks} == assigned
    assert await push_unclaimed_everywhere(three.ledger, at(2, 11, 30)) == 0
    with pytest.raises(Refused) as refused:
        await claim(three.ledger, "G1", next(task for task, guide in assigned.items() if guide != everyone[0]),
                    hq(at(2, 11, 30)))  # fmt: skip
    assert codes(refused) == ["claimed_by_other"]
    assert (await three.reminders.nudge_guides(three.day(2, 12, slot="12:00"))).guides == 3
    await three.evening(2, *everyone)
    assert await three.rows("SELECT DISTINCT listed, carried FROM guide_day") == [(1, 1)]


async def test_an_item_of_another_stores_pool_is_not_there(three: Brand) -> None:
    await three.open_store("S2")
    await three.hire("G9", "S2")
    (member,) = await three.due_on(2, "M1")
    await three.start(plan(day={"claim_until": "11:00"}, care={"guides": ["G1"]}))
    await three.morning(2)
    with pytest.raises(NotFound):
        await claim(three.ledger, "G9", await three.task(member), hq(at(2, 10)))
    assert (await store_pool(three.ledger, "S2", at(2, 10))).items == ()


# --- putting off --------------------------------------------------------------------------------------


async def test_an_item_put_off_is_not_nudged_until_then_and_counts_as_no_attempt(three: Brand) -> None:
    (member,) = await three.due_on(2, "M1")
    await three.start(plan(care={"guides": ["G1"]}, day={"open_items": "expire"}))
    guide = (await guides(three))[0]
    await three.morning(2, guide)
    task = await three.task(member)
    await snooze(three.ledger, three.command("a", at(2, 10)), task, guide, time(15), "line_busy")
    assert (await three.reminders.nudge_guides(three.day(2, 12, slot="12:00"))).guides == 0
    assert (await three.reminders.nudge_guides(three.day(2, 17, slot="17:00"))).guides == 1
    again = await snooze(three.ledger, three.command("a", at(2, 18)), task, guide, time(20), "other")
    assert (again.duplicate, again.until) == (True, at(2, 15))
    tomorrow = await snooze(
        three.ledger, three.command("b", at(2, 18)), task, guide, date(2026, 3, 4), "other"
    )
    assert tomorrow.until == at(4, 0)
    assert await three.rows("SELECT attempts, snoozes FROM task") == [(0, 2)]
    await three.evening(2, guide)
    assert await three.standing(task) == ("open", None, date(2026, 3, 2))
    await three.morning(3, guide)
    assert await lists(three, 3) == {}
    await three.morning(4, guide)
    assert await lists(three, 4) == {guide: [task]}


# --- absence ------------------------------------------------------------------------------------------


async def test_what_is_open_goes_to_others_with_room_and_the_rest_carries_over(three: Brand) -> None:
    one, two, _ = await guides(three)
    await three.due_on(2, *(f"M{n}" for n in range(9)))
    await three.start(plan(care={**BY_TURNS, "items_per_day": 3}, day={"open_items": "expire"}))
    await three.morning(2, one, two)  # the third's list is cut, and told when it is published
    before = await lists(three)
    done = before[one][0]
    await three.report(done, one, at(2, 10), "interested")
    told = await tell_absent(three.ledger, "G1", hq(at(2, 11)))
    assert (told.to, told.stays) == ({}, 2)  # nobody has room
    assert (await tell_absent(three.ledger, "G1", hq(at(2, 12)))).duplicate
    day = await three.rows("SELECT state, listed, done, carried FROM guide_day WHERE guide_id = $1", one)
    assert day == [("closed", 3, 1, 2)]
    assert {row[0] for row in await three.rows("SELECT state FROM task WHERE guide_id = $1", one)} == {
        "open",
        "done",
    }


async def test_an_absent_guides_items_are_on_one_list_and_her_credit_stays(three: Brand) -> None:
    one, two, last = await guides(three)
    await three.due_on(2, *(f"M{n}" for n in range(9)))
    await three.start(plan(care={**BY_TURNS, "items_per_day": 5}))
    await three.morning(2, one, two)
    mine = (await lists(three))[one]
    await three.report(mine[0], one, at(2, 10), "interested")
    told = await tell_absent(three.ledger, "G1", hq(at(2, 11)))
    assert (told.to, told.stays) == ({"G2": 1, "G3": 1}, 0)
    after = await lists(three)
    assert after[one] == [mine[0]]
    assert sorted(task for tasks in after.values() for task in tasks) == sorted(
        row[0] for row in await three.rows("SELECT task_id FROM task")
    )
    assert await three.rows("SELECT DISTINCT guide_id FROM check_in") == [(one,)]
    owners = await three.rows("SELECT count(*) FROM plan_member WHERE guide_id = $1", one)
    assert owners == [(3,)]
    await three.dispatch.publish_list(three.guide_day(last, 2, 12))
    await three.evening(2, two, last)
    assert await three.rows("SELECT listed, done, carried FROM guide_day ORDER BY listed") == [
        (1, 1, 0),
        (4, 0, 4),
        (4, 0, 4),
    ]
    with pytest.raises(Refused) as refused:
        await tell_absent(three.ledger, "G2", hq(at(2, 22)))
    assert codes(refused) == ["list_is_closed"]


async def test_told_before_the_cut_no_list_is_cut_for_her(three: Brand) -> None:
    await three.due_on(2, "M1", "M2", "M3")
    await three.start(plan(care=BY_TURNS))
    await tell_absent(three.ledger, "G1", hq(at(2, 8)))
    everyone = await guides(three)
    await three.morning(2, *everyone)
    assert set(await lists(three)) == set(everyone[1:])


async def take(brand: Brand, step: str, number: int, everyone: list[UUID], when: datetime) -> None:
    """One step of a day, by or for the guide the number chooses."""
    code, guide = f"G{1 + number % 3}", everyone[number % 3]
    mine = (await lists(brand)).get(guide) or [UUID(int=0)]
    task = mine[number % len(mine)]
    match step:
        case "claim":
            items = (await store_pool(brand.ledger, "S1", when)).items
            for item in items[number % 3 : number % 3 + 1]:
                await claim(brand.ledger, code, item.task_id, hq(when))
        case "absent":
            await tell_absent(brand.ledger, code, hq(when))
        case "push":
            await push_unclaimed(brand.ledger, day=date(2026, 3, 2), time_zone=ZONE, at=when)
        case "cut":
            await brand.dispatch.cut_lists(brand.day(2))
        case "report" if task.int:
            await brand.report(task, guide, when, "interested")
        case "snooze" if task.int:
            await snooze(brand.ledger, brand.command("", when), task, guide, time(20), "other")


steps = st.lists(
    st.tuples(st.sampled_from(["claim", "absent", "push", "report", "snooze", "cut"]), st.integers(0, 5)),
    min_size=3,
    max_size=14,
)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
async def test_whatever_happens_in_a_day_no_item_is_on_two_lists_and_none_is_lost(
    shared_database: LedgerDatabase, steps: list[tuple[str, int]]
) -> None:
    await empty(shared_database)
    await ensure_tenant(shared_database.ledger, ID_SECRET)
    brand = Brand(shared_database.ledger)
    await brand.open_store()
    await brand.category()
    everyone = [await brand.hire(code) for code in ("G1", "G2", "G3")]
    await brand.due_on(2, *(f"M{n}" for n in range(8)))
    await brand.start(plan(care={**BY_TURNS, "items_per_day": 3}))
    await brand.start(plan(plan="p2", care=BY_TURNS, day={"claim_until": "11:00"}, means=[INVITE]))
    tasks = {row[0] for row in await brand.rows("SELECT task_id FROM task")}
    await brand.morning(2, *everyone[:2])
    for minute, (step, number) in enumerate(steps):
        with suppress(Refused):
            await take(brand, step, number, everyone, at(2, 10 + minute // 6, minute % 6 * 10))
    for guide in everyone:
        await brand.dispatch.close_day(brand.guide_day(guide, 2, 21))
    held = [task for found in (await lists(brand)).values() for task in found]
    assert len(held) == len(set(held))
    members = await brand.rows(
        "SELECT count(*), count(DISTINCT t.member_id) FROM list_item i JOIN task t USING (tenant_id, task_id)"
    )
    assert members[0][0] == members[0][1]
    assert {
        row[0] for row in await brand.rows("SELECT task_id FROM task WHERE state IN ('open', 'done')")
    } == tasks
    counted = await brand.rows(
        "SELECT d.listed, (SELECT count(*) FROM list_item i WHERE i.guide_id = d.guide_id) FROM guide_day d"
    )
    assert [row for row in counted if row[0] != row[1]] == []
    async with brand.ledger.connection() as connection, connection.transaction(isolation="repeatable_read"):
        assert [one async for one in differences(connection, 1)] == []


# --- forecast -----------------------------------------------------------------------------------------


async def test_the_forecast_carries_the_load_forward_and_names_the_first_day_over_capacity(
    three: Brand,
) -> None:
    await three.due_on(3, "M1", "M2", "M3")
    await three.due_on(4, "M4")
    await three.category("SOAP")
    wanted = plan(care={"guides": ["G1"], "items_per_day": 2})
    preview = await preview_plan(three.ledger, wanted, at=at(1), on=date(2026, 3, 1))
    await three.start(wanted)
    launched = await forecast_plan(three.ledger, "p1", at=at(2, 8), days=10)
    assert launched == preview.forecast
    (hers,) = launched.guides
    assert [(one.due, one.load, one.left) for one in hers.days[:4]] == [
        (0, 0, 0),
        (3, 3, 1),
        (1, 2, 0),
        (0, 0, 0),
    ]
    assert (hers.over_from, launched.over) == (date(2026, 3, 3), 1)
    await three.execute("UPDATE guide SET on_leave_from = '2026-03-03', on_leave_to = '2026-03-04'")
    (away,) = (await forecast_plan(three.ledger, "p1", at=at(2, 8), days=4)).guides
    assert [one.left for one in away.days] == [0, 3, 4, 2]
