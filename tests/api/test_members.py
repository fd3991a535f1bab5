"""Rights of the member over HTTP: who may what, consents, export, erasure, and a number shown once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from activities.sessions import digest
from domain.policy import Right, Role
from ledger import reveals
from ledger.account_places import Grant
from ledger.asking import standing
from ledger.ledger import Ledger
from tests.api.browsers import Browser, account
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.identities import account_id_of, identity

PHONE = "13800001234"
GIVEN = {"purpose": "contact", "given": True, "source": "phone"}
WITHDRAWN = {"purpose": "contact", "given": False, "source": "phone"}


async def asking(shop: Brand, served: Ledger, login: str, *grants: Grant, guide: UUID | None = None) -> Api:
    return Api(shop, served=served, token=await identity(shop.ledger, login, *grants, guide=guide))


@pytest_asyncio.fixture
async def g1(shop: Brand, served: Ledger, tasks: list[UUID]) -> AsyncIterator[Api]:
    """The guide whose items they are."""
    found = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    made = await asking(shop, served, "g1", Grant(Role.GUIDE), guide=found)
    async with made.http:
        yield made


@pytest_asyncio.fixture
async def manager(shop: Brand, served: Ledger) -> AsyncIterator[Api]:
    """The manager of S1."""
    made = await asking(shop, served, "s1", Grant(Role.STORE_MANAGER, "S1"))
    async with made.http:
        yield made


@pytest_asyncio.fixture
async def elsewhere(shop: Brand, served: Ledger) -> AsyncIterator[Api]:
    """The manager of another store."""
    await shop.open_store("S2")
    made = await asking(shop, served, "s2", Grant(Role.STORE_MANAGER, "S2"))
    async with made.http:
        yield made


# --- a number, shown once ----------------------------------------------------------------------------------


async def test_the_guide_of_an_open_item_sees_its_number_and_that_is_recorded(
    g1: Api, shop: Brand, task: UUID
) -> None:
    answer = await g1.post(f"/v1/tasks/{task}/phone")
    assert (answer.status_code, answer.json()) == (200, {"phone": PHONE})
    assert answer.headers["cache-control"] == "no-store"
    member = await shop.value("SELECT member_id FROM task WHERE task_id = $1", task)
    told = await shop.rows(
        "SELECT stream, actor, payload::text FROM event WHERE type = 'phone_revealed' ORDER BY 1"
    )
    assert [stream for stream, _, _ in told] == [f"account/{account_id_of('g1')}", f"member/{member}"]
    assert {actor for _, actor, _ in told} == {f"account/{account_id_of('g1')}"}
    assert all(str(task) in payload and PHONE not in payload for _, _, payload in told)


async def test_a_number_is_for_open_items_of_todays_list_only(
    g1: Api, shop: Brand, tasks: list[UUID]
) -> None:
    done, waiting, _ = tasks
    assert (await g1.check_in(done)).status_code == 201
    assert problem(await g1.post(f"/v1/tasks/{done}/phone")) == (409, [("task_id", "task_closed")])
    g1.now = at(3, 8)
    assert problem(await g1.post(f"/v1/tasks/{waiting}/phone")) == (409, [("task_id", "not_on_todays_list")])
    g1.now = at(2, 22)
    assert problem(await g1.post(f"/v1/tasks/{waiting}/phone")) == (409, [("task_id", "not_on_todays_list")])
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'phone_revealed'") == 0


async def test_the_number_of_whoever_does_not_want_to_be_called_is_not_shown(
    g1: Api, manager: Api, tasks: list[UUID], shop: Brand
) -> None:
    codes = [(await shop.person(member)).code for member in await _members(shop, tasks)]
    said = {"purpose": "phone", "given": False, "source": "wecom"}
    assert (await manager.post(f"/v1/members/{codes[0]}/consents", said)).status_code == 201
    assert problem(await g1.post(f"/v1/tasks/{tasks[0]}/phone")) == (409, [("task_id", "phone_withdrawn")])
    assert (await manager.post(f"/v1/members/{codes[1]}/consents", WITHDRAWN)).status_code == 201
    assert problem(await g1.post(f"/v1/tasks/{tasks[1]}/phone")) == (409, [("task_id", "member_opted_out")])


async def _members(shop: Brand, tasks: list[UUID]) -> list[UUID]:
    return [await shop.value("SELECT member_id FROM task WHERE task_id = $1", task) for task in tasks]


async def test_anothers_item_and_none_are_the_same(
    elsewhere: Api, shop: Brand, served: Ledger, task: UUID
) -> None:
    nowhere = problem(await elsewhere.post("/v1/tasks/00000000-0000-4000-8000-000000000000/phone"))
    assert (
        nowhere
        == problem(await elsewhere.post(f"/v1/tasks/{task}/phone"))
        == (404, [("task_id", "unknown_task")])
    )
    owner = await asking(shop, served, "owner", Grant(Role.OWNER))
    async with owner.http:
        assert (await owner.post(f"/v1/tasks/{task}/phone")).status_code == 403
    unchecked = replace(owner, enforcing=False)
    async with unchecked.http:
        assert problem(await unchecked.post(f"/v1/tasks/{task}/phone"))[0] == 404, "the database says so, too"


async def test_an_account_sees_so_many_numbers_a_day(
    g1: Api, shop: Brand, tasks: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reveals, "MOST_A_DAY", 2)
    shown = [(await g1.post(f"/v1/tasks/{task}/phone")).status_code for task in tasks]
    assert shown == [200, 200, 409]
    g1.now += timedelta(minutes=1)
    assert problem(await g1.post(f"/v1/tasks/{tasks[0]}/phone")) == (409, [("account", "too_many_reveals")])
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'phone_revealed'") == 4


async def test_a_number_is_nowhere_else(api: Api, tasks: list[UUID]) -> None:
    answers = [
        await api.get("/v1/guides/G1/today"),
        await api.get("/v1/timeline/member/M1"),
        await api.get(f"/v1/timeline/task/{tasks[0]}"),
        await api.get("/v1/timeline/guide/G1"),
        await api.get("/v1/outbox"),
        await api.get("/v1/members/M1/consents"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 6
    assert not any(PHONE in answer.text or "Wang" in answer.text for answer in answers)


# --- consents ----------------------------------------------------------------------------------------------


async def test_a_manager_records_what_members_in_reach_say(
    manager: Api, elsewhere: Api, tasks: list[UUID]
) -> None:
    done = await manager.post("/v1/members/M1/consents", WITHDRAWN, key="a")
    assert (done.status_code, done.json()["items"]) == (201, 1)
    again = await manager.post("/v1/members/M1/consents", WITHDRAWN, key="a")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == done.json()
    told = (await manager.get("/v1/members/M1/consents")).json()["consents"]
    assert [(one["purpose"], one["given"], one["source"]) for one in told] == [("contact", False, "phone")]
    manager.now += timedelta(minutes=1)
    assert (await manager.post("/v1/members/M1/consents", GIVEN)).status_code == 201
    nobody = problem(await elsewhere.post("/v1/members/M9/consents", WITHDRAWN))
    theirs = problem(await elsewhere.post("/v1/members/M1/consents", WITHDRAWN))
    assert nobody == theirs == (404, [("member", "unknown_member")])
    assert problem(await elsewhere.get("/v1/members/M1/consents")) == (404, [("member", "unknown_member")])


async def test_a_manager_records_what_the_member_of_an_item_says_without_a_code(
    manager: Api, elsewhere: Api, shop: Brand, tasks: list[UUID]
) -> None:
    address = f"/v1/tasks/{tasks[0]}/consents"
    nobody = problem(await manager.post(f"/v1/tasks/{UUID(int=7)}/consents", WITHDRAWN))
    theirs = problem(await elsewhere.post(address, WITHDRAWN))
    assert nobody == theirs == (404, [("task_id", "unknown_task")])
    done = await manager.post(address, WITHDRAWN)
    assert (done.status_code, done.json()["items"]) == (201, 1)
    before = await shop.everything()
    again = await manager.post(address, WITHDRAWN)
    assert (again.status_code, again.json()["consents"]) == (200, done.json()["consents"])
    assert await shop.everything() == before, "the member had said just that"


@pytest.mark.parametrize("other", [Grant(Role.AUDITOR), Grant(Role.OWNER), Grant(Role.SUPERVISOR, "East")])
async def test_who_sees_more_than_they_manage_records_what_members_of_their_own_store_say_only(
    shop: Brand, served: Ledger, tasks: list[UUID], other: Grant
) -> None:
    await shop.open_store("S2")
    await shop.execute("UPDATE store SET region = 'East'")
    (member,) = await shop.join("M9", store="S2")
    both = await asking(shop, served, "both", other, Grant(Role.STORE_MANAGER, "S1"))
    async with both.http:
        refused = problem(await both.post("/v1/members/M9/consents", WITHDRAWN))
        assert refused == (404, [("member", "unknown_member")])
        assert (await both.post("/v1/members/M1/consents", WITHDRAWN)).status_code == 201
    async with standing(served, digest(both.token), at(2, 10)) as stood:
        assert stood is not None
        async with stood.bound().connection() as connection:
            ask = "SELECT sees_member($1), acts_on_stream('member/' || $1::text)"
            assert tuple(await connection.fetchrow(ask, member)) == (other.role is Role.SUPERVISOR, False)
    assert await shop.rows("SELECT member_id FROM consent") == [
        (await shop.value("SELECT member_id_of('M1')"),)
    ]


@pytest.mark.parametrize(
    ("again", "status"),
    [
        (GIVEN, 201),
        ({**GIVEN, "given": False}, 422),
        ({**GIVEN, "source": "form"}, 422),
        ({**GIVEN, "purpose": "phone"}, 422),
        ({**GIVEN, "occurred_at": at(1).isoformat()}, 422),
    ],
)
async def test_a_key_used_for_another_consent_is_refused_and_swallows_none(
    manager: Api, shop: Brand, tasks: list[UUID], again: dict[str, str], status: int
) -> None:
    assert (await manager.post("/v1/members/M1/consents", GIVEN, key="k")).status_code == 201
    manager.now += timedelta(minutes=1)
    answer = await manager.post("/v1/members/M1/consents", again, key="k")
    if status == 201:
        assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
    else:
        assert problem(answer) == (422, [("Idempotency-Key", "key_used_otherwise")])
    assert await shop.rows("SELECT purpose, given, source FROM consent") == [("contact", True, "phone")]


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"purpose": "marketing"}, "purpose", "not_a_choice"),
        ({"source": "import"}, "source", "not_a_choice"),
        ({"source": "manager"}, "reason", "reason_of_manager_missing"),
        ({"occurred_at": "2026-03-03T10:00:00+08:00"}, "occurred_at", "occurred_in_future"),
        ({"phone": "1"}, "phone", "unknown_field"),
    ],
)
async def test_what_cannot_be_said_is_refused(
    api: Api, shop: Brand, changes: dict[str, str], field: str, code: str
) -> None:
    await shop.join("M1")
    assert problem(await api.post("/v1/members/M1/consents", GIVEN | changes)) == (422, [(field, code)])
    assert await shop.value("SELECT count(*) FROM consent") == 0


# --- export and erasure ------------------------------------------------------------------------------------


async def test_hq_hands_a_member_everything_and_each_time_is_an_event(
    api: Api, shop: Brand, task: UUID
) -> None:
    assert (await api.check_in(task, note="喜欢")).status_code == 201
    code = (await shop.person((await _members(shop, [task]))[0])).code
    answer = await api.post(f"/v1/members/{code}/export")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json()["member"]["phone"] == PHONE
    assert answer.json()["check_ins"][0]["note"] == "喜欢"
    api.now += timedelta(minutes=1)
    worded = (await api.post(f"/v1/members/{code}/export", headings="zh")).json()
    assert (worded["会员"]["手机号"], worded["签到"][0]["备注"]) == (PHONE, "喜欢")
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'member_exported'") == 2


async def test_hq_erases_a_member_and_nobody_finds_them_again(
    api: Api, g1: Api, shop: Brand, task: UUID
) -> None:
    member = (await _members(shop, [task]))[0]
    code = (await shop.person(member)).code
    assert (await api.check_in(task, note="喜欢", next_on="2026-03-03", key="k")).status_code == 201
    done = await api.post(f"/v1/members/{code}/erase", {"reason": "asked"})
    assert (done.status_code, done.json()["member_id"], done.json()["items"]) == (200, str(member), 1)
    assert (await api.post(f"/v1/members/{code}/erase", {"reason": "asked"})).json()["items"] == 0
    assert problem(await api.post(f"/v1/members/{code}/export")) == (404, [("member", "unknown_member")])
    assert problem(await g1.post(f"/v1/tasks/{task}/phone")) == (409, [("task_id", "member_opted_out")])
    # The same check-in sent again is answered as before, without the note it had.
    again = await api.check_in(task, note="喜欢", next_on="2026-03-03", key="k")
    assert (again.status_code, "喜欢" in again.text) == (200, False)
    assert "＊＊" in str([item["member"] for item in (await g1.get("/v1/guides/G1/today")).json()["items"]])


@pytest.mark.parametrize("role", [Role.OWNER, Role.AUDITOR, Role.SUPERVISOR, Role.STORE_MANAGER, Role.GUIDE])
async def test_nobody_but_hq_exports_or_erases_whatever_the_api_checks(
    shop: Brand, served: Ledger, tasks: list[UUID], role: Role
) -> None:
    place = {Role.STORE_MANAGER: "S1", Role.SUPERVISOR: "East"}.get(role, "")
    await shop.execute("UPDATE store SET region = 'East'")
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    who = await asking(
        shop, served, role.value, Grant(role, place), guide=guide if role is Role.GUIDE else None
    )
    for api, status in ((who, 403), (replace(who, enforcing=False), 404)):
        async with api.http:
            assert (await api.post("/v1/members/M1/export")).status_code == status
            assert (await api.post("/v1/members/M1/erase", {"reason": "x"})).status_code == status
    assert (await shop.person(await shop.value("SELECT member_id_of('M1')"))).code == "M1"


async def test_a_token_that_only_exports_can_export(shop: Brand, served: Ledger, tasks: list[UUID]) -> None:
    token = await identity(shop.ledger, "machine", Grant(Role.HQ), rights=(Right.EXPORT_MEMBER,))
    machine = Api(shop, served=served, token=token)
    async with machine.http:
        assert (await machine.post("/v1/members/M1/export")).status_code == 200
        assert (await machine.post("/v1/members/M1/erase", {"reason": "x"})).status_code == 403


async def test_no_page_elsewhere_makes_a_browser_export_anybody(api: Api, shop: Brand, task: UUID) -> None:
    await account(api, "boss", Grant(Role.HQ))
    browser = Browser(api)
    await browser.sign_in("boss")
    browser.csrf = ""
    assert (await browser.get("/v1/members/M1/export")).status_code == 405
    assert problem(await browser.post("/v1/members/M1/export")) == (403, [("X-CSRF-Token", "csrf_mismatch")])
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'member_exported'") == 0
