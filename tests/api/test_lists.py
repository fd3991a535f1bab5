"""The day's lists while it runs, over HTTP: pool, claim, putting off, absence, the norm, the forecast."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at, plan
from tests.identities import identity


async def signed_in(
    brand: Brand, served: Ledger, login: str, *, guide: str = "", role: Role = Role.GUIDE
) -> Api:
    """A client of the API on the role of the API, as somebody who is no more than that."""
    hers = await brand.value("SELECT guide_id FROM guide WHERE code = $1", guide) if guide else None
    place = "" if guide else "S1"
    token = await identity(brand.ledger, login, Grant(role, place), guide=hers)
    return Api(brand, served=served, token=token)


async def test_a_guide_claims_an_item_and_works_it_whoever_looks_after_the_member(
    shop: Brand, served: Ledger
) -> None:
    await shop.hire("G2")
    (member,) = await shop.due_on(2, "M1")
    await shop.start(plan(day={"claim_until": "11:00"}))
    task = await shop.task(member)
    looks_after = await shop.value("SELECT guide_id FROM task")
    other = await shop.value("SELECT code FROM guide WHERE guide_id <> $1", looks_after)
    everyone = [row[0] for row in await shop.rows("SELECT guide_id FROM guide")]
    await shop.morning(2, *everyone)
    hers = await signed_in(shop, served, "hers", guide=other)
    pool = (await hers.get("/v1/stores/S1/pool")).json()
    assert [item["task_id"] for item in pool["items"]] == [str(task)]
    assert pool["items"][0]["member"] == "W＊＊（尾号1234）"
    assert (await hers.get(f"/v1/tasks/{task}/nothing")).status_code == 404
    taken = await hers.post(f"/v1/tasks/{task}/claim", {"guide": other})
    assert (taken.status_code, taken.json()["rank"], taken.json()["duplicate"]) == (200, 1, False)
    today = (await hers.get(f"/v1/guides/{other}/today")).json()
    assert [(item["member"], item["kind"]) for item in today["items"]] == [("W＊＊（尾号1234）", "call")]
    assert (today["target_calls"], today["target_invitations"]) == (50, 30)
    late = await hers.post(
        f"/v1/tasks/{task}/snooze", {"guide": other, "until": "15:00", "reason": "line_busy"}, key="k"
    )
    assert (late.status_code, late.json()["snoozes"]) == (200, 1)
    again = await hers.post(
        f"/v1/tasks/{task}/snooze", {"guide": other, "until": "15:00", "reason": "line_busy"}, key="k"
    )
    assert (again.json()["duplicate"], again.headers["idempotent-replayed"]) == (True, "true")
    done = await hers.check_in(task, performed_by=other, note="came by")
    assert done.status_code == 201, done.text
    assert await shop.rows("SELECT guide_id = $1 FROM check_in", looks_after) == [(False,)]
    assert await shop.value("SELECT guide_id FROM plan_member") == looks_after
    theirs = await signed_in(
        shop, served, "theirs", guide=await shop.value("SELECT code FROM guide WHERE code <> $1", other)
    )
    code = "G1" if other == "G2" else "G2"
    refused = await theirs.post(f"/v1/tasks/{task}/claim", {"guide": code})
    assert problem(refused) == (409, [("task_id", "claimed_by_other")])


async def test_a_manager_says_who_is_absent_and_a_guide_does_not(shop: Brand, served: Ledger) -> None:
    await shop.hire("G2")
    await shop.due_on(2, "M1", "M2")
    await shop.start(plan(care={"strategies": [{"strategy": "round_robin"}]}))
    await shop.morning(2, *[row[0] for row in await shop.rows("SELECT guide_id FROM guide")])
    guide = await signed_in(shop, served, "g2", guide="G2")
    assert (await guide.post("/v1/guides/G2/absence")).status_code == 403
    manager = await signed_in(shop, served, "m", role=Role.STORE_MANAGER)
    told = await manager.post("/v1/guides/G1/absence")
    assert told.json() == {
        "guide": "G1",
        "day": "2026-03-02",
        "to": {"G2": 1},
        "stays": 0,
        "duplicate": False,
    }
    assert [len((await guide.get("/v1/guides/G2/today")).json()["items"])] == [2]
    assert (await guide.check_in(await _last(guide), performed_by="G2")).status_code == 201
    assert (await manager.post("/v1/guides/G1/absence")).json()["duplicate"]
    assert problem(await manager.post("/v1/guides/G9/absence")) == (404, [("guide", "unknown_guide")])


async def _last(api: Api) -> str:
    told: dict[str, Any] = (await api.get("/v1/guides/G2/today")).json()
    return str(told["items"][-1]["task_id"])


async def test_putting_off_wants_one_instant_and_says_what_stands_against_it(
    api: Api, tasks: list[UUID]
) -> None:
    url = f"/v1/tasks/{tasks[0]}/snooze"
    for until in ({}, {"until": "15:00", "until_on": "2026-03-03"}):
        told = await api.post(url, {"guide": "G1", "reason": "other", **until})
        assert problem(told) == (422, [("until", "snooze_until_one")])
    told = await api.post(url, {"guide": "G1", "reason": "other", "until": "09:30"})
    assert problem(told) == (422, [("until", "snooze_outside_day")])
    told = await api.post(url, {"guide": "G1", "reason": "she sleeps", "until": "15:00"})
    assert problem(told)[1][0][0] == "reason"
    for _ in range(3):
        assert (await api.post(url, {"guide": "G1", "reason": "other", "until": "15:00"})).status_code == 200
    told = await api.post(url, {"guide": "G1", "reason": "other", "until": "15:00"})
    assert problem(told) == (409, [("task_id", "snoozed_too_often")])


async def test_the_norm_of_the_day_is_read_and_set(api: Api) -> None:
    assert (await api.get("/v1/day-norm")).json() == {
        "calls": 50,
        "invitations": 30,
        "invitations_a_visit": 5,
    }
    told = await api.http.put("/v1/day-norm", json={"calls": 40, "reason": "a quiet spring"})
    assert told.json() == {"calls": 40, "invitations": 30, "invitations_a_visit": 5}
    refused = await api.http.put("/v1/day-norm", json={"calls": 40, "reason": " "})
    assert problem(refused) == (422, [("reason", "reason_missing")])


async def test_a_plans_coming_days_are_foreseen(api: Api, tasks: list[UUID]) -> None:
    api.now = at(2, 8)
    told = (await api.get("/v1/plans/p1/forecast", days=3)).json()
    assert (told["over"], len(told["totals"]["call"])) == (0, 3)
    assert told["guides"][0]["days"][0] == {
        "day": "2026-03-02", "due": len(tasks), "load": len(tasks), "capacity": 50, "left": 0, "over": False,
    }  # fmt: skip
    assert problem(await api.get("/v1/plans/p9/forecast")) == (404, [("plan", "unknown_plan")])
