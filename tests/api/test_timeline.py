"""History over HTTP, page by page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from domain.identifiers import personal_id
from domain.policy import Role
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.api.test_members import asking
from tests.brand import SECRET, Brand, at


async def every(api: Api, path: str, limit: int) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        query: dict[str, Any] = {"limit": limit} | ({"after": after} if after else {})
        page = (await api.get(path, **query)).json()
        assert len(page["items"]) <= limit
        seen += page["items"]
        after = page["next"]
        if after is None:
            return seen


@pytest.mark.parametrize("limit", [1, 2, 200])
async def test_the_history_of_every_subject_is_paged_in_the_order_it_became_known(
    api: Api, tasks: list[UUID], limit: int
) -> None:
    await api.check_in(tasks[0])
    for subject, name in (
        ("plan", "p1"), ("task", tasks[0]), ("guide", "G1"), ("member", "M1"), ("account", "hq"), ("stream", "plan/p1"),
    ):  # fmt: skip
        events = await every(api, f"/v1/timeline/{subject}/{name}", limit)
        keys = [(event["known_at"], event["stream"], event["version"]) for event in events]
        assert events
        assert keys == sorted(set(keys))
        whole = (await api.get(f"/v1/timeline/{subject}/{name}", limit=200)).json()["items"]
        assert events == whole


async def test_a_page_goes_on_after_the_last_one_whatever_was_written_in_between(
    api: Api, tasks: list[UUID]
) -> None:
    path = "/v1/timeline/guide/G1"
    await api.post("/v1/guides/G1/clock-in")
    first = (await api.get(path, limit=1)).json()
    assert ([event["type"] for event in first["items"]], first["next"] is None) == (["list_published"], False)
    task = f"/v1/timeline/task/{tasks[0]}"
    await api.check_in(tasks[0], outcome="no_answer")
    page = (await api.get(task, limit=1)).json()
    assert [event["type"] for event in page["items"]] == ["task_created"]
    api.now = at(3, 10)
    assert (
        await api.check_in(tasks[0], outcome="interested", occurred_at="2026-03-03T09:59:00+08:00")
    ).status_code == 201
    rest = (await api.get(task, limit=200, after=page["next"])).json()
    assert [event["type"] for event in rest["items"]] == ["checked_in", "checked_in"]
    assert rest["next"] is None
    following = (await api.get(path, limit=200, after=first["next"])).json()
    assert [event["type"] for event in following["items"]] == ["clocked_in"]


async def test_nothing_in_a_history_names_a_person(api: Api, tasks: list[UUID]) -> None:
    for task in tasks:
        await api.check_in(task, note="her name is Wang")
    text = (await api.get("/v1/timeline/member/M1")).text + (await api.get("/v1/timeline/guide/G1")).text
    assert "Wang" not in text
    assert "13800001234" not in text


async def test_guides_and_stores_are_told_by_their_codes_too_and_members_stay_ids(
    api: Api, tasks: list[UUID]
) -> None:
    await api.check_in(tasks[0])
    events = (await api.get("/v1/timeline/member/M1")).json()["items"]
    guide = str(personal_id(SECRET, "guide", "G1"))
    assert {key: code for event in events for key, code in event["codes"].items()} == {guide: "G1"}


async def test_who_sees_a_part_of_a_plan_is_told_why_its_history_is_not_theirs(
    shop: Brand, served: Ledger, tasks: list[UUID]
) -> None:
    manager = await asking(shop, served, "s1", Grant(Role.STORE_MANAGER, "S1"))
    async with manager.http:
        assert (await manager.get("/v1/plans/p1")).status_code == 200
        answer = await manager.get("/v1/timeline/plan/p1")
        assert problem(answer) == (403, [("plan", "plan_history_is_whole")])
        nowhere = problem(await manager.get("/v1/timeline/plan/p9"))
        assert nowhere == (404, [("plan", "nothing_recorded")])


async def test_what_was_never_recorded_is_not_found(api: Api) -> None:
    assert problem(await api.get("/v1/timeline/plan/p9")) == (404, [("plan", "nothing_recorded")])
    assert problem(await api.get("/v1/timeline/shop/p9")) == (422, [("subject", "not_a_choice")])
    assert problem(await api.get("/v1/timeline/stream/a%00b")) == (422, [("name", "unstorable_text")])


async def test_a_cursor_of_another_list_is_refused(api: Api, tasks: list[UUID]) -> None:
    cursor = "WyIyMDI2LTAzLTAyVDEwOjAwOjAwKzAwOjAwIiwicDEiXQ"
    assert (await api.get("/v1/plans", after=cursor)).status_code == 200
    assert problem(await api.get("/v1/timeline/plan/p1", after=cursor)) == (422, [("after", "not_a_cursor")])
