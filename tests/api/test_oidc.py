"""Signing in at an OpenID provider, with a provider of our own on the loopback that can lie."""

from __future__ import annotations

import base64
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr

from domain.policy import Role
from infra.openid import identity_of
from infra.sign_in_settings import Oidc
from ledger.account_places import Grant
from ledger.ledger import Ledger
from tests.api.browser import NOW, PUBLIC, Browser, browsing, events, link, sessions
from tests.api.conftest import problem
from tests.api.openid_provider import CLIENT, SECRET, Provider, as_json, new_key, serving
from tests.brand import Brand
from tests.identities import account_id_of, identity

BEGIN, BACK = "/v1/sign-in/oidc", "/v1/sign-in/oidc/callback"
KEY = new_key("one")
COOKIE = "__Host-daogou_sign_in"


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider(key=KEY, now=int(NOW.timestamp()))
    with serving(made.answer) as made.url:
        yield made


@pytest_asyncio.fixture
async def browser(shop: Brand, served: Ledger, provider: Provider) -> AsyncIterator[Browser]:
    """A browser of the account `ming` of HQ, whose subject at the provider is linked."""
    await identity(shop.ledger, "ming", Grant(Role.HQ))
    await link(shop, account_id_of("ming"), "oidc", identity_of(provider.url, provider.subject))
    async with browsing(served, oidc=client(provider)) as made:
        yield made


def client(provider: Provider, **changes: Any) -> Oidc:
    told = {"issuer": provider.url, "client_id": CLIENT, "client_secret": SecretStr(SECRET)}
    return Oidc.model_validate(told | changes)


async def way_back(browser: Browser) -> str:
    """Begin, sign in at the provider, and give the address it sends the browser back to."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(await browser.sent_to(BEGIN))
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(f"{PUBLIC}{BACK}?")
    return str(answer.headers["location"])


async def sign_in(browser: Browser) -> httpx.Response:
    return await browser.http.get(await way_back(browser))


async def test_who_is_linked_signs_in_and_the_session_is_one_like_any_other(
    browser: Browser, shop: Brand, provider: Provider
) -> None:
    answer = await sign_in(browser)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["account"] == str(account_id_of("ming"))
    assert told["must_change"] is False
    assert (await browser.get("/v1/plans")).status_code == 200
    changed = await browser.http.post("/v1/outbox/stop", json={"reason": "r"})
    assert problem(changed) == (403, [("X-CSRF-Token", "csrf_mismatch")])
    stream = f"account/{account_id_of('ming')}"
    (signed_in,) = [payload for kind, payload in await events(shop, stream) if kind == "signed_in"]
    assert signed_in["way"] == "oidc"
    assert provider.asked == ["/.well-known/openid-configuration", "/authorize", "/token", "/jwks"]


async def test_the_provider_is_asked_for_nothing_but_who_it_is_and_the_cookie_is_short_lived_and_unreadable(
    browser: Browser, provider: Provider
) -> None:
    answer = await browser.get(BEGIN)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["scope"] == ["openid"]
    assert asked["redirect_uri"] == [PUBLIC + BACK]
    assert asked["code_challenge_method"] == ["S256"]
    assert min(len(asked[name][0]) for name in ("state", "nonce", "code_challenge")) >= 43
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Max-Age=600", "Path=/;"):
        assert part in cookie
    assert asked["state"][0] not in cookie
    again = parse_qs(urlsplit(await browser.sent_to(BEGIN)).query)
    assert all(asked[name] != again[name] for name in ("state", "nonce", "code_challenge"))


def change(**claims: Any) -> Callable[[dict[str, Any]], object]:
    def lie(told: dict[str, Any]) -> None:
        told.update(claims)
        for name in [name for name, value in claims.items() if value is None]:
            del told[name]

    return lie


START = int(NOW.timestamp())


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": 1},
        {"aud": "another-client"},
        {"aud": None},
        {"aud": ["another-client"]},
        {"aud": [CLIENT, "another-client"]},
        {"azp": "another-client"},
        {"exp": START - 61},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": START + 61},
        {"nbf": START + 61},
        {"iat": None},
        {"iss": "https://another.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"at_hash": "another"},
    ],
    ids=str,
)
async def test_a_token_whose_claims_do_not_fit_proves_nothing(
    browser: Browser, shop: Brand, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.lie = change(**claims)
    assert problem(await sign_in(browser)) == (403, [("code", "identity_unproven")])
    assert await sessions(shop) == 0
    assert problem(await browser.get("/v1/plans"))[0] == 401


def written(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(claims: dict[str, Any]) -> str:
    return ".".join(written(json.dumps(part).encode()) for part in ({"alg": "none"}, claims)) + "."


def with_public_key_as_secret(claims: dict[str, Any]) -> str:
    head = {"alg": "HS256", "kid": "one"}
    text = ".".join(written(json.dumps(part).encode()) for part in (head, claims))
    return f"{text}.{written(hmac.digest(KEY.as_pem(private=False), text.encode(), 'sha256'))}"


def with_client_secret(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


def with_another_key(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, new_key("one"))


def with_a_key_nobody_lists(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "RS256", "kid": "two"}, claims, new_key("two"))


def with_a_key_of_its_own(claims: dict[str, Any]) -> str:
    key = new_key("mine")
    return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)


def changed_afterwards(claims: dict[str, Any]) -> str:
    head, _, sign = jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY).split(".")
    return f"{head}.{written(json.dumps(claims | {'sub': 'somebody else'}).encode())}.{sign}"


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    "sign",
    [
        unsigned,
        with_public_key_as_secret,
        with_client_secret,
        with_another_key,
        with_a_key_nobody_lists,
        with_a_key_of_its_own,
        changed_afterwards,
        lambda _claims: "no.token.at all",
        lambda _claims: "…",
    ],
)
async def test_a_token_without_a_good_signature_proves_nothing(
    browser: Browser, shop: Brand, provider: Provider, sign: Callable[[dict[str, Any]], str]
) -> None:
    provider.sign = sign
    assert problem(await sign_in(browser)) == (403, [("code", "identity_unproven")])
    assert await sessions(shop) == 0


async def test_a_new_key_of_the_provider_is_found(
    browser: Browser, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await sign_in(browser)).status_code == 200
    monkeypatch.setattr("infra.openid.KEYS_AGAIN_S", 0.0)
    provider.key = new_key("two")
    assert (await sign_in(browser)).status_code == 200
    assert provider.asked.count("/jwks") == 2


async def test_a_way_back_works_once(browser: Browser, shop: Brand) -> None:
    back = await way_back(browser)
    kept = dict(browser.http.cookies)
    assert (await browser.http.get(back)).status_code == 200
    browser.http.cookies.clear()
    assert problem(await browser.http.get(back, headers=as_cookie(kept))) == (
        403,
        [("state", "sign_in_used")],
    )
    assert await sessions(shop) == 1


def as_cookie(kept: dict[str, str]) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in kept.items())}


async def test_a_way_back_that_was_not_begun_here_leads_nowhere(
    browser: Browser, shop: Brand, provider: Provider, served: Ledger
) -> None:
    lost = (403, [("state", "sign_in_lost")])
    back = await way_back(browser)
    sealed = browser.http.cookies[COOKIE]
    async with browsing(served, oidc=client(provider)) as other:
        assert problem(await other.http.get(back)) == lost
        await way_back(other)
        assert problem(await other.http.get(back)) == lost, "the state is the other browser's"
    async with browsing(served, oidc=client(provider, client_secret=SecretStr("x" * 40))) as elsewhere:
        assert problem(await elsewhere.http.get(back, headers=as_cookie({COOKIE: sealed}))) == lost
    for made_up in (sealed[:-4], f"{sealed[:20]}A{sealed[21:]}", "é", "x" * 5_000, ""):
        browser.http.cookies.clear()
        headers = {"cookie": f"{COOKIE}={made_up}".encode("latin-1")}
        assert problem(await browser.http.get(back, headers=headers)) == lost
    assert problem(await browser.get(BACK)) == lost
    browser.now[0] = NOW + timedelta(minutes=11)
    assert problem(await browser.http.get(back, headers=as_cookie({COOKIE: sealed}))) == lost
    assert await sessions(shop) == 0
    noted = [payload for _, payload in await events(shop, "sign-in/unknown")]
    assert noted == [{"way": "oidc", "why": "sign_in_lost"}] * 2, "once a minute"


async def test_nobody_gets_an_account_by_signing_in(
    browser: Browser, shop: Brand, provider: Provider
) -> None:
    provider.subject = "a stranger"
    refused = await sign_in(browser)
    assert problem(refused) == (403, [("account", "identity_not_linked")])
    assert "stranger" not in refused.text
    ((kind, payload),) = await events(shop, "sign-in/unknown")
    assert (kind, payload["way"], payload["why"]) == ("sign_in_refused", "oidc", "unknown")
    assert await shop.value("SELECT count(*) FROM account") == 1
    assert await sessions(shop) == 0


async def test_a_subject_of_another_issuer_is_somebody_else(
    browser: Browser, shop: Brand, provider: Provider
) -> None:
    await link(shop, account_id_of("ming"), "oidc", identity_of("https://another.example", provider.subject))
    assert problem(await sign_in(browser)) == (403, [("account", "identity_not_linked")])


async def test_a_shut_account_is_answered_as_one_that_is_not_there(
    browser: Browser, shop: Brand, provider: Provider
) -> None:
    await shop.execute("UPDATE account SET active = false")
    shut = await sign_in(browser)
    provider.subject = "a stranger"
    strange = await sign_in(browser)
    assert (shut.status_code, shut.json()) == (strange.status_code, strange.json())
    stream = f"account/{account_id_of('ming')}"
    assert ("sign_in_refused", "shut") in [
        (kind, payload.get("why")) for kind, payload in await events(shop, stream)
    ]
    assert await sessions(shop) == 0


async def test_wrong_passwords_do_not_lock_this_door(browser: Browser, shop: Brand) -> None:
    await shop.execute("UPDATE account SET failures = 10, locked_until = $1", NOW + timedelta(hours=1))
    assert (await sign_in(browser)).status_code == 200


async def test_a_refusal_of_the_provider_is_told_without_its_words(browser: Browser) -> None:
    asked = parse_qs(urlsplit(await browser.sent_to(BEGIN)).query)
    answer = await browser.get(BACK, state=asked["state"][0], error="access_denied<script>", code="")
    assert problem(answer) == (403, [("error", "sign_in_declined")])
    assert answer.json()["problems"][0]["value"] == "access_deniedscript"


async def test_a_way_back_without_a_code_was_declined(browser: Browser, provider: Provider) -> None:
    asked = parse_qs(urlsplit(await browser.sent_to(BEGIN)).query)
    answer = await browser.get(BACK, state=asked["state"][0])
    assert problem(answer) == (403, [("error", "sign_in_declined")])
    assert "/token" not in provider.asked


async def test_a_code_of_another_provider_is_not_shown_to_this_one(
    browser: Browser, provider: Provider
) -> None:
    back = await way_back(browser)
    mixed = back.replace(urlencode({"iss": provider.url}), "iss=https%3A%2F%2Fevil.example")
    assert mixed != back
    assert problem(await browser.http.get(mixed)) == (403, [("code", "identity_unproven")])
    assert "/token" not in provider.asked


async def test_a_code_the_provider_does_not_take_proves_nothing(browser: Browser, provider: Provider) -> None:
    back = await way_back(browser)
    provider.codes.clear()
    assert problem(await browser.http.get(back)) == (403, [("code", "identity_unproven")])


async def test_the_secret_goes_into_the_form_where_the_provider_wants_it_there(
    browser: Browser, provider: Provider
) -> None:
    provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await sign_in(browser)).status_code == 200


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/.well-known/openid-configuration", as_json(500, {})),
        ("/.well-known/openid-configuration", as_json(404, {})),
        ("/.well-known/openid-configuration", (302, {"location": "/jwks"}, b"")),
        ("/.well-known/openid-configuration", (200, {}, b"<html>")),
        ("/.well-known/openid-configuration", (200, {}, b"[]")),
        ("/.well-known/openid-configuration", (200, {}, b"[" * 100_000)),
        ("/.well-known/openid-configuration", (200, {}, b'{"a":"' + b"x" * 600_000 + b'"}')),
        ("/token", as_json(500, {})),
        ("/token", as_json(401, {"error": "invalid_client"})),
        ("/token", as_json(200, {"access_token": "only"})),
        ("/token", as_json(200, {"id_token": 7})),
        ("/jwks", as_json(503, {})),
        ("/jwks", as_json(200, {"keys": "none"})),
    ],
)
async def test_a_provider_that_cannot_be_understood_is_away(
    browser: Browser, shop: Brand, provider: Provider, path: str, answer: tuple[int, dict[str, str], bytes]
) -> None:
    provider.instead[path] = answer
    last = await (browser.get(BEGIN) if path.startswith("/.well") else sign_in(browser))
    assert problem(last) == (503, [("sign-in", "provider_away")])
    assert int(last.headers["retry-after"]) >= 1
    assert await sessions(shop) == 0
    provider.instead.clear()
    assert (await sign_in(browser)).status_code == 200, "it recovers by itself"


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "https://elsewhere.example/token"},
        {"token_endpoint": "http://127.0.0.2/token"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
    ],
    ids=str,
)
async def test_no_address_is_asked_but_the_configured_ones(
    browser: Browser, provider: Provider, lie: dict[str, Any]
) -> None:
    provider.discovery = lie
    assert problem(await browser.get(BEGIN)) == (503, [("sign-in", "provider_away")])
    assert provider.asked == ["/.well-known/openid-configuration"]


async def test_a_host_that_is_named_in_the_settings_may_be_asked(
    shop: Brand, served: Ledger, provider: Provider
) -> None:
    provider.discovery = {"authorization_endpoint": "https://login.example/authorize"}
    async with browsing(served, oidc=client(provider, hosts=("login.example",))) as browser:
        assert (await browser.sent_to(BEGIN)).startswith("https://login.example/authorize?")


async def test_a_provider_that_is_down_is_a_problem_with_a_remedy(shop: Brand, served: Ledger) -> None:
    made = Provider(key=KEY, now=START)
    with serving(made.answer) as made.url:
        settings = client(made)
        async with browsing(served, oidc=settings) as browser:
            back = await way_back(browser)
    async with browsing(served, oidc=settings) as later:
        headers = as_cookie(dict(browser.http.cookies))
        for answer in (await later.get(BEGIN), await later.http.get(back, headers=headers)):
            assert problem(answer) == (503, [("sign-in", "provider_away")])


async def test_a_provider_that_takes_the_question_and_says_nothing_is_away_soon(
    shop: Brand, served: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.provider_calls.ALL_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with browsing(served, oidc=client(Provider(key=KEY), issuer=issuer)) as browser:
            began = time.monotonic()
            assert problem(await browser.get(BEGIN)) == (503, [("sign-in", "provider_away")])
    assert time.monotonic() - began < 3, "less than the timeout of one read"


@pytest.mark.parametrize("way", ["oidc", "wecom"])
async def test_a_way_that_is_not_set_is_not_there(shop: Brand, served: Ledger, way: str) -> None:
    async with browsing(served) as browser:
        for path in (f"/v1/sign-in/{way}", f"/v1/sign-in/{way}/callback?state=x&code=y"):
            assert problem(await browser.get(path)) == (404, [("sign-in", "not_configured")])


async def test_one_address_may_not_come_back_again_and_again(browser: Browser) -> None:
    answers = [(await browser.get(BACK, state="x")).status_code for _ in range(31)]
    assert (set(answers[:30]), answers[30]) == ({403}, 429)
