"""Signs of faking: what is odd is listed with the facts it rests on, and what is ordinary is not."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from domain.signs import SignCode
from ledger.signs import guides_as_members
from tests.brand import Brand, at
from tests.records import Records

TEN = at(2, 10)


@pytest_asyncio.fixture
async def guides(shop: Brand) -> tuple[UUID, UUID]:
    """G1 and G2."""
    first = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    return first, await shop.hire("G2")


@pytest_asyncio.fixture
async def members(shop: Brand, guides: tuple[UUID, UUID]) -> list[UUID]:
    """Eight members; those of even place are G1's, the others G2's."""
    first, second = guides
    members = []
    for number in range(8):
        members += await shop.due_on(2, f"M{number}", guide=(first, second)[number % 2])
    await shop.start()
    await shop.morning(2, *guides)
    return members


@pytest.fixture
def records(shop: Brand) -> Records:
    return Records(shop)


async def report(shop: Brand, member: UUID, guide: UUID, when: datetime, **more: object) -> str:
    done = await shop.report(
        await shop.task(member), guide, when, str(more.pop("outcome", "interested")), **more
    )
    return f"task/{done.task_id}#{done.version}"


async def test_one_call_for_two_members_is_listed_and_a_call_for_each_is_not(
    shop: Brand, records: Records, guides: tuple[UUID, UUID], members: list[UUID]
) -> None:
    guide, _ = guides
    first = await report(shop, members[0], guide, TEN)
    second = await report(shop, members[2], guide, TEN + timedelta(minutes=20))
    call = await records.call(guide, members[0], TEN + timedelta(minutes=10), also=[members[2]])
    (sign,) = await records.signs()
    assert (sign.code, sign.guide, sign.since) == (SignCode.EVIDENCE_TWICE, "G1", TEN)
    assert (sign.check_ins, sign.records) == ((first, second), (call,))
    await records.call(guide, members[2], TEN + timedelta(minutes=11))
    assert await records.signs() == []


async def test_the_same_evidence_for_two_items_is_listed_with_both_guides(
    shop: Brand, records: Records, guides: tuple[UUID, UUID], members: list[UUID]
) -> None:
    first, second = guides
    await report(shop, members[0], first, TEN, evidence="a" * 64)
    await report(shop, members[1], second, at(2, 11), evidence="a" * 64)
    await report(shop, members[2], first, at(2, 12), evidence="b" * 64)
    found = [(sign.code, sign.guide, sign.others, sign.records) for sign in await records.signs()]
    assert found == [
        (SignCode.EVIDENCE_TWICE, "G1", ("G2",), (f"evidence/{'a' * 64}",)),
        (SignCode.EVIDENCE_TWICE, "G2", ("G1",), (f"evidence/{'a' * 64}",)),
    ]


@pytest.mark.parametrize(("seconds", "listed"), [(2, True), (3, False)])
async def test_a_contact_claimed_of_a_call_of_two_seconds_is_listed(
    shop: Brand,
    records: Records,
    guides: tuple[UUID, UUID],
    members: list[UUID],
    seconds: int,
    *,
    listed: bool,
) -> None:
    guide, _ = guides
    claim = await report(shop, members[0], guide, TEN)
    await report(shop, members[2], guide, TEN, outcome="no_answer")
    call = await records.call(guide, members[0], TEN, seconds)
    await records.call(guide, members[2], TEN, 1)
    found = [(sign.code, sign.check_ins, sign.records) for sign in await records.signs()]
    assert found == ([(SignCode.SHORT_CALL, (claim,), (call,))] if listed else [])


@pytest.mark.parametrize(("seconds", "listed"), [(15, True), (16, False)])
async def test_five_items_within_a_minute_are_listed(
    shop: Brand,
    records: Records,
    guides: tuple[UUID, UUID],
    members: list[UUID],
    seconds: int,
    *,
    listed: bool,
) -> None:
    guide, other = guides
    done = [
        await report(shop, member, guide, TEN + timedelta(seconds=seconds * number))
        for number, member in enumerate(members[::2])
    ]
    (more,) = await shop.due_on(2, "M9", guide=guide)
    await shop.execute("UPDATE task SET guide_id = $1 WHERE guide_id = $2", guide, other)
    done.append(await report(shop, members[1], guide, TEN + timedelta(seconds=seconds * 4)))
    await report(shop, members[3], guide, at(2, 14))
    assert more
    found = [(sign.code, sign.check_ins, sign.until - sign.since) for sign in await records.signs()]
    assert found == ([(SignCode.LIST_IN_A_MINUTE, tuple(done), timedelta(minutes=1))] if listed else [])


async def test_two_guides_on_one_phone_right_after_each_other_are_listed(
    shop: Brand, records: Records, guides: tuple[UUID, UUID], members: list[UUID]
) -> None:
    first, second = guides
    phone, another = UUID(int=1), UUID(int=2)
    claim = await report(shop, members[0], first, TEN, device=phone)
    after = await report(shop, members[1], second, TEN + timedelta(minutes=5), device=phone)
    await report(shop, members[2], first, at(2, 12), device=phone)
    await report(shop, members[3], second, at(2, 12), device=another)
    found = [
        (sign.code, sign.guide, sign.others, sign.check_ins, sign.records) for sign in await records.signs()
    ]
    assert found == [
        (SignCode.ONE_DEVICE, "G1", ("G2",), (claim,), (f"device/{phone}",)),
        (SignCode.ONE_DEVICE, "G2", ("G1",), (after,), (f"device/{phone}",)),
    ]


async def test_a_guide_who_serves_herself_is_known_by_her_number(
    shop: Brand, records: Records, guides: tuple[UUID, UUID], members: list[UUID]
) -> None:
    guide, other = guides
    numbers = {guide: "+86 138 0000 1234", other: "13900009999"}
    for who, number in numbers.items():
        await shop.execute(
            "INSERT INTO guide_person (tenant_id, guide_id, name, phone) VALUES (1, $1, 'Li', $2)",
            who,
            number,
        )
    selves = await guides_as_members(shop.ledger)
    assert {who for who, _ in selves} == {guide}  # all members of the test's brand have that number
    claim = await report(shop, members[0], guide, TEN)
    basket = await shop.buy(members[0], at(2, 12), guide=guide)
    await shop.buy(members[2], at(2, 12), guide=other)
    redeemed = await records.other("redemptions", members[0], at(2, 13), guide=guide)
    (sign,) = await records.signs(selves=[(guide, members[0])])
    assert (sign.code, sign.check_ins) == (SignCode.SELF_DEALING, (claim,))
    assert sign.records == ("purchases/b1/TIN-1", f"purchases/{basket}/TIN-1", redeemed)
