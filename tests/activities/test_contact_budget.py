"""One contact account a member over all plans: priority, limits, races, what is foreseen and what is shown."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.claiming import claim
from activities.contacts import account_of, limits_of, say_limits
from activities.forecasting import forecast_plan
from activities.preview import preview_plan
from domain.contact_budget import ContactPeriod, Limits, used
from domain.errors import Refused
from domain.plan import Plan
from infra.databases import ensure_tenant
from ledger.contacts import hold_all
from tests.brand import Brand, at, plan
from tests.conftest import ID_SECRET, LedgerDatabase
from tests.ledger.test_races import somebody_waits
from tests.shared_database import empty
from tests.three_guides import folds_agree, guides, hq, lists

BESIDE = "Asia/Singapore"
"""Another zone, whose clocks show the same."""
FIRST = date(2026, 3, 27)
"""A Friday: the week and the month end in the days after."""


def tins(**changes: object) -> Plan:
    return plan(care={"guides": ["G1"]}, **changes)


def soap(**changes: object) -> Plan:
    told = {"plan": "p2", "members": {"bought_categories": ["SOAP"]}, "care": {"guides": ["G2"]}}
    return plan(**(told | changes))


async def two_stores(brand: Brand, *, zone: str = BESIDE) -> None:
    """A guide in each, and each looks after every member for a plan of her own."""
    await brand.open_store()
    await brand.open_store("S2", zone=zone)
    await brand.hire("G1")
    await brand.hire("G2", "S2")
    await brand.category("TIN")
    await brand.category("SOAP")


async def wanted_by_both(brand: Brand, on: int | date, *codes: str) -> list[UUID]:
    await brand.due_on(on, *codes)
    return await brand.due_on(on, *codes, category="SOAP")


async def limit(brand: Brand, day: int, week: int, month: int, *, on: date = date(2026, 3, 2)) -> None:
    await say_limits(brand.ledger, hq(at(1)), from_on=on, day=day, week=week, month=month, reason="r")


@pytest_asyncio.fixture
async def both(brand: Brand) -> AsyncIterator[Brand]:
    await two_stores(brand)
    yield brand
    assert await folds_agree(brand) == []


async def listed(brand: Brand, day: int = 2) -> list[str]:
    """The plans whose items are on lists of a day."""
    tasks = [task for found in (await lists(brand, day)).values() for task in found]
    rows = await brand.rows("SELECT plan_id FROM task WHERE task_id = ANY($1) ORDER BY 1", tasks)
    return [row[0] for row in rows]


async def cut_both(brand: Brand, day: int) -> None:
    for zone in ("Asia/Shanghai", BESIDE):
        await brand.dispatch.cut_lists(brand.day(day, zone=zone))


@pytest.mark.parametrize(("priorities", "gets"), [(("low", "middle"), "p2"), (("high", "middle"), "p1")])
async def test_where_two_plans_want_a_member_the_one_with_the_higher_priority_gets_the_contact(
    brand: Brand, priorities: tuple[str, str], gets: str
) -> None:
    await two_stores(brand, zone="Asia/Shanghai")
    await brand.due_on(2, "M1", category="SOAP")
    await brand.due_on(1, "M1")  # longer due
    await brand.start(tins(priority=priorities[0]))
    await brand.start(soap(priority=priorities[1]))
    await brand.dispatch.cut_lists(brand.day(2))
    assert await listed(brand) == [gets]


async def test_a_week_that_is_taken_keeps_a_member_off_all_lists_until_the_next(both: Brand) -> None:
    (member,) = await wanted_by_both(both, 2, "M1")
    await limit(both, 1, 2, 3)
    await both.start(tins())
    await both.start(soap())
    one, two = await guides(both)
    for day in (2, 3):
        await cut_both(both, day)
        task = (await lists(both, day))[one][0]
        await both.dispatch.publish_list(both.guide_day(one, day))
        await both.report(task, one, at(day, 10), "no_answer")
        await both.evening(day, one)
    for day in (4, 8):
        await cut_both(both, day)
        assert await listed(both, day) == []
    found = await account_of(both.ledger, await both.task(member), at(4, 10))
    assert (found.left, found.free_on) == (0, date(2026, 3, 9))
    assert [(one.period, one.taken, one.limit) for one in found.periods] == [
        ("day", 0, 1),
        ("week", 2, 2),
        ("month", 2, 3),
    ]
    assert [(one.day.day, one.plan, one.kind, one.contacts) for one in found.contacts] == [
        (2, "p1", "phone", 1),
        (3, "p1", "phone", 1),
    ]
    await cut_both(both, 9)
    assert await listed(both, 9) == ["p1"]
    foreseen = await forecast_plan(both.ledger, "p2", at=at(9, 10))
    assert foreseen.contacts is not None
    # Two calls and the item on the list: the month is taken.
    assert (
        foreseen.contacts.members,
        foreseen.contacts.none_this_week,
        foreseen.contacts.none_this_month,
    ) == (1, 0, 1)
    await both.dispatch.publish_list(both.guide_day(one, 9))
    await both.evening(9, one)  # untried: what was reserved is released
    foreseen = await forecast_plan(both.ledger, "p2", at=at(10, 8))
    assert foreseen.contacts is not None
    assert foreseen.contacts.none_this_month == 0
    assert two not in await lists(both, 9)


async def test_what_a_plan_would_begin_with_is_told_before_it_is_launched(both: Brand) -> None:
    members = await wanted_by_both(both, 2, "M1", "M2", "M3")
    await limit(both, 1, 1, 1)
    await both.start(tins())
    one, _ = await guides(both)
    await cut_both(both, 2)
    await both.dispatch.publish_list(both.guide_day(one, 2))
    for member in members[:2]:
        await both.report(await both.task(member), one, at(2, 10), "interested")
    foreseen = (await preview_plan(both.ledger, soap(), at=at(2, 11))).forecast.contacts
    assert foreseen is not None
    assert (foreseen.members, foreseen.none_this_month) == (3, 3)  # two called, one still on a list
    await both.evening(2, one)
    foreseen = (await preview_plan(both.ledger, soap(), at=at(2, 22))).forecast.contacts
    assert foreseen is not None
    assert foreseen.none_this_month == 2


async def test_who_comes_to_the_store_by_herself_has_not_been_contacted(both: Brand) -> None:
    (member,) = await wanted_by_both(both, 2, "M1")
    await both.start(tins())
    one, _ = await guides(both)
    await both.morning(2, one)
    task = await both.task(member)
    assert (await account_of(both.ledger, task, at(2, 9))).contacts[0].kind == "reserved"
    await both.report(task, one, at(2, 10), "came", channel="in_store")
    assert (await account_of(both.ledger, task, at(2, 11))).contacts == ()


# --- limits ---------------------------------------------------------------------------------------------


async def test_limits_count_from_their_day_on_and_are_read_as_they_had_been_said(both: Brand) -> None:
    assert (await limits_of(both.ledger, at(2))).limits == Limits(1, 3, 8)
    for hour, on, month in ((8, date(2026, 3, 10), 6), (9, date(2026, 3, 5), 7), (10, date(2026, 3, 10), 5)):
        asked = hq(at(2, hour))
        await say_limits(both.ledger, asked, from_on=on, day=None, week=None, month=month, reason="spring")
    of_day = {
        day: (await limits_of(both.ledger, at(2, 11), day=date(2026, 3, day))).limits.month
        for day in (4, 5, 9, 10, 31)
    }
    assert of_day == {4: 8, 5: 7, 9: 7, 10: 5, 31: 5}
    then = await limits_of(both.ledger, at(2, 11), day=date(2026, 3, 10), known_at=at(2, 9, 30))
    assert then.limits.month == 6
    with pytest.raises(Refused) as refused:
        await say_limits(
            both.ledger, hq(at(5)), from_on=date(2026, 3, 1), day=4, week=None, month=None, reason=" "
        )
    assert [(one.field, one.code) for one in refused.value.problems] == [
        ("day", "contact_limit_above_longer"),
        ("from_on", "contact_limit_in_past"),
        ("reason", "reason_missing"),
    ]
    assert await both.value("SELECT count(*) FROM contact_limit") == 3


# --- at the same moment -----------------------------------------------------------------------------------


async def test_a_zone_whose_lists_are_cut_meanwhile_waits_and_leaves_the_taken_contact_alone(
    both: Brand,
) -> None:
    await wanted_by_both(both, 2, *(f"M{n}" for n in range(6)))
    await both.start(tins())
    await both.start(soap())
    async with both.ledger.transaction() as other:
        await hold_all(other, 1)
        cuts = [
            asyncio.create_task(both.dispatch.cut_lists(both.day(2, zone=zone)))
            for zone in ("Asia/Shanghai", BESIDE)
        ]
        await somebody_waits(both)
        assert not any(one.done() for one in cuts)
    await asyncio.gather(*cuts)
    assert len(await listed(both)) == 6


async def test_of_two_stores_that_claim_a_members_items_at_once_one_gets_the_contact(brand: Brand) -> None:
    await two_stores(brand, zone="Asia/Shanghai")
    members = await wanted_by_both(brand, 2, "M1", "M2", "M3")
    for one in (tins(day={"claim_until": "11:00"}), soap(day={"claim_until": "11:00"})):
        await brand.start(one)
    await brand.dispatch.cut_lists(brand.day(2))
    wanted = [
        (code, await brand.task(member, category=category))
        for member in members
        for code, category in (("G1", "TIN"), ("G2", "SOAP"))
    ]
    told = await asyncio.gather(
        *(claim(brand.ledger, code, task, hq(at(2, 10))) for code, task in wanted), return_exceptions=True
    )
    refused = [problem.code for one in told if isinstance(one, Refused) for problem in one.problems]
    assert refused == ["no_contact_left"] * len(members)
    by_member = await brand.rows(
        "SELECT t.member_id, count(*) FROM list_item i JOIN task t USING (tenant_id, task_id) GROUP BY 1"
    )
    assert dict(by_member) == dict.fromkeys(members, 1)


DAYS = st.lists(
    st.lists(st.sampled_from(["no_answer", "interested", None, None]), min_size=8, max_size=8),
    min_size=3,
    max_size=7,
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(days=DAYS, told=st.lists(st.integers(1, 4), min_size=3, max_size=3))
async def test_however_many_lists_are_cut_at_once_nobody_is_contacted_beyond_a_limit(
    shared_database: LedgerDatabase, days: list[list[str | None]], told: list[int]
) -> None:
    """Two zones are cut at the same moment, day after day over the ends of a week and a month; some items are tried."""
    await empty(shared_database)
    await ensure_tenant(shared_database.ledger, ID_SECRET)
    brand = Brand(shared_database.ledger)
    await two_stores(brand)
    limits = Limits(*sorted(told))
    await limit(brand, limits.day, limits.week, limits.month, on=FIRST)
    members = await wanted_by_both(brand, FIRST, "M1", "M2", "M3", "M4")
    begins = {"period": {"start": FIRST.isoformat(), "working_days": 10}, "goal": {"by": "2026-04-30"}}
    await brand.start(tins(**begins))
    await brand.start(soap(**begins, priority="high"))
    contacted: dict[UUID, list[date]] = {member: [] for member in members}
    for ahead, outcomes in enumerate(days):
        day = FIRST + timedelta(days=ahead)
        steps = [
            brand.day(2, zone=zone).model_copy(update={"day": day, "at": at(day, zone=zone)})
            for zone in ("Asia/Shanghai", BESIDE)
        ]
        await asyncio.gather(*(brand.dispatch.cut_lists(step) for step in steps))
        rows = await brand.rows(
            "SELECT i.task_id, i.guide_id, t.member_id FROM list_item i JOIN task t USING (tenant_id, task_id)"
            " WHERE i.business_date = $1 ORDER BY 1",
            day,
        )
        for member, number in Counter(row[2] for row in rows).items():
            assert number == 1
            reserved = used([*contacted[member], day], day)
            assert all(reserved[period] <= limits.of(period) for period in ContactPeriod)
        for guide in await guides(brand):
            if any(row[1] == guide for row in rows):
                step = brand.guide_day(guide, 2).model_copy(update={"day": day, "at": at(day)})
                await brand.dispatch.publish_list(step)
        for (task, guide, member), outcome in zip(rows, outcomes, strict=False):
            if outcome is not None:
                await brand.report(task, guide, at(day, 10), outcome)
                contacted[member].append(day)
        for guide in {row[1] for row in rows}:
            step = brand.guide_day(guide, 2).model_copy(update={"day": day, "at": at(day, 21)})
            await brand.dispatch.close_day(step)
    assert any(contacted.values()) or not any(any(outcomes) for outcomes in days[:1])
