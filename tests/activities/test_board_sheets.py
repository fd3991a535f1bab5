"""The sheets of a phone invitation drive: the same when asked again, and the same for whoever sees a line."""

from __future__ import annotations

from datetime import date
from typing import Any

from activities.board_audience import EVERYBODY, Audience, When
from activities.board_lists import WhichLines, make_sheet
from activities.boards import Days
from activities.sessions import digest
from domain.policy import Role
from ledger.account_places import Grant
from ledger.asking import standing
from ledger.ledger import Ledger
from tests.brand import Brand, at, plan
from tests.identities import identity


async def _sheet(ledger: Ledger, audience: Audience, when: When) -> list[dict[str, Any]]:
    day = Days(since=date(2026, 3, 2), until=date(2026, 3, 2))
    board, _ = await make_sheet(ledger, audience, when, day, WhichLines(), "invitations")
    rows: list[dict[str, Any]] = board.as_json()["rows"]
    return rows


async def test_a_sheet_as_of_an_instant_is_the_same_after_a_later_correction(shop: Brand) -> None:
    guide = await shop.value("SELECT guide_id FROM guide")
    await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    listed = await shop.value("SELECT task_id FROM list_item")
    taken = await shop.report(listed, guide, at(2, 10), "added_friend")
    before = await _sheet(shop.ledger, EVERYBODY, When(at(2, 11)))
    assert [row["added"] for row in before] == [True]
    await shop.correct(
        listed, taken.version, at(2, 12), performed_by=guide, occurred_at=at(2, 10), outcome="interested"
    )
    assert await _sheet(shop.ledger, EVERYBODY, When(at(2, 13), at(2, 11))) == before
    (now,) = await _sheet(shop.ledger, EVERYBODY, When(at(2, 13)))
    assert (now["added"], now["outcome"]) == (False, "interested")


async def test_two_roles_see_the_same_line_of_a_sheet(shop: Brand, served: Ledger) -> None:
    await shop.open_store("S2")
    nine = await shop.hire("G9", "S2")
    one = await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    (member,) = await shop.due_on(2, "M1")
    await shop.due_on(3, "M1", category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}, care={"guides": ["G1"]}))
    await shop.morning(2, one)
    await shop.report(await shop.task(member), one, at(2, 10), "interested")
    # The member's other item is done by S2's guide, who reports that the member joined the group.
    soap = await shop.task(member, category="SOAP")
    lend = "UPDATE task SET guide_id = $1, lent = true, due_on = '2026-03-02' WHERE task_id = $2"
    await shop.execute(lend, nine, soap)
    await shop.report(soap, nine, at(2, 11), "joined_group", channel="wecom")
    hq = [row for row in await _sheet(shop.ledger, EVERYBODY, When(at(2, 12))) if row["guide"] == "G1"]
    token = await identity(shop.ledger, "boss", Grant(Role.STORE_MANAGER, "S1"))
    async with standing(served, digest(token), at(2, 12)) as stood:
        assert stood is not None
        audience = Audience(stood.asker.stores, stood.asker.plans)
        hers = await _sheet(stood.bound(), audience, When(at(2, 12)))
    assert len(hq) == 1
    assert [row for row in hers if row["guide"] == "G1"] == hq
