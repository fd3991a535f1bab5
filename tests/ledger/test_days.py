"""A guide's day: cut, published, nudged about, closed."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest

from activities.opening import clock_in
from domain.day_norm import Capacity
from domain.errors import Conflict
from ledger.calendars import days_off
from ledger.due_items import Holds, PlanOnDay, ZoneDay
from ledger.list_cutting import cut_lists
from ledger.open_days import OpenDay, count_open_days, open_days
from ledger.publishing import publish_many
from ledger.tasks import Moving, change_tasks, open_tasks_of_guide
from tests.brand import Brand, at, plan


async def cut(brand: Brand, day: int = 2, *, capacity: int = 50) -> int:
    on = date(2026, 3, day)
    async with brand.ledger.transaction() as connection:
        off = await days_off(connection, 1, {"p1": plan().working_calendar}, day=on, zone="Asia/Shanghai")
        return await cut_lists(
            connection,
            ZoneDay(1, on, "Asia/Shanghai", off),
            plans=[PlanOnDay("p1", 1)],
            holds=Holds(Capacity(capacity, 30)),
            opens_at=at(day, 9),
            closes_at=at(day, 21),
        )


async def the_guide(brand: Brand) -> UUID:
    return UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))


async def test_a_list_is_ordered_by_grade_due_day_value_and_member(shop: Brand) -> None:
    guide = await the_guide(shop)
    graded = await shop.due_on(2, "A", "B", "C")
    early = await shop.due_on(3, "E")
    later = await shop.due_on(4, "L1", "L2", "L3")
    rich = await shop.due_on(4, "R", value=900_00)
    await shop.start()
    for member, grade in zip(graded, "ABC", strict=True):
        await shop.execute("UPDATE plan_member SET grade = $2 WHERE member_id = $1", member, grade)
    assert await cut(shop, 4) == 1
    a, b, c = graded
    assert await shop.listed(4, guide) == [a, b, *early, *rich, *sorted(later), c]


@pytest.mark.parametrize("first", [True, False])
async def test_key_values_come_first_unless_the_plan_says_otherwise(shop: Brand, first: bool) -> None:
    guide = await the_guide(shop)
    graded, valued = await shop.due_on(2, "A", "K")
    await shop.start(plan(day={"key_value_first": first}))
    await shop.execute("UPDATE plan_member SET grade = 'A' WHERE member_id = $1", graded)
    await shop.execute("UPDATE plan_member SET quadrant = 'key_value' WHERE member_id = $1", valued)
    await shop.dispatch.cut_lists(shop.day(2))
    assert await shop.listed(2, guide) == ([valued, graded] if first else [graded, valued])


async def test_grade_comes_before_due_day_and_value(shop: Brand) -> None:
    guide = await the_guide(shop)
    (b,) = await shop.due_on(3, "B", value=1_00)
    (a,) = await shop.due_on(4, "A", value=1_00)
    (never,) = await shop.due_on(2, "N", value=900_00)
    await shop.start()
    await shop.execute("UPDATE plan_member SET grade = 'A' WHERE member_id = $1", a)
    await shop.execute("UPDATE plan_member SET grade = 'B' WHERE member_id = $1", b)
    await cut(shop, 4)
    assert await shop.listed(4, guide) == [a, b, never]


async def test_capacity_cuts_the_list_and_the_rest_stays_due(shop: Brand) -> None:
    guide = await the_guide(shop)
    first = await shop.due_on(2, "M1", "M2")
    rest = await shop.due_on(3, "M3")
    await shop.start()
    await cut(shop, 3, capacity=2)
    assert await shop.listed(3, guide) == sorted(first)
    assert await shop.standing(await shop.task(rest[0])) == ("open", None, date(2026, 3, 3))
    for member in first:
        await shop.report(await shop.task(member), guide, at(3, 10), "came")
    await cut(shop, 4, capacity=2)
    assert await shop.listed(4, guide) == rest


async def test_the_largest_capacity_of_the_days_plans_cuts_the_list(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    async with shop.ledger.transaction() as connection:
        await cut_lists(
            connection,
            ZoneDay(1, date(2026, 3, 2), "Asia/Shanghai"),
            plans=[PlanOnDay("p1", 1), PlanOnDay("p2", 1)],
            holds=Holds(Capacity(2, 30)),
            opens_at=at(2, 9), closes_at=at(2, 21),
        )  # fmt: skip
    assert len(await shop.listed(2, await the_guide(shop))) == 2


async def test_cutting_twice_changes_nothing(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    assert await cut(shop) == 1
    before = await shop.everything()
    assert await cut(shop) == 1
    assert await shop.everything() == before


async def test_lists_cut_at_the_same_time_are_one(shop: Brand) -> None:
    await shop.due_on(2, *(f"M{n}" for n in range(9)))
    await shop.start()
    assert await asyncio.gather(*(cut(shop) for _ in range(5))) == [1] * 5
    assert len(await shop.listed(2, await the_guide(shop))) == 9


async def test_what_is_not_due_yet_is_on_no_list(shop: Brand) -> None:
    await shop.due_on(3, "M1")
    await shop.start()
    assert await cut(shop, 2) == 0
    assert await cut(shop, 3) == 1


async def test_a_guide_without_anything_due_has_no_list(shop: Brand) -> None:
    await shop.hire("G2")
    await shop.due_on(2, "M1")
    await shop.start()
    assert await cut(shop) == 1
    assert await shop.value("SELECT count(*) FROM guide_day") == 1


@pytest.mark.parametrize(
    ("change", "lists"),
    [
        ("active = false", 0),
        ("on_leave_from = '2026-03-01', on_leave_to = '2026-03-02'", 0),
        ("on_leave_from = '2026-03-02', on_leave_to = '2026-03-02'", 0),
        ("on_leave_from = '2026-03-02', on_leave_to = NULL", 0),
        ("on_leave_from = '2026-03-03', on_leave_to = NULL", 1),
        ("on_leave_from = '2026-02-01', on_leave_to = '2026-03-01'", 1),
    ],
)
async def test_a_guide_who_left_or_is_on_leave_gets_no_list(shop: Brand, change: str, lists: int) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    await shop.execute(f"UPDATE guide SET {change}")
    assert await cut(shop) == lists


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE plan_member SET grade = 'D' WHERE member_id = $1",
        "UPDATE plan_member SET dial_days = 3 WHERE member_id = $1",
        "UPDATE plan_member SET last_dial_on = '2026-03-02' WHERE member_id = $1",
        "UPDATE member SET opted_out_at = '2026-03-02 01:00+00' WHERE member_id = $1",
        "UPDATE task SET state = 'done' WHERE member_id = $1",
    ],
)
async def test_who_must_not_be_called_today_is_on_no_list(shop: Brand, change: str) -> None:
    members = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.execute(change, members[0])
    await cut(shop)
    assert await shop.listed(2, await the_guide(shop)) == [members[1]]


async def test_an_opt_out_in_the_future_keeps_nobody_off_todays_list(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    await shop.execute("UPDATE member SET opted_out_at = $1", at(2, 9, 1))
    assert await cut(shop) == 1


async def test_a_guide_of_another_zone_is_cut_with_that_zone(shop: Brand) -> None:
    await shop.open_store("S2", zone="America/New_York")
    await shop.hire("G2", "S2")
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    assert await cut(shop) == 1
    step = shop.day(2, zone="America/New_York")
    assert (await shop.dispatch.cut_lists(step)).lists == 1
    assert await shop.value("SELECT count(DISTINCT guide_id) FROM list_item") == 2


async def test_an_item_handed_over_after_the_cut_is_not_on_a_second_list_that_day(shop: Brand) -> None:
    guide = await the_guide(shop)
    members = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await cut(shop)
    other = await shop.hire("G2")
    async with shop.ledger.transaction() as connection:
        moving = [
            Moving(task, attempts, guide, other)
            for task, _, attempts in await open_tasks_of_guide(connection, 1, plan_id="p1", guide_id=guide)
        ]
        assert await change_tasks(connection, 1, shop.command("hand-over"), moving=moving)
    assert await cut(shop) == 1
    assert await shop.listed(2, other) == []
    await cut(shop, 3)
    assert await shop.listed(3, other) == sorted(members)


async def test_an_item_cannot_be_written_onto_two_lists_of_a_day(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    await cut(shop)
    other = await shop.hire("G2")
    with pytest.raises(Exception, match="list_item_tenant_id_business_date_task_id_key"):
        await shop.execute(
            "INSERT INTO list_item SELECT 1, $1, business_date, 1, task_id FROM list_item", other
        )
    assert await shop.value("SELECT count(*) FROM list_item") == 1


# --- publish ---------------------------------------------------------------------------------------


async def test_a_list_is_published_once_with_its_items_in_order(shop: Brand) -> None:
    guide = await the_guide(shop)
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    await cut(shop)
    step = shop.guide_day(guide, 2)
    assert (await shop.dispatch.publish_list(step)).changed
    assert not (await shop.dispatch.publish_list(step)).changed
    tasks = [str(row[0]) for row in await shop.rows("SELECT task_id FROM list_item ORDER BY rank")]
    rows = await shop.rows(
        "SELECT stream, ARRAY(SELECT jsonb_array_elements_text(payload->'tasks')) FROM event"
        " WHERE type = 'list_published'"
    )
    assert rows == [(f"guide-day/{guide}/2026-03-02", tasks)]
    assert await shop.rows("SELECT state, published_at FROM guide_day") == [("published", at(2, 9))]


async def test_a_list_published_by_the_workflow_and_by_clocking_in_at_once_is_published_once(
    shop: Brand,
) -> None:
    guide = await the_guide(shop)
    await shop.due_on(2, "M1")
    await shop.start()
    await cut(shop)
    results = await asyncio.gather(*(shop.dispatch.publish_list(shop.guide_day(guide, 2)) for _ in range(6)))
    assert sorted(result.changed for result in results) == [False] * 5 + [True]
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'list_published'") == 1


async def test_lists_of_a_zone_are_published_some_at_a_time_as_each_guide_would_have_hers(
    shop: Brand,
) -> None:
    early = await the_guide(shop)
    guides = sorted([early, await shop.hire("G2"), await shop.hire("G3")])
    for number, guide in enumerate(guides):
        await shop.due_on(2, *(f"M{number}-{item}" for item in range(3 - number)), guide=guide)
    await shop.start()
    await clock_in(shop.ledger, "G1", at=at(2, 8, 50), actor="guide:1")  # before there is a list
    await cut(shop)
    # Whoever comes with some of the same guides, as a second release hour does, publishes what is left.
    assert await _publish(shop, "zone", guides[:2]) == 2
    assert await _publish(shop, "zone", guides) == 1
    assert await _publish(shop, "zone", guides) == 0
    lists = dict(
        await shop.rows("SELECT guide_id, array_agg(task_id::text ORDER BY rank) FROM list_item GROUP BY 1")
    )
    told = dict(
        await shop.rows(
            "SELECT stream, ARRAY(SELECT jsonb_array_elements_text(payload->'tasks')) FROM event"
            " WHERE type = 'list_published'"
        )
    )
    assert told == {f"guide-day/{guide}/2026-03-02": lists[guide] for guide in guides}
    assert await shop.rows(
        "SELECT guide_id, state, published_at, clocked_in_at FROM guide_day ORDER BY 1"
    ) == [(guide, "published", at(2, 9), at(2, 8, 50) if guide == early else None) for guide in guides]
    assert not (await shop.dispatch.publish_list(shop.guide_day(early, 2))).changed


async def test_lists_published_all_at_once_and_one_by_one_at_the_same_time_are_published_once(
    shop: Brand,
) -> None:
    guides = [await the_guide(shop), *[await shop.hire(f"G{number}") for number in range(2, 6)]]
    for number, guide in enumerate(guides):
        await shop.due_on(2, f"M{number}", guide=guide)
    await shop.start()
    await cut(shop)
    assert await shop.dispatch.publish_lists(shop.day(2, 8)) == 0  # not released yet
    one_by_one = [shop.dispatch.publish_list(shop.guide_day(guide, 2)) for guide in guides]
    at_once = [shop.dispatch.publish_lists(shop.day(2)) for _ in range(3)]
    some = [_publish(shop, f"some/{guide}", [guide, max(guides)]) for guide in guides[:2]]
    await asyncio.gather(*at_once, *some, *one_by_one)
    assert await shop.rows("SELECT DISTINCT state FROM guide_day") == [("published",)]
    assert await shop.rows(
        "SELECT stream, count(*)::int FROM event WHERE type = 'list_published' GROUP BY 1 ORDER BY 1"
    ) == [(f"guide-day/{guide}/2026-03-02", 1) for guide in sorted(guides)]


async def _publish(brand: Brand, command_id: str, guides: list[UUID]) -> int:
    async with brand.ledger.transaction() as connection:
        command = brand.command(command_id, at(2, 9))
        return await publish_many(connection, 1, command, guides=guides, day=date(2026, 3, 2))


async def test_there_is_nothing_to_publish_or_close_where_no_list_was_cut(shop: Brand) -> None:
    step = shop.guide_day(await the_guide(shop), 2)
    assert not (await shop.dispatch.publish_list(step)).changed
    assert not (await shop.dispatch.close_day(step)).changed
    assert await shop.value("SELECT count(*) FROM event") == 0


# --- nudges ----------------------------------------------------------------------------------------


async def test_only_guides_with_untouched_items_are_nudged_and_never_twice_for_a_slot(shop: Brand) -> None:
    busy = await the_guide(shop)
    done = await shop.hire("G2")
    unpublished = await shop.hire("G3")
    await shop.due_on(2, *(f"M{n}" for n in range(6)))
    await shop.start()
    await shop.morning(2, busy, done)
    for member in await shop.listed(2, done):
        await shop.report(await shop.task(member), done, at(2, 10), "no_answer")
    touched = await shop.task((await shop.listed(2, busy))[0])
    await shop.report(touched, busy, at(2, 10), "no_answer")
    assert len(await shop.listed(2, unpublished)) == 2
    noon = shop.day(2, 12, slot="12:00")
    assert (await shop.reminders.nudge_guides(noon)).guides == 1
    assert (await shop.reminders.nudge_guides(noon)).guides == 0
    rows = await shop.rows("SELECT purpose, guide_id, content::text, state, expires_at FROM outbox")
    assert [row[:2] for row in rows] == [(f"nudge/{busy}/2026-03-02/12:00", busy)]
    assert rows[0][2:] == (
        '{"date": "2026-03-02", "slot": "12:00", "open_items": 1}',
        "unrouted",
        at(2, 14),
    )


async def test_each_slot_nudges_again_until_nothing_is_open(shop: Brand) -> None:
    guide = await the_guide(shop)
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    assert (await shop.reminders.nudge_guides(shop.day(2, 12, slot="12:00"))).guides == 1
    assert (await shop.reminders.nudge_guides(shop.day(2, 15, slot="15:00"))).guides == 1
    await shop.report(await shop.task(member), guide, at(2, 16), "came")
    assert (await shop.reminders.nudge_guides(shop.day(2, 17, slot="17:00"))).guides == 0
    assert await shop.value("SELECT count(*) FROM outbox") == 2


async def test_a_slot_that_two_release_hours_share_nudges_once(shop: Brand) -> None:
    guide = await the_guide(shop)
    await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    noon = shop.day(2, 12, slot="12:00")
    assert (await shop.reminders.nudge_guides(noon)).guides == 1
    assert (await shop.reminders.nudge_guides(noon.model_copy(update={"release": "10:00"}))).guides == 0
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'nudged'") == 1


async def test_a_closed_day_is_not_nudged_about(shop: Brand) -> None:
    guide = await the_guide(shop)
    await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    await shop.evening(2, guide)
    assert (await shop.reminders.nudge_guides(shop.day(2, 17, slot="17:00"))).guides == 0


# --- close -----------------------------------------------------------------------------------------


async def a_worked_day(brand: Brand, open_items: str) -> tuple[UUID, list[UUID]]:
    """Four items: came, no answer, asked again for Friday, untouched."""
    guide = await the_guide(brand)
    await brand.due_on(2, "M1", "M2", "M3", "M4")
    await brand.start(plan(day={"open_items": open_items}))
    await brand.morning(2, guide)
    tasks = [await brand.task(member) for member in await brand.listed(2, guide)]
    await brand.report(tasks[0], guide, at(2, 10), "came")
    await brand.report(tasks[1], guide, at(2, 11), "no_answer")
    await brand.report(tasks[2], guide, at(2, 12), "interested", next_on=date(2026, 3, 6))
    return guide, tasks


async def test_the_close_recounts_the_day_and_carries_untouched_items_over(shop: Brand) -> None:
    guide, tasks = await a_worked_day(shop, "carry_over")
    await shop.execute("UPDATE guide_day SET done = 99, reached = 99")
    await shop.evening(2, guide)
    assert await shop.rows("SELECT state, listed, done, reached, carried, closed_at FROM guide_day") == [
        ("closed", 4, 3, 2, 1, at(2, 21))
    ]
    assert await shop.standing(tasks[3]) == ("open", None, date(2026, 3, 2))
    await shop.morning(3, guide)
    again = [await shop.task(member) for member in await shop.listed(3, guide)]
    assert sorted(again) == sorted([tasks[1], tasks[3]])


async def test_the_close_expires_untouched_items_where_the_plan_says_so(shop: Brand) -> None:
    guide, tasks = await a_worked_day(shop, "expire")
    await shop.evening(2, guide)
    assert [(await shop.standing(task))[:2] for task in tasks] == [
        ("done", None),
        ("open", None),
        ("open", None),
        ("expired", "day_closed"),
    ]
    payload = await shop.rows(
        "SELECT payload->>'carried', payload->>'expired' FROM event WHERE type = 'day_closed'"
    )
    assert payload == [("0", "1")]
    left = await shop.rows("SELECT stream FROM event WHERE type = 'task_left'")
    assert left == [(f"task/{tasks[3]}",)]


async def test_what_capacity_kept_off_the_list_does_not_expire_with_the_day(shop: Brand) -> None:
    guide = await the_guide(shop)
    await shop.due_on(2, "M1", "M2")
    await shop.start(plan(day={"open_items": "expire"}, care={"items_per_day": 1}))
    await shop.morning(2, guide)
    await shop.evening(2, guide)
    assert await shop.rows("SELECT state, count(*) FROM task GROUP BY 1 ORDER BY 1") == [
        ("expired", 1),
        ("open", 1),
    ]


async def test_a_day_is_closed_once(shop: Brand) -> None:
    guide, _ = await a_worked_day(shop, "expire")
    await shop.evening(2, guide)
    before = await shop.everything()
    assert not (await shop.dispatch.close_day(shop.guide_day(guide, 2, 22))).changed
    assert await shop.everything() == before


async def test_a_day_closed_from_two_sides_at_once_is_closed_once(shop: Brand) -> None:
    guide, _ = await a_worked_day(shop, "expire")
    results = await asyncio.gather(*(shop.dispatch.close_day(shop.guide_day(guide, 2, 21)) for _ in range(5)))
    assert sorted(result.changed for result in results) == [False] * 4 + [True]
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'day_closed'") == 1


async def test_a_check_in_beside_the_close_is_either_before_it_or_late_and_never_lost(shop: Brand) -> None:
    guide, tasks = await a_worked_day(shop, "carry_over")
    results = await asyncio.gather(
        shop.report(tasks[3], guide, at(2, 20, 59), "came"),
        shop.dispatch.close_day(shop.guide_day(guide, 2, 21)),
        return_exceptions=True,
    )
    assert not [
        result for result in results if isinstance(result, Exception) and type(result) is not Conflict
    ]
    assert (await shop.standing(tasks[3]))[0] == "done"
    assert await shop.value("SELECT state FROM guide_day") == "closed"


async def test_open_days_are_counted_for_the_check_until_they_are_closed(shop: Brand) -> None:
    guide, _ = await a_worked_day(shop, "carry_over")

    async def count(until: int) -> int:
        async with shop.ledger.connection() as connection:
            return await count_open_days(connection, 1, plan_id="p1", cycle=1, until=date(2026, 3, until))

    assert (await count(1), await count(2)) == (0, 1)
    await shop.evening(2, guide)
    assert await count(2) == 0


async def test_open_days_are_found_by_date_and_zone(shop: Brand) -> None:
    guide, _ = await a_worked_day(shop, "carry_over")
    monday, here = date(2026, 3, 2), "Asia/Shanghai"
    day_before, day_after = date(2026, 3, 1), date(2026, 3, 3)
    found = [OpenDay(guide, monday, at(2, 9), at(2, 21), "published")]
    async with shop.ledger.connection() as connection:
        assert await open_days(connection, 1) == found
        assert await open_days(connection, 1, first=monday, last=monday, time_zone=here) == found
        assert await open_days(connection, 1, last=day_before) == []
        assert await open_days(connection, 1, first=day_after) == []
        assert await open_days(connection, 1, time_zone="Asia/Tokyo") == []
        await shop.evening(2, guide)
        assert await open_days(connection, 1) == []
