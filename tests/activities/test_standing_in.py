"""Within the day: who stands in for an absent guide, who claims, and what they see of the member."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, time
from typing import Any

import pytest
import pytest_asyncio

from activities.absence import tell_absent
from activities.asked import Asked
from activities.claiming import claim, push_unclaimed, store_pool
from activities.forecasting import forecast_plan
from activities.handing_over import settle_staff_changes
from activities.sessions import digest
from activities.staff import transfer
from domain.errors import Refused
from domain.policy import Role
from ledger.account_places import Grant
from ledger.asking import sign_on, standing
from ledger.changing_lists import extend_lists
from ledger.door import lock_heads
from ledger.ledger import Ledger
from ledger.snoozing import snooze
from tests.brand import ZONE, Brand, at, plan
from tests.identities import identity
from tests.three_guides import BY_TURNS, folds_agree, guides, hq, lists

CLAIMED = plan(day={"claim_until": "11:00"}, care=BY_TURNS)


@pytest_asyncio.fixture
async def three(shop: Brand) -> AsyncIterator[Brand]:
    await shop.hire("G2")
    await shop.hire("G3")
    yield shop


async def test_nothing_goes_from_an_absent_guide_to_who_has_no_shift(three: Brand) -> None:
    one, two, last = await guides(three)
    await three.due_on(2, "M1", "M2", "M3")
    await three.start(plan(care={"guides": ["G1", "G2", "G3"], "strategies": [{"strategy": "round_robin"}]}))
    await three.execute(
        "INSERT INTO calendar_layer (tenant_id, scope, subject, facts, version, decided_at) VALUES"
        ' (1, \'guide\', $1, \'{"dated": [{"on": "2026-03-02", "hours": []}]}\', 1, now()),'
        ' (1, \'guide\', $2, \'{"dated": [{"on": "2026-03-02", "hours": []}]}\', 1, now())',
        str(two),
        str(last),
    )
    await three.morning(2, one)
    assert set(await lists(three)) == {one}
    told = await tell_absent(three.ledger, "G1", hq(at(2, 10)))
    assert told.to == {}


async def test_nothing_is_claimed_by_who_has_no_shift(three: Brand) -> None:
    one, two, _ = await guides(three)
    await three.due_on(2, "M1", "M2", "M3")
    await three.start(CLAIMED)
    await three.execute(
        "INSERT INTO calendar_layer (tenant_id, scope, subject, facts, version, decided_at) VALUES"
        ' (1, \'guide\', $1, \'{"dated": [{"on": "2026-03-02", "hours": []}]}\', 1, now())',
        str(two),
    )
    await three.morning(2, one)
    pool = await store_pool(three.ledger, "S1", at(2, 10))
    with pytest.raises(Refused):
        await claim(three.ledger, "G2", pool.items[0].task_id, hq(at(2, 10)))


async def test_an_absent_guides_items_go_to_no_list_closed_meanwhile(
    three: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, _ = await guides(three)
    await three.due_on(2, *(f"M{n}" for n in range(4)))
    await three.start(plan(care={"guides": ["G1", "G2"], "strategies": [{"strategy": "round_robin"}]}))
    await three.morning(2, one, two)
    real = extend_lists

    async def later(*args: Any, **kwargs: Any) -> Any:
        await three.dispatch.close_day(three.guide_day(two, 2, 12))  # the manager closes the other's day
        return await real(*args, **kwargs)

    monkeypatch.setattr("activities.absence.extend_lists", later)
    await tell_absent(three.ledger, "G1", hq(at(2, 12)))
    closed = await three.value(
        "SELECT payload->>'listed' FROM event WHERE type = 'day_closed' AND stream LIKE $1",
        f"guide-day/{two}/%",
    )
    on = await three.value("SELECT count(*) FROM list_item WHERE guide_id = $1", two)
    assert int(closed) == on
    assert await folds_agree(three) == []


async def test_what_is_unclaimed_goes_to_no_list_closed_meanwhile(
    three: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    everyone = await guides(three)
    await three.due_on(2, "M1", "M2", "M3")
    await three.start(CLAIMED)
    await three.morning(2, *everyone)
    real = extend_lists

    async def later(*args: Any, **kwargs: Any) -> Any:
        await three.dispatch.close_day(three.guide_day(everyone[1], 2, 12))
        return await real(*args, **kwargs)

    monkeypatch.setattr("activities.claiming.extend_lists", later)
    await push_unclaimed(three.ledger, day=date(2026, 3, 2), time_zone=ZONE, at=at(2, 12))
    on = await three.value(
        "SELECT count(*) FROM list_item i JOIN guide_day d USING (tenant_id, guide_id, business_date) WHERE d.state = 'closed'"
    )
    assert on == 0


async def test_a_lent_item_that_opens_again_is_lent_no_more(three: Brand) -> None:
    one, two, last = await guides(three)
    (member,) = await three.due_on(2, "M1")
    await three.start(plan(day={"claim_until": "11:00"}, care={**BY_TURNS}))
    await three.morning(2, one, two, last)
    task = await three.task(member)
    carer = await three.value("SELECT guide_id FROM plan_member")
    code, other = next((c, g) for c, g in (("G1", one), ("G2", two)) if g != carer)
    await claim(three.ledger, code, task, hq(at(2, 10)))
    taken = await three.report(task, other, at(2, 10, 30), "interested")
    await three.correct(task, taken.version, at(2, 11), why="wrong member")
    assert await folds_agree(three) == []


async def test_a_plan_elsewhere_does_not_change_how_much_a_guides_list_holds(three: Brand) -> None:
    one, *_ = await guides(three)
    await three.open_store("S9")
    await three.hire("G9", "S9")
    await three.due_on(2, "M1", "M2", "M3")
    await three.start(plan(care={"guides": ["G1"], "items_per_day": 1}))
    await three.start(plan(plan="p2", care={"guides": ["G9"], "items_per_day": 200}))  # another store's
    await three.morning(2, one)
    assert len((await lists(three))[one]) == 1


async def test_who_takes_no_part_in_a_plan_claims_none_of_its_items(three: Brand) -> None:
    one, *_ = await guides(three)
    (member,) = await three.due_on(2, "M1")
    await three.start(
        plan(day={"claim_until": "11:00"}, care={"guides": ["G1"]})
    )  # G2 was left out: not trained for it
    await three.morning(2, one)
    with pytest.raises(Refused):
        await claim(three.ledger, "G2", await three.task(member), hq(at(2, 10)))


async def test_a_new_stores_manager_sees_no_member_of_an_item_that_was_claimed_in_the_old_store(
    shop: Brand, served: Ledger
) -> None:
    await shop.open_store("S2")
    await shop.hire("G2")
    (member,) = await shop.due_on(2, "M1")
    await shop.start(plan(day={"claim_until": "11:00"}, care={"guides": ["G1", "G2"]}))
    task = await shop.task(member)
    carer = await shop.value("SELECT g.code FROM plan_member m JOIN guide g USING (tenant_id, guide_id)")
    code = "G2" if carer == "G1" else "G1"
    other = await shop.value("SELECT guide_id FROM guide WHERE code = $1", code)
    await shop.morning(2, *[row[0] for row in await shop.rows("SELECT guide_id FROM guide")])
    await claim(shop.ledger, code, task, Asked(None, at(2, 10), "hq"))
    await shop.report(task, other, at(2, 10, 30), "interested")
    await shop.evening(2, *[row[0] for row in await shop.rows("SELECT guide_id FROM guide")])
    await transfer(shop.ledger, code, "S2", date(2026, 3, 3), Asked("t", at(2, 22), "account/hq"))
    await settle_staff_changes(shop.ledger, at(3, 8))
    token = await identity(shop.ledger, "boss", Grant(Role.STORE_MANAGER, "S2"))
    async with served.connection() as connection:
        asker = await sign_on(connection, digest(token), at(3, 10))
        assert asker is not None
        seen = await connection.fetchval("SELECT count(*) FROM member_person WHERE member_id = $1", member)
        acts = await connection.fetchval("SELECT acts_for_member($1)", member)
        bought = await connection.fetchval("SELECT count(*) FROM purchase WHERE member_id = $1", member)
    assert (seen, acts, bought) == (0, False, 0)


async def test_putting_off_and_closing_never_wait_for_each_other(
    shop: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = await shop.value("SELECT guide_id FROM guide")
    (member,) = await shop.due_on(2, "M1")
    await shop.start(plan(day={"open_items": "expire"}))
    await shop.morning(2, guide)
    task = await shop.task(member)
    closing: list[asyncio.Task[Any]] = []

    async def late(*args: Any) -> Any:
        closing.append(asyncio.create_task(shop.dispatch.close_day(shop.guide_day(guide, 2, 20))))
        while not await shop.value(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())"
        ):
            assert not closing[0].done()
        return await lock_heads(*args)

    monkeypatch.setattr("ledger.snoozing.lock_heads", late)
    put_off = await snooze(shop.ledger, shop.command("a", at(2, 19, 59)), task, guide, time(20, 30), "other")
    await asyncio.gather(*closing)
    assert put_off.snoozes == 1
    assert await shop.rows("SELECT state FROM guide_day") == [("closed",)]


async def test_hq_and_a_manager_foresee_the_same_for_a_guide(shop: Brand, served: Ledger) -> None:
    await shop.open_store("S2")
    await shop.hire("G9", "S2")
    await shop.due_on(3, *(f"M{n}" for n in range(6)))
    await shop.start(plan(care={"guides": ["G1"], "items_per_day": 1}))
    await shop.start(plan(plan="p2", care={"guides": ["G9"], "items_per_day": 4}))
    hq = await forecast_plan(shop.ledger, "p1", at=at(2, 8), days=5)
    token = await identity(shop.ledger, "boss", Grant(Role.STORE_MANAGER, "S1"))
    async with standing(served, digest(token), at(2, 12)) as stood:
        assert stood is not None
        hers = await forecast_plan(stood.bound(), "p1", at=at(2, 8), days=5)
    told = [[(day.day.day, day.load, day.left) for day in one.guides[0].days] for one in (hq, hers)]
    assert told[0] == told[1]


async def test_what_an_absent_guide_did_before_counts_in_her_day_though_it_was_sent_late(
    three: Brand,
) -> None:
    one, two, _ = await guides(three)
    await three.due_on(2, *(f"M{n}" for n in range(3)))
    await three.start(plan(care={"guides": ["G1", "G2"], "strategies": [{"strategy": "round_robin"}]}))
    await three.morning(2, one, two)
    mine = (await lists(three))[one]
    await tell_absent(three.ledger, "G1", hq(at(2, 11)))
    await three.report(mine[0], one, at(2, 10, 30), "interested", known_at=at(2, 12))  # her phone was offline
    assert await folds_agree(three) == []
    assert await three.rows("SELECT done, reached FROM guide_day WHERE guide_id = $1", one) == [(1, 1)]
