"""A guide's month and a plan's board over HTTP."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand
from tests.identities import identity


async def test_the_board_tells_how_the_running_cycle_stands_now(api: Api, tasks: list[UUID]) -> None:
    await api.check_in(tasks[0])
    await api.check_in(tasks[1], outcome="no_answer")
    answer = await api.get("/v1/plans/p1/board")
    assert answer.status_code == 200, answer.text
    board = answer.json()
    assert (board["cycle"], board["cycle_state"], board["whole"], board["open_today"]) == (
        1,
        "running",
        True,
        1,
    )
    total = board["total"]
    assert (total["due"], total["attempted"], total["followed_up"], total["provisional"]) == (3, 2, 1, 1)
    assert total["completion_rate"] == {"percent": 33.3, "numerator": 1, "denominator": 3}
    assert [(row["code"], row["due"], row["open_today"]) for row in board["guides"]] == [("G1", 3, 1)]
    assert set(board["complete_until"].values()) == {None}


async def test_a_board_of_a_plan_that_is_not_there_is_not_found(api: Api) -> None:
    assert problem(await api.get("/v1/plans/p9/board")) == (404, [("plan", "unknown_plan")])


async def test_a_month_has_todays_list_as_it_stands(api: Api, tasks: list[UUID]) -> None:
    await api.check_in(tasks[0])
    month = (await api.get("/v1/guides/G1/month")).json()
    assert (month["month"], len(month["days"])) == ("2026-03", 1)
    day = month["days"][0]
    assert (day["day"], day["state"], day["figures_version"]) == ("2026-03-02", "published", None)
    assert (day["due"], day["attempted"], day["followed_up"]) == (3, 1, 1)
    assert {name: month["total"][name] for name in ("due", "attempted")} == {"due": 3, "attempted": 1}
    assert (await api.get("/v1/guides/G1/month", month="2026-02")).json()["days"] == []


@pytest.mark.parametrize("month", ["2026-13", "2026-3", "March", "1999-01", "2026-03-01"])
async def test_what_is_no_month_is_refused(api: Api, month: str) -> None:
    assert problem(await api.get("/v1/guides/G1/month", month=month)) == (422, [("month", "not_a_month")])


async def test_a_guide_sees_her_own_month_and_a_manager_her_stores(
    api: Api, shop: Brand, served: Ledger, tasks: list[UUID]
) -> None:
    await shop.open_store("S2")
    await shop.hire("G2", "S2")
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await api.check_in(tasks[0])
    for login, grant, of in (
        ("guide.g1", Grant(Role.GUIDE), guide),
        ("manager.s1", Grant(Role.STORE_MANAGER, "S1"), None),
    ):
        asker = Api(shop, served=served, token=await identity(shop.ledger, login, grant, guide=of))
        async with asker.http:
            own = await asker.get("/v1/guides/G1/month")
            assert own.json()["total"]["attempted"] == 1
            assert problem(await asker.get("/v1/guides/G2/month")) == (404, [("guide", "unknown_guide")])
