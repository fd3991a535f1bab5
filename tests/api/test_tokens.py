"""API tokens: scopes that bind in the database too, an end, and taken back at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from activities.sessions import digest
from domain.policy import CHANGING, Right, Role
from ledger.account_places import Grant
from ledger.accounts import NewAccount, create_account
from ledger.asking import standing
from ledger.ledger import Command, Ledger
from tests.api.conftest import Api, problem
from tests.api.test_accounts import everything_told
from tests.brand import Brand, at
from tests.identities import account_id_of, identity

TOKENS = "/v1/tokens"
READING = sorted(right.value for right in Right if right not in CHANGING)
WHY = {"reason": "the till was sold"}


async def issue(api: Api, *, key: str | None = None, **changes: Any) -> Any:
    return await api.post(TOKENS, {"name": "till", "rights": ["plan.read"]} | changes, key=key)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_a_token_is_shown_once_kept_as_a_digest_and_opens_what_its_scopes_say(
    api: Api, shop: Brand, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await issue(api, key="a")
    told = answer.json()
    assert (answer.status_code, told["token"]["rights"]) == (201, ["plan.read"])
    assert told["secret"].startswith("dgt_")
    assert answer.headers["cache-control"] == "no-store"
    assert await shop.value("SELECT hash FROM credential WHERE name = 'till'") == digest(told["secret"])
    mine = bearer(told["secret"])
    assert (await api.http.get("/v1/plans", headers=mine)).status_code == 200
    for path in ("/v1/accounts", "/v1/outbox"):
        assert problem(await api.http.get(path, headers=mine)) == (403, [("account", "token_not_allowed")])
    again = await issue(api, key="a")
    assert (again.status_code, again.json()["secret"], again.json()["token"]) == (200, None, told["token"])
    assert again.headers["idempotent-replayed"] == "true"
    assert problem(await issue(api, key="a", name="other")) == (
        422,
        [("Idempotency-Key", "key_used_otherwise")],
    )
    listed = await api.get(TOKENS)
    written = listed.text + await everything_told(shop) + str(capfd.readouterr())
    assert told["secret"] not in written
    assert told["secret"].removeprefix("dgt_")[:12] not in written


async def test_a_read_only_token_of_hq_writes_nothing_not_even_past_the_apis_checks(
    api: Api, shop: Brand, served: Ledger
) -> None:
    secret = (await issue(api, rights=READING)).json()["secret"]
    body = {"login": "li", "name": "Li", "grants": [{"role": "hq"}]}
    assert problem(await api.http.post("/v1/accounts", json=body, headers=bearer(secret)))[0] == 403
    before = await shop.everything()
    async with standing(served, digest(secret), at(2)) as stood:
        assert stood is not None
        async with stood.bound().connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM account") == 1
        command = Command("account/li", at(2), at(2), "test")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with stood.bound().transaction() as connection:
                await create_account(connection, 1, command, NewAccount(uuid4(), "li", "Li"), [])
    assert await shop.everything() == before


async def test_a_token_has_no_right_that_its_account_or_its_issuer_lacks(
    api: Api, shop: Brand, served: Ledger
) -> None:
    await identity(shop.ledger, "auditor", Grant(Role.AUDITOR))
    theirs = {"account_id": str(account_id_of("auditor"))}
    refused = await issue(api, **theirs, rights=["plan.read", "plan.launch"])
    assert problem(refused) == (422, [("rights", "right_not_held")])
    assert "plan.launch" in refused.text
    assert (await issue(api, **theirs, rights=["plan.read"])).status_code == 201
    weak = await identity(
        shop.ledger, "issuer", Grant(Role.HQ), rights=(Right.MANAGE_TOKENS, Right.READ_PLAN)
    )
    issuer = Api(shop, served=served, token=weak)
    async with issuer.http:
        assert problem(await issue(issuer, rights=["plan.launch"])) == (
            422,
            [("rights", "beyond_your_rights")],
        )
        assert (await issue(issuer, rights=["plan.read"])).status_code == 201


async def test_a_tokens_rights_shrink_with_those_of_its_account(api: Api, shop: Brand) -> None:
    await identity(shop.ledger, "auditor", Grant(Role.AUDITOR))
    theirs = {"account_id": str(account_id_of("auditor"))}
    secret = (await issue(api, **theirs)).json()["secret"]
    grant = await shop.value("SELECT grant_id FROM role_grant WHERE role = 'auditor'")
    await api.post(f"/v1/grants/{grant}/end", WHY)
    assert problem(await api.http.get("/v1/plans", headers=bearer(secret)))[0] == 403


async def test_a_token_ends_with_its_last_day(api: Api) -> None:
    told = (await issue(api, days=10)).json()
    assert told["token"]["expires_at"] == "2026-03-12T02:00:00Z"
    api.now = at(12, 10) - timedelta(seconds=1)
    assert (await api.http.get("/v1/plans", headers=bearer(told["secret"]))).status_code == 200
    api.now = at(12, 10)
    assert problem(await api.http.get("/v1/plans", headers=bearer(told["secret"]))) == (
        401,
        [("Authorization", "signed_out")],
    )


@pytest.mark.parametrize("days", [0, 366, -1, 1.5, "10"])
async def test_a_token_lasts_a_day_at_least_and_a_year_at_most(api: Api, days: Any) -> None:
    status, problems = problem(await issue(api, days=days))
    assert (status, [field for field, _ in problems]) == (422, ["days"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"rights": []}, "rights"), ({"rights": ["plan.eat"]}, "rights.0"), ({"name": " "}, "name")],
)
async def test_a_token_says_what_it_is_for_and_what_it_may(api: Api, changes: Any, field: str) -> None:
    status, problems = problem(await issue(api, **changes))
    assert (status, [name for name, _ in problems]) == (422, [field])


async def test_a_token_taken_back_opens_nothing_from_the_next_request(api: Api, shop: Brand) -> None:
    told = (await issue(api)).json()
    token = told["token"]["token_id"]
    mine = bearer(told["secret"])
    assert (await api.http.get("/v1/plans", headers=mine)).status_code == 200
    assert problem(await api.post(f"{TOKENS}/{token}/end", {"reason": ""})) == (
        422,
        [("reason", "reason_missing")],
    )
    ended = await api.post(f"{TOKENS}/{token}/end", WHY)
    assert ended.json()["ended_at"] == "2026-03-02T02:00:00Z"
    assert problem(await api.http.get("/v1/plans", headers=mine))[0] == 401
    api.now = at(3)
    assert (await api.post(f"{TOKENS}/{token}/end", WHY)).json()["ended_at"] == "2026-03-02T02:00:00Z"
    types = await shop.rows(
        "SELECT type FROM event WHERE type LIKE 'credential%' AND payload->>'credential' = $1", token
    )
    assert sorted(types) == [("credential_ended",), ("credential_issued",)]


async def test_no_token_is_issued_to_a_shut_account_or_to_nobody(api: Api, shop: Brand) -> None:
    await identity(shop.ledger, "auditor", Grant(Role.AUDITOR))
    account = account_id_of("auditor")
    await api.post(f"/v1/accounts/{account}/shut", WHY)
    assert problem(await issue(api, account_id=str(account))) == (409, [("account", "account_shut")])
    assert problem(await issue(api, account_id=str(uuid4()))) == (404, [("account", "unknown_account")])
    assert problem(await api.post(f"{TOKENS}/{uuid4()}/end", WHY)) == (404, [("token", "unknown_credential")])


async def test_tokens_are_paged_newest_first_without_those_that_ended(api: Api) -> None:
    for number in range(4):
        api.now = at(2, 11, number)
        await issue(api, name=f"t{number}")
    page = (await api.get(TOKENS, limit=3)).json()
    names = [one["name"] for one in page["items"]]
    rest = (await api.get(TOKENS, limit=3, after=page["next"])).json()
    assert (names, [one["name"] for one in rest["items"]]) == (["t3", "t2", "t1"], ["t0", "hq"])
    await api.post(f"{TOKENS}/{page['items'][0]['token_id']}/end", WHY)
    assert [one["name"] for one in (await api.get(TOKENS)).json()["items"]] == ["t2", "t1", "t0", "hq"]
    assert len((await api.get(TOKENS, ended=True)).json()["items"]) == 5
    mine = (await api.get(TOKENS, account=str(account_id_of("hq")))).json()["items"]
    assert len(mine) == 4
    assert (await api.get(TOKENS, account=str(uuid4()))).json()["items"] == []


async def test_a_session_is_not_taken_back_as_a_token(api: Api, shop: Brand) -> None:
    session = uuid4()
    await shop.execute(
        "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, created_at, expires_at)"
        " VALUES (1, '\\x01', $1, $2, 'session', $3, $4)",
        session, account_id_of("hq"), at(2), at(3),
    )  # fmt: skip
    assert problem(await api.post(f"{TOKENS}/{session}/end", WHY)) == (404, [("token", "unknown_credential")])


async def test_a_token_issues_none_that_outlives_it_or_issues_others_and_takes_its_own_along(
    api: Api, shop: Brand
) -> None:
    rights = (Right.MANAGE_TOKENS, Right.READ_PLAN)
    mine = bearer(await identity(shop.ledger, "boss", Grant(Role.HQ), rights=rights))
    account = account_id_of("boss")
    parent = await shop.value("SELECT credential_id FROM credential WHERE account_id = $1", account)
    await shop.execute("UPDATE credential SET expires_at = $2 WHERE account_id = $1", account, at(12, 10))

    async def issued(**changes: Any) -> Any:
        body = {"name": "child", "rights": ["plan.read"], "days": 10} | changes
        return await api.http.post(TOKENS, json=body, headers=mine)

    assert problem(await issued(days=11)) == (422, [("days", "token_outlives_yours")])
    refused = problem(await issued(rights=["tokens.manage", "plan.read"]))
    assert refused == (422, [("rights", "token_makes_tokens")])
    child = bearer((await issued()).json()["secret"])
    assert (await api.http.get("/v1/plans", headers=child)).status_code == 200
    assert (await api.post(f"{TOKENS}/{parent}/end", WHY)).status_code == 200
    assert [(await api.http.get("/v1/plans", headers=one)).status_code for one in (mine, child)] == [401, 401]


async def test_the_last_token_by_which_anybody_at_hq_gets_in_is_not_taken_back(api: Api, shop: Brand) -> None:
    last = await shop.value("SELECT credential_id FROM credential")
    assert problem(await api.post(f"{TOKENS}/{last}/end", WHY)) == (409, [("token", "last_hq")])
    await issue(api)  # one that manages no accounts is no way back
    assert problem(await api.post(f"{TOKENS}/{last}/end", WHY)) == (409, [("token", "last_hq")])
    await identity(shop.ledger, "boss", Grant(Role.HQ))
    assert (await api.post(f"{TOKENS}/{last}/end", WHY)).status_code == 200
