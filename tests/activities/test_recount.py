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


async def test_a_check_counts_the_reports_that_held_by_what_was_known_then(
    shop: Brand, database: LedgerDatabase
) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    members = await shop.due_on(2, "M1", "M2", "M3", "M4")
    await shop.start(TWO)
    tasks = [await shop.task(member) for member in members]
    await shop.report(tasks[0], guide, at(4, 10), "interested")  # it was the other one
    await shop.report(tasks[1], guide, at(4, 10), "no_answer")
    await shop.report(tasks[2], guide, at(4, 10), "interested")  # on the wrong item
    for member in members:
        await shop.buy(member, at(5, 10), value=70_00)
    step = PlanStep(plan_id="p1", cycle=1, at=at(6, 21, 5), rehearsal=True)
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
    await shop.review.check_cycle(step)
    right = {"performed_by": guide, "occurred_at": at(4, 10)}
    await shop.correct(tasks[0], 2, at(9, 9), why="mixed up", outcome="no_answer", **right)
    await shop.correct(tasks[1], 2, at(9, 9), why="mixed up", outcome="interested", **right)
    await shop.correct(tasks[2], 2, at(9, 9), why="of another member")
    again = await counted(shop, database)
    assert (again["members_attempted"], again["members_followed_up"], again["members_succeeded"]) == (2, 1, 1)
    assert again["check_ins"] == 2
    before = await recount(database.admin_url, "p1", 1, "provisional")
    assert (before["members_attempted"], before["members_followed_up"], before["check_ins"]) == (3, 2, 3)
    for kind in ("provisional", "settled"):
        counted_then = await recount(database.admin_url, "p1", 1, kind)
        assert await stored_rows(database.admin_url, "p1", 1, kind) == {
            name: counted_then[name] for name in ("stores", "guides")
        }
