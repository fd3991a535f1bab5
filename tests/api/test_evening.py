"""The evening over HTTP: a manager closes her store's day, sees its summary; a guide sees her own score and no other's."""

from __future__ import annotations

import io
from datetime import date
from typing import Any
from uuid import UUID

import openpyxl
import pytest

from domain.policy import Role
from ledger.account_places import Grant
from ledger.sequencer import sequence
from tests.api.conftest import Api, problem
from tests.brand import at, plan
from tests.identities import account_id_of, identity


@pytest.fixture
async def evening(api: Api) -> Api:
    """Monday, half past five: G1 and G2 of S1, G3 of S2, two items each; G1 has reached one member."""
    brand = api.brand
    await brand.open_store("S2")
    guides = {
        "G1": UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'"))),
        "G2": await brand.hire("G2"),
        "G3": await brand.hire("G3", "S2"),
    }
    for code, guide in guides.items():
        await brand.due_on(2, *(f"{code}-{number}" for number in range(2)), guide=guide)
    await brand.start(plan())
    await brand.morning(2, *guides.values())
    (first, *_) = await brand.listed(2, guides["G1"])
    await brand.report(await brand.task(first), guides["G1"], at(2, 10), "interested")
    api.now = at(2, 17, 30)
    return api


async def signed(api: Api, login: str, role: Role, place: str = "", guide: str = "") -> dict[str, str]:
    found = await api.brand.value("SELECT guide_id FROM guide WHERE code = $1", guide)
    return {
        "Authorization": f"Bearer {await identity(api.brand.ledger, login, Grant(role, place), guide=found)}"
    }


async def close(api: Api, who: dict[str, str], store: str = "S1") -> Any:
    return await api.http.post(f"/v1/stores/{store}/close-day", headers=who)


async def test_a_manager_closes_her_stores_day_once_from_its_hour_on_and_what_comes_then_is_late(
    evening: Api,
) -> None:
    brand = evening.brand
    manager = await signed(evening, "m1", Role.STORE_MANAGER, "S1")
    early = await close(evening, manager)
    assert problem(early) == (409, [("store", "close_too_early")])
    assert "18:00" in early.json()["problems"][0]["reason"]
    told = {"close_from": "17:00", "store": "S1", "reason": "the mall closes at six"}
    assert problem(await evening.http.put("/v1/evening/close-hour", json=told | {"store": "S9"})) == (
        422,
        [("store", "unknown_store")],
    )
    stands = (await evening.http.put("/v1/evening/close-hour", json=told)).json()
    assert (stands["close_from"], stands["stores"], stands["day"]) == ("18:00", {"S1": "17:00"}, "2026-03-02")
    assert problem(await close(evening, manager, "S2")) == (404, [("store", "unknown_store")])
    for role, guide in ((Role.GUIDE, "G1"), (Role.OWNER, "")):
        other = await signed(evening, f"other-{role}", role, guide=guide)
        assert (await close(evening, other)).status_code == 403
    answer = await close(evening, manager)
    assert answer.json() == {
        "store": "S1", "day": "2026-03-02", "lists": 2, "closed": 2, "duplicate": False,
    }  # fmt: skip
    assert (await close(evening, manager)).json()["duplicate"]
    closed = await brand.rows(
        "SELECT payload->>'reason', actor, occurred_at FROM event WHERE type = 'day_closed' ORDER BY stream"
    )
    assert closed == [("by_manager", f"account/{account_id_of('m1')}", at(2, 17, 30))] * 2
    guide = UUID(str(await brand.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    task = await brand.task((await brand.listed(2, guide))[1])
    evening.now = at(2, 18)
    after = await evening.check_in(task, occurred_at="2026-03-02T17:45:00+08:00")
    assert problem(after) == (422, [("occurred_at", "after_close")])
    assert (await evening.check_in(task, occurred_at="2026-03-02T17:15:00+08:00")).status_code == 201
    await brand.evening(2, guide)
    assert await brand.rows(
        "SELECT state, figures_version, done, late FROM guide_day WHERE guide_id = $1", guide
    ) == [("closed", 2, 2, 1)]


async def test_the_summary_is_of_the_stores_in_reach_in_every_form(evening: Api) -> None:
    async with evening.brand.ledger.connection() as connection:
        await sequence(connection, 1)
    manager = await signed(evening, "m2", Role.STORE_MANAGER, "S2")
    for who, guides in ((manager, ["G3"]), ({}, ["G1", "G2", "G3"])):
        board = (await evening.http.get("/v1/boards/day-summary", headers=who)).json()
        assert [row["code"] for row in board["rows"] if row["level"] == "guide"] == guides
        sheet = (await evening.http.get("/v1/boards/score-sheet", headers=who)).json()
        assert sorted({row["guide"] for row in sheet["rows"]}) == guides
        rates = (await evening.http.get("/v1/boards/day-rates", headers=who)).json()
        assert [(row["plan"], row["listed"]) for row in rates["rows"]] == [("p1", 2 * len(guides))]
    foreign = await evening.http.get("/v1/boards/day-summary", params={"store": "S1"}, headers=manager)
    assert problem(foreign) == (404, [("store", "unknown_store")])
    asked = {"as": "xlsx"}
    book = await evening.http.get("/v1/boards/day-summary", params=asked, headers={"Accept-Language": "en"})
    sheet = openpyxl.load_workbook(io.BytesIO(book.content)).active
    lines = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert lines[0][0] == "Day summary: 2026-03-02"
    heads = next(line for line in lines if line[0] == "Level")
    first = next(line for line in lines if line[1] == "G1")
    assert (first[heads.index("Done")], first[heads.index("Weak stage")]) == (1, "invitations")
    page = await evening.http.get("/v1/boards/score-sheet", params={"as": "print"})
    assert "@page { size: A4" in page.text
    assert "薄弱" in page.text


async def test_a_guide_sees_her_own_score_and_weak_stage_and_nobody_elses(evening: Api) -> None:
    mine = await signed(evening, "g1", Role.GUIDE, guide="G1")
    score = (await evening.http.get("/v1/guides/G1/score", headers=mine)).json()
    assert (score["title"]["points"], score["title"]["day_stages"]) == ("1", "invitations")
    assert [(row["stage"], row["count"], row["target"], row["weak"]) for row in score["rows"]] == [
        ("calls", 1, 50, False), ("invitations", 0, 30, True), ("reached", 1, None, False), ("success", 0, None, False),
    ]  # fmt: skip
    assert "G2" not in str(score)
    assert problem(await evening.http.get("/v1/guides/G2/score", headers=mine)) == (
        404,
        [("guide", "unknown_guide")],
    )
    for board in ("day-summary", "score-sheet", "day-rates"):
        assert (await evening.http.get(f"/v1/boards/{board}", headers=mine)).status_code == 403
    none = await evening.http.get("/v1/guides/G1/score", params={"on": "2026-02-27"}, headers=mine)
    assert problem(none) == (404, [("date", "no_list")])


async def test_days_are_scored_otherwise_from_tomorrow_on_under_the_askers_own_key(evening: Api) -> None:
    body = {"reached": 40, "points": {"reached": 20}, "penalty_below": 50, "penalty": 5, "reason": "spring"}
    for _ in range(2):
        answer = await evening.http.put("/v1/evening/score", json=body, headers={"Idempotency-Key": "spring"})
        assert answer.json()["score"] == {
            "reached": 40, "success": 0, "penalty_below": 50, "penalty": 5,
            "points": {"calls": 50, "invitations": 30, "reached": 20, "success": 10},
        }  # fmt: skip
    assert await evening.brand.rows("SELECT from_on, version FROM evening_rule") == [(date(2026, 3, 3), 1)]
    today = (await evening.get("/v1/evening")).json()
    assert (today["score"]["reached"], today["score_from"]) == (0, None)
    for changed, field, code in (
        ({"from_on": "2026-03-02"}, "from_on", "rule_of_the_past"),
        ({"reason": " "}, "reason", "reason_missing"),
    ):
        refused = await evening.http.put("/v1/evening/score", json=body | changed)
        assert problem(refused) == (422, [(field, code)])
