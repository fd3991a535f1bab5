"""Today's list and clocking in over HTTP."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from domain.policy import Role
from ledger.account_places import Grant
from ledger.database import API, open_database
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.identities import account_id_of, identity


async def test_a_list_shows_its_items_with_members_masked(api: Api, tasks: list[UUID]) -> None:
    answer = await api.get("/v1/guides/G1/today")
    assert answer.status_code == 200
    told = answer.json()
    assert [item["task_id"] for item in told["items"]] == [str(task) for task in tasks]
    assert {item["member"] for item in told["items"]} == {"W＊＊（尾号1234）"}
    assert "13800001234" not in answer.text
    assert "Wang" not in answer.text
    assert (told["day"], told["state"], told["rest"]) == ("2026-03-02", "published", 0)


async def test_a_list_of_another_day_is_asked_for_by_date(api: Api, tasks: list[UUID]) -> None:
    assert (await api.get("/v1/guides/G1/today", date="2026-03-02")).status_code == 200
    assert problem(await api.get("/v1/guides/G1/today", date="2026-03-03")) == (404, [("date", "no_list")])
    for wrong in ("today", "20260302", "0001-01-01", "9999-12-31"):
        status, problems = problem(await api.get("/v1/guides/G1/today", date=wrong))
        assert (status, problems[0][0]) == (422, "date")


async def test_clocking_in_publishes_the_list_where_nothing_else_did(api: Api, shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    told = await api.post("/v1/guides/G1/clock-in")
    assert (told.status_code, told.json()) == (
        200,
        {"guide": "G1", "day": "2026-03-02", "published": True, "listed": 2},
    )
    again = await api.post("/v1/guides/G1/clock-in")
    assert again.json() == told.json() | {"published": False}
    assert (await api.get("/v1/guides/G1/today")).json()["state"] == "published"
    (actor,) = {row[0] for row in await shop.rows("SELECT actor FROM event WHERE type = 'clocked_in'")}

    assert actor == f"account/{account_id_of('hq')}"


async def test_a_list_that_is_not_released_yet_is_a_conflict(api: Api, shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start(plan(day={"release": "11:00"}))
    await shop.dispatch.cut_lists(shop.day(2).model_copy(update={"release": "11:00"}))
    assert problem(await api.post("/v1/guides/G1/clock-in")) == (409, [("guide", "not_released_yet")])
    api.now = at(2, 11)
    assert (await api.post("/v1/guides/G1/clock-in")).status_code == 200


@pytest.mark.parametrize("guide", ["G9", "%ED%A0%80", "张三"])
async def test_a_guide_nobody_knows_is_not_found(api: Api, guide: str) -> None:
    assert problem(await api.get(f"/v1/guides/{guide}/today")) == (404, [("guide", "unknown_guide")])
    assert problem(await api.post(f"/v1/guides/{guide}/clock-in")) == (404, [("guide", "unknown_guide")])


async def test_a_code_the_database_cannot_hold_is_refused(api: Api) -> None:
    assert problem(await api.get("/v1/guides/a%00b/today")) == (422, [("guide", "unstorable_text")])


async def test_a_morning_rush_waits_for_no_second_connection(
    shop: Brand, shared_database: LedgerDatabase
) -> None:
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    token = await identity(shop.ledger, "g1", Grant(Role.GUIDE), guide=guide)
    engine = open_database(shared_database.urls.api, tenant_id=1, role=API, pool_size=3, wait_s=5.0)
    made = Api(shop, served=Ledger(engine, 1, keys=shared_database.ledger.keys), token=token)
    try:
        async with made.http:
            rush = [made.post("/v1/guides/G1/clock-in") for _ in range(40)]
            refused = [made.get("/v1/accounts") for _ in range(40)]
            answers = await asyncio.gather(*rush, *refused)
    finally:
        await engine.dispose()
    assert [answer.status_code for answer in answers] == [200] * 40 + [403] * 40


async def test_a_guide_is_urged_once_a_key_and_the_fourth_time_in_24_hours_is_a_conflict(
    api: Api, tasks: list[UUID]
) -> None:
    told = await api.post("/v1/guides/G1/urge", key="noon")
    assert told.status_code == 200
    assert (told.json()["open_items"], told.json()["duplicate"]) == (len(tasks), False)
    again = await api.post("/v1/guides/G1/urge", key="noon")
    assert again.json() == told.json() | {"duplicate": True}
    assert {item["urged"] for item in (await api.get("/v1/guides/G1/today")).json()["items"]} == {True}
    for _ in range(2):
        assert (await api.post("/v1/guides/G1/urge")).status_code == 200
    assert problem(await api.post("/v1/guides/G1/urge")) == (409, [("guide", "urged_enough")])
