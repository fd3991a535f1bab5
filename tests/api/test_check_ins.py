"""Check-ins over HTTP."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.api.conftest import Api, problem
from tests.brand import Brand, at


async def test_a_check_in_is_taken_once_and_says_where_it_leaves_the_item(
    api: Api, shop: Brand, task: UUID
) -> None:
    await shop.category("奶粉")
    taken = await api.check_in(task, grade="A", products=["奶粉"], note="likes it")
    assert taken.status_code == 201
    assert taken.json() == {"task_id": str(task), "version": 2, "state": "done", "due_on": "2026-03-02"}
    assert "idempotent-replayed" not in taken.headers


async def test_the_same_key_again_answers_as_the_first_time(api: Api, shop: Brand, task: UUID) -> None:
    first = await api.check_in(task, key="a", outcome="no_answer", note="rang twice")
    api.now = at(2, 11)
    again = await api.check_in(task, key="a", outcome="no_answer", note="rang twice")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert await shop.value("SELECT count(*) FROM check_in") == 1


async def test_the_same_key_sent_many_times_at_once_counts_once(api: Api, shop: Brand, task: UUID) -> None:
    answers = await asyncio.gather(*(api.check_in(task, key="a", note="n") for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.text for answer in answers}) == 1
    assert await shop.value("SELECT count(*) FROM check_in") == 1
    assert await shop.value("SELECT count(*) FROM member_note") == 1


@pytest.mark.parametrize(
    "other",
    [
        {"outcome": "refused"},
        {"grade": "B"},
        {"channel": "wecom"},
        {"products": ["TIN"]},
        {"next_on": "2026-03-05"},
        {"note": "another"},
        {"note": None},
        {"occurred_at": "2026-03-02T09:50:00+08:00"},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_the_same_key_with_another_content_is_refused(
    api: Api, shop: Brand, task: UUID, other: dict[str, object]
) -> None:
    assert (await api.check_in(task, key="a", grade="A", note="one")).status_code == 201
    before = await shop.everything()
    refused = await api.check_in(task, key="a", **({"grade": "A", "note": "one"} | other))
    assert problem(refused) == (422, [("Idempotency-Key", "key_used_otherwise")])
    assert await shop.everything() == before


async def test_the_same_key_on_another_item_is_refused(api: Api, tasks: list[UUID]) -> None:
    assert (await api.check_in(tasks[0], key="a")).status_code == 201
    assert problem(await api.check_in(tasks[1], key="a")) == (
        422,
        [("Idempotency-Key", "key_used_otherwise")],
    )


async def test_the_same_instant_in_another_offset_is_the_same_content(api: Api, task: UUID) -> None:
    first = await api.check_in(task, key="a", occurred_at="2026-03-02T09:50:00+08:00")
    again = await api.check_in(task, key="a", occurred_at="2026-03-02T01:50:00Z")
    assert (first.status_code, again.status_code) == (201, 200)


async def test_a_note_is_kept_beside_the_ledger_under_a_salt_of_its_own(
    api: Api, shop: Brand, tasks: list[UUID]
) -> None:
    for task in tasks[:2]:
        await api.check_in(task, note="喜欢")
    kept = await shop.notes()
    assert [note for note, _ in kept] == ["喜欢", "喜欢"]
    assert [len(salt or b"") for salt in {salt for _, salt in kept}] == [16, 16]
    assert await shop.value("SELECT count(*) FROM event WHERE payload::text LIKE '%喜欢%'") == 0


async def test_a_missing_key_is_named(api: Api, task: UUID) -> None:
    body = {"performed_by": "G1", "channel": "phone", "outcome": "interested"}
    answer = await api.post(f"/v1/tasks/{task}/check-ins", body)
    assert problem(answer) == (400, [("Idempotency-Key", "key_missing")])


@pytest.mark.parametrize("key", ["two words", "x" * 129, ""])
async def test_a_key_that_cannot_be_one_is_refused(api: Api, task: UUID, key: str) -> None:
    body = {"performed_by": "G1", "channel": "phone", "outcome": "interested"}
    answer = await api.post(f"/v1/tasks/{task}/check-ins", body, key=key)
    assert problem(answer) == (400, [("Idempotency-Key", "not_a_key")])


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_said_to_be_json_is_told_the_header(
    api: Api, task: UUID, kind: str | None
) -> None:
    headers = {"Idempotency-Key": "a"} | ({} if kind is None else {"Content-Type": kind})
    answer = await api.http.post(
        f"/v1/tasks/{task}/check-ins", content=b'{"outcome": "came"}', headers=headers
    )
    assert problem(answer) == (415, [("Content-Type", "not_sent_as_json")])
    (told,) = answer.json()["problems"]
    assert told["value"] == (kind or "")
    assert "Content-Type: application/json" in told["remedy"]


async def test_a_value_is_given_back_as_json_has_it(api: Api, task: UUID) -> None:
    answer = await api.check_in(task, outcome={"a": True})
    assert answer.json()["problems"][0]["value"] == '{"a": true}'


async def test_an_unknown_item_is_not_found(api: Api) -> None:
    assert problem(await api.check_in(uuid4())) == (404, [("task_id", "unknown_task")])


async def test_an_unknown_guide_is_refused_until_there_is_one(api: Api, shop: Brand, task: UUID) -> None:
    assert problem(await api.check_in(task, performed_by="G2")) == (422, [("performed_by", "unknown_guide")])
    await shop.hire("G2")
    other = await api.check_in(task, performed_by="G2")
    assert problem(other) == (422, [("performed_by", "not_your_task")])
    assert other.json()["problems"][0]["value"] == "G2"


async def test_an_item_that_is_done_is_a_conflict_with_a_remedy(api: Api, task: UUID) -> None:
    await api.check_in(task)
    assert problem(await api.check_in(task)) == (409, [("task_id", "task_closed")])


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"outcome": "sold"}, "outcome", "not_a_choice"),
        ({"channel": 1}, "channel", "not_a_choice"),
        ({"next_on": 20260305}, "next_on", "not_a_date"),
        ({"occurred_at": "2026-03-02T10:00:00"}, "occurred_at", "not_an_instant"),
        ({"occurred_at": "0001-01-01T00:00:00Z"}, "occurred_at", "too_small"),
        ({"occurred_at": 1772416800}, "occurred_at", "not_an_instant"),
        ({"note": "a\0b"}, "note", "unstorable_text"),
        ({"note": "x" * 2001}, "note", "text_too_long"),
        ({"products": ["\0"]}, "products.0", "unstorable_text"),
        ({"colour": "red"}, "colour", "unknown_field"),
        ({"grade": "A", "outcome": "no_answer"}, "grade", "grade_without_contact"),
        ({"occurred_at": "2026-03-02T10:00:01+08:00"}, "occurred_at", "occurred_in_future"),
    ],
)
async def test_a_bad_field_is_named_and_nothing_is_written(
    api: Api, shop: Brand, task: UUID, change: dict[str, object], field: str, code: str
) -> None:
    before = await shop.everything()
    assert problem(await api.check_in(task, **change)) == (422, [(field, code)])
    assert await shop.everything() == before


async def test_half_a_character_is_refused(api: Api, task: UUID) -> None:
    answer = await api.http.post(
        f"/v1/tasks/{task}/check-ins",
        content=rb'{"performed_by": "G1", "channel": "phone", "outcome": "interested", "note": "\ud800"}',
        headers={"content-type": "application/json", "idempotency-key": "a"},
    )
    assert problem(answer) == (422, [("note", "unstorable_text")])


async def test_an_id_that_is_none_is_refused(api: Api) -> None:
    assert problem(await api.check_in("7")) == (422, [("task_id", "not_a_uuid")])


@pytest.mark.parametrize(
    "told",
    [
        "欧阳无忌 13987654321",
        "OuyangWuji",
        "13987654321",
        "139-8765-4321",
        "+8613987654321",
        "110101199003071234",
    ],
)
async def test_what_names_a_person_is_no_product_and_stays_out_of_the_ledger(
    api: Api, shop: Brand, task: UUID, told: str
) -> None:
    before = await shop.everything()
    refused = await api.check_in(task, products=["TIN", "A-1001", "6901234567892", told])
    assert problem(refused) == (422, [("products", "not_a_product")])
    assert refused.json()["problems"][0]["value"] == told
    assert await shop.everything() == before
    assert (await api.check_in(task, products=["TIN", "A-1001", "6901234567892"])).status_code == 201
