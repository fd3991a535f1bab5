"""Signing in through WeCom, with a fake of its three endpoints; fields as its documentation has them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from pydantic import SecretStr

from domain.policy import Role
from infra.logs import configure_logs
from infra.sign_in_settings import Wecom
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.browser import PUBLIC, Browser, browsing, events, link, sessions
from tests.api.conftest import problem
from tests.api.openid_provider import Answer, as_json, serving
from tests.brand import Brand
from tests.identities import account_id_of, identity

BEGIN, BACK = "/v1/sign-in/wecom", "/v1/sign-in/wecom/callback"
TOKEN, USER = "/cgi-bin/gettoken", "/cgi-bin/auth/getuserinfo"
CORP, SECRET = "wwcorp0000000001", "wecom-secret-of-the-application"


@dataclass
class FakeWecom:
    """`gettoken` and `auth/getuserinfo`; a code is good once."""

    url: str = ""
    told: dict[str, Any] = field(default_factory=lambda: {"userid": "XiaoLin"})
    instead: dict[str, Answer] = field(default_factory=dict)
    tokens: int = 0
    """How many were given; the last one is the good one."""
    dated: int = 0
    """So many of the first tokens are taken back at once."""
    dated_code: int = 42001
    codes: set[str] = field(default_factory=lambda: {"code-1"})
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, str], _form: dict[str, str], _login: str) -> Answer:
        self.asked.append(path)
        if path in self.instead:
            return self.instead[path]
        given = {TOKEN: self._token, USER: self._user}.get(path)
        return as_json(404, {}) if given is None else as_json(200, given(query))

    def _token(self, query: dict[str, str]) -> dict[str, Any]:
        if (query["corpid"], query["corpsecret"]) != (CORP, SECRET):
            return {"errcode": 40001, "errmsg": "invalid credential"}
        self.tokens += 1
        return {"errcode": 0, "errmsg": "ok", "access_token": f"token-{self.tokens}", "expires_in": 7200}

    def _user(self, query: dict[str, str]) -> dict[str, Any]:
        if int(query["access_token"].removeprefix("token-")) <= self.dated:
            return {"errcode": self.dated_code, "errmsg": "access_token expired"}
        if query["code"] not in self.codes:
            return {"errcode": 40029, "errmsg": "invalid code"}
        self.codes.remove(query["code"])
        return {"errcode": 0, "errmsg": "ok"} | self.told


@pytest.fixture
def wecom() -> Iterator[FakeWecom]:
    made = FakeWecom()
    with serving(made.answer) as made.url:
        yield made


def settings(wecom: FakeWecom, **changes: Any) -> Wecom:
    told = {"corp_id": CORP, "agent_id": "1000002", "secret": SecretStr(SECRET), "api": wecom.url}
    return Wecom.model_validate(told | changes)


@pytest_asyncio.fixture
async def browser(shop: Brand, served: Ledger, wecom: FakeWecom) -> AsyncIterator[Browser]:
    """A browser; the account `lin` of HQ is linked to the member `xiaolin`."""
    await identity(shop.ledger, "lin", Grant(Role.HQ))
    await link(shop, account_id_of("lin"), "wecom", "xiaolin")
    async with browsing(served, wecom=settings(wecom)) as made:
        yield made


async def sign_in(browser: Browser, code: str = "code-1") -> Any:
    asked = parse_qs(urlsplit(await browser.sent_to(BEGIN)).query)
    return await browser.get(BACK, code=code, state=asked["state"][0])


async def test_a_member_signs_in_without_typing_anything(
    browser: Browser, shop: Brand, wecom: FakeWecom
) -> None:
    answer = await sign_in(browser)
    assert answer.status_code == 200, answer.text
    assert answer.json()["account"] == str(account_id_of("lin"))
    assert (await browser.get("/v1/plans")).status_code == 200
    told = await events(shop, f"account/{account_id_of('lin')}")
    assert [payload["way"] for kind, payload in told if kind == "signed_in"] == ["wecom"]
    assert wecom.asked == [TOKEN, USER]


async def test_the_browser_is_sent_where_wecom_says_and_back_to_the_public_name(browser: Browser) -> None:
    place = urlsplit(await browser.sent_to(BEGIN))
    assert (place.scheme, place.netloc, place.path) == (
        "https",
        "open.weixin.qq.com",
        "/connect/oauth2/authorize",
    )
    assert place.fragment == "wechat_redirect"
    asked = {name: value for name, (value,) in parse_qs(place.query).items()}
    state = asked.pop("state")
    assert state.isalnum()
    assert 43 <= len(state) <= 128
    assert asked == {
        "appid": CORP,
        "agentid": "1000002",
        "redirect_uri": PUBLIC + BACK,
        "response_type": "code",
        "scope": "snsapi_base",
    }


async def test_the_access_token_is_kept(browser: Browser, wecom: FakeWecom) -> None:
    wecom.codes = {"a", "b", "c"}
    for code in sorted(wecom.codes):
        assert (await sign_in(browser, code)).status_code == 200
    assert wecom.tokens == 1


@pytest.mark.parametrize("errcode", [42001, 40014])
async def test_an_access_token_that_was_taken_back_is_fetched_anew_once(
    browser: Browser, wecom: FakeWecom, errcode: int
) -> None:
    wecom.dated, wecom.dated_code = 1, errcode
    assert (await sign_in(browser)).status_code == 200
    assert wecom.tokens == 2
    wecom.dated, wecom.codes, wecom.tokens = 9, {"code-2"}, 2
    assert problem(await sign_in(browser, "code-2")) == (503, [("sign-in", "provider_away")])
    assert wecom.tokens == 3, "once, not for ever"


async def test_a_code_that_is_spent_or_made_up_proves_nothing(browser: Browser, shop: Brand) -> None:
    assert problem(await sign_in(browser, "made-up")) == (403, [("code", "identity_unproven")])
    assert (await sign_in(browser)).status_code == 200
    assert problem(await sign_in(browser)) == (403, [("code", "identity_unproven")])
    assert await sessions(shop) == 1


async def test_a_way_back_without_a_code_was_declined(browser: Browser) -> None:
    assert problem(await sign_in(browser, "")) == (403, [("error", "sign_in_declined")])


@pytest.mark.parametrize(
    "told",
    [{"openid": "oAbc"}, {"openid": "oAbc", "external_userid": "wm1"}, {"userid": "", "openid": "xiaolin"}],
    ids=str,
)
async def test_an_external_contact_is_refused(
    browser: Browser, shop: Brand, wecom: FakeWecom, told: dict[str, str]
) -> None:
    wecom.told = told
    for _ in range(2):
        wecom.codes = {"code-1"}
        assert problem(await sign_in(browser)) == (403, [("account", "identity_not_a_member")])
    noted = await shop.rows("SELECT payload FROM event WHERE stream = 'sign-in/unknown'")
    assert [dict(row[0]) for row in noted] == [{"way": "wecom", "why": "identity_not_a_member"}]
    assert await sessions(shop) == 0


async def test_a_member_without_a_linked_account_is_refused(browser: Browser, wecom: FakeWecom) -> None:
    wecom.told = {"userid": "somebody.else"}
    assert problem(await sign_in(browser)) == (403, [("account", "identity_not_linked")])


async def test_a_state_works_once_and_in_its_browser_only(
    browser: Browser, served: Ledger, wecom: FakeWecom
) -> None:
    wecom.codes = {"a", "b"}
    asked = parse_qs(urlsplit(await browser.sent_to(BEGIN)).query)
    state, kept = asked["state"][0], browser.http.cookies["__Host-daogou_sign_in"]
    async with browsing(served, wecom=settings(wecom)) as other:
        assert problem(await other.get(BACK, code="a", state=state)) == (403, [("state", "sign_in_lost")])
    assert (await browser.get(BACK, code="a", state=state)).status_code == 200
    browser.http.cookies.clear()
    headers = {"cookie": f"__Host-daogou_sign_in={kept}"}
    again = await browser.http.get(BACK, params={"code": "b", "state": state}, headers=headers)
    assert problem(again) == (403, [("state", "sign_in_used")])


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (TOKEN, as_json(200, {"errcode": 40001, "errmsg": "invalid credential"})),
        (TOKEN, as_json(200, {"errcode": -1, "errmsg": "system busy"})),
        (TOKEN, as_json(200, {"errcode": 0, "access_token": "", "expires_in": 7200})),
        (TOKEN, as_json(200, {"errcode": 0, "access_token": "t", "expires_in": "soon"})),
        (TOKEN, as_json(502, {})),
        (TOKEN, (200, {}, b"<html>")),
        (TOKEN, (302, {"location": "http://127.0.0.1:9/"}, b"")),
        (USER, as_json(200, {"errcode": 60020, "errmsg": "not allow to access from your ip"})),
        (USER, as_json(200, {"errcode": "0"})),
        (USER, as_json(200, {"errcode": 0, "errmsg": "ok"})),
        (USER, as_json(200, {"errcode": 0, "userid": 7})),
        (USER, as_json(200, {"errcode": 0, "userid": "x" * 65})),
        (USER, as_json(403, {"errcode": 0, "userid": "xiaolin"})),
    ],
)
async def test_what_wecom_answers_else_is_a_problem_with_a_remedy(
    browser: Browser, shop: Brand, wecom: FakeWecom, path: str, answer: Answer
) -> None:
    wecom.instead[path] = answer
    assert problem(await sign_in(browser)) == (503, [("sign-in", "provider_away")])
    assert await sessions(shop) == 0
    wecom.instead.clear()
    assert (await sign_in(browser)).status_code == 200


async def test_neither_secret_nor_token_nor_code_is_in_the_log(
    browser: Browser, wecom: FakeWecom, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.getLogger()
    before, written = (root.handlers, root.level), StringIO()
    monkeypatch.setattr("sys.stderr", written)
    try:
        configure_logs()
        assert (await sign_in(browser)).status_code == 200
        wecom.instead[USER] = as_json(500, {})
        assert (await sign_in(browser)).status_code == 503
    finally:
        root.handlers, root.level = before
    assert "provider_away" in written.getvalue()
    for secret in (SECRET, "token-1", "code-1", "xiaolin", "XiaoLin"):
        assert secret not in written.getvalue()
