"""The independent recount reads the definitions as the Check does, where the two could part."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from activities.replacing import replace_guide
from domain.messages import PlanStep
from ledger.sequencer import sequence
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.recounted import recount, stored_rows

TWO = plan(period={"working_days": 5, "cycles": 2})


async def counted(brand: Brand, database: LedgerDatabase) -> dict[str, Any]:
    """Check and settle the first cycle, compare its rows, and give the settled recount."""
    async with brand.ledger.connection() as connection:
        await sequence(connection, 1)
    await brand.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 5), rehearsal=True))
    await brand.review.settle_cycles(PlanStep(plan_id="p1", cycle=1, at=at(25), rehearsal=True))
    again = await recount(database.admin_url, "p1", 1, "settled")
    stored = await stored_rows(database.admin_url, "p1", 1, "settled")
    assert {name: again[name] for name in stored} == stored
    total = await brand.rows(
        "SELECT (figures->'total'->>'repurchased')::int, (figures->'total'->>'succeeded')::int,"
        " (figures->'total'->>'revenue')::int FROM plan_check WHERE kind = 'settled'"
    )
    assert (again["members_repurchased"], again["members_succeeded"], again["revenue_minor"]) == total[0]
    return again


async def test_a_return_that_names_its_purchase_counts_when_that_was_bought_else_on_its_own_day(
    shop: Brand, database: LedgerDatabase
) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    (old,) = await shop.due_on(2, "M1", basket="before")
    named, unnamed = await shop.due_on(2, "M2", "M3")
    await shop.start(TWO)
    for member in (old, named, unnamed):
        await shop.report(await shop.task(member), guide, at(4, 10), "interested")
    for member, basket in ((old, "b-old"), (named, "b-named"), (unnamed, "b-unnamed")):
        await shop.buy(member, at(5, 10), 1, value=70_00, basket=basket)
    # Of a purchase before the cycle: takes nothing from this one.
    await shop.buy(old, at(5, 12), -1, basket="r-old", return_of="before")
    # After the window of the contact, of a purchase within it.
    await shop.buy(named, at(18, 11), -1, value=70_00, basket="r-named", return_of="b-named")
    # After the window too, of we don't know what.
    await shop.buy(unnamed, at(18, 11), -1, value=70_00, basket="r-unnamed")
    again = await counted(shop, database)
    assert (again["members_succeeded"], again["revenue_minor"]) == (2, 140_00)
    assert again["members_repurchased"] == 2, "the purchase that was returned by name is none"
    assert list(again["guides"].values()) == [[3, 3, 2, 140_00]]


async def test_credit_stays_with_who_reached_the_member_and_the_store_is_that_of_who_took_over(
    shop: Brand, database: LedgerDatabase
) -> None:
    first = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    here, there = await shop.value("SELECT store_id FROM store"), await shop.open_store("S2")
    reached, waiting = await shop.due_on(2, "M1", "M2")
    await shop.start(TWO)
    second = await shop.hire("G2", "S2")
    await shop.report(await shop.task(reached), first, at(2, 10), "interested")
    async with shop.ledger.transaction() as connection:
        await replace_guide(
            connection, 1, shop.command("r1", at(3)), plan_id="p1", leaving="G1", replacement="G2",
            today=date(2026, 3, 3), reason="moved away", figures={},
        )  # fmt: skip
    await shop.report(await shop.task(waiting), second, at(4, 10), "no_answer")
    await shop.buy(reached, at(5, 10), value=70_00)
    again = await counted(shop, database)
    assert again["members_selected"] == 2
    assert again["guides"] == {str(first): [1, 1, 1, 70_00], str(second): [1, 0, 0, 0]}
    assert again["stores"] == {str(there): [2, 1, 1, 70_00]}
    assert str(here) not in again["stores"]
