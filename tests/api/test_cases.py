"""Complaints over HTTP: the guide reports one, the manager answers it."""

from __future__ import annotations

from uuid import UUID

from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand
from tests.identities import identity


async def test_a_manager_answers_what_a_guide_was_told(
    api: Api, shop: Brand, tasks: list[UUID], served: Ledger
) -> None:
    guide_id = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    as_guide = await identity(shop.ledger, "g1", Grant(Role.GUIDE), guide=guide_id)
    as_manager = await identity(shop.ledger, "m1", Grant(Role.STORE_MANAGER, "S1"))
    g1, m1 = (Api(shop, served=served, token=token) for token in (as_guide, as_manager))
    for task in tasks[:2]:
        told = await g1.check_in(task, key=f"k/{task}".replace("/", "-"), outcome="complaint", note="它坏了")
        assert (told.status_code, told.json()["state"]) == (201, "done")
        again = await g1.check_in(task, key=f"k/{task}".replace("/", "-"), outcome="complaint", note="它坏了")
        assert (again.status_code, again.json()) == (200, told.json())

    first = (await m1.get("/v1/cases", limit=1)).json()
    (case,) = first["items"]
    assert (case["state"], case["complaint"], case["overdue"], case["guide"]) == (
        "open",
        "它坏了",
        False,
        "G1",
    )
    second = (await m1.get("/v1/cases", limit=1, after=first["next"])).json()
    assert (len(second["items"]), second["next"]) == (1, None)
    assert second["items"][0]["case_id"] != case["case_id"]
    assert len((await g1.get("/v1/cases")).json()["items"]) == 2

    path = f"/v1/cases/{case['case_id']}"
    assert (await g1.post(f"{path}/answer", {})).status_code == 403
    answer = await m1.post(f"{path}/answer", {"note": "已致歉"}, key="a")
    assert answer.json() == {"case_id": case["case_id"], "state": "answered", "duplicate": False}
    assert (await m1.post(f"{path}/answer", {"note": "已致歉"}, key="a")).json()["duplicate"]
    bad = await m1.post(f"{path}/close", {"resolution": "forgotten"})
    assert bad.status_code in (400, 422)
    closed = await m1.post(f"{path}/close", {"resolution": "refunded"}, key="a")
    assert (closed.json()["state"], closed.json()["duplicate"]) == ("closed", False), "one key serves both"
    assert (await m1.post(f"{path}/close", {"resolution": "refunded"}, key="a")).json()["duplicate"]
    assert problem(await m1.post(f"{path}/close", {"resolution": "exchanged"}, key="a")) == (
        422,
        [("Idempotency-Key", "key_used_otherwise")],
    )
    assert problem(await m1.post(f"{path}/close", {"resolution": "refunded"})) == (
        409,
        [("case", "case_over")],
    )
    assert problem(await m1.post(f"/v1/cases/{UUID(int=1)}/answer", {})) == (404, [("case", "unknown_case")])
    (over,) = (await m1.get("/v1/cases", state="closed")).json()["items"]
    assert (over["answers"], over["resolution"]) == (["已致歉"], "refunded")
    assert await shop.value("SELECT count(*) FROM event WHERE type LIKE 'case_%'") == 4
