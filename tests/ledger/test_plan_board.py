"""A plan's board counts what the Check counts at that moment, on brands drawn at random; and of a part what the Check has of it."""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from activities.replacing import replace_guide
from activities.review import count_cycle
from activities.sessions import digest
from domain.errors import NotFound, Refused
from domain.messages import PlanStep
from domain.policy import Role
from ledger.account_places import Grant
from ledger.asking import standing
from ledger.ledger import Ledger
from ledger.plan_board import BoardRow, PlanBoard, read_plan_board
from tests.brand import Brand, at, plan
from tests.identities import identity

OUTCOMES = ("interested", "no_answer", "refused", "bought")


async def worked(brand: Brand, seed: int) -> None:
    """Two stores, three guides, two plans on the same members; four days of contacts, purchases, returns, corrections."""
    drawn = random.Random(seed)  # noqa: S311 - a test repeats itself
    for store in ("S1", "S2"):
        await brand.open_store(store)
    guides = [await brand.hire(code, store) for code, store in (("G1", "S1"), ("G2", "S1"), ("G3", "S2"))]
    for number in range(14):
        served = drawn.choice(guides)
        day = drawn.randint(2, 5)
        await brand.due_on(day, f"M{number}", guide=served, category=drawn.choice(("TIN", "SOAP")))
    await brand.category("SOAP")
    both = {"bought_categories": ["TIN", "SOAP"]}
    await brand.start(plan(members=both))
    await brand.start(plan(plan="p2", members={"bought_categories": ["SOAP"]}))
    for day in range(2, 6):
        await brand.morning(day, *guides)
        await _contact(brand, drawn, day)
        await _sell(brand, drawn, day)
        await brand.evening(day, *guides)
        if day == 3:
            async with brand.ledger.transaction() as connection:
                await replace_guide(
                    connection, 1, brand.command("moves", at(3, 22)), plan_id="p1", leaving="G1", replacement="G3",
                    today=date(2026, 3, 4), reason="moved away", figures={},
                )  # fmt: skip


async def _contact(brand: Brand, drawn: random.Random, day: int) -> None:
    listed = await brand.rows(
        "SELECT task_id, guide_id FROM list_item WHERE business_date = $1 ORDER BY task_id",
        date(2026, 3, day),
    )
    for task, guide in listed:
        if drawn.random() < 0.7:
            try:
                done = await brand.report(
                    task, guide, at(day, 10, drawn.randrange(60)), drawn.choice(OUTCOMES)
                )
            except Refused:
                continue  # done in the other plan, withdrawn, or too often
            if drawn.random() < 0.2:
                right = {
                    "performed_by": guide,
                    "occurred_at": at(day, 10),
                    "outcome": drawn.choice(OUTCOMES),
                }
                await brand.correct(task, done.version, at(day, 12), why="mixed up", **right)


async def _sell(brand: Brand, drawn: random.Random, day: int) -> None:
    for (member,) in await brand.rows("SELECT member_id FROM member ORDER BY member_id"):
        if drawn.random() < 0.25:
            basket = await brand.buy(
                member, at(day, 13, drawn.randrange(60)), value=drawn.randrange(1, 90) * 100,
                category=drawn.choice(("TIN", "SOAP")), known_at=at(day + drawn.randrange(2), 15),
            )  # fmt: skip
            if drawn.random() < 0.2:
                await brand.buy(member, at(day, 20), -1, value=500, return_of=basket)


def figures_of(rows: tuple[BoardRow, ...]) -> dict[str, dict[str, Any]]:
    return {row.code: asdict(row.figures) for row in rows if any(asdict(row.figures).values())}


async def checked(brand: Brand, when: Any) -> dict[str, dict[str, Any]]:
    """What the Check counts: in all, by store, by guide."""
    async with brand.ledger.connection() as connection:
        counted = await count_cycle(connection, 1, PlanStep(plan_id="p1", cycle=1, at=when, rehearsal=True))
    codes = dict(
        await brand.rows(
            "SELECT guide_id::text, code FROM guide UNION SELECT store_id::text, code FROM store"
        )
    )
    rows = {
        kind: {
            codes.get(row.pop(kind[:-1]) or "", ""): row for row in counted[kind] if sum(v for v in row.values() if isinstance(v, int))
        }
        for kind in ("stores", "guides")
    }  # fmt: skip
    return {"total": counted["total"], **rows}


@pytest.mark.parametrize("seed", range(2))
async def test_the_board_counts_as_the_check_does_at_any_moment(
    brand: Brand, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.plan_board.SLICE", 5)  # the fourteen members come in three
    await worked(brand, seed)
    some = False
    for when in (at(2, 11), at(3, 18), at(5, 23), at(14, 9), at(24, 9)):
        board = await read_plan_board(brand.ledger, "p1", at=when)
        counted = await checked(brand, when)
        assert asdict(board.total) == counted["total"]
        assert figures_of(board.stores) == counted["stores"]
        assert figures_of(board.guides) == counted["guides"]
        some |= board.total.succeeded + board.total.provisional_succeeded > 0
    assert some, "nothing came of any contact: the brand compares nothing"


async def test_a_store_sees_of_the_board_what_the_check_has_of_it_and_no_more(
    brand: Brand, served: Ledger
) -> None:
    await worked(brand, 1)
    whole = await read_plan_board(brand.ledger, "p1", at=at(5, 18))
    for store, guides in (("S1", {"G1", "G2"}), ("S2", {"G3"})):
        board = await asked(brand, served, f"manager.{store}", Grant(Role.STORE_MANAGER, store))
        assert not board.whole
        assert board.stores == tuple(row for row in whole.stores if row.code == store)
        assert figures_of(board.guides) == {
            code: one for code, one in figures_of(whole.guides).items() if code in guides
        }
        assert board.total == board.stores[0].figures
        assert board.open_today == board.stores[0].open_today
    region = await asked(brand, served, "hq", Grant(Role.HQ))
    assert region == whole


async def asked(brand: Brand, served: Ledger, login: str, grant: Grant) -> PlanBoard:
    token = await identity(brand.ledger, login, grant)
    async with standing(served, digest(token), at(5, 18)) as asker:
        assert asker is not None
        return await read_plan_board(asker.bound(), "p1", at=at(5, 18), in_reach=True)


async def test_open_items_are_those_due_today_or_before(shop: Brand) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    first, _, _ = (await shop.due_on(2, "M1"), await shop.due_on(2, "M2"), await shop.due_on(4, "M3"))
    await shop.start()
    await shop.morning(2, guide)
    assert (await read_plan_board(shop.ledger, "p1", at=at(2, 10))).open_today == 2
    await shop.report(await shop.task(first[0]), guide, at(2, 10), "interested")
    board = await read_plan_board(shop.ledger, "p1", at=at(2, 11))
    assert (board.open_today, board.guides[0].open_today, board.stores[0].open_today) == (1, 1, 1)
    assert (await read_plan_board(shop.ledger, "p1", at=at(4, 9))).open_today == 2


async def test_a_plan_that_has_not_begun_has_no_board(shop: Brand) -> None:
    await shop.launch(plan())
    with pytest.raises(NotFound) as refused:
        await read_plan_board(shop.ledger, "p1", at=at(1))
    assert refused.value.problem.code == "no_cycle_yet"
