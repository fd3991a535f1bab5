"""Guides are urged, three times in 24 hours at most; what stays open is told upwards, a place once a day."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import Refused
from infra.outbox_sender import send_due
from ledger.claims import claim
from ledger.endpoints import add_endpoint
from ledger.today import read_todays_list
from ledger.urging import UrgedGuide, urge
from tests.brand import Brand, at
from tests.channels.fakes import Service, http_service
from tests.ledger.test_outbox import a_day

MARK = "t"
"""Names the claim."""


async def urged(brand: Brand, guide: UUID, when: datetime, key: str = "") -> UrgedGuide:
    command = brand.command(key or f"urge/{when.isoformat()}", when)
    return await urge(brand.ledger, command, guide_id=guide, guide_code="G1")


async def code_of(brand: Brand, guide: UUID, when: datetime) -> str:
    with pytest.raises(Refused) as refused:
        await urged(brand, guide, when)
    return refused.value.problems[0].code


async def test_an_urge_names_what_is_open_and_puts_it_on_top_of_the_list(shop: Brand) -> None:
    (guide,) = await a_day(shop, members=3)
    items = await shop.listed(2, guide)
    await shop.report(await shop.task(items[0]), guide, at(2, 10), "came")

    answer = await urged(shop, guide, at(2, 11))

    assert (answer.open_items, answer.duplicate) == (2, False)
    ((tasks,),) = await shop.rows("SELECT tasks FROM guide_urge")
    assert tasks == [await shop.task(member) for member in items[1:]]
    async with shop.ledger.connection() as connection:
        listed = await read_todays_list(connection, 1, "G1", None, keys=shop.ledger.keys)
    assert [item.urged for item in listed.items] == [True, True, False]


async def test_the_same_urge_asked_again_is_one_and_says_the_same(shop: Brand) -> None:
    (guide,) = await a_day(shop, members=2)
    first = await urged(shop, guide, at(2, 11), "urge/mine")
    again = await urged(shop, guide, at(2, 15), "urge/mine")
    assert again == UrgedGuide(first.day, first.urged_at, first.open_items, duplicate=True, told=False)
    assert await shop.value("SELECT count(*) FROM outbox WHERE kind = 'urge'") == 1


async def test_a_guide_is_urged_three_times_in_24_hours_even_by_many_at_once(shop: Brand) -> None:
    (guide,) = await a_day(shop, members=2)
    together = [urged(shop, guide, at(2, 11), f"urge/{number}") for number in range(6)]
    answers = await asyncio.gather(*together, return_exceptions=True)
    assert sum(isinstance(answer, UrgedGuide) for answer in answers) == 3
    assert {answer.problems[0].code for answer in answers if isinstance(answer, Refused)} == {"urged_enough"}
    assert await code_of(shop, guide, at(2, 20, 59)) == "urged_enough"
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'urged'") == 3


async def test_three_urges_in_24_hours_whatever_order_they_come_in(shop: Brand) -> None:
    (guide,) = await a_day(shop, members=2)
    for second in (5, 4, 3):  # asked at 11:00:03 … 05, and the turn came in the other order
        await urged(shop, guide, at(2, 11) + timedelta(seconds=second))
    assert await code_of(shop, guide, at(2, 11) + timedelta(seconds=2)) == "urged_enough"
    assert await shop.value("SELECT count(*) FROM guide_urge") == 3


async def test_a_key_used_for_one_guide_says_nothing_of_another(shop: Brand) -> None:
    first, second = await a_day(shop, guides=2, members=2)
    await urged(shop, first, at(2, 11), "urge/mine")
    with pytest.raises(Refused) as refused:
        await urged(shop, second, at(2, 11, 5), "urge/mine")
    assert [one.code for one in refused.value.problems] == ["key_used_otherwise"]
    assert await shop.value("SELECT count(*) FROM guide_urge") == 1


async def test_nobody_is_urged_before_the_list_is_out_after_the_close_or_about_nothing(shop: Brand) -> None:
    (guide,) = await a_day(shop)
    assert await code_of(shop, guide, at(2, 8)) == "no_open_day"
    assert await code_of(shop, guide, at(2, 21)) == "no_open_day"
    (item,) = await shop.listed(2, guide)
    await shop.report(await shop.task(item), guide, at(2, 10), "came")
    assert await code_of(shop, guide, at(2, 11)) == "nothing_open"
    assert await shop.value("SELECT count(*) FROM outbox") == 0


async def test_an_urge_whose_items_are_done_by_the_time_it_would_be_sent_is_not_sent(shop: Brand) -> None:
    await add_endpoint(
        shop.ledger, scope="brand", code="", kind="webhook", address="json://127.0.0.1:1/", per_minute=9
    )
    (guide,) = await a_day(shop)
    await urged(shop, guide, at(2, 11))
    (item,) = await shop.listed(2, guide)
    await shop.report(await shop.task(item), guide, at(2, 11, 5), "came")
    assert await claim(shop.ledger, endpoint_id=1, token=MARK, now=at(2, 11, 10)) is None
    assert await shop.rows("SELECT state, why FROM outbox") == [("expired", "nothing_open")]


async def escalated(brand: Brand, level: str, percent: int = 1, hour: int = 18) -> int:
    step = brand.day(2, hour, slot=f"{hour}:00").model_copy(
        update={"escalate_to": level, "open_percent": percent}
    )
    return (await brand.reminders.escalate_open_items(step)).guides


async def test_what_stays_open_is_told_to_a_store_once_a_day_with_what_is_open_when_it_is_sent(
    shop: Brand,
) -> None:
    with http_service() as service:
        await add_endpoint(
            shop.ledger, scope="store", code="S1", kind="webhook", address=address(service), per_minute=60
        )
        first, second = await a_day(shop, guides=2, members=2)
        assert await escalated(shop, "store") == 2
        assert await escalated(shop, "store", hour=19) == 0, "told once a day"
        for item in await shop.listed(2, first):
            await shop.report(await shop.task(item), first, at(2, 18, 1), "came")
        ended = await send_due(shop.ledger, now=lambda: at(2, 18, 5), language="zh")
        assert ended == {"sent": 1}
        (body,) = service.texts
    code = await shop.value("SELECT code FROM guide WHERE guide_id = $1", second)
    open_items = len(await shop.listed(2, second))
    assert f"{code} {open_items}" in body
    assert "1 位导购" in body
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'escalated'") == 2


async def test_a_level_is_told_only_of_lists_with_so_much_open(shop: Brand) -> None:
    (guide,) = await a_day(shop, members=4)
    for item in (await shop.listed(2, guide))[:3]:
        await shop.report(await shop.task(item), guide, at(2, 10), "came")
    assert await escalated(shop, "hq", 90) == 0
    assert await escalated(shop, "hq", 25) == 1
    assert await shop.rows("SELECT purpose, state FROM outbox") == [
        ("escalation/hq//Asia/Shanghai/2026-03-02", "unrouted")
    ]


async def test_a_message_upwards_is_not_sent_once_nothing_is_open(shop: Brand) -> None:
    await add_endpoint(
        shop.ledger, scope="brand", code="", kind="webhook", address="json://127.0.0.1:1/", per_minute=9
    )
    (guide,) = await a_day(shop)
    assert await escalated(shop, "hq") == 1
    (item,) = await shop.listed(2, guide)
    await shop.report(await shop.task(item), guide, at(2, 18, 1), "came")
    assert (
        await claim(shop.ledger, endpoint_id=1, token=MARK, now=at(2, 18, 1) + timedelta(minutes=1)) is None
    )
    assert await shop.rows("SELECT state, why FROM outbox") == [("expired", "nothing_open")]


def address(service: Service) -> str:
    return f"json://127.0.0.1:{service.port}/"
