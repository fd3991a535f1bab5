"""What a cycle is drawn from: the segment's own rates, grades and dials of earlier cycles, local days."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from activities.purchases import plans_on
from domain.messages import PlanStep
from ledger import facts
from ledger.cycles import read_cycle
from tests.brand import MONDAY, Brand, at, plan

TWO = plan(period={"working_days": 5, "cycles": 2})
"""2 to 6 March, 7 to 11 March."""
NEW_YORK = "America/New_York"


async def the_guide(brand: Brand) -> UUID:
    return UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))


async def second_cycle(brand: Brand) -> None:
    ended = PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 5), rehearsal=True)
    await brand.review.check_cycle(ended)
    await brand.review.act_on_check(ended)
    await brand.start(TWO, 2)


async def test_the_segments_use_rate_is_that_of_its_own_members(shop: Brand) -> None:
    await shop.open_store("S2")
    # In the segment: a tin every ten days. Outside: another store, opted out, or bought too long ago.
    (inside,) = await shop.join("M1")
    (other_store,) = await shop.join("M2", store="S2")
    (opted_out,) = await shop.join("M3", opted_out_at=at(1))
    (long_ago,) = await shop.join("M4")
    for day in (1, 11, 21):
        await shop.buy(inside, at(date(2026, 2, day), 10), 1)
    for day in (10, 12, 14):
        await shop.buy(other_store, at(date(2026, 2, day), 10), 1)
        await shop.buy(opted_out, at(date(2026, 2, day), 10), 1)
        await shop.buy(long_ago, at(date(2025, 2, day), 10), 1)
    await shop.start(plan(members={"stores": ["S1"]}))
    async with shop.ledger.connection() as connection:
        cycle = await read_cycle(connection, 1, "p1", 1)
    assert cycle is not None
    assert cycle.days_per_unit == {shop.categories["TIN"]: Decimal(10)}


async def test_a_replaced_guide_gets_nobody_in_the_next_cycle(shop: Brand) -> None:
    await shop.hire("G2")
    await shop.due_on(2, "M1", "M2", guide=await the_guide(shop))
    left = plan(care={"without_guides": ["G1"]})
    await shop.start(left)
    assert await shop.rows("SELECT code FROM plan_member JOIN guide USING (guide_id)") == [("G2",), ("G2",)]


# --- D -----------------------------------------------------------------------------------------------


async def refused_on_monday(shop: Brand, *codes: str) -> list[UUID]:
    guide = await the_guide(shop)
    members = await shop.due_on(2, *codes)
    await shop.start(TWO)
    for member in members:
        await shop.report(await shop.task(member), guide, at(2, 10), "refused", grade="D")
    return members


async def test_a_purchase_lifts_a_d_and_the_member_comes_back_ungraded(shop: Brand) -> None:
    declined, same, other = await refused_on_monday(shop, "M1", "M2", "M3")
    await shop.buy(same, at(3, 10), 1)
    await shop.buy(other, at(3, 10), 1, category="SOAP")
    await second_cycle(shop)
    rows = await shop.rows("SELECT member_id, grade FROM plan_member WHERE cycle = 2")
    assert dict(rows) == {same: None, other: None}
    assert declined not in dict(rows)


@pytest.mark.parametrize(
    ("occurred", "known", "quantity"),
    [
        (at(1, 20), at(1, 20), 1),  # before the check-in
        (at(3, 10), at(8, 10), 1),  # not known yet
        (at(8, 10), at(8, 10), 1),  # not yet
        (at(3, 10), at(3, 10), -1),  # a return
    ],
    ids=["before", "not-known", "later", "return"],
)
async def test_nothing_but_a_purchase_known_since_lifts_a_d(
    shop: Brand, occurred: object, known: object, quantity: int
) -> None:
    (member,) = await refused_on_monday(shop, "M1")
    await shop.buy(member, occurred, quantity, known_at=known)  # type: ignore[arg-type]
    await second_cycle(shop)
    assert await shop.rows("SELECT member_id FROM plan_member WHERE cycle = 2") == []


# --- dialled out -----------------------------------------------------------------------------------------


async def test_who_was_dialled_out_stays_in_the_plan_and_gets_no_item_in_later_cycles(shop: Brand) -> None:
    guide = await the_guide(shop)
    spent, twice = await shop.due_on(2, "M1", "M2")
    await shop.due_on(2, "M1", category="SOAP")
    both = {"bought_categories": ["TIN", "SOAP"]}
    await shop.start(plan(period={"working_days": 5, "cycles": 2}, members=both))
    for day in (2, 3, 4):
        await shop.report(await shop.task(spent), guide, at(day, 10), "no_answer")
        if day < 4:
            await shop.report(await shop.task(twice), guide, at(day, 11), "no_answer")
    await second_cycle(shop)
    rows = await shop.rows("SELECT member_id, guide_id, dial_days FROM plan_member WHERE cycle = 2")
    assert sorted(rows) == sorted([(spent, guide, 3), (twice, guide, 2)])
    assert await shop.rows("SELECT member_id FROM task WHERE cycle = 2") == [(twice,)]
    assert await shop.value("SELECT payload->>'tasks' FROM event WHERE type = 'cycle_started'"
                            " AND payload->>'cycle' = '2'") == "1"  # fmt: skip


# --- release hours -----------------------------------------------------------------------------------------


async def test_a_days_list_can_be_asked_for_of_all_plans_whenever_they_release(shop: Brand) -> None:
    await shop.start()
    await shop.start(plan(plan="p2", day={"release": "10:00"}))
    async with shop.ledger.connection() as connection:
        nine = await plans_on(connection, 1, shop.day(2))
        every = await plans_on(connection, 1, shop.day(2), any_release=True)
    assert [standing.plan.plan for standing, _ in nine] == ["p1"]
    assert [standing.plan.plan for standing, _ in every] == ["p1", "p2"]


# --- local days --------------------------------------------------------------------------------------------


async def test_the_90_days_of_a_members_value_are_local_days(shop: Brand) -> None:
    """New York's clocks went forward on 8 March: the 90 days before 20 March began an hour later in UTC."""
    await shop.open_store("S2", zone=NEW_YORK)
    before, first, last, today = await shop.join("M1", "M2", "M3", "M4", store="S2")
    await shop.buy(before, at(date(2025, 12, 19), 23, 30, zone=NEW_YORK), store="S2")
    await shop.buy(first, at(date(2025, 12, 20), 0, 0, zone=NEW_YORK), store="S2")
    await shop.buy(last, at(date(2026, 3, 19), 23, 59, zone=NEW_YORK), store="S2")
    await shop.buy(today, at(date(2026, 3, 20), 0, 0, zone=NEW_YORK), store="S2")
    async with shop.ledger.connection() as connection:
        spent = await facts.spend_90_days(
            connection,
            1,
            members=[before, first, last, today],
            today=date(2026, 3, 20),
            zone=NEW_YORK,
            as_of=at(25),
        )
    assert sorted(spent) == sorted([first, last])


async def test_who_served_last_is_told_by_the_stores_own_day(shop: Brand) -> None:
    guide = await the_guide(shop)
    (member,) = await shop.join("M1")
    # Seven in the morning in Shanghai: the evening before in UTC.
    await shop.buy(member, at(MONDAY, 7), guide=guide)
    async with shop.ledger.connection() as connection:
        served = await facts.served_by(connection, 1, members=[member], as_of=at(3))
    assert served == {member: [(guide, 1, MONDAY)]}
