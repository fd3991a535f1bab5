"""What a PIN opens and who may give one: never more than a shop's work, and never more than the giver has."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from activities.accounts import Giver, grant_to, reset_password
from activities.asked import Asked
from activities.passwords import hash_secret
from domain.policy import ON_PHONE, POLICY, Right, Role, rights_of
from ledger.account_batches import Admission, admit
from ledger.account_places import Grant
from ledger.ledger import Command
from ledger.sign_in import FAILURES_TO_LOCK, MOST_IN_WINDOW
from tests.api.browsers import Browser, account, events_of
from tests.api.conftest import Api, problem
from tests.api.test_devices import PIN, WRONG, Shops, guide_id, shops
from tests.brand import Brand, at
from tests.identities import identity

__all__ = ["shops"]

BEYOND = (422, [("guide", "beyond_your_rights")])


def bearing(api: Api, token: str) -> Browser:
    """Somebody who shows a token."""
    browser = Browser(api)
    browser.http.headers["authorization"] = f"Bearer {token}"
    return browser


async def give(shop: Brand, account_id: UUID, pin: str = PIN) -> None:
    """A PIN that its owner chose."""
    hashed = await hash_secret(pin)
    await shop.execute("UPDATE account SET pin = $1 WHERE account_id = $2", hashed, account_id)


async def grant(api: Api, account_id: UUID, granted: Grant) -> None:
    hq = Giver(Asked(None, api.now, "cli"), frozenset(Right))
    await grant_to(api.brand.ledger, account_id, granted, "promoted", hq)


@pytest.mark.parametrize("starts_at", [None, at(9, 0)], ids=["now", "later"])
async def test_a_token_gives_no_pin_to_an_account_that_may_do_more(
    shops: Shops, shop: Brand, starts_at: object
) -> None:
    later = Grant(Role.HQ, starts_at=at(9, 0)) if starts_at else Grant(Role.HQ)
    boss = await account(shops.api, "boss", later, Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    only = (Right.BIND_DEVICE,)
    token = await identity(shop.ledger, "machine", Grant(Role.HQ), rights=only)
    answer = await bearing(shops.api, token).post("/v1/guides/G1/pin")
    assert problem(answer) == BEYOND
    assert Right.MANAGE_ACCOUNTS.value in answer.text
    assert await shop.value("SELECT pin FROM account WHERE account_id = $1", boss) is None
    work = (*only, *POLICY[Role.GUIDE])
    token = await identity(shop.ledger, "machine2", Grant(Role.HQ), rights=work)
    assert problem(await bearing(shops.api, token).post("/v1/guides/G1/pin")) == BEYOND
    assert (await bearing(shops.api, token).post("/v1/guides/G2/pin")).status_code == 201


async def test_nobody_gives_a_pin_who_may_not_do_a_guides_work(shops: Shops, shop: Brand) -> None:
    manager = Grant(Role.STORE_MANAGER, "S1")
    token = await identity(shop.ledger, "machine", manager, rights=(Right.BIND_DEVICE,))
    before = await shop.value("SELECT count(*) FROM account")
    assert problem(await bearing(shops.api, token).post("/v1/guides/G1/pin")) == BEYOND
    assert await shop.value("SELECT count(*) FROM account") == before
    await shops.pin("G1")
    assert problem(await bearing(shops.api, token).post("/v1/guides/G1/pin")) == BEYOND


async def test_a_pin_opens_a_shops_work_whatever_else_its_account_is_granted(
    shops: Shops, shop: Brand
) -> None:
    roles = (
        *(Grant(role) for role in (Role.HQ, Role.OWNER, Role.AUDITOR, Role.GUIDE)),
        Grant(Role.SUPERVISOR, "R1"),
        Grant(Role.STORE_MANAGER, "S2"),
    )
    await shop.execute("UPDATE store SET region = 'R1'")
    boss = await account(shops.api, "boss", *roles, guide=guide_id(shop, "G1"))
    await give(shop, boss)
    phone = await shops.phone(shops.s1, "S1")
    told = (await phone.sign_in_by_pin("G1", PIN)).json()
    held = frozenset({Role.GUIDE, Role.STORE_MANAGER})
    assert set(told["rights"]) == {right.value for right in rights_of(held)}
    me = (await phone.get("/v1/me")).json()
    assert {role["role"] for role in told["roles"]} == {role["role"] for role in me["roles"]} == set(held)
    assert set(me["rights"]) == set(told["rights"])
    assert problem(await phone.get("/v1/accounts"))[0] == 403
    assert problem(await phone.post("/v1/outbox/stop", {"reason": "x"}))[0] == 403
    unchecked = Browser(Api(shop, served=shops.api.served, enforcing=False))
    unchecked.http.cookies, unchecked.csrf = phone.http.cookies, phone.csrf
    assert [one["login"] for one in (await unchecked.get("/v1/accounts")).json()["items"]] == ["boss"]
    # The store next door is in the region she supervises; by PIN it is not hers.
    await shop.hire("G3")
    await shop.execute("UPDATE guide SET store_id = $1 WHERE code = 'G3'", await _store(shop, "S1"))
    assert problem(await unchecked.get("/v1/guides/G3/today")) == (404, [("guide", "unknown_guide")])
    browser = Browser(shops.api)
    await browser.sign_in("boss")
    assert (await browser.get("/v1/accounts")).status_code == 200


async def _store(shop: Brand, code: str) -> UUID:
    return UUID(str(await shop.value("SELECT store_id FROM store WHERE code = $1", code)))


async def test_the_roles_a_phone_lets_count_are_those_of_the_policy(shops: Shops, shop: Brand) -> None:
    g1 = await account(shops.api, "g1", Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    await give(shop, g1)
    phone = await shops.phone(shops.s1, "S1")
    await phone.sign_in_by_pin("G1", PIN)
    for role in Role:
        await shop.execute("UPDATE role_grant SET role = $1 WHERE account_id = $2", role.value, g1)
        counted = POLICY[role] if role in ON_PHONE else frozenset[Right]()
        assert set((await phone.get("/v1/me")).json()["rights"]) == {right.value for right in counted}, role


async def test_a_one_time_pin_is_void_when_its_account_becomes_more_than_a_guide(
    shops: Shops, shop: Brand
) -> None:
    pin = await shops.pin()
    phone = await shops.phone(shops.s1, "S1")
    g1 = UUID((await phone.sign_in_by_pin("G1", pin)).json()["account"])
    await grant(shops.api, g1, Grant(Role.SERVICE_AGENT))
    assert (await phone.get("/v1/me")).status_code == 200
    await grant(shops.api, g1, Grant(Role.STORE_MANAGER, "S1"))
    assert problem(await phone.get("/v1/me"))[0] == 401
    assert problem(await phone.sign_in_by_pin("G1", pin)) == WRONG
    assert (await events_of(shops.api, f"account/{g1}"))[-2][1] == {"kind": "pin", "change": "removed"}


async def test_an_import_that_makes_a_guide_more_voids_the_one_time_pin_too(
    shops: Shops, shop: Brand
) -> None:
    pin = await shops.pin()
    phone = await shops.phone(shops.s1, "S1")
    g1 = UUID((await phone.sign_in_by_pin("G1", pin)).json()["account"])
    for role, void in ((Role.SERVICE_AGENT, False), (Role.SUPERVISOR, True)):
        admission = Admission(g1, None, ((uuid4(), Grant(role)),))
        command = Command(f"import/{role}", shops.api.now, shops.api.now, "cli")
        async with shop.ledger.transaction() as connection:
            await admit(connection, 1, command, [admission])
        assert (await phone.get("/v1/me")).status_code == (401 if void else 200)
    assert problem(await phone.sign_in_by_pin("G1", pin)) == WRONG


async def test_a_pin_its_owner_chose_stays_when_the_account_becomes_more(shops: Shops, shop: Brand) -> None:
    pin = await shops.pin()
    phone = await shops.phone(shops.s1, "S1")
    g1 = UUID((await phone.sign_in_by_pin("G1", pin)).json()["account"])
    assert (await phone.post("/v1/me/pin", {"old": pin, "new": PIN})).status_code == 204
    await grant(shops.api, g1, Grant(Role.STORE_MANAGER, "S1"))
    assert (await phone.sign_in_by_pin("G1", PIN)).status_code == 201


async def test_wrong_passwords_from_outside_lock_no_pin_and_wrong_pins_no_password(
    shops: Shops, shop: Brand
) -> None:
    g1 = await account(shops.api, "g1", Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    await give(shop, g1)
    phone, other = await shops.phone(shops.s1, "S1"), await shops.phone(shops.s1, "S1")
    for _ in range(FAILURES_TO_LOCK):
        assert problem(await Browser(shops.api, "198.51.100.1").sign_in("g1", "wrong")) == WRONG
    assert problem(await Browser(shops.api).sign_in("g1")) == WRONG
    assert (await phone.sign_in_by_pin("G1", PIN)).status_code == 201
    assert await shop.value("SELECT failures FROM account WHERE account_id = $1", g1) == FAILURES_TO_LOCK
    hq = Giver(Asked(None, shops.api.now, "cli"), frozenset(Right))
    given = await reset_password(shop.ledger, g1, hq)
    for _ in range(FAILURES_TO_LOCK):
        assert problem(await other.sign_in_by_pin("G1", "000000")) == WRONG
    assert problem(await other.sign_in_by_pin("G1", PIN)) == WRONG
    assert given.password is not None
    assert (await Browser(shops.api).sign_in("g1", given.password)).status_code == 201
    assert problem(await other.sign_in_by_pin("G1", PIN)) == WRONG
    shown = (await shops.api.get(f"/v1/accounts/{g1}")).json()
    assert shown["locked_until"] is not None


async def test_a_bound_phone_is_counted_by_itself_and_nobody_else_keeps_it_waiting(
    shops: Shops, shop: Brand
) -> None:
    g1 = await account(shops.api, "g1", Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    await give(shop, g1)
    phone, other = await shops.phone(shops.s1, "S1"), await shops.phone(shops.s1, "S1")
    shops.api.now += timedelta(minutes=2)

    async def tried(browser: Browser) -> httpx.Response:
        return await browser.sign_in_by_pin("G9", "000000")

    outside = Browser(shops.api)  # behind the same address, on no bound phone
    outside.http.cookies.set("__Host-daogou_device", "dgd_made-up")
    answers = [await tried(outside) for _ in range(MOST_IN_WINDOW + 1)]
    assert [answer.status_code for answer in answers] == [401] * MOST_IN_WINDOW + [429]
    assert (await phone.sign_in_by_pin("G1", PIN)).status_code == 201
    answers = [await tried(phone) for _ in range(MOST_IN_WINDOW)]
    assert [answer.status_code for answer in answers] == [401] * (MOST_IN_WINDOW - 1) + [429]
    phone_elsewhere = Browser(shops.api, "198.51.100.9")
    phone_elsewhere.http.cookies = phone.http.cookies
    assert (await tried(phone_elsewhere)).status_code == 429
    assert (await other.sign_in_by_pin("G1", PIN)).status_code == 201


async def test_a_phone_is_bound_for_180_days_on_the_server_too(shops: Shops, shop: Brand) -> None:
    g1 = await account(shops.api, "g1", Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    await give(shop, g1)
    phone = await shops.phone(shops.s1, "S1")
    shops.api.now += timedelta(days=180) - timedelta(seconds=1)
    assert (await phone.sign_in_by_pin("G1", PIN)).status_code == 201
    hq = shops.api.brand.ledger
    assert (await phone.get("/v1/me")).status_code == 200
    shops.api.now += timedelta(seconds=1)
    assert problem(await phone.get("/v1/me"))[0] == 401
    assert problem(await phone.sign_in_by_pin("G1", PIN)) == WRONG
    token = await identity(hq, "late", Grant(Role.HQ))
    await shop.execute("UPDATE credential SET expires_at = $1", shops.api.now + timedelta(days=1))
    assert (await bearing(shops.api, token).get("/v1/devices")).json() == {"items": []}


async def test_a_closed_store_gets_no_code_and_a_code_made_before_binds_nothing(
    shops: Shops, shop: Brand
) -> None:
    made = (await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "till"})).json()
    closes = shops.api.now + timedelta(minutes=10)
    await shop.execute(
        "INSERT INTO store_closing (tenant_id, store_id, last_on, from_at, decided_at) VALUES (1, $1, $2, $3, $4)",
        await _store(shop, "S1"), shops.api.now.date(), closes, shops.api.now,
    )  # fmt: skip
    assert (await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "till"})).status_code == 201
    shops.api.now = closes
    for asker in (shops.s1, shops.api):
        answer = await asker.post("/v1/device-codes", {"store": "S1", "name": "till"})
        assert problem(answer) == (409, [("store", "store_is_closed")])
    answer = await Browser(shops.api).post("/v1/devices", {"code": made["code"]})
    assert problem(answer) == (401, [("code", "wrong_device_code")])
    assert await shop.value("SELECT count(*) FROM device") == 0


async def test_a_password_that_must_be_changed_binds_sessions_and_no_token(api: Api, shop: Brand) -> None:
    token = await identity(shop.ledger, "machine", Grant(Role.HQ))
    await shop.execute(
        "UPDATE account SET must_change = true, pin_must_change = true WHERE login = 'machine'"
    )
    assert (await bearing(api, token).get("/v1/plans")).status_code == 200
    assert (await bearing(api, token).get("/v1/me")).json()["must_change"] is False


async def test_a_code_that_is_made_leaves_an_event_without_it(shops: Shops, shop: Brand) -> None:
    made = (await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "till"})).json()
    kind, payload = (await events_of(shops.api, f"account/{shops.manager}"))[-1]
    assert (kind, payload["store"]) == ("device_code_made", str(await _store(shop, "S1")))
    assert made["code"] not in str(await shop.rows("SELECT * FROM event"))


async def test_what_is_turned_away_is_noted_once_a_minute_and_names_nobody(shops: Shops, shop: Brand) -> None:
    guesser = Browser(shops.api, "198.51.100.77")
    for _ in range(2):
        for number in range(MOST_IN_WINDOW + 2):
            await guesser.post("/v1/devices", {"code": f"AAAA-AA{number:02}"})
        await bearing(shops.api, f"dgt_{uuid4()}").get("/v1/plans")
        await bearing(shops.api, f"dgt_{uuid4()}").get("/v1/me")
        shops.api.now += timedelta(minutes=1)
    told = [payload for _, payload in await events_of(shops.api, "sign-in/unknown")]
    expected = [("device_code", "unknown"), ("device_code", "too_many"), ("token", "unknown")] * 2
    assert [(payload["way"], payload["why"]) for payload in told] == expected
    written = str(await shop.rows("SELECT body, actor, payload, cause FROM event"))
    assert all(secret not in written for secret in ("198.51.100.77", "AAAA", "dgt_"))


async def test_a_csrf_token_that_does_not_fit_is_noted_once_a_minute_and_operation(
    shops: Shops, shop: Brand
) -> None:
    own, shops.s1.csrf = shops.s1.csrf, "dgc_wrong"
    for _ in range(3):
        await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "x"})
    await shops.s1.post("/v1/guides/G1/pin")
    noted = [
        payload
        for kind, payload in await events_of(shops.api, f"account/{shops.manager}")
        if kind == "request_refused"
    ]
    assert noted == [{"operation": name, "why": "csrf"} for name in ("make_device_code", "give_pin")]
    assert own not in str(noted)
