"""Looking back over HTTP: as far as the asker sees, at a moment that has been."""

from __future__ import annotations

from uuid import UUID

from domain.policy import Role
from ledger.accounts import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand
from tests.identities import identity


async def test_a_guides_day_a_plan_a_member_and_an_item_are_told_as_they_stood(
    api: Api, tasks: list[UUID]
) -> None:
    before = api.now.isoformat()
    api.now = api.now.replace(hour=api.now.hour + 1)
    await api.check_in(tasks[0])
    later = api.now.isoformat()
    root = "/v1/audit/as-of"
    day = (await api.get(f"{root}/guides/G1", at=before)).json()["day"]
    assert (day["done"], next(item["state"] for item in day["list"]["items"])) == (0, "open")
    day = (await api.get(f"{root}/guides/G1", at=later)).json()["day"]
    assert (day["done"], next(item["state"] for item in day["list"]["items"])) == (1, "done")
    item = (await api.get(f"{root}/tasks/{tasks[0]}", at=before)).json()["item"]
    assert (item["state"], item["check_ins"]) == ("open", [])
    member = (await api.get(f"{root}/members/M1", at=later)).json()
    assert {place["guide"] for place in member["plans"]} == {"G1"}
    plan = (await api.get(f"{root}/plans/p1", at=later)).json()
    assert (plan["status"], plan["cycle"]["figures"]["total"]["attempted"]) == ("running", 1)


async def test_neither_what_is_to_come_nor_no_moment_at_all_can_be_asked_for(
    api: Api, tasks: list[UUID]
) -> None:
    path = f"/v1/audit/as-of/tasks/{tasks[0]}"
    refused = [
        problem(await api.get(path, **query))
        for query in ({"at": "2027-01-01T00:00:00Z"}, {"position": 10**9}, {})
    ]
    assert refused == [
        (422, [("at", "as_of_future")]),
        (422, [("position", "as_of_beyond")]),
        (422, [("at", "as_of_nothing")]),
    ]


async def test_a_store_manager_looks_back_at_their_own_store_only(
    shop: Brand, api: Api, tasks: list[UUID], served: Ledger
) -> None:
    await api.check_in(tasks[0])
    await shop.open_store("S2")
    at_hand = api.now.isoformat()
    root = "/v1/audit/as-of"
    mine = Api(
        shop, served=served, token=await identity(shop.ledger, "mine", Grant(Role.STORE_MANAGER, "S1"))
    )
    other = Api(
        shop, served=served, token=await identity(shop.ledger, "other", Grant(Role.STORE_MANAGER, "S2"))
    )
    async with mine.http, other.http:
        seen = (await mine.get(f"{root}/guides/G1", at=at_hand)).json()
        whole = (await api.get(f"{root}/guides/G1", at=at_hand)).json()
        assert seen["day"] == whole["day"]
        assert len(seen["day"]["list"]["items"]) == len(tasks)
        assert (seen["position"], seen["open_items"]) == (None, whole["open_items"])
        member = (await mine.get(f"{root}/members/M1", at=at_hand)).json()
        assert member["items"] == (await api.get(f"{root}/members/M1", at=at_hand)).json()["items"]
        assert member["items"]
        answers = [
            problem(await other.get(f"{root}/{what}", at=at_hand))
            for what in ("guides/G1", "members/M1", f"tasks/{tasks[0]}", "plans/p1")
        ]
        assert answers == [
            (404, [("guide", "unknown_guide")]),
            (404, [("member", "unknown_member")]),
            (404, [("task", "unknown_task")]),
            (404, [("plan", "unknown_plan")]),
        ]
        assert problem(await mine.get(f"{root}/guides/G1", position=1)) == (
            422, [("position", "as_of_unplaced")],
        )  # fmt: skip
