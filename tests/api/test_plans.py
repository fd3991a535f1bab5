"""Plans over HTTP: every route's good and bad path."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
import yaml

from domain.messages import PlanStep
from tests.api.conftest import Api, problem
from tests.brand import Brand, at, plan, written

REASON = {"reason": "because"}
COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("pause", REASON),
    ("close", REASON),
    ("recall", REASON),
    ("goal", REASON | {"target": "85"}),
    ("means", REASON | {"script": "Hi"}),
    ("people", REASON | {"leaving": "G1", "replacement": "G2"}),
)


@pytest_asyncio.fixture
async def api(api: Api, shop: Brand) -> Api:
    """A day before the plan begins."""
    await shop.category("SOAP")
    api.now = at(1)
    return api


async def test_a_playbook_is_previewed_and_nothing_is_written(api: Api, shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2")
    before = await shop.everything()
    answer = await api.post("/v1/plans/check", written())
    assert answer.status_code == 200
    preview = answer.json()["preview"]
    assert (preview["selected"], preview["assigned"], preview["guides_taking_part"]) == (2, 2, 1)
    assert await shop.everything() == before


async def test_a_playbook_is_read_from_yaml_as_from_json(api: Api) -> None:
    body = yaml.safe_dump(written(), allow_unicode=True).encode()
    for kind in ("application/yaml", "text/yaml; charset=utf-8"):
        answer = await api.http.post("/v1/plans/check", content=body, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text


async def test_everything_wrong_with_a_playbook_is_named_at_once(api: Api) -> None:
    answer = await api.post(
        "/v1/plans/check", written(goal={"target": 120}, members={"within_days": 0}, colour="red")
    )
    assert problem(answer) == (
        422,
        [
            ("members.within_days", "too_small"),
            ("goal.target", "rate_above_100"),
            ("colour", "unknown_field"),
        ],
    )


async def test_a_playbook_is_compared_with_the_brand(api: Api) -> None:
    answer = await api.post("/v1/plans/check", written(members={"bought_categories": ["TINS"]}))
    assert (
        answer.status_code,
        problem(answer)[1][0],
    ) == (422, ("members.bought_categories", "unknown_category"))


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "broken_json"),
        (b"\xff", "application/json", 400, "broken_json"),
        (b"[" * 100_000, "application/json", 400, "broken_json"),
        (b"[]", "application/json", 422, "not_a_playbook"),
        (b"a: [", "application/yaml", 422, "broken_yaml"),
        (b"a: &a [*a]", "application/yaml", 422, "broken_yaml"),
        (b'plan: "\\0"', "application/yaml", 422, "unstorable_text"),
        (b"{}", "text/plain", 415, "media_type"),
        (b"x" * 1_000_001, "application/json", 413, "body_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_body_that_is_no_playbook_is_declined(
    api: Api, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = await api.http.post("/v1/plans/check", content=body, headers={"content-type": kind})
    told, problems = problem(answer)
    assert (told, problems[0][1]) == (status, code)


async def test_a_plan_is_launched_once(api: Api, shop: Brand) -> None:
    first = await api.post("/v1/plans", written())
    again = await api.post("/v1/plans", written())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {
        "plan": "p1", "status": "running", "version": 1, "duplicate": False, "change": {}
    }  # fmt: skip
    assert again.json()["duplicate"] is True
    assert again.headers["idempotent-replayed"] == "true"
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'plan_launched'") == 1


async def test_a_launch_sent_many_times_at_once_is_one(api: Api, shop: Brand) -> None:
    answers = await asyncio.gather(*(api.post("/v1/plans", written()) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {200, 201, 409}
    assert [answer.status_code for answer in answers].count(201) == 1
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'plan_launched'") == 1


async def test_another_playbook_under_the_same_name_is_a_conflict(api: Api) -> None:
    await api.post("/v1/plans", written())
    answer = await api.post("/v1/plans", written(name="Other"))
    assert problem(answer) == (409, [("plan", "plan_exists")])


async def test_a_plan_is_tried_in_one_store_and_then_confirmed(api: Api) -> None:
    assert (await api.post("/v1/plans", written(), canary=["S1"])).status_code == 201
    assert (await api.get("/v1/plans/p1")).json()["canary"] == ["S1"]
    assert [one["canary"] for one in (await api.get("/v1/plans")).json()["items"]] == [["S1"]]
    confirmed = await api.post("/v1/plans/p1/confirm", REASON)
    assert confirmed.status_code == 200
    assert (await api.get("/v1/plans/p1")).json()["canary"] == []
    assert problem(await api.post("/v1/plans/p1/confirm", REASON)) == (409, [("plan", "not_in_canary")])


async def test_a_canary_in_a_store_nobody_knows_is_refused(api: Api) -> None:
    answer = await api.post("/v1/plans", written(), canary=["S9"])
    assert problem(answer) == (422, [("canary", "unknown_store")])


async def test_a_plan_shows_how_it_stands(api: Api, shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    told = (await api.get("/v1/plans/p1")).json()
    assert (told["plan"], told["status"], told["cycle"], told["cycle_state"]) == (
        "p1",
        "running",
        1,
        "running",
    )
    assert told["playbook"]["goal"]["target"] == "80"
    assert told["checks"] == []


async def test_a_plan_is_paused_resumed_and_closed(api: Api) -> None:
    await api.post("/v1/plans", written())
    for name, status, version in (("pause", "paused", 2), ("resume", "running", 3), ("close", "closed", 4)):
        answer = await api.post(f"/v1/plans/p1/{name}", REASON)
        assert (answer.status_code, answer.json()["status"], answer.json()["version"]) == (
            200,
            status,
            version,
        )
    assert problem(await api.post("/v1/plans/p1/resume", REASON)) == (409, [("status", "plan_ended")])
    assert problem(await api.post("/v1/plans/p1/close", REASON)) == (409, [("status", "plan_already")])


async def test_a_plan_is_recalled(api: Api) -> None:
    await api.post("/v1/plans", written())
    assert (await api.post("/v1/plans/p1/recall", REASON)).json()["status"] == "recalled"
    again = await api.post("/v1/plans/p1/recall", REASON)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)


async def test_a_command_sent_again_with_its_key_changes_nothing(api: Api, shop: Brand) -> None:
    await api.post("/v1/plans", written())
    first = await api.post("/v1/plans/p1/pause", REASON, key="a")
    await api.post("/v1/plans/p1/resume", REASON, key="b")
    again = await api.post("/v1/plans/p1/pause", REASON, key="a")
    assert first.json()["duplicate"] is False
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert again.headers["idempotent-replayed"] == "true"
    assert await shop.value("SELECT status FROM plan") == "running"


async def test_goal_means_and_people_are_adjusted(api: Api, shop: Brand) -> None:
    await shop.hire("G2")
    await shop.due_on(2, "M1")
    await shop.start()
    goal = await api.post("/v1/plans/p1/goal", REASON | {"target": "85.5"})
    assert goal.json()["change"] == {"target": {"before": "80", "after": "85.5"}}
    means = await api.post("/v1/plans/p1/means", REASON | {"script": "Hi", "lead_days": 7})
    assert means.json()["change"]["lead_days"] == {"before": "5", "after": "7"}
    people = await api.post("/v1/plans/p1/people", REASON | {"leaving": "G1", "replacement": "G2"})
    assert people.status_code == 200
    assert {name: people.json()[name] for name in ("members", "tasks", "unassigned")} == {
        "members": 1, "tasks": 1, "unassigned": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("goal", {"target": 80, **REASON}, (409, [("goal.target", "nothing_to_change")])),
        ("goal", {"target": 101, **REASON}, (422, [("goal.target", "rate_above_100")])),
        ("goal", {"target": "many", **REASON}, (422, [("target", "not_a_number")])),
        ("means", REASON, (409, [("means.0", "nothing_to_change")])),
        ("means", {"lead_days": "7", **REASON}, (422, [("lead_days", "not_a_whole_number")])),
        ("people", {"leaving": "G9", "replacement": "G1", **REASON}, (422, [("leaving", "unknown_guide")])),
        ("pause", {"reason": " "}, (422, [("reason", "reason_missing")])),
        ("pause", {"reason": "\0"}, (422, [("reason", "unstorable_text")])),
        ("pause", {}, (422, [("reason", "missing_field")])),
        ("resume", REASON, (409, [("status", "plan_already")])),
    ],
)
async def test_a_command_that_cannot_be_says_why(
    api: Api, shop: Brand, name: str, body: dict[str, Any], expected: tuple[int, list[tuple[str, str]]]
) -> None:
    await shop.launch(plan())
    before = await shop.everything()
    assert problem(await api.post(f"/v1/plans/p1/{name}", body)) == expected
    assert await shop.everything() == before


@pytest.mark.parametrize(("name", "body"), COMMANDS, ids=[name for name, _ in COMMANDS])
async def test_a_plan_nobody_launched_is_not_found(api: Api, name: str, body: dict[str, Any]) -> None:
    assert problem(await api.post(f"/v1/plans/p9/{name}", body)) == (404, [("plan", "unknown_plan")])
    for path in ("/v1/plans/p9", "/v1/plans/p9/report"):
        assert problem(await api.get(path)) == (404, [("plan", "unknown_plan")])


async def test_a_report_is_there_once_the_cycle_is_checked(api: Api, shop: Brand, tasks: list[UUID]) -> None:
    assert problem(await api.get("/v1/plans/p1/report")) == (404, [("cycle", "not_checked_yet")])
    api.now = at(2, 10)
    assert (await api.check_in(tasks[0])).status_code == 201
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.evening(2, guide)
    step = PlanStep(plan_id="p1", cycle=1, at=at(11, 21, 5), rehearsal=True)
    await shop.review.check_cycle(step)
    told = (await api.get("/v1/plans/p1/report", cycle=1)).json()
    assert told["total"]["completion_rate"] == {"percent": 33.3, "numerator": 1, "denominator": 3}
    assert [row["code"] for row in told["guides"]] == ["G1"]
    assert problem(await api.get("/v1/plans/p1/report", settled=True))[0] == 404
    assert problem(await api.get("/v1/plans/p1/report", cycle=0)) == (422, [("cycle", "too_small")])


async def test_pages_of_plans_hold_each_plan_once_while_others_are_launched(api: Api, shop: Brand) -> None:
    for number in range(7):
        await shop.launch(plan(plan=f"p{number}"))
    seen: list[str] = []
    after = None
    while True:
        query = {"limit": 3} | ({"after": after} if after else {})
        page = (await api.get("/v1/plans", **query)).json()
        seen += [line["plan"] for line in page["items"]]
        after = page["next"]
        if after is None:
            break
        api.now = at(1, 12)
        assert (await api.post("/v1/plans", written(plan=f"new{len(seen)}"))).status_code == 201
    assert seen == [f"p{number}" for number in range(7)]


@pytest.mark.parametrize(
    "after", ["!", "bm90IGpzb24", "W10", json.dumps([1]), "WyIyMDI2IiwiXHUwMDAwIl0", "é", "WzEsMl0="]
)
async def test_what_is_no_cursor_is_refused(api: Api, after: str) -> None:
    assert problem(await api.get("/v1/plans", after=after)) == (422, [("after", "not_a_cursor")])


@pytest.mark.parametrize("limit", [0, 201, -1])
async def test_a_page_has_one_to_two_hundred_items(api: Api, limit: int) -> None:
    status, problems = problem(await api.get("/v1/plans", limit=limit))
    assert (status, problems[0][0]) == (422, "limit")


@pytest.mark.parametrize("days", ["1E-300", "1E+300", "1E-999999", "1E+999999", "0.0001", "99999999"])
async def test_a_use_rate_beyond_all_reason_is_no_fault_of_the_server(
    api: Api, shop: Brand, days: str
) -> None:
    await shop.due_on(2, "M1")
    means = [{"name": "Reminder", "script": "Hello", "days_per_unit": {"TIN": days}}]
    answer = await api.post("/v1/plans/check", written(means=means))
    assert answer.status_code in {200, 422}, answer.text
