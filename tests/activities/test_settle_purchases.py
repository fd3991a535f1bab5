"""What purchases, opt-outs and refusals do to open items."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest_asyncio

from tests.brand import Brand, at, plan


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    return UUID(str(await shop.value("SELECT guide_id FROM guide")))


async def items(brand: Brand, member: UUID) -> list[tuple[str, str | None, date]]:
    """State, reason and due day of a member's items, oldest purchase first."""
    rows = await brand.rows(
        "SELECT state, reason, due_on FROM task WHERE member_id = $1 ORDER BY bought_at", member
    )
    return [(row[0], row[1], row[2]) for row in rows]


OPEN_MONDAY = ("open", None, date(2026, 3, 2))


async def test_bought_before_contact_withdraws_the_item(shop: Brand) -> None:
    bought, waits = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.buy(bought, at(2, 11))
    settled = await shop.purchases.settle_purchases(shop.day(2, 12))
    assert (settled.left, settled.created) == (1, 0)
    assert await items(shop, bought) == [("withdrawn", "bought_before_contact", date(2026, 3, 2))]
    assert await items(shop, waits) == [OPEN_MONDAY]
    payload = await shop.rows(
        "SELECT stream, (payload->>'bought_at')::timestamptz FROM event WHERE type = 'task_left'"
    )
    assert payload == [(f"task/{await shop.task(bought)}", at(2, 11))]


async def test_bought_after_an_attempt_is_left_as_bought(shop: Brand, guide: UUID) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.report(await shop.task(member), guide, at(2, 10), "no_answer")
    await shop.buy(member, at(2, 15))
    await shop.purchases.settle_purchases(shop.day(2, 17))
    assert (await items(shop, member))[0][:2] == ("bought", "bought_after_attempt")


async def test_a_purchase_that_is_not_known_yet_settles_nothing_and_settles_later(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.buy(member, at(2, 10), known_at=at(4, 3))
    for day in (2, 3):
        assert (await shop.purchases.settle_purchases(shop.day(day, 12))).left == 0
    assert await items(shop, member) == [OPEN_MONDAY]
    assert (await shop.purchases.settle_purchases(shop.day(4))).left == 1
    assert (await items(shop, member))[0][:2] == ("withdrawn", "bought_before_contact")


async def test_a_purchase_of_another_category_or_a_return_settles_nothing(shop: Brand) -> None:
    one, other = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.buy(one, at(2, 10), category="SOAP")
    await shop.buy(other, at(2, 10), -1)
    assert (await shop.purchases.settle_purchases(shop.day(2, 12))).left == 0
    assert await items(shop, one) == [OPEN_MONDAY]
    assert await items(shop, other) == [OPEN_MONDAY]


async def test_a_repurchase_makes_the_next_item_when_it_is_due_in_the_cycle_and_once(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    # The stock lasts until 7 March; one tin more until the 14th, to be reminded of on the 9th.
    await shop.buy(member, at(2, 11), 1)
    settled = await shop.purchases.settle_purchases(shop.day(2, 12))
    assert (settled.left, settled.created) == (1, 1)
    expected = [
        ("withdrawn", "bought_before_contact", date(2026, 3, 2)),
        ("open", None, date(2026, 3, 9)),
    ]
    assert await items(shop, member) == expected
    before = await shop.everything()
    for hour in (12, 15, 17):
        again = await shop.purchases.settle_purchases(shop.day(2, hour))
        assert (again.left, again.created) == (0, 0)
    assert await shop.everything() == before


async def test_a_repurchase_that_lasts_beyond_the_cycle_makes_no_item(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.buy(member, at(2, 11), 4)
    assert (await shop.purchases.settle_purchases(shop.day(2, 12))).created == 0


async def test_a_member_whose_item_was_done_gets_the_next_one_from_the_next_purchase(
    shop: Brand, guide: UUID
) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.report(await shop.task(member), guide, at(2, 10), "interested")
    assert (await shop.purchases.settle_purchases(shop.day(2, 12))).created == 0
    await shop.buy(member, at(2, 18), 1)
    assert (await shop.purchases.settle_purchases(shop.day(3))).created == 1
    assert [item[0] for item in await items(shop, member)] == ["done", "open"]


async def test_a_second_purchase_moves_the_next_item_on(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.buy(member, at(2, 11), 1)
    await shop.purchases.settle_purchases(shop.day(2, 12))
    await shop.buy(member, at(3, 11), 1, category="TIN")
    settled = await shop.purchases.settle_purchases(shop.day(3, 12))
    assert (settled.left, settled.created) == (1, 0)
    assert [item[1] for item in await items(shop, member)] == ["bought_before_contact"] * 2


async def test_a_purchase_from_before_the_cycle_that_becomes_known_in_it_makes_the_next_item(
    shop: Brand,
) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.buy(member, at(date(2026, 2, 28), 11), 1, known_at=at(3, 3))
    settled = await shop.purchases.settle_purchases(shop.day(3))
    assert (settled.left, settled.created) == (1, 1)
    assert await items(shop, member) == [
        ("withdrawn", "bought_before_contact", date(2026, 3, 2)),
        ("open", None, date(2026, 3, 9)),
    ]
    assert (await shop.purchases.settle_purchases(shop.day(4))).created == 0


async def test_a_purchase_of_a_second_category_makes_an_item_of_that_category_only(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.category("SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    await shop.buy(member, at(2, 11), 1, category="SOAP")
    settled = await shop.purchases.settle_purchases(shop.day(2, 12))
    assert (settled.left, settled.created) == (0, 1)
    rows = await shop.rows("SELECT category_id, state FROM task ORDER BY 1")
    assert rows == [(1, "open"), (2, "open")]


async def test_a_purchase_returned_again_puts_the_member_back_on_the_list(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    basket = await shop.buy(member, at(2, 11))
    await shop.purchases.settle_purchases(shop.day(2, 12))
    await shop.buy(member, at(3, 11), -4, basket=basket, return_of=basket)
    assert (await shop.purchases.settle_purchases(shop.day(4))).created == 1
    assert (await items(shop, member))[1] == ("open", None, date(2026, 3, 4))


async def test_an_opt_out_takes_every_open_item_off(shop: Brand, guide: UUID) -> None:
    called, never = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.report(await shop.task(called), guide, at(2, 10), "no_answer")
    await shop.execute("UPDATE member SET opted_out_at = $1", at(3, 8))
    assert (await shop.purchases.settle_purchases(shop.day(2, 17))).left == 0
    assert (await shop.purchases.settle_purchases(shop.day(3))).left == 2
    assert [(await items(shop, member))[0][:2] for member in (called, never)] == [
        ("withdrawn", "do_not_contact")
    ] * 2


async def test_a_member_who_declined_has_the_other_items_taken_off_and_gets_no_new_ones(
    shop: Brand, guide: UUID
) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    await shop.report(await shop.task(member), guide, at(2, 10), "refused", grade="D")
    await shop.purchases.settle_purchases(shop.day(2, 12))
    assert (await shop.standing(await shop.task(member, category="SOAP")))[:2] == ("withdrawn", "declined")
    await shop.buy(member, at(2, 18), 1)
    assert (await shop.purchases.settle_purchases(shop.day(3))).created == 0


async def test_the_other_item_of_a_member_not_reached_on_three_days_is_unreached_too(
    shop: Brand, guide: UUID
) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    for day in (2, 3, 4):
        await shop.report(await shop.task(member), guide, at(day, 10), "no_answer")
    await shop.purchases.settle_purchases(shop.day(5))
    assert (await shop.standing(await shop.task(member, category="SOAP")))[:2] == ("unreached", "not_reached")


async def test_nothing_is_settled_outside_the_cycle_or_for_a_paused_plan_whatever_the_release_hour(
    shop: Brand,
) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.buy(member, at(2, 9, 30))
    assert (await shop.purchases.settle_purchases(shop.day(12))).left == 0
    await shop.execute("UPDATE plan SET status = 'paused'")
    assert (await shop.purchases.settle_purchases(shop.day(2, 12))).left == 0
    await shop.execute("UPDATE plan SET status = 'running'")
    other_hour = shop.day(2, 12).model_copy(update={"release": "10:00"})
    assert (await shop.purchases.settle_purchases(other_hour)).left == 1
