"""Members graded A or B whom nobody has spoken to for 30 days come up as items."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from activities.asked import Asked
from activities.members import set_consent
from domain.consent import Purpose, Source
from domain.messages import DayStep
from ledger.consents import Heard
from ledger.today import read_todays_list
from tests.brand import ZONE, Brand, at, plan
from tests.three_guides import folds_agree

FIRST = date(2026, 3, 2)
GRADES = {"M1": "A", "M2": "B", "M3": "C", "M4": "D", "M5": "A", "M6": "A", "M7": "A"}


async def spoken_to_once(shop: Brand, **changes: Any) -> UUID:
    """Seven members were spoken to on Monday, each graded, in a cycle of sixty days: M5 opts out, M6 complains."""
    await shop.due_on(2, *GRADES)
    await shop.start(
        plan(period={"start": "2026-03-02", "working_days": 60}, goal={"by": "2026-04-30"}, **changes)
    )
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    for member in await shop.listed(2, guide):
        code = (await shop.person(member)).code
        grade = GRADES[code or ""]
        if code == "M6":
            await shop.report(await shop.task(member), guide, at(2, 11), "complaint", grade="A")
        else:
            await shop.report(await shop.task(member), guide, at(2, 10), "interested", grade=grade)
        if code == "M5":
            heard = Heard(Purpose.CONTACT, given=False, source=Source.PHONE, reason="why")
            await set_consent(shop.ledger, "M5", heard, Asked("no", at(3), "hq"), occurred_at=at(3))
    return guide


async def morning(shop: Brand, days: int) -> list[str]:
    """So many days after that Monday: whose items are on the list, by code."""
    day = FIRST + timedelta(days=days)
    step = DayStep(day=day, time_zone=ZONE, release="09:00", at=at(day, 9), rehearsal=True)
    await shop.purchases.settle_purchases(step)
    await shop.dispatch.cut_lists(step)
    rows = await shop.rows(
        "SELECT t.member_id FROM list_item i JOIN task t USING (tenant_id, task_id) WHERE i.business_date = $1",
        day,
    )
    return sorted([(await shop.person(row[0])).code or "" for row in rows])


async def test_a_and_b_untouched_for_thirty_days_come_up_once_a_silence(shop: Brand) -> None:
    guide = await spoken_to_once(shop)
    assert await morning(shop, 29) == []
    # At ten on Monday they were spoken to; at nine, thirty days on, it is not so long yet.
    assert await morning(shop, 30) == []
    assert await morning(shop, 31) == ["M1", "M2", "M7"]
    day = FIRST + timedelta(days=31)
    again = DayStep(day=day, time_zone=ZONE, release="09:00", at=at(day, 9, 30), rehearsal=True)
    assert (await shop.purchases.settle_purchases(again)).created == 0
    async with shop.ledger.connection() as connection:
        todays = await read_todays_list(connection, 1, "G1", day, keys=shop.ledger.keys)
    assert {item.silent_since for item in todays.items} == {at(2, 10)}
    assert await shop.value("SELECT count(*) FROM cold_item") == 3

    await shop.dispatch.publish_list(
        (shop.guide_day(guide, 2)).model_copy(update={"day": day, "at": at(day, 9)})
    )
    items = await shop.rows(
        "SELECT task_id FROM task JOIN cold_item USING (tenant_id, task_id) ORDER BY member_id"
    )
    first = items[0][0]
    await shop.report(first, guide, at(day, 10), "interested")
    assert len(await morning(shop, 32)) == 2, "the others carry over"
    assert len(await morning(shop, 61)) <= 3
    assert await folds_agree(shop) == []


async def test_a_member_spoken_to_about_something_else_is_not_silent_any_more(shop: Brand) -> None:
    guide = await spoken_to_once(shop, care={"cold_after_days": 10})
    assert await morning(shop, 11) == ["M1", "M2", "M7"]
    # Told late: on the tenth day one of them was spoken to, of the first item, which had asked for it.
    member = (await shop.rows("SELECT member_id FROM task JOIN cold_item USING (task_id) ORDER BY 1"))[0][0]
    (item,) = (await shop.rows("SELECT task_id FROM task WHERE member_id = $1 AND state = 'done'", member))[0]
    await shop.correct(
        item,
        2,
        at(FIRST + timedelta(days=11), 10),
        why="asked to be called again",
        performed_by=guide,
        occurred_at=at(2, 10),
        outcome="interested",
        grade="A",
        next_on=date(2026, 3, 13),
    )
    await shop.report(item, guide, at(FIRST + timedelta(days=11), 12), "interested")
    assert len(await morning(shop, 12)) == 2
    assert await shop.rows("SELECT state, reason FROM task WHERE reason IS NOT NULL AND state <> 'open'") == [
        ("withdrawn", "spoken_to")
    ]
    assert await folds_agree(shop) == []
