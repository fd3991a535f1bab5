"""Signing in with a password: what is let in, what is turned away, what cookies and events it leaves."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from http.cookies import SimpleCookie
from uuid import UUID, uuid4

import httpx
import pytest
from argon2 import PasswordHasher

from activities.passwords import HASHER
from domain.policy import POLICY, Role
from ledger.account_places import Grant
from ledger.accounts import end_grant, set_active
from ledger.sign_in import FAILURES_TO_LOCK, MOST_IN_WINDOW
from tests.api.browsers import PASSWORD, Browser, account, events_of
from tests.api.conftest import Api, problem
from tests.brand import Brand

WRONG = (401, [("login", "wrong_login")])
HQ = Grant(Role.HQ)
MANAGER = Grant(Role.STORE_MANAGER, "S1")


def cookies_set(answer: httpx.Response) -> dict[str, SimpleCookie]:
    told = [SimpleCookie(line) for line in answer.headers.get_list("set-cookie")]
    return {name: cookie for cookie in told for name in cookie}


async def test_signing_in_answers_who_one_is_and_opens_what_the_roles_allow(api: Api, shop: Brand) -> None:
    me = await account(api, "manager", MANAGER)
    browser = Browser(api)
    answer = await browser.sign_in(" Manager ")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["account"] == str(me)
    assert told["name"] == "name of manager"
    assert told["roles"] == [{"role": "store_manager", "place": "S1"}]
    assert set(told["rights"]) == {right.value for right in POLICY[Role.STORE_MANAGER]}
    assert told["must_change"] is False
    assert (await browser.get("/v1/devices")).status_code == 200
    mine = (await browser.get("/v1/me")).json()
    assert (mine["account"], mine["login"], mine["by_token"]) == (str(me), "manager", False)
    assert mine["roles"] == told["roles"]
    assert "csrf" not in mine
    assert problem(await browser.post("/v1/outbox/stop", {"reason": "x"}))[0] == 403


async def test_the_session_is_in_a_cookie_no_script_sees_and_the_csrf_token_in_one_it_may(
    api: Api, shop: Brand
) -> None:
    await account(api, "hq2", HQ)
    answer = await Browser(api).sign_in("hq2")
    session, csrf = (
        cookies_set(answer)[name][name] for name in ("__Host-daogou_session", "__Host-daogou_csrf")
    )
    assert session["httponly"]
    assert not csrf["httponly"]
    assert csrf.value == answer.json()["csrf"]
    assert session.value not in answer.text
    for cookie in (session, csrf):
        assert (cookie["samesite"], cookie["path"], cookie["secure"]) == ("lax", "/", True)
        assert int(cookie["max-age"]) == 12 * 3600
    assert answer.headers["cache-control"] == "no-store"


async def test_without_https_on_this_machine_the_cookies_are_not_secure(api: Api, shop: Brand) -> None:
    await account(api, "hq2", HQ)
    answer = await Browser(api, "127.0.0.1", url="http://127.0.0.1").sign_in("hq2")
    assert {cookie[name]["secure"] for name, cookie in cookies_set(answer).items()} == {""}


async def test_a_session_changes_nothing_without_its_csrf_token_and_a_token_needs_none(
    api: Api, shop: Brand
) -> None:
    await account(api, "hq2", HQ)
    mine, other = Browser(api), Browser(api)
    await mine.sign_in("hq2")
    await other.sign_in("hq2")
    own = mine.csrf
    for wrong in ("", "dgc_wrong", other.csrf):
        mine.csrf = wrong
        answer = await mine.post("/v1/outbox/stop", {"reason": "x"})
        assert problem(answer) == (403, [("X-CSRF-Token", "csrf_mismatch")])
        assert (await mine.get("/v1/me")).status_code == 200
    mine.csrf = own
    assert (await mine.post("/v1/outbox/stop", {"reason": "x"})).status_code == 200
    assert (await api.post("/v1/outbox/start", {"reason": "x"})).status_code == 200


async def test_wrong_password_unknown_shut_and_locked_get_one_answer(api: Api, shop: Brand) -> None:
    there = await account(api, "there", MANAGER)
    shut = await account(api, "shut", MANAGER)
    none = await account(api, "none", MANAGER, password=None)
    async with shop.ledger.transaction() as connection:
        await set_active(connection, 1, shop.command(), shut, active=False, reason="left")
    await shop.execute(
        "UPDATE account SET locked_until = $1 WHERE account_id = $2", api.now + timedelta(minutes=5), there
    )
    answers = [
        await Browser(api).sign_in("there"),
        await Browser(api).sign_in("there", "wrong"),
        await Browser(api).sign_in("shut"),
        await Browser(api).sign_in("none"),
        await Browser(api).sign_in("nobody"),
    ]
    assert {problem(answer)[0] for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert len({str(sorted(set(answer.headers) - {"date"})) for answer in answers}) == 1
    assert all("set-cookie" not in answer.headers for answer in answers)
    assert (await events_of(api, f"account/{there}"))[-1] == (
        "sign_in_refused",
        {"way": "password", "why": "locked"},
    )
    assert (await events_of(api, f"account/{shut}"))[-1][1]["why"] == "shut"
    assert (await events_of(api, f"account/{none}"))[-1][1]["why"] == "none"


async def test_a_refusal_takes_as_long_whether_the_login_exists_or_not(api: Api, shop: Brand) -> None:
    await account(api, "there", MANAGER)
    loop, took = asyncio.get_running_loop(), []
    for login in ("there", "nobody", "there", "nobody"):
        began = loop.time()
        assert problem(await Browser(api).sign_in(login, "wrong")) == WRONG
        took.append(loop.time() - began)
    assert min(took) >= 0.25


async def test_an_unknown_login_is_held_against_a_hash_all_the_same(
    api: Api, shop: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - argon2's own name
            held.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(
        "activities.passwords.HASHER", Counting(time_cost=2, memory_cost=19_456, parallelism=1)
    )
    assert problem(await Browser(api).sign_in("nobody", "wrong")) == WRONG
    assert len(held) == 1
    assert held[0].startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_unknown_logins_leave_one_event_a_minute_which_names_nobody(api: Api, shop: Brand) -> None:
    for minute in range(2):
        for login in ("wang.xiaoming", "li.si"):
            assert problem(await Browser(api).sign_in(login)) == WRONG
        api.now += timedelta(minutes=1 + minute)
    told = await events_of(api, "sign-in/unknown")
    assert told == [("sign_in_refused", {"way": "password", "why": "unknown"})] * 2


async def test_ten_failures_lock_for_a_quarter_of_an_hour_and_ten_more_for_twice_as_long(
    api: Api, shop: Brand
) -> None:
    me = await account(api, "there", MANAGER)
    for minutes in (15, 30):
        for _ in range(FAILURES_TO_LOCK):
            assert problem(await Browser(api).sign_in("there", "wrong")) == WRONG
        assert problem(await Browser(api).sign_in("there")) == WRONG
        api.now += timedelta(minutes=minutes) - timedelta(seconds=1)
        assert problem(await Browser(api).sign_in("there")) == WRONG
        api.now += timedelta(seconds=2)
    assert (await Browser(api).sign_in("there")).status_code == 201
    assert await shop.value("SELECT failures FROM account WHERE account_id = $1", me) == 0
    told = [payload["why"] for kind, payload in await events_of(api, f"account/{me}") if "why" in payload]
    assert told.count("wrong") == 2 * FAILURES_TO_LOCK
    assert told.count("locked") == 4


async def test_of_many_guesses_at_once_no_more_than_ten_are_heard(api: Api, shop: Brand) -> None:
    me = await account(api, "there", MANAGER)
    await asyncio.gather(
        *(Browser(api, f"198.51.100.{number}").sign_in("there", "wrong") for number in range(25))
    )
    assert await shop.value("SELECT failures FROM account WHERE account_id = $1", me) == FAILURES_TO_LOCK


async def test_thirty_attempts_a_minute_from_one_address_and_then_it_has_to_wait(
    api: Api, shop: Brand
) -> None:
    await account(api, "there", MANAGER)
    browser = Browser(api)
    answers = await asyncio.gather(*(browser.sign_in(f"nobody{n}", "wrong") for n in range(MOST_IN_WINDOW)))
    assert {answer.status_code for answer in answers} == {401}
    api.now += timedelta(seconds=20)
    answer = await browser.sign_in("there")
    assert problem(answer) == (429, [("address", "too_many_attempts")])
    assert answer.headers["retry-after"] == "40"
    assert (await Browser(api, "203.0.113.8").sign_in("there")).status_code == 201
    api.now += timedelta(seconds=40)
    assert (await browser.sign_in("there")).status_code == 201


async def test_addresses_of_one_ipv6_network_are_counted_together(api: Api, shop: Brand) -> None:
    for number in range(2):
        await Browser(api, f"2001:db8:1:2::{number + 1}").sign_in("nobody", "wrong")
    await Browser(api, "2001:db8:1:3::1").sign_in("nobody", "wrong")
    rows = await shop.rows("SELECT subject, attempts FROM sign_in_window ORDER BY attempts")
    assert [attempts for _, attempts in rows] == [1, 2]
    assert all(len(subject) == 32 for subject, _ in rows)


async def test_windows_that_are_over_are_not_kept(api: Api, shop: Brand) -> None:
    await Browser(api, "203.0.113.1").sign_in("nobody", "wrong")
    api.now += timedelta(hours=2)
    await Browser(api, "203.0.113.2").sign_in("nobody", "wrong")
    assert await shop.value("SELECT count(*) FROM sign_in_window") == 1


async def test_a_password_that_was_given_opens_nothing_but_its_change(api: Api, shop: Brand) -> None:
    me = await account(api, "new", HQ, must_change=True)
    browser, elsewhere = Browser(api), Browser(api)
    assert (await browser.sign_in("new")).json()["must_change"] is True
    await elsewhere.sign_in("new")
    assert problem(await browser.get("/v1/plans")) == (403, [("password", "password_must_change")])
    assert (await browser.get("/v1/me")).json()["must_change"] is True
    change = {"old": PASSWORD, "new": "fourteen brown otters"}
    assert (await browser.post("/v1/me/password", change)).status_code == 204
    assert (await browser.get("/v1/plans")).status_code == 200
    assert problem(await elsewhere.get("/v1/me"))[0] == 401
    assert problem(await Browser(api).sign_in("new")) == WRONG
    assert (await Browser(api).sign_in("new", change["new"])).json()["must_change"] is False
    changed = ("secret_changed", {"kind": "password", "change": "set"})
    assert changed in await events_of(api, f"account/{me}")


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ("short one", "password_length"),
        ("x1" * 65, "password_length"),
        ("Manager.Wang", "password_is_login"),
        ("manager.wang2026!", "password_is_login"),
        ("Password2026!", "password_common"),
        ("1q2w3e4r5t", "password_common"),
        ("abababababab", "password_common"),
        (PASSWORD, "secret_same"),
    ],
)
async def test_a_password_against_the_rules_is_refused_and_not_repeated(
    api: Api, shop: Brand, new: str, code: str
) -> None:
    await account(api, "manager.wang", MANAGER)
    browser = Browser(api)
    await browser.sign_in("manager.wang")
    answer = await browser.post("/v1/me/password", {"old": PASSWORD, "new": new})
    assert problem(answer) == (422, [("new", code)])
    assert new not in answer.text
    assert (await Browser(api).sign_in("manager.wang")).status_code == 201


@pytest.mark.parametrize(
    "new", ["一句别人猜不到的话啊啊", "correct horse battery staple", "ⅷ№🙂 déjà-vu xyz"]
)
async def test_any_characters_do(api: Api, shop: Brand, new: str) -> None:
    await account(api, "there", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    assert (await browser.post("/v1/me/password", {"old": PASSWORD, "new": new})).status_code == 204
    assert (await Browser(api).sign_in("there", new)).status_code == 201


async def test_a_wrong_old_password_changes_nothing_and_counts_as_a_failure(api: Api, shop: Brand) -> None:
    me = await account(api, "there", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    change = {"old": "wrong", "new": "fourteen brown otters"}
    assert problem(await browser.post("/v1/me/password", change)) == (422, [("old", "wrong_old_secret")])
    assert await shop.value("SELECT failures FROM account WHERE account_id = $1", me) == 1
    for _ in range(FAILURES_TO_LOCK - 1):
        await browser.post("/v1/me/password", change)
    right = change | {"old": PASSWORD}
    assert problem(await browser.post("/v1/me/password", right)) == (422, [("old", "secret_locked")])


async def test_no_answer_repeats_a_secret_that_cannot_be_read(api: Api, shop: Brand) -> None:
    for body in ({"login": "x", "password": ["s3cr3t-one"]}, {"login": "x", "password": "s3cr3t-one\x00"}):
        answer = await Browser(api).post("/v1/sessions", body)
        assert problem(answer)[0] == 422
        assert "s3cr3t-one" not in answer.text


async def test_signing_out_ends_the_session_at_once_and_takes_the_cookies_back(api: Api, shop: Brand) -> None:
    me = await account(api, "there", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    kept = dict(browser.http.cookies)
    answer = await browser.delete("/v1/sessions/current")
    assert answer.status_code == 204
    assert {cookie[name]["max-age"] for name, cookie in cookies_set(answer).items()} == {"0"}
    assert not browser.http.cookies
    browser.http.cookies.update(kept)
    assert problem(await browser.get("/v1/me")) == (401, [("Authorization", "signed_out")])
    kind, payload = (await events_of(api, f"account/{me}"))[-1]
    assert (kind, payload["why"]) == ("credential_ended", "signed_out")


async def test_one_sees_and_ends_ones_own_sessions_and_nobody_elses(api: Api, shop: Brand) -> None:
    await account(api, "there", MANAGER)
    await account(api, "hq2", HQ)
    first, second, third, other = (Browser(api) for _ in range(4))
    for browser in (first, second, third):
        await browser.sign_in("there")
    await other.sign_in("hq2")
    listed = (await first.get("/v1/sessions")).json()["items"]
    assert len(listed) == 3
    assert [one["current"] for one in listed].count(True) == 1
    theirs = (await other.get("/v1/sessions")).json()["items"]
    assert len(theirs) == 1
    unknown = (404, [("credential", "unknown_session")])
    for browser, session in ((first, theirs[0]["session"]), (other, listed[0]["session"]), (first, uuid4())):
        assert problem(await browser.delete(f"/v1/sessions/{session}")) == unknown
    mine = next(
        one["session"] for one in (await second.get("/v1/sessions")).json()["items"] if one["current"]
    )
    assert (await first.delete(f"/v1/sessions/{mine}")).status_code == 204
    assert problem(await second.get("/v1/me"))[0] == 401
    assert (await first.post("/v1/sessions/end-others")).json() == {"ended": 1}
    assert problem(await third.get("/v1/me"))[0] == 401
    assert (await first.get("/v1/me")).status_code == (await other.get("/v1/me")).status_code == 200


async def test_signing_in_again_ends_the_session_the_browser_had(api: Api, shop: Brand) -> None:
    await account(api, "there", MANAGER)
    await account(api, "other", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    before = browser.http.cookies["__Host-daogou_session"]
    await browser.sign_in("other")
    assert (await browser.get("/v1/me")).json()["login"] == "other"
    browser.http.cookies["__Host-daogou_session"] = before
    assert (
        await shop.value("SELECT count(*) FROM credential WHERE kind = 'session' AND ended_at IS NULL") == 1
    )


async def test_a_session_ends_after_a_working_day(api: Api, shop: Brand) -> None:
    await account(api, "there", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    api.now += timedelta(hours=12)
    assert problem(await browser.get("/v1/me"))[0] == 401


async def test_what_is_taken_away_counts_from_the_next_request(api: Api, shop: Brand) -> None:
    me = await account(api, "there", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    assert (await browser.get("/v1/devices")).status_code == 200
    grant = await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", me)
    async with shop.ledger.transaction() as connection:
        await end_grant(
            connection, 1, shop.command(when=api.now), UUID(str(grant)), ends_at=api.now, reason=""
        )
    assert problem(await browser.get("/v1/devices"))[0] == 403
    assert (await browser.get("/v1/me")).json()["roles"] == []
    async with shop.ledger.transaction() as connection:
        await set_active(connection, 1, shop.command(when=api.now), me, active=False, reason="left")
    assert problem(await browser.get("/v1/me"))[0] == 401


async def test_a_token_manages_no_sessions_and_no_secrets(api: Api, shop: Brand) -> None:
    refused = (403, [("Authorization", "not_by_token")])
    assert problem(await api.http.delete("/v1/sessions/current")) == refused
    assert problem(await api.http.delete(f"/v1/sessions/{uuid4()}")) == refused
    assert problem(await api.post("/v1/sessions/end-others")) == refused
    for kind in ("password", "pin"):
        assert problem(await api.post(f"/v1/me/{kind}", {"old": "a", "new": "b"})) == refused
    assert (await api.get("/v1/me")).json()["by_token"] is True


async def test_a_hash_of_other_parameters_is_made_anew_when_its_password_is_shown(
    api: Api, shop: Brand
) -> None:
    me = await account(api, "there", MANAGER)
    old = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(PASSWORD)
    await shop.execute("UPDATE account SET password = $1 WHERE account_id = $2", old, me)
    await Browser(api).sign_in("there", "wrong")
    assert await shop.value("SELECT password FROM account WHERE account_id = $1", me) == old
    assert (await Browser(api).sign_in("there")).status_code == 201
    kept = await shop.value("SELECT password FROM account WHERE account_id = $1", me)
    assert not HASHER.check_needs_rehash(kept)
    assert (await Browser(api).sign_in("there")).status_code == 201


async def test_no_secret_login_name_or_address_is_in_an_event_or_a_log(
    api: Api, shop: Brand, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await account(api, "wang.xiaoming", MANAGER)
    browser = Browser(api, "203.0.113.99")
    await browser.sign_in("wang.xiaoming")
    session = browser.http.cookies["__Host-daogou_session"]
    await browser.post("/v1/me/password", {"old": PASSWORD, "new": "fourteen brown otters"})
    await Browser(api, "203.0.113.99").sign_in("wang.xiaoming", "a wrong guess")
    await Browser(api, "203.0.113.99").sign_in("li.unknown", "a wrong guess")
    rows = await shop.rows("SELECT body, actor, payload, cause FROM event")
    written = (
        str(rows) + str(await shop.rows("SELECT * FROM command")) + caplog.text + str(capfd.readouterr())
    )
    assert len(rows) >= 5
    for secret in (
        PASSWORD, "otters", "a wrong guess", "wang.xiaoming", "li.unknown", "203.0.113.99", session, browser.csrf
    ):  # fmt: skip
        assert secret not in written
    kept = str(await shop.rows("SELECT * FROM credential")) + str(
        await shop.rows("SELECT * FROM sign_in_window")
    )
    assert all(secret not in kept for secret in (session, browser.csrf, "203.0.113.99"))


async def test_all_other_sessions_end_however_many_there_are(api: Api, shop: Brand) -> None:
    me = await account(api, "there", MANAGER)
    browser = Browser(api)
    await browser.sign_in("there")
    await shop.execute(
        "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, created_at, expires_at)"
        " SELECT 1, sha256(n::text::bytea), gen_random_uuid(), $1, 'session', $2::timestamptz, $2 + interval '12 hours'"
        " FROM generate_series(1, 201) n",
        me, api.now - timedelta(hours=1),
    )  # fmt: skip
    assert (await browser.post("/v1/sessions/end-others")).json() == {"ended": 201}
    assert (
        await shop.value("SELECT count(*) FROM credential WHERE account_id = $1 AND ended_at IS NULL", me)
        == 1
    )
