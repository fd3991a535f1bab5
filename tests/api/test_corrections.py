"""Corrections, voids and what is entered long after, over HTTP: who may, what is answered, and the list of it all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from domain.policy import Right, Role
from ledger.accounts import Grant
from ledger.exceptions import first_day
from ledger.ledger import Ledger
from ledger.tasks import Moving, change_tasks
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.identities import identity

WHO = {
    "guide": (Grant(Role.GUIDE, ""), "G1"),
    "other_guide": (Grant(Role.GUIDE, ""), "G2"),
    "manager": (Grant(Role.STORE_MANAGER, "S1"), None),
    "supervisor": (Grant(Role.SUPERVISOR, "north"), None),
    "other_supervisor": (Grant(Role.SUPERVISOR, "south"), None),
    "owner": (Grant(Role.OWNER, ""), None),
    "hq": (Grant(Role.HQ, ""), None),
}
CORRECT = {"channel": "phone", "outcome": "came", "grade": "A"}


@pytest_asyncio.fixture
async def asked(shop: Brand, served: Ledger, tasks: list[UUID]) -> AsyncIterator[dict[str, Api]]:
    """The application as each of them asks it; G1 stands in a store of the north, G2 in one of the south."""
    await shop.open_store("S2")
    await shop.execute("UPDATE store SET region = CASE code WHEN 'S1' THEN 'north' ELSE 'south' END")
    await shop.hire("G2", "S2")
    made: dict[str, Api] = {}
    for name, (grant, guide) in WHO.items():
        its = None if guide is None else await shop.value("SELECT guide_id FROM guide WHERE code = $1", guide)
        token = await identity(shop.ledger, f"who-{name}", grant, guide=its)
        made[name] = Api(shop, served=served, token=token)
    yield made
    for one in made.values():
        await one.http.aclose()


async def correct(
    api: Api, task: UUID, version: int = 2, *, key: str | None = None, reason: str = "", **report: Any
) -> Any:
    api.keys += 1
    told = None if report.get("void") else CORRECT | report
    return await api.post(
        f"/v1/tasks/{task}/check-ins/{version}/corrections",
        {"report": told, "reason": reason},
        key=key or f"c{api.keys}",
    )


async def closed(shop: Brand, asked: dict[str, Api]) -> None:
    await shop.evening(2, await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'"))
    for one in asked.values():
        one.now = at(3, 9)


@pytest.mark.parametrize("who", ["guide", "manager"])
async def test_in_an_open_day_the_guide_or_her_manager_corrects_without_a_reason(
    asked: dict[str, Api], shop: Brand, task: UUID, who: str
) -> None:
    assert (await asked["guide"].check_in(task, outcome="no_answer", note="rang")).status_code == 201
    done = await correct(asked[who], task)
    assert (done.status_code, done.json()) == (
        201, {"task_id": str(task), "version": 3, "state": "done", "due_on": "2026-03-02"},
    )  # fmt: skip
    assert await shop.rows("SELECT outcome, grade, corrects FROM check_in") == [("came", "A", 2)]
    assert [note for note, _ in await shop.notes()] == ["rang"], "a note that is not sent stays"


@pytest.mark.parametrize("who", WHO)
async def test_a_closed_day_is_corrected_by_a_supervisor_of_the_region_or_hq_with_a_reason(
    asked: dict[str, Api], shop: Brand, task: UUID, who: str
) -> None:
    await asked["guide"].check_in(task, outcome="no_answer")
    await closed(shop, asked)
    before = await shop.everything()
    answers = {
        "guide": (409, [("version", "closed_day_is_the_supervisors")]),
        "manager": (409, [("version", "closed_day_is_the_supervisors")]),
        "other_guide": (404, [("version", "unknown_check_in")]),
        "other_supervisor": (404, [("version", "unknown_check_in")]),
        "owner": (403, [("account", "not_allowed")]),
    }
    if who in answers:
        assert problem(await correct(asked[who], task, reason="why")) == answers[who]
        assert {name: rows for name, rows in (await shop.everything()).items() if name not in _NOTED} == {
            name: rows for name, rows in before.items() if name not in _NOTED
        }
        return
    assert problem(await correct(asked[who], task)) == (422, [("reason", "correction_needs_reason")])
    assert (await correct(asked[who], task, reason="she told me")).status_code == 201
    assert await shop.rows("SELECT done, reached, corrected, figures_version FROM guide_day") == [
        (1, 1, 1, 2)
    ]


_NOTED = frozenset({"event", "command", "stream_head"})
"""A refusal for want of a right is noted."""


async def test_a_supervisor_needs_a_reason_in_an_open_day_too(asked: dict[str, Api], task: UUID) -> None:
    await asked["guide"].check_in(task, outcome="no_answer")
    assert problem(await correct(asked["supervisor"], task)) == (422, [("reason", "correction_needs_reason")])
    assert (await correct(asked["supervisor"], task, reason="r")).status_code == 201


async def test_a_void_needs_a_reason_and_opens_the_item_again(
    asked: dict[str, Api], shop: Brand, task: UUID
) -> None:
    await asked["guide"].check_in(task)
    assert problem(await correct(asked["guide"], task, void=True)) == (
        422,
        [("reason", "correction_needs_reason")],
    )
    done = await correct(asked["guide"], task, void=True, reason="another member")
    assert (done.status_code, done.json()["state"]) == (201, "open")
    assert await shop.value("SELECT count(*) FROM check_in") == 0
    assert (await asked["guide"].check_in(task)).status_code == 201


async def test_the_same_correction_again_is_answered_as_the_first_time(
    asked: dict[str, Api], shop: Brand, task: UUID
) -> None:
    api = asked["guide"]
    await api.check_in(task, outcome="no_answer")
    answers = await asyncio.gather(*(correct(api, task, key="a", note="n") for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200] * 3 + [201]
    assert len({one.text for one in answers}) == 1
    assert await shop.value("SELECT count(*) FROM check_in_superseded") == 1
    for other in ({"outcome": "bought"}, {"note": "m"}, {"void": True}):
        refused = await correct(api, task, key="a", **({"note": "n"} | other))
        assert problem(refused) == (422, [("Idempotency-Key", "key_used_otherwise")])


async def test_what_takes_the_place_may_be_anothers_work_only_where_one_acts_for_both(
    asked: dict[str, Api], shop: Brand, task: UUID
) -> None:
    await asked["guide"].check_in(task, outcome="no_answer")
    to_another = await correct(asked["guide"], task, performed_by="G2")
    assert problem(to_another) == (422, [("performed_by", "unknown_guide")])
    of_hq = await correct(asked["hq"], task, performed_by="G2", reason="r")
    assert problem(of_hq) == (422, [("performed_by", "not_your_task")])
    assert of_hq.json()["problems"][0]["value"] == "G2"


@pytest.mark.parametrize("who", WHO)
async def test_after_the_grace_a_supervisor_of_the_region_or_hq_enters_it(
    asked: dict[str, Api], shop: Brand, task: UUID, who: str
) -> None:
    await closed(shop, asked)
    api = asked[who]
    api.now = at(9, 9)
    body = CORRECT | {
        "performed_by": "G1",
        "occurred_at": "2026-03-02T18:00:00+08:00",
        "reason": "phone lost",
    }
    answer = await api.post(f"/v1/tasks/{task}/belated-check-ins", body, key="b")
    if who not in {"supervisor", "hq"}:
        expected = (
            (422, [("performed_by", "unknown_guide")])
            if who == "other_supervisor"
            else (403, [("account", "not_allowed")])
        )
        assert problem(answer) == expected
        assert await shop.value("SELECT count(*) FROM check_in") == 0
        return
    assert (answer.status_code, answer.json()["state"]) == (201, "done")
    again = await api.post(f"/v1/tasks/{task}/belated-check-ins", body, key="b")
    assert (again.status_code, again.json()) == (200, answer.json())
    assert await shop.rows("SELECT done, late, figures_version FROM guide_day") == [(1, 1, 2)]


async def test_a_guide_who_had_the_item_reports_what_she_did_before_it_went_to_another(
    asked: dict[str, Api], shop: Brand, task: UUID
) -> None:
    first, second = [
        await shop.value("SELECT guide_id FROM guide WHERE code = $1", code) for code in ("G1", "G2")
    ]
    async with shop.ledger.transaction() as connection:
        await change_tasks(
            connection, 1, shop.command(when=at(2, 11)), moving=[Moving(task, 0, first, second)]
        )
    for one in asked.values():
        one.now = at(2, 15)
    api = asked["guide"]
    told = {"key": "k", "occurred_at": "2026-03-02T10:00:00+08:00", "note": "n"}
    done = await api.check_in(task, **told)
    assert (done.status_code, done.json()["state"]) == (201, "done")
    again = await api.check_in(task, **told)
    assert (again.status_code, again.json()) == (200, done.json())
    late = await api.check_in(task, occurred_at="2026-03-02T12:00:00+08:00")
    assert problem(late) == (422, [("performed_by", "not_your_task")])
    stranger = await asked["other_guide"].check_in(task, performed_by="G1")
    assert problem(stranger) == (422, [("performed_by", "unknown_guide")])
    listed = (await asked["supervisor"].get("/v1/check-ins/exceptions")).json()["items"]
    assert [(one["guide"], one["conflict"], one["task_id"]) for one in listed] == [
        ("G1", "reassigned", str(task))
    ]
    assert (await asked["other_supervisor"].get("/v1/check-ins/exceptions")).json()["items"] == []


async def test_the_list_tells_what_is_late_corrected_voided_or_from_a_wrong_clock(
    asked: dict[str, Api], shop: Brand, tasks: list[UUID]
) -> None:
    guide, supervisor = asked["guide"], asked["supervisor"]
    await guide.check_in(tasks[0], outcome="no_answer")
    guide.now = at(2, 12)
    device = {"occurred_at": "2026-03-02T12:45:00+08:00", "device_at": "2026-03-02T13:00:00+08:00"}
    assert (await guide.check_in(tasks[1], **device)).status_code == 201
    await closed(shop, asked)
    await guide.check_in(tasks[2], occurred_at="2026-03-02T18:00:00+08:00")
    await correct(supervisor, tasks[0], reason="the other way round")
    supervisor.now = at(3, 10)
    await correct(supervisor, tasks[2], void=True, reason="not hers")
    found = (await supervisor.get("/v1/check-ins/exceptions")).json()["items"]
    assert [
        (
            one["task_id"],
            one["late"],
            one["corrects"],
            one["outcome_before"],
            one["voided"],
            one["skew_s"],
            one["reason"],
        )
        for one in found
    ] == [
        (str(tasks[2]), True, None, None, True, 0, "not hers"),
        (str(tasks[0]), False, 2, "no_answer", False, 0, "the other way round"),
        (str(tasks[1]), False, None, None, False, 3600, None),
    ]
    assert found[2]["occurred_at"] == "2026-03-02T03:45:00Z"
    for query, expected in (
        ({"kind": "skewed"}, [tasks[1]]), ({"kind": "voided"}, [tasks[2]]), ({"kind": "corrected"}, [tasks[0]]),
        ({"store": "S1", "from": "2026-03-02", "to": "2026-03-02"}, [tasks[2], tasks[0], tasks[1]]),
        ({"store": "S2"}, []), ({"from": "2026-03-03"}, []), ({"guide": "G1", "kind": "conflict"}, []),
    ):  # fmt: skip
        answer = await supervisor.get("/v1/check-ins/exceptions", **query)
        assert [one["task_id"] for one in answer.json()["items"]] == [str(task) for task in expected], query
    for last, count in (("2026-04-01", 3), ("2026-04-02", 0)):
        answer = await supervisor.get("/v1/check-ins/exceptions", to=last)
        assert len(answer.json()["items"]) == count, last
    assert first_day(None, None, date(2026, 4, 1)) == date(2026, 3, 2)
    assert first_day(None, date.min, date(2026, 4, 1)) == date.min
    pages, after = [], None
    while True:
        page = (
            await supervisor.get("/v1/check-ins/exceptions", limit=1, **({"after": after} if after else {}))
        ).json()
        pages += page["items"]
        after = page["next"]
        if after is None:
            break
    assert pages == found


@pytest.mark.parametrize(
    ("device_at", "occurred_at", "expected", "skew_s"),
    [
        ("2026-03-02T10:01:00+08:00", "2026-03-02T09:50:00+08:00", at(2, 9, 50), 0),
        ("2026-03-02T09:30:00+08:00", "2026-03-02T09:20:00+08:00", at(2, 9, 50), -1800),
        # Before the list was published nobody had it.
        ("2026-03-02T11:00:00+08:00", "2026-03-02T09:30:00+08:00", at(2, 9), 3600),
        (None, "2026-03-02T09:30:00+08:00", at(2, 9, 30), 0),
        ("2026-03-02T11:00:00+08:00", None, at(2, 10), 0),
    ],
)
async def test_a_wrong_clock_is_put_right_between_the_publishing_of_the_list_and_now(
    api: Api,
    shop: Brand,
    task: UUID,
    device_at: str | None,
    occurred_at: str | None,
    expected: Any,
    skew_s: int,
) -> None:
    assert (
        await api.check_in(task, key="a", device_at=device_at, occurred_at=occurred_at)
    ).status_code == 201
    assert await shop.rows("SELECT occurred_at, skew_s FROM check_in") == [(expected, skew_s)]
    api.now += timedelta(minutes=20)
    later = None if device_at is None else "2026-03-02T10:20:00+08:00"
    again = await api.check_in(task, key="a", device_at=later, occurred_at=occurred_at)
    assert again.status_code == 200, "the phone's clock is of the sending, not of what is sent"


async def test_a_token_without_the_right_corrects_nothing(
    asked: dict[str, Api], shop: Brand, served: Ledger, task: UUID
) -> None:
    await asked["guide"].check_in(task, outcome="no_answer")
    guide = await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    token = await identity(shop.ledger, "till", Grant(Role.GUIDE, ""), guide=guide, rights=(Right.CHECK_IN,))
    api = Api(shop, served=served, token=token)
    async with api.http:
        assert (await correct(api, task)).status_code == 403


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "report", "missing_field"),
        ({"report": {"channel": "phone"}}, "report.outcome", "missing_field"),
        ({"report": CORRECT | {"outcome": "sold"}}, "report.outcome", "not_a_choice"),
        ({"report": CORRECT, "reason": "x" * 501}, "reason", "text_too_long"),
        ({"report": CORRECT | {"outcome": "no_answer"}}, "grade", "grade_without_contact"),
    ],
)
async def test_a_bad_field_of_a_correction_is_named_and_nothing_is_written(
    api: Api, shop: Brand, task: UUID, body: dict[str, Any], field: str, code: str
) -> None:
    await api.check_in(task)
    before = await shop.everything()
    answer = await api.post(f"/v1/tasks/{task}/check-ins/2/corrections", body, key="x")
    assert problem(answer) == (422, [(field, code)])
    assert await shop.everything() == before


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        ("supervisor", (404, [("version", "unknown_check_in")])),
        ("hq", (409, [("version", "closed_day_is_the_supervisors")])),
    ],
)
async def test_a_token_changes_no_closed_day_unless_it_holds_that_right(
    asked: dict[str, Api], shop: Brand, task: UUID, served: Ledger, who: str, answer: Any
) -> None:
    assert (await asked["guide"].check_in(task)).status_code == 201
    await closed(shop, asked)
    lesser = (Right.READ_LIST, Right.READ_HISTORY, Right.CORRECT_CHECK_IN)
    token = await identity(shop.ledger, f"lesser-{who}", WHO[who][0], rights=lesser)
    api = Api(shop, served=served, token=token, now=at(3, 9))
    async with api.http:
        refused = await correct(api, task, reason="mixed up")
    assert problem(refused) == answer
    assert (await correct(asked[who], task, reason="mixed up")).status_code == 201
