"""Accounts over HTTP: made, granted, shut, reset; and what nobody may do to them."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from argon2 import PasswordHasher

from domain.policy import CHANGING, POLICY, SCOPES, Right, Role
from ledger.account_places import Grant
from ledger.last_hq import refuse_last_hq
from ledger.ledger import Ledger
from tests.api.conftest import Api, problem
from tests.brand import Brand, at
from tests.identities import account_id_of, identity

ACCOUNTS = "/v1/accounts"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "accounts.md"
WHY = {"reason": "she moved to finance"}


async def create(api: Api, login: str = "li", *, key: str | None = None, **changes: Any) -> Any:
    body = {"login": login, "name": "李敏", "grants": [{"role": "auditor"}]} | changes
    return await api.post(ACCOUNTS, body, key=key)


async def made(api: Api, login: str = "li", **changes: Any) -> str:
    """The id of a new account."""
    answer = await create(api, login, **changes)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["account"]["account_id"])


async def everything_told(shop: Brand) -> str:
    """Every event and command of the ledger as text."""
    rows = await shop.rows("SELECT stream, actor, cause, payload::text, encode(body, 'escape') FROM event")
    return str(rows) + str(await shop.rows("SELECT command_id, stream FROM command"))


async def test_an_account_is_created_with_a_one_time_password_that_is_told_once_and_kept_hashed(
    api: Api, shop: Brand, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await create(api, "Li.Min ", key="a")
    told = answer.json()
    assert (answer.status_code, told["account"]["login"], told["account"]["must_change"]) == (
        201,
        "li.min",
        True,
    )
    assert answer.headers["cache-control"] == "no-store"
    assert told["account"]["roles"] == [{"role": "auditor", "place": ""}]
    kept = await shop.value("SELECT password FROM account WHERE login = 'li.min'")
    assert kept.startswith("$argon2id$")
    assert PasswordHasher().verify(kept, told["password"])
    again = await create(api, "li.min", key="a")
    assert (again.status_code, again.json()["password"], again.json()["duplicate"]) == (200, None, True)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json()["account"]["account_id"] == told["account"]["account_id"]
    written = await everything_told(shop) + str(capfd.readouterr())
    assert [secret for secret in (told["password"], kept, "li.min", "李敏") if secret in written] == []


async def test_a_key_sent_again_with_another_account_is_refused(api: Api) -> None:
    await create(api, "li", key="a")
    assert problem(await create(api, "wang", key="a")) == (422, [("Idempotency-Key", "key_used_otherwise")])


async def test_an_account_may_have_no_password_at_all(api: Api, shop: Brand) -> None:
    told = (await create(api, password=False)).json()
    assert (told["password"], told["account"]["has_password"], told["account"]["must_change"]) == (
        None,
        False,
        False,
    )


async def test_what_cannot_be_read_and_what_does_not_exist_are_told_at_once(api: Api, shop: Brand) -> None:
    before = await shop.everything()
    grants = [
        {"role": "boss"},
        {"role": "supervisor", "place": "Nowhere"},
        {"role": "owner", "starts_at": "soon"},
    ]
    answer = await api.post(ACCOUNTS, {"login": "-x", "guide": "G9", "grants": grants, "shoe": 38})
    assert problem(answer) == (
        422,
        [
            ("name", "missing_field"),
            ("grants.0.role", "not_a_choice"),
            ("grants.2.starts_at", "not_an_instant"),
            ("shoe", "unknown_field"),
            ("login", "not_a_login"),
            ("guide", "unknown_guide"),
            ("grants.1.place", "unknown_place"),
        ],
    )
    assert problem(await create(api, "hq", name="", grants=[])) == (
        422,
        [("name", "empty"), ("login", "login_taken")],
    )
    assert problem(await api.post(ACCOUNTS, [])) == (422, [("body", "not_an_object")])
    assert await shop.everything() == before
    account = await made(api)
    wrong = {"role": "supervisor", "place": "Nowhere", "ends_at": at(1).isoformat()}
    assert problem(await api.post(f"{ACCOUNTS}/{account}/grants", wrong)) == (
        422,
        [("place", "unknown_place"), ("ends_at", "grant_ends_before")],
    )


async def test_everything_that_is_wrong_with_an_account_comes_at_once_and_nothing_is_written(
    api: Api, shop: Brand
) -> None:
    before = await shop.everything()
    grants = [
        {"role": "supervisor", "place": "Nowhere"},
        {"role": "store_manager", "place": "S9"},
        {"role": "hq", "place": "S1"},
        {"role": "guide"},
        {"role": "organiser", "place": "no-plan"},
        {"role": "dealer", "place": ""},
        {"role": "owner", "ends_at": at(1).isoformat()},
        {"role": "store_manager", "place": "S9"},
    ]
    answer = await create(api, "-x", name=" ", guide="G9", grants=grants[:3] + grants[4:])
    assert problem(answer) == (
        422,
        [
            ("login", "not_a_login"),
            ("name", "name_missing"),
            ("guide", "unknown_guide"),
            ("grants.0.place", "unknown_place"),
            ("grants.1.place", "unknown_place"),
            ("grants.2.place", "role_has_no_place"),
            ("grants.3.place", "unknown_place"),
            ("grants.4.place", "place_missing"),
            ("grants.5.ends_at", "grant_ends_before"),
            ("grants.6.place", "unknown_place"),
            ("grants.6.role", "granted_already"),
        ],
    )
    assert problem(await create(api, grants=[grants[3]])) == (422, [("guide", "role_needs_guide")])
    told = answer.json()["problems"][3]
    assert "区域" in told["reason"]
    assert "督导" in told["reason"]
    assert await shop.everything() == before
    assert await shop.rows("SELECT login FROM account") == [("hq",)]


async def test_a_login_is_taken_whatever_its_case(api: Api) -> None:
    await made(api, "li")
    assert problem(await create(api, " LI")) == (409, [("login", "login_taken")])


async def test_two_who_take_the_same_login_at_once_get_one_account(api: Api, shop: Brand) -> None:
    answers = await asyncio.gather(create(api, "li"), create(api, "li"))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert await shop.value("SELECT count(*) FROM account WHERE login = 'li'") == 1


async def test_a_guide_has_one_open_account(api: Api) -> None:
    mine = {"guide": "G1", "grants": [{"role": "guide"}]}
    first = await made(api, "g1", **mine)
    assert problem(await create(api, "g1b", **mine)) == (409, [("guide", "guide_has_account")])
    await api.post(f"{ACCOUNTS}/{first}/shut", WHY)
    await made(api, "g1b", **mine)
    assert problem(await api.post(f"{ACCOUNTS}/{first}/open", WHY)) == (409, [("guide", "guide_has_account")])


async def test_accounts_are_paged_by_login_and_found_by_role(api: Api) -> None:
    for login in ("anna", "berta", "carla"):
        await made(api, login)
    seen, after = [], None
    for _ in range(2):
        page = (await api.get(ACCOUNTS, limit=2, **({"after": after} if after else {}))).json()
        seen += [one["login"] for one in page["items"]]
        after = page["next"]
    assert (seen, after) == (["anna", "berta", "carla", "hq"], None)
    found = (await api.get(ACCOUNTS, role="hq")).json()["items"]
    assert [one["login"] for one in found] == ["hq"]
    assert problem(await api.get(ACCOUNTS, role="boss")) == (422, [("role", "not_a_choice")])


async def test_an_account_is_shown_with_its_grants_and_credentials_but_no_hash(api: Api, shop: Brand) -> None:
    account = await made(api, grants=[{"role": "store_manager", "place": "S1", "ends_at": at(9).isoformat()}])
    await api.post("/v1/tokens", {"account_id": account, "name": "till", "rights": ["list.read"]})
    answer = await api.get(f"{ACCOUNTS}/{account}")
    told = answer.json()
    (grant,) = told["grants"]
    assert (grant["role"], grant["place"], grant["ends_at"]) == (
        "store_manager",
        "S1",
        "2026-03-09T01:00:00Z",
    )
    (token,) = told["credentials"]
    assert (token["kind"], token["name"], token["rights"]) == ("token", "till", ["list.read"])
    assert "argon2" not in answer.text
    assert "hash" not in answer.text
    assert problem(await api.get(f"{ACCOUNTS}/{uuid4()}")) == (404, [("account", "unknown_account")])


async def test_a_role_is_granted_from_and_until_and_counts_at_those_instants(api: Api, shop: Brand) -> None:
    token = await identity(shop.ledger, "sv")
    account = account_id_of("sv")
    body = {
        "role": "auditor",
        "starts_at": at(3).isoformat(),
        "ends_at": at(5).isoformat(),
        "reason": "audit",
    }
    granted = await api.post(f"{ACCOUNTS}/{account}/grants", body, key="a")
    assert (granted.status_code, granted.json()["changed"]) == (201, True)
    again = await api.post(f"{ACCOUNTS}/{account}/grants", body, key="a")
    assert (again.status_code, again.json()["changed"]) == (200, False)
    assert again.json()["grant"] == granted.json()["grant"]
    seen = {}
    for day in (2, 3, 4, 5):
        api.now = at(day)
        seen[day] = (
            await api.http.get("/v1/plans", headers={"Authorization": f"Bearer {token}"})
        ).status_code
    assert seen == {2: 403, 3: 200, 4: 200, 5: 403}


async def test_the_same_role_is_not_granted_twice(api: Api) -> None:
    account = await made(api)
    answer = await api.post(f"{ACCOUNTS}/{account}/grants", {"role": "auditor"})
    assert problem(answer) == (409, [("role", "granted_already")])


async def test_an_ended_grant_gives_nothing_from_the_next_request(api: Api, shop: Brand) -> None:
    token = await identity(shop.ledger, "sv", Grant(Role.AUDITOR))
    mine = {"Authorization": f"Bearer {token}"}
    assert (await api.http.get(ACCOUNTS, headers=mine)).status_code == 200
    grant = await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", account_id_of("sv"))
    ended = await api.post(f"/v1/grants/{grant}/end", WHY, key="a")
    assert ended.json()["changed"] is True
    assert problem(await api.http.get(ACCOUNTS, headers=mine)) == (403, [("account", "not_allowed")])
    assert (await api.post(f"/v1/grants/{grant}/end", WHY, key="a")).json()["changed"] is False
    again = await api.post(f"/v1/grants/{grant}/end", WHY)
    assert (again.status_code, again.json()["changed"]) == (200, False)
    later = {**WHY, "ends_at": at(3).isoformat()}
    assert problem(await api.post(f"/v1/grants/{grant}/end", later)) == (
        409,
        [("ends_at", "grant_ends_earlier")],
    )


async def test_a_grant_ends_neither_in_the_past_nor_without_a_reason(api: Api, shop: Brand) -> None:
    await made(api)
    grant = await shop.value("SELECT grant_id FROM role_grant WHERE role = 'auditor'")
    past = {**WHY, "ends_at": at(2, 9).isoformat()}
    assert problem(await api.post(f"/v1/grants/{grant}/end", past)) == (422, [("ends_at", "ends_in_past")])
    assert problem(await api.post(f"/v1/grants/{grant}/end", {"reason": " "})) == (
        422,
        [("reason", "reason_missing")],
    )
    assert problem(await api.post(f"/v1/grants/{uuid4()}/end", WHY)) == (404, [("grant", "unknown_grant")])


async def hq_grant(shop: Brand, login: str = "hq") -> UUID:
    return UUID(
        str(await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", account_id_of(login)))
    )


async def test_the_last_account_of_hq_is_neither_shut_nor_demoted(api: Api, shop: Brand) -> None:
    before = await shop.rows("SELECT * FROM event ORDER BY stream, version")
    shut = await api.post(f"{ACCOUNTS}/{account_id_of('hq')}/shut", WHY)
    assert problem(shut) == (409, [("account", "last_hq")])
    later = {**WHY, "ends_at": at(20).isoformat()}
    for body in (WHY, later):
        ended = await api.post(f"/v1/grants/{await hq_grant(shop)}/end", body)
        assert problem(ended) == (409, [("account", "last_hq")])
    assert await shop.rows("SELECT * FROM event ORDER BY stream, version") == before


async def test_an_account_whose_role_at_hq_will_end_does_not_stand_in_for_the_last_one(
    api: Api, shop: Brand
) -> None:
    await made(api, "interim", grants=[{"role": "hq", "ends_at": at(9).isoformat()}])
    shut = await api.post(f"{ACCOUNTS}/{account_id_of('hq')}/shut", WHY)
    assert problem(shut) == (409, [("account", "last_hq")])


async def test_a_role_at_hq_that_is_counted_on_before_it_begins_is_not_taken_away(
    api: Api, shop: Brand
) -> None:
    ahead = await made(api, "ahead", grants=[{"role": "hq", "starts_at": at(3).isoformat()}])
    last = [("account", "last_hq")]
    too_early = {**WHY, "ends_at": at(2, 12).isoformat()}
    assert problem(await api.post(f"/v1/grants/{await hq_grant(shop)}/end", too_early)) == (409, last)
    later = {**WHY, "ends_at": at(4).isoformat()}
    assert (await api.post(f"/v1/grants/{await hq_grant(shop)}/end", later)).status_code == 200
    assert problem(await api.post(f"{ACCOUNTS}/{ahead}/shut", WHY)) == (409, last)
    of_ahead = await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", UUID(ahead))
    for body in (WHY, {**WHY, "ends_at": at(9).isoformat()}):
        assert problem(await api.post(f"/v1/grants/{of_ahead}/end", body)) == (409, last)
    await made(api, "another", grants=[{"role": "hq"}])
    assert (await api.post(f"{ACCOUNTS}/{ahead}/shut", WHY)).status_code == 200


async def test_who_cannot_sign_in_does_not_stand_in_for_the_last_of_hq(api: Api, shop: Brand) -> None:
    await made(api, "nobody", grants=[{"role": "hq"}], password=False)
    shut = f"{ACCOUNTS}/{account_id_of('hq')}/shut"
    assert problem(await api.post(shut, WHY)) == (409, [("account", "last_hq")])
    await identity(shop.ledger, "machine", Grant(Role.HQ), rights=(Right.EXPORT_MEMBER,))
    assert problem(await api.post(shut, WHY)) == (409, [("account", "last_hq")])
    await shop.execute("UPDATE account SET wecom_user = 'u1', subject = 's1' WHERE login = 'nobody'")
    assert problem(await api.post(shut, WHY)) == (409, [("account", "last_hq")]), "neither is configured"
    async with shop.ledger.transaction() as connection:
        for way in ("oidc", "wecom"):
            leaves = {"now": api.now, "at": api.now, "ways": frozenset({way})}
            await refuse_last_hq(connection, 1, account_id_of("hq"), **leaves)  # type: ignore[arg-type]
    await shop.execute("UPDATE account SET password = 'no hash' WHERE login = 'nobody'")
    await api.post(shut, WHY)
    assert await shop.value("SELECT active FROM account WHERE login = 'hq'") is False


@pytest.mark.parametrize(
    "grants",
    [
        [],
        [{"role": "owner"}],
        [{"role": "auditor"}, {"role": "owner"}],
        [{"role": "auditor", "ends_at": at(9).isoformat()}],
        [{"role": "auditor", "starts_at": at(3).isoformat()}],
    ],
)
async def test_a_key_sent_again_with_other_grants_is_refused(
    api: Api, shop: Brand, grants: list[dict[str, str]]
) -> None:
    first = (await create(api, key="a")).json()["account"]["account_id"]
    assert problem(await create(api, key="a", grants=grants)) == (
        422,
        [("Idempotency-Key", "key_used_otherwise")],
    )
    api.now += timedelta(hours=1)
    grant_id = await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", UUID(first))
    assert (await api.post(f"/v1/grants/{grant_id}/end", WHY)).status_code == 200
    assert (await create(api, key="a")).status_code == 200, "what became of them since does not count"


async def test_a_key_sent_again_with_another_end_or_grant_is_refused(api: Api, shop: Brand) -> None:
    otherwise = (422, [("Idempotency-Key", "key_used_otherwise")])
    account_id = await made(api)
    grant_id = await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", UUID(account_id))
    path, later = f"/v1/grants/{grant_id}/end", {**WHY, "ends_at": at(9).isoformat()}
    assert (await api.post(path, later, key="k")).status_code == 200
    api.now += timedelta(minutes=1)
    assert (await api.post(path, later, key="k")).headers["idempotent-replayed"] == "true"
    for body in (WHY, {**WHY, "ends_at": at(8).isoformat()}):
        assert problem(await api.post(path, body, key="k")) == otherwise
    assert await shop.value("SELECT ends_at FROM role_grant WHERE grant_id = $1", grant_id) == at(9)
    grants, owner = f"{ACCOUNTS}/{account_id}/grants", {"role": "owner", "ends_at": at(9).isoformat()}
    assert (await api.post(grants, owner, key="g")).status_code == 201
    assert problem(await api.post(grants, {"role": "owner"}, key="g")) == otherwise


async def test_two_of_hq_who_shut_each_other_at_once_leave_one(api: Api, shop: Brand, served: Ledger) -> None:
    other = Api(shop, served=served, token=await identity(shop.ledger, "hq2", Grant(Role.HQ)))
    async with other.http:
        answers = await asyncio.gather(
            api.post(f"{ACCOUNTS}/{account_id_of('hq2')}/shut", WHY),
            other.post(f"{ACCOUNTS}/{account_id_of('hq')}/shut", WHY),
        )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert await shop.value("SELECT count(*) FROM account WHERE active") == 1


async def test_a_shut_account_loses_its_tokens_at_the_next_request_and_gets_none_back_when_opened(
    api: Api, shop: Brand
) -> None:
    mine = {"Authorization": f"Bearer {await identity(shop.ledger, 'sv', Grant(Role.AUDITOR))}"}
    account = account_id_of("sv")
    shut = await api.post(f"{ACCOUNTS}/{account}/shut", WHY)
    assert (shut.json()["changed"], shut.json()["account"]["active"]) == (True, False)
    assert problem(await api.http.get(ACCOUNTS, headers=mine))[0] == 401
    assert (await api.post(f"{ACCOUNTS}/{account}/shut", WHY)).json()["changed"] is False
    assert (await api.post(f"{ACCOUNTS}/{account}/open", WHY)).json()["account"]["active"] is True
    assert problem(await api.http.get(ACCOUNTS, headers=mine))[0] == 401
    assert problem(await api.post(f"{ACCOUNTS}/{uuid4()}/shut", WHY)) == (
        404,
        [("account", "unknown_account")],
    )


async def test_a_reset_password_is_told_once_and_ends_the_sessions(api: Api, shop: Brand) -> None:
    account = await made(api)
    await shop.execute(
        "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, created_at, expires_at)"
        " VALUES (1, '\\x01', $1, $2, 'session', $3, $4)",
        uuid4(), UUID(account), at(2), at(2) + timedelta(days=1),
    )  # fmt: skip
    await shop.execute("UPDATE account SET failures = 9, locked_until = $1 WHERE login = 'li'", at(2, 22))
    reset = await api.http.post(f"{ACCOUNTS}/{account}/password", headers={"Idempotency-Key": "a"})
    told = reset.json()
    assert (told["account"]["must_change"], told["account"]["locked_until"]) == (True, None)
    kept = await shop.value("SELECT password FROM account WHERE login = 'li'")
    assert PasswordHasher().verify(kept, told["password"])
    assert (await api.get(f"{ACCOUNTS}/{account}")).json()["credentials"] == []
    again = await api.http.post(f"{ACCOUNTS}/{account}/password", headers={"Idempotency-Key": "a"})
    assert again.json()["password"] is None
    assert await shop.value("SELECT password FROM account WHERE login = 'li'") == kept
    assert told["password"] not in await everything_told(shop)
    await api.post(f"{ACCOUNTS}/{account}/shut", WHY)
    assert problem(await api.post(f"{ACCOUNTS}/{account}/password")) == (409, [("account", "account_shut")])


async def test_who_manages_accounts_with_few_rights_hands_out_no_more_than_those(
    api: Api, shop: Brand, served: Ledger
) -> None:
    token = await identity(
        shop.ledger,
        "helper",
        Grant(Role.HQ),
        rights=(Right.MANAGE_ACCOUNTS, Right.READ_PLAN, Right.READ_REPORT),
    )
    weak = Api(shop, served=served, token=token)
    async with weak.http:
        refused = await create(weak, grants=[{"role": "hq"}])
        assert problem(refused) == (422, [("grants.0.role", "beyond_your_rights")])
        reset = await weak.post(f"{ACCOUNTS}/{account_id_of('hq')}/password")
        assert problem(reset) == (422, [("account", "beyond_your_rights")])
        granted = await weak.post(f"{ACCOUNTS}/{account_id_of('helper')}/grants", {"role": "owner"})
        assert problem(granted) == (422, [("role", "beyond_your_rights")])
        assert (await create(weak, grants=[])).status_code == 201


@pytest.mark.parametrize("role", [role for role in Role if Right.MANAGE_ACCOUNTS not in POLICY[role]])
async def test_only_hq_manages_accounts(api: Api, shop: Brand, served: Ledger, role: Role) -> None:
    await shop.execute("UPDATE store SET region = 'East', dealer = 'D1'")
    guide = await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")
    places = {"region": "East", "dealer": "D1", "store": "S1"}
    place = places.get(SCOPES[role].value, "")
    if role is Role.ORGANISER:
        await shop.due_on(2, "M1")
        await shop.start()
        place = "p1"
    other = Api(
        shop, served=served, token=await identity(shop.ledger, "other", Grant(role, place), guide=guide)
    )
    async with other.http:
        answers = [
            await create(other),
            await other.post(f"{ACCOUNTS}/{account_id_of('hq')}/shut", WHY),
            await other.post(f"{ACCOUNTS}/{account_id_of('other')}/grants", {"role": "hq"}),
            await other.post(f"{ACCOUNTS}/{account_id_of('hq')}/password"),
            await other.post(f"/v1/grants/{await hq_grant(shop)}/end", WHY),
            await other.post("/v1/tokens", {"name": "mine", "rights": ["plan.read"]}),
            await other.get("/v1/tokens"),
        ]
        assert {problem(answer)[0] for answer in answers} == {403}
        reading = await other.get(ACCOUNTS)
        assert reading.status_code == (200 if Right.READ_ACCOUNTS in POLICY[role] else 403)


async def test_every_change_of_rights_is_an_event_that_names_accounts_by_id(api: Api, shop: Brand) -> None:
    account = await made(api)
    await api.post(f"{ACCOUNTS}/{account}/grants", {"role": "owner", "reason": "new owner"})
    grant = await shop.value("SELECT grant_id FROM role_grant WHERE role = 'owner'")
    await api.post(f"/v1/grants/{grant}/end", WHY)
    await api.post(f"{ACCOUNTS}/{account}/password")
    await api.post(f"{ACCOUNTS}/{account}/shut", WHY)
    rows = await shop.rows(
        "SELECT type, actor FROM event WHERE stream = $1 ORDER BY version", f"account/{account}"
    )
    assert [row[0] for row in rows] == [
        "account_created", "role_granted", "role_granted", "role_ended", "secret_changed", "account_changed",
    ]  # fmt: skip
    assert {row[1] for row in rows} == {f"account/{account_id_of('hq')}"}


def policy_table() -> str:
    """The table of docs/accounts.md as the policy has it."""
    lines = [
        "| right | " + " | ".join(role.value for role in Role) + " |",
        "| --- |" + " --- |" * len(Role),
        "| holds in | " + " | ".join(SCOPES[role].value for role in Role) + " |",
    ]
    for right in Right:
        name = f"`{right.value}`" + (" ✎" if right in CHANGING else "")
        lines.append(
            f"| {name} | " + " | ".join("●" if right in POLICY[role] else "" for role in Role) + " |"
        )
    return re.sub(r" +", " ", "\n".join(lines))


def test_the_documented_table_of_roles_is_the_policy() -> None:
    assert policy_table() in DOCS.read_text(encoding="utf-8"), policy_table()


@pytest.mark.parametrize("ends_at", [None, "2026-03-10T00:00:00Z"])
async def test_the_same_role_is_not_granted_for_a_time_that_overlaps(
    api: Api, shop: Brand, ends_at: str | None
) -> None:
    account = (await api.post("/v1/accounts", {"login": "li", "name": "Li", "grants": []})).json()["account"]
    grants = f"/v1/accounts/{account['account_id']}/grants"
    first = {"role": "auditor", "starts_at": "2026-03-05T00:00:00Z", "ends_at": "2026-03-20T00:00:00Z"}
    assert (await api.post(grants, first)).status_code == 201
    overlapping = {"role": "auditor", "ends_at": ends_at}
    assert problem(await api.post(grants, overlapping)) == (409, [("role", "granted_already")])
    assert (await api.post(grants, overlapping | {"ends_at": "2026-03-05T00:00:00Z"})).status_code == 201
