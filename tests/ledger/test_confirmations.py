"""Claims against what systems of record say: found in the rows, as of an instant, by the rules of the domain."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from domain.confirmation import Claims, Standing
from domain.messages import PlanStep
from ledger.confirmations import Scope, count_claims, list_claims
from tests.brand import Brand, at
from tests.records import Records

CALLED = at(2, 10)
KINDS = ("calls", "friends", "purchases", "visits")


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    return UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))


@pytest_asyncio.fixture
async def members(shop: Brand, guide: UUID) -> list[UUID]:
    """G1's members of Monday, their items on the list."""
    members = await shop.due_on(2, "M1", "M2", "M3", "M4", "M5", "M6")
    await shop.start()
    await shop.morning(2, guide)
    return members


@pytest_asyncio.fixture
async def member(shop: Brand, guide: UUID, members: list[UUID]) -> UUID:
    """Whom G1 says to have called at ten, and to have interested."""
    await shop.report(await shop.task(members[0]), guide, CALLED, "interested")
    return members[0]


@pytest.fixture
def records(shop: Brand) -> Records:
    return Records(shop)


async def test_a_claim_is_held_against_nobody_before_the_data_is_complete(
    records: Records, guide: UUID, member: UUID
) -> None:
    assert await records.standing() is Standing.NOT_CHECKABLE
    await records.complete(CALLED + timedelta(minutes=29), "calls")
    assert await records.standing() is Standing.NOT_CHECKABLE
    await records.complete(CALLED + timedelta(minutes=30), "calls")
    assert await records.standing() is Standing.UNCONFIRMED
    call = await records.call(guide, member, CALLED - timedelta(minutes=30))
    (claim,) = await records.claims()
    assert (claim.standing, claim.records) == (Standing.CONFIRMED, (call,))
    assert claim.stream == f"task/{claim.task_id}"


async def test_a_slower_source_holds_the_data_back_until_it_is_ended(
    shop: Brand, records: Records, member: UUID
) -> None:
    await records.complete(at(3), "calls")
    await records.complete(CALLED, "calls", source="old-pbx")
    assert await records.standing() is Standing.NOT_CHECKABLE
    await shop.execute("UPDATE feed SET ended_at = $1 WHERE source = 'old-pbx'", at(4))
    assert await records.standing() is Standing.UNCONFIRMED


@pytest.mark.parametrize("minutes", [-31, 31])
async def test_a_call_too_far_away_or_of_somebody_else_proves_nothing(
    records: Records, guide: UUID, member: UUID, members: list[UUID], minutes: int
) -> None:
    await records.complete(at(3), "calls")
    await records.call(guide, member, CALLED + timedelta(minutes=minutes))
    await records.call(guide, members[1], CALLED)
    assert await records.standing() is Standing.UNCONFIRMED


async def test_a_number_that_several_members_share_proves_a_call_of_each(
    records: Records, guide: UUID, member: UUID, members: list[UUID]
) -> None:
    await records.complete(at(3), "calls")
    await records.call(guide, members[1], CALLED, also=[member])
    assert await records.standing() is Standing.CONFIRMED


async def test_a_corrected_call_counts_as_corrected_from_when_that_was_known(
    records: Records, guide: UUID, member: UUID
) -> None:
    await records.complete(at(3), "calls", known_at=at(3))
    call = await records.call(guide, member, CALLED)
    await records.correct(call, known_at=at(5), answered=False, seconds=0)
    assert await records.standing(at(4)) is Standing.CONFIRMED
    assert await records.standing() is Standing.CONTRADICTED
    await records.correct(call, known_at=at(6), voided=True)
    assert await records.standing() is Standing.UNCONFIRMED


async def test_a_check_in_that_was_corrected_away_counts_until_that_was_known(
    shop: Brand, records: Records, member: UUID
) -> None:
    await records.complete(at(3), "calls", known_at=at(3))
    (claim,) = await records.claims()
    await shop.execute(
        "SELECT supersede_check_in($1, $2, 9, $3, 'hq', NULL)", claim.task_id, claim.version, at(5)
    )
    assert await records.standing(at(4)) is Standing.UNCONFIRMED
    assert await records.claims() == []


async def test_the_watermark_counts_from_when_it_was_known(records: Records, member: UUID) -> None:
    await records.complete(at(3), "calls", known_at=at(5))
    assert await records.standing(at(4)) is Standing.NOT_CHECKABLE
    assert await records.standing(at(5)) is Standing.UNCONFIRMED


async def test_each_effect_is_confirmed_by_the_system_that_tells_of_it(
    shop: Brand, records: Records, guide: UUID, members: list[UUID]
) -> None:
    outcomes = ("added_friend", "bought", "came", "bought", "bought", "joined_group")
    for member, outcome in zip(members, outcomes, strict=True):
        await shop.report(await shop.task(member), guide, CALLED, outcome, channel="wecom")
    friend = await records.other("friends", members[0], at(2, 18), guide=guide)
    basket = await shop.buy(members[1], at(3, 20))
    visit = await records.other("visits", members[2], at(2, 15))
    returned = await shop.buy(members[3], at(2, 15))
    await shop.buy(members[3], at(4), -4, return_of=returned)
    await shop.buy(members[4], at(4, 10))
    await records.complete(at(6), *KINDS)
    told = {claim.member_id: (claim.standing, claim.records) for claim in await records.claims()}
    assert [told[member] for member in members] == [
        (Standing.CONFIRMED, (friend,)),
        (Standing.CONFIRMED, (f"purchases/{basket}/TIN-1",)),
        (Standing.CONFIRMED, (visit,)),
        (Standing.UNCONFIRMED, ()),
        (Standing.UNCONFIRMED, ()),
        (Standing.NOT_CHECKABLE, ()),
    ]


async def test_what_comes_of_a_contact_is_its_outcome_and_the_last_contact_wins_it(
    shop: Brand, records: Records, guide: UUID, member: UUID
) -> None:
    await shop.evening(2, guide)
    await records.complete(at(3), "calls")
    await records.call(guide, member, CALLED)
    assert (await records.count())[0] == Claims(1, confirmed=1)
    basket = await shop.buy(member, at(10))
    await shop.buy(member, at(10), category="SOAP")
    (claim,) = await records.claims()
    assert claim.came_of_it == (f"purchases/{basket}/TIN-1",)
    total, guides = await records.count()
    assert total == Claims(1, confirmed=1, outcome=1, confirmed_outcome=1)
    assert guides == {str(guide): total}
    await shop.execute(
        "INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at,"
        " known_at, business_date, channel, outcome, reached) SELECT 1, task_id, 9, plan_id, cycle, member_id, guide_id,"
        " actor, $1, $1, '2026-03-09', 'wecom', 'interested', true FROM check_in",
        at(9),
    )
    assert [bool(one.came_of_it) for one in await records.claims()] == [False, True]


async def test_claims_are_listed_by_how_they_stand_page_by_page(
    shop: Brand, records: Records, guide: UUID, members: list[UUID]
) -> None:
    for number, member in enumerate(members[:4]):
        await shop.report(await shop.task(member), guide, at(2, 10, number), "interested")
    await records.call(guide, members[1], at(2, 10, 1))
    await records.complete(at(3), "calls")
    found, after = [], None
    async with shop.ledger.connection() as connection:
        while page := (
            await list_claims(
                connection, 1, Scope(at(5)), frozenset({Standing.UNCONFIRMED}), limit=2, after=after
            )
        ).claims:
            found += [claim.member_id for claim in page]
            after = (page[-1].occurred_at, page[-1].task_id, page[-1].version)
    assert found == [members[0], members[2], members[3]]


async def test_a_big_scope_is_looked_at_in_parts_that_add_up(
    shop: Brand, records: Records, guide: UUID, members: list[UUID]
) -> None:
    for number, member in enumerate(members[:4]):
        await shop.report(await shop.task(member), guide, at(2, 10 + number), "interested")
    await records.call(guide, members[3], at(2, 13))
    await records.complete(at(3), "calls")
    wanted = frozenset({Standing.CONFIRMED})
    async with shop.ledger.connection() as connection:
        whole, parts = [await count_claims(connection, 1, Scope(at(5)), at_once=most) for most in (100, 1)]
        assert parts == whole
        found, since = [], None
        while True:
            part = await list_claims(
                connection, 1, Scope(at(5), since=since), wanted, limit=9, most_slices=1, at_once=1
            )
            found += [claim.member_id for claim in part.claims]
            if part.looked_until is None:
                break
            since = part.looked_until
    assert found == [members[3]]
    assert since == at(2, 13)


async def test_a_check_shows_how_its_claims_stand_and_how_far_the_data_is_complete(
    shop: Brand, records: Records, guide: UUID, member: UUID
) -> None:
    await records.call(guide, member, CALLED)
    await records.complete(at(2, 20), "calls")
    checked = await shop.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(3), rehearsal=True))
    assert checked.position > 0
    figures = await shop.value(
        "SELECT (figures->'claims'->'total'->>'confirmed') || ' ' || (figures->'claims'->'guides'->0->>'guide') || ' '"
        " || (figures->'complete_until'->>'calls')::timestamptz FROM plan_check"
    )
    assert figures == f"1 {guide} 2026-03-02 12:00:00+00"
