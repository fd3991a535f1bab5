"""Lists are there at the clock-in whether or not anything else is running, and days close by hand."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import asyncpg
import pytest

from activities.acting import change_plan_status
from activities.asked import Asked
from activities.opening import clock_in, close_guide_days, cut_zone, open_zone_day, releases_of
from domain.errors import NotFound, Refused
from domain.messages import DayStep
from tests.brand import MONDAY, ZONE, Brand, at, plan

STEP = DayStep(day=MONDAY, time_zone=ZONE, release="09:00", at=at(2))


@pytest.fixture
async def two_guides(brand: Brand) -> Brand:
    """Two guides with three items due on Monday, the cycle started, nothing cut."""
    await brand.open_store()
    guides = [await brand.hire(code) for code in ("G1", "G2")]
    await brand.due_on(2, "M1", "M2", guide=guides[0])
    await brand.due_on(2, "M3", guide=guides[1])
    await brand.start(plan())
    return brand


async def events(brand: Brand, kind: str) -> int:
    return int(await brand.value("SELECT count(*) FROM event WHERE type = $1", kind))


async def test_clocking_in_cuts_and_publishes_the_list_when_nothing_else_did(two_guides: Brand) -> None:
    there = await clock_in(two_guides.ledger, "G1", at=at(2, 9, 5), actor="guide")
    assert (there.published, there.listed, there.day) == (True, 2, MONDAY)
    assert (
        await two_guides.value("SELECT state FROM guide_day WHERE guide_id = $1", there.guide_id)
        == "published"
    )
    assert await two_guides.value(
        "SELECT clocked_in_at FROM guide_day WHERE guide_id = $1", there.guide_id
    ) == at(2, 9, 5)


async def test_clocking_in_twice_publishes_and_counts_once(two_guides: Brand) -> None:
    await clock_in(two_guides.ledger, "G1", at=at(2, 9, 5), actor="guide")
    again = await clock_in(two_guides.ledger, "G1", at=at(2, 9, 30), actor="guide")
    assert (again.published, again.listed) == (False, 2)
    assert (await events(two_guides, "list_published"), await events(two_guides, "clocked_in")) == (1, 1)


async def test_guides_who_clock_in_at_once_find_one_cut(two_guides: Brand) -> None:
    codes = ["G1", "G2", "G1", "G2", "G1"]
    there = await asyncio.gather(
        *(clock_in(two_guides.ledger, code, at=at(2, 9, 5), actor="guide") for code in codes)
    )
    assert {one.listed for one in there} == {1, 2}
    assert await two_guides.value("SELECT count(*) FROM zone_day") == 1
    assert (await events(two_guides, "list_published"), await events(two_guides, "clocked_in")) == (2, 2)


async def test_the_workflow_that_comes_later_finds_the_same_lists(two_guides: Brand) -> None:
    await clock_in(two_guides.ledger, "G1", at=at(2, 9, 5), actor="guide")
    lists = await two_guides.rows("SELECT guide_id, rank, task_id FROM list_item ORDER BY 1, 2")
    await two_guides.due_on(2, "M4")  # a purchase file that came meanwhile makes another item due
    two_guides.now = at(2, 10)
    assert (await two_guides.dispatch.cut_lists(STEP.model_copy(update={"at": at(2, 10)}))).lists == 2
    assert await two_guides.rows("SELECT guide_id, rank, task_id FROM list_item ORDER BY 1, 2") == lists


async def test_a_release_hour_is_cut_once(two_guides: Brand) -> None:
    first = await cut_zone(two_guides.ledger, STEP)
    second = await cut_zone(two_guides.ledger, STEP)
    assert (first.cut, first.lists, second.cut, second.lists) == (True, 2, False, 2)


async def test_before_the_release_hour_there_is_no_list(two_guides: Brand) -> None:
    early = await clock_in(two_guides.ledger, "G1", at=at(2, 8, 59), actor="guide")
    assert (early.published, early.listed) == (False, 0)
    assert await two_guides.value("SELECT count(*) FROM list_item") == 0
    assert (await clock_in(two_guides.ledger, "G1", at=at(2, 9), actor="guide")).published


async def test_a_list_that_was_cut_ahead_is_not_shown_before_its_hour(two_guides: Brand) -> None:
    await cut_zone(two_guides.ledger, STEP)
    with pytest.raises(Refused) as refused:
        await clock_in(two_guides.ledger, "G1", at=at(2, 8), actor="guide")
    assert refused.value.problems[0].code == "not_released_yet"


async def test_after_the_close_nothing_is_opened(two_guides: Brand) -> None:
    late = await clock_in(two_guides.ledger, "G1", at=at(2, 21, 5), actor="guide")
    assert (late.published, late.listed) == (False, 0)


async def test_who_is_not_a_guide_of_ours_cannot_clock_in(two_guides: Brand) -> None:
    await two_guides.hire("G9", active=False)
    for code in ("nobody", "G9"):
        with pytest.raises(NotFound):
            await clock_in(two_guides.ledger, code, at=at(2, 9, 5), actor="guide")


async def test_a_guide_with_nothing_due_is_at_work_all_the_same(two_guides: Brand) -> None:
    await two_guides.hire("G3")
    there = await clock_in(two_guides.ledger, "G3", at=at(2, 9, 5), actor="guide")
    assert (there.published, there.listed) == (False, 0)
    assert await events(two_guides, "clocked_in") == 1


async def test_releases_are_those_of_plans_that_work_today(two_guides: Brand) -> None:
    async with two_guides.ledger.connection() as connection:
        (monday,) = await releases_of(connection, 1, at=at(2, 15))
        assert (monday.day, monday.time_zone, monday.release) == (MONDAY, ZONE, "09:00")
        assert (monday.opens_at, monday.closes_at) == (at(2, 9), at(2, 21))
        assert await releases_of(connection, 1, at=at(date(2026, 3, 12))) == [], "after the cycle's last day"
    await change_plan_status(two_guides.ledger, "p1", "paused", "stock", Asked(None, at(2, 10), "hq"))
    async with two_guides.ledger.connection() as connection:
        assert await releases_of(connection, 1, at=at(2, 15)) == []


async def test_a_day_closed_by_hand_takes_no_later_report(two_guides: Brand) -> None:
    await open_zone_day(two_guides.ledger, day=MONDAY, time_zone=ZONE, release="09:00", at=at(2))
    there = await clock_in(two_guides.ledger, "G1", at=at(2, 9, 5), actor="guide")
    listed = await two_guides.rows(
        "SELECT task_id FROM list_item WHERE guide_id = $1 ORDER BY rank", there.guide_id
    )
    (first,), (second,) = listed
    await two_guides.report(first, there.guide_id, at(2, 10), "interested")
    closed = await close_guide_days(
        two_guides.ledger,
        guide_ids=[there.guide_id],
        day=MONDAY,
        at=at(2, 15),
        actor="manager",
        reason="storm",
    )
    assert closed == 1
    days = await two_guides.rows(
        "SELECT state, done, carried, closes_at FROM guide_day WHERE guide_id = $1", there.guide_id
    )
    assert days == [("closed", 1, 1, at(2, 15))]
    with pytest.raises(Refused) as refused:
        await two_guides.report(second, there.guide_id, at(2, 16), "interested")
    assert refused.value.problems[0].code == "after_close"
    again = await close_guide_days(
        two_guides.ledger,
        guide_ids=[there.guide_id],
        day=MONDAY,
        at=at(2, 16),
        actor="manager",
        reason="storm",
    )
    assert again == 0


async def test_guides_who_come_a_moment_apart_do_not_get_in_each_others_way(brand: Brand) -> None:
    await brand.open_store()
    codes = [f"G{number}" for number in range(1, 9)]
    for code in codes:
        guide = await brand.hire(code)
        for member in await brand.due_on(2, *(f"{code}-M{item}" for item in range(6)), guide=guide):
            if str(member) > "8":
                await brand.buy(
                    member, at(2, 8, 45), guide=guide
                )  # bought this morning: settled when lists are cut
    await brand.start(plan())
    there = await asyncio.gather(
        *(
            clock_in(brand.ledger, code, at=at(2, 9, 5) + timedelta(milliseconds=number), actor="guide")
            for number, code in enumerate(codes)
        )
    )
    assert sum(one.listed for one in there) == await brand.value("SELECT count(*) FROM list_item")
    assert await brand.value("SELECT count(*) FROM task WHERE reason = 'bought_before_contact'") > 0


async def test_a_plan_whose_cycle_began_after_the_cut_still_reaches_its_guides_that_day(
    two_guides: Brand,
) -> None:
    await cut_zone(two_guides.ledger, STEP)
    lists = await two_guides.rows("SELECT guide_id, rank, task_id FROM list_item ORDER BY 1, 2")
    third = await two_guides.hire("G3")
    await two_guides.due_on(2, "M9", guide=third)
    await two_guides.start(plan(plan="p2", care={"guides": ["G3"]}), when=at(2, 9, 30))
    there = await clock_in(two_guides.ledger, "G3", at=at(2, 9, 40), actor="guide")
    assert (there.published, there.listed) == (True, 1)
    kept = await two_guides.rows(
        "SELECT guide_id, rank, task_id FROM list_item WHERE guide_id <> $1 ORDER BY 1, 2", third
    )
    assert kept == lists
    assert not (await cut_zone(two_guides.ledger, STEP.model_copy(update={"at": at(2, 10)}))).cut


async def test_on_a_plans_first_morning_the_clock_in_begins_the_cycle_too(brand: Brand) -> None:
    await brand.open_store()
    guide = await brand.hire("G1")
    await brand.due_on(2, "M1", "M2", guide=guide)
    await brand.launch(plan())
    assert not (await clock_in(brand.ledger, "G1", at=at(2, 8), actor="guide")).published
    assert await brand.value("SELECT count(*) FROM plan_cycle") == 0
    there = await clock_in(brand.ledger, "G1", at=at(2, 9, 1), actor="guide")
    assert (there.published, there.listed) == (True, 2)
    assert await brand.rows("SELECT cycle, state FROM plan_cycle") == [(1, "running")]


async def test_who_clocked_in_before_the_release_hour_is_seen_to_be_at_work(two_guides: Brand) -> None:
    await clock_in(two_guides.ledger, "G1", at=at(2, 8, 50), actor="guide")
    there = await clock_in(two_guides.ledger, "G1", at=at(2, 9, 10), actor="guide")
    assert there.published
    assert await two_guides.value(
        "SELECT clocked_in_at FROM guide_day WHERE guide_id = $1", there.guide_id
    ) == at(2, 8, 50)


async def test_a_clock_in_costs_the_same_whatever_the_number_of_guides(
    two_guides: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted before the release hour, when everybody comes and nobody has a list yet."""
    asked: list[str] = []
    fetch = asyncpg.Connection.fetch

    async def counted(self: asyncpg.Connection, query: str, *arguments: object, **options: object) -> object:
        asked.append(query)
        return await fetch(self, query, *arguments, **options)

    monkeypatch.setattr(asyncpg.Connection, "fetch", counted)
    for name in ("p2", "p3"):
        await two_guides.start(plan(plan=name))
    asked.clear()
    await clock_in(two_guides.ledger, "G1", at=at(2, 8, 50), actor="guide")
    assert len(asked) <= 4, asked
    assert not any("FROM guide g" in query and "code = $2" not in query for query in asked)
