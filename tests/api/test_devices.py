"""Phones of stores, and guides who sign in on them with a PIN."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from activities.passwords import SPOKEN
from domain.identifiers import personal_id
from domain.policy import Role
from ledger.account_places import Grant
from ledger.accounts import end_grant
from ledger.sign_in import FAILURES_TO_LOCK
from tests.api.browsers import Browser, account, events_of
from tests.api.conftest import Api, problem
from tests.brand import Brand

WRONG = (401, [("login", "wrong_login")])
UNKNOWN_GUIDE = (404, [("guide", "unknown_guide")])
UNKNOWN_STORE = (422, [("store", "unknown_store")])
UNKNOWN_DEVICE = (404, [("device", "unknown_device")])
PIN = "271828"


@dataclass
class Shops:
    """S1 with G1 and G2, S2 with H1; a manager of each at a browser."""

    api: Api
    s1: Browser
    s2: Browser
    manager: UUID

    async def phone(self, manager: Browser, store: str) -> Browser:
        """A phone that was bound to a store."""
        code = (await manager.post("/v1/device-codes", {"store": store, "name": "till"})).json()["code"]
        phone = Browser(self.api)
        bound = await phone.post("/v1/devices", {"code": code})
        assert bound.status_code == 201, bound.text
        return phone

    async def pin(self, guide: str = "G1", manager: Browser | None = None) -> str:
        """A one-time PIN."""
        answer = await (manager or self.s1).post(f"/v1/guides/{guide}/pin")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["pin"])


@pytest_asyncio.fixture
async def shops(api: Api, shop: Brand) -> Shops:
    await shop.hire("G2")
    await shop.open_store("S2")
    await shop.hire("H1", "S2")
    manager = await account(api, "manager1", Grant(Role.STORE_MANAGER, "S1"))
    await account(api, "manager2", Grant(Role.STORE_MANAGER, "S2"))
    s1, s2 = Browser(api), Browser(api)
    await s1.sign_in("manager1")
    await s2.sign_in("manager2")
    return Shops(api, s1, s2, manager)


def guide_id(brand: Brand, code: str) -> UUID:
    return personal_id(brand.secret, "guide", code)


async def test_a_code_binds_one_phone_which_keeps_a_secret_no_script_sees(shops: Shops, shop: Brand) -> None:
    made = (await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "till"})).json()
    letters = made["code"].replace("-", "")
    assert len(letters) == 8
    assert set(letters) <= set(SPOKEN)
    phone = Browser(shops.api)
    answer = await phone.post("/v1/devices", {"code": f" {made['code'].lower().replace('-', ' ')}"})
    assert answer.status_code == 201
    assert (answer.json()["store"], answer.json()["name"]) == ("S1", "till")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-daogou_device=")
    assert all(flag in cookie for flag in ("httponly", "samesite=lax", "path=/", "secure"))
    assert f"max-age={180 * 86_400}" in cookie
    again = await Browser(shops.api).post("/v1/devices", {"code": made["code"]})
    assert problem(again) == (401, [("code", "wrong_device_code")])
    told = await events_of(shops.api, f"device/{answer.json()['device']}")
    assert [(kind, payload["made_by"]) for kind, payload in told] == [("device_bound", str(shops.manager))]
    kept = str(await shop.rows("SELECT * FROM device")) + str(await shop.rows("SELECT * FROM device_code"))
    assert letters not in kept
    assert phone.http.cookies["__Host-daogou_device"] not in kept


async def test_a_code_is_good_for_a_quarter_of_an_hour(shops: Shops) -> None:
    made = (await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "till"})).json()
    shops.api.now += timedelta(minutes=15)
    answer = await Browser(shops.api).post("/v1/devices", {"code": made["code"]})
    assert problem(answer) == (401, [("code", "wrong_device_code")])


async def test_a_new_code_ends_the_older_one_for_a_phone_of_the_same_name(shops: Shops) -> None:
    wanted = {"store": "S1", "name": "till"}
    older = (await shops.s1.post("/v1/device-codes", wanted)).json()
    other = (await shops.s1.post("/v1/device-codes", {**wanted, "name": "door"})).json()
    newer = (await shops.s1.post("/v1/device-codes", wanted)).json()
    assert [one["replaced"] for one in (older, other, newer)] == [False, False, True]
    answers = [
        await Browser(shops.api).post("/v1/devices", {"code": one["code"]}) for one in (older, other, newer)
    ]
    assert [answer.status_code for answer in answers] == [401, 201, 201]


async def test_a_guide_who_left_gets_no_pin_and_hq_is_told_since_when(shops: Shops, shop: Brand) -> None:
    left = {"guide": "G1", "last_on": "2026-03-01"}
    assert (await shops.api.post("/v1/staff/leave", left)).status_code == 200
    answer = await shops.api.post("/v1/guides/G1/pin")
    assert problem(answer) == (409, [("guide", "guide_not_at_work")])
    assert "2026-03-02" in answer.text


async def test_a_code_of_somebody_who_may_not_bind_any_more_binds_nothing(shops: Shops, shop: Brand) -> None:
    made = (await shops.s1.post("/v1/device-codes", {"store": "S1", "name": "till"})).json()
    grant = await shop.value("SELECT grant_id FROM role_grant WHERE account_id = $1", shops.manager)
    now = shops.api.now
    async with shop.ledger.transaction() as connection:
        await end_grant(connection, 1, shop.command(when=now), UUID(str(grant)), ends_at=now, reason="")
    answer = await Browser(shops.api).post("/v1/devices", {"code": made["code"]})
    assert problem(answer) == (401, [("code", "wrong_device_code")])


async def test_guessing_codes_is_bounded(shops: Shops) -> None:
    guesser = Browser(shops.api, "198.51.100.1")
    statuses = [
        (await guesser.post("/v1/devices", {"code": f"AAAA-AA{n:02}"})).status_code for n in range(31)
    ]
    assert statuses == [401] * 30 + [429]


@pytest.mark.parametrize("enforcing", [True, False], ids=["API checks", "the database alone"])
async def test_a_manager_binds_phones_and_gives_pins_of_the_own_store_only(
    shops: Shops, shop: Brand, enforcing: bool
) -> None:
    there = await shops.phone(shops.s2, "S2")
    theirs = (await shops.s2.get("/v1/devices")).json()["items"][0]["device"]
    pin = await shops.pin("H1", shops.s2)
    assert (await there.sign_in_by_pin("H1", pin)).status_code == 201
    before = [
        str(await shop.rows(f"SELECT * FROM {table} ORDER BY 2")) for table in ("account", "device", "event")
    ]
    api = Api(shop, served=shops.api.served, enforcing=enforcing)
    asker = Browser(api)
    asker.http.cookies, asker.csrf = shops.s1.http.cookies, shops.s1.csrf
    for store in ("S2", "S9"):
        assert problem(await asker.post("/v1/device-codes", {"store": store, "name": "x"})) == UNKNOWN_STORE
    for guide in ("H1", "G9"):
        assert problem(await asker.post(f"/v1/guides/{guide}/pin")) == UNKNOWN_GUIDE
    for device in (theirs, uuid4()):
        assert problem(await asker.delete(f"/v1/devices/{device}")) == UNKNOWN_DEVICE
    assert (await asker.get("/v1/devices")).json() == {"items": []}
    assert before == [
        str(await shop.rows(f"SELECT * FROM {table} ORDER BY 2")) for table in ("account", "device", "event")
    ]
    assert (await there.get("/v1/me")).status_code == 200


async def test_guides_auditors_and_owners_bind_nothing_even_without_the_apis_checks(
    shops: Shops, shop: Brand
) -> None:
    await account(shops.api, "g1", Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    await account(shops.api, "auditor", Grant(Role.AUDITOR))
    await account(shops.api, "owner", Grant(Role.OWNER))
    phone = await shops.phone(shops.s1, "S1")
    assert phone.http.cookies["__Host-daogou_device"]
    device = (await shops.s1.get("/v1/devices")).json()["items"][0]["device"]
    for login in ("g1", "auditor", "owner"):
        browser = Browser(shops.api)
        await browser.sign_in(login)
        assert problem(await browser.post("/v1/guides/G1/pin"))[0] == 403
        unchecked = Browser(Api(shop, served=shops.api.served, enforcing=False))
        unchecked.http.cookies, unchecked.csrf = browser.http.cookies, browser.csrf
        assert problem(await unchecked.post("/v1/guides/G1/pin")) == UNKNOWN_GUIDE
        assert (
            problem(await unchecked.post("/v1/device-codes", {"store": "S1", "name": "x"})) == UNKNOWN_STORE
        )
        assert problem(await unchecked.delete(f"/v1/devices/{device}")) == UNKNOWN_DEVICE
        assert (await unchecked.get("/v1/devices")).json() == {"items": []}


async def test_hq_binds_phones_and_gives_pins_everywhere(shops: Shops) -> None:
    for store, guide in (("S1", "G1"), ("S2", "H1")):
        assert (await shops.api.post("/v1/device-codes", {"store": store, "name": "x"})).status_code == 201
        assert (await shops.api.post(f"/v1/guides/{guide}/pin")).status_code == 201


async def test_the_first_pin_makes_the_account_and_has_to_be_changed_first(shops: Shops, shop: Brand) -> None:
    pin = await shops.pin()
    phone = await shops.phone(shops.s1, "S1")
    told = (await phone.sign_in_by_pin("G1", pin)).json()
    assert told["must_change"] is True
    assert told["roles"] == [{"role": "guide", "place": ""}]
    assert problem(await phone.get("/v1/guides/G1/today")) == (403, [("password", "password_must_change")])
    assert (await phone.post("/v1/me/pin", {"old": pin, "new": PIN})).status_code == 204
    assert (await phone.get("/v1/me")).json()["guide"] == "G1"
    assert (await phone.get("/v1/me")).json()["must_change"] is False
    assert problem(await phone.get("/v1/guides/G1/today")) != UNKNOWN_GUIDE  # there is no list yet
    assert problem(await phone.get("/v1/guides/G2/today")) == UNKNOWN_GUIDE
    assert problem(await Browser(shops.api).sign_in_by_pin("G1", PIN)) == (
        401,
        [("daogou_device", "phone_not_bound")],
    )
    events = await events_of(shops.api, f"account/{told['account']}")
    kinds = [kind for kind, _ in events]
    assert kinds == [
        "account_created", "role_granted", "secret_changed", "signed_in", "secret_changed",
    ]  # fmt: skip
    assert [text for text in (pin, PIN) if text in str([payload for _, payload in events])] == []


@pytest.mark.parametrize(
    ("new", "code"),
    [
        ("123456", "pin_trivial"),
        ("111111", "pin_trivial"),
        ("12345", "pin_not_digits"),
        ("abcdef", "pin_not_digits"),
    ],
)
async def test_a_pin_that_is_tried_first_is_refused(shops: Shops, new: str, code: str) -> None:
    pin = await shops.pin()
    phone = await shops.phone(shops.s1, "S1")
    await phone.sign_in_by_pin("G1", pin)
    assert problem(await phone.post("/v1/me/pin", {"old": pin, "new": new})) == (422, [("new", code)])


async def test_a_pin_works_on_a_phone_of_the_guides_store_only(shops: Shops, shop: Brand) -> None:
    pin = await shops.pin()
    here, there = await shops.phone(shops.s1, "S1"), await shops.phone(shops.s2, "S2")
    assert problem(await there.sign_in_by_pin("G1", pin)) == WRONG
    assert (await here.sign_in_by_pin("G1", pin)).status_code == 201
    await shop.execute("UPDATE guide SET active = false WHERE code = 'G1'")
    assert problem(await here.sign_in_by_pin("G1", pin)) == WRONG


async def test_several_guides_share_a_phone_and_each_one_ends_the_session_before(
    shops: Shops, shop: Brand
) -> None:
    pins = {guide: await shops.pin(guide) for guide in ("G1", "G2")}
    phone = await shops.phone(shops.s1, "S1")
    for guide in ("G1", "G2", "G1"):
        assert (await phone.sign_in_by_pin(guide, pins[guide])).status_code == 201
        assert (await phone.get("/v1/me")).json()["guide"] == guide
    open_now = "SELECT count(*) FROM credential WHERE device_id IS NOT NULL AND ended_at IS NULL"
    assert await shop.value(open_now) == 1


async def test_ending_a_phone_ends_the_sessions_on_it_and_its_pins(shops: Shops) -> None:
    pin = await shops.pin()
    phone = await shops.phone(shops.s1, "S1")
    await phone.sign_in_by_pin("G1", pin)
    (device,) = (await shops.s1.get("/v1/devices?store=S1")).json()["items"]
    assert (await shops.s1.delete(f"/v1/devices/{device['device']}")).status_code == 204
    assert problem(await phone.get("/v1/me"))[0] == 401
    assert problem(await phone.sign_in_by_pin("G1", pin)) == WRONG
    assert (await shops.s1.get("/v1/devices")).json() == {"items": []}
    assert problem(await shops.s1.delete(f"/v1/devices/{device['device']}")) == UNKNOWN_DEVICE
    kinds = [kind for kind, _ in await events_of(shops.api, f"device/{device['device']}")]
    assert kinds == ["device_bound", "device_ended"]


async def test_a_new_pin_ends_the_guides_sessions_and_lifts_the_lock(shops: Shops) -> None:
    pin = await shops.pin()
    phone, other = await shops.phone(shops.s1, "S1"), await shops.phone(shops.s1, "S1")
    await phone.sign_in_by_pin("G1", pin)
    for _ in range(FAILURES_TO_LOCK):
        assert problem(await other.sign_in_by_pin("G1", "000000")) == WRONG
    assert problem(await other.sign_in_by_pin("G1", pin)) == WRONG
    new = await shops.pin()
    assert problem(await phone.get("/v1/me"))[0] == 401
    assert problem(await other.sign_in_by_pin("G1", pin)) == WRONG
    assert (await other.sign_in_by_pin("G1", new)).status_code == 201


async def test_whoever_is_more_than_a_guide_gets_a_pin_from_hq_only(shops: Shops, shop: Brand) -> None:
    boss = await account(shops.api, "boss", Grant(Role.HQ), Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    refused = (409, [("guide", "pin_is_for_hq")])
    assert problem(await shops.s1.post("/v1/guides/G1/pin")) == refused
    unchecked = Browser(Api(shop, served=shops.api.served, enforcing=False))
    unchecked.http.cookies, unchecked.csrf = shops.s1.http.cookies, shops.s1.csrf
    assert problem(await unchecked.post("/v1/guides/G1/pin")) == refused
    assert await shop.value("SELECT pin FROM account WHERE account_id = $1", boss) is None
    assert (await shops.api.post("/v1/guides/G1/pin")).status_code == 201


async def test_a_pin_that_was_given_does_not_shut_the_password_and_the_other_way_round(
    shops: Shops, shop: Brand
) -> None:
    await account(shops.api, "g1", Grant(Role.GUIDE), guide=guide_id(shop, "G1"))
    pin = await shops.pin()
    browser = Browser(shops.api)
    assert (await browser.sign_in("g1")).json()["must_change"] is False
    assert (await browser.get("/v1/me")).json()["must_change"] is False
    phone = await shops.phone(shops.s1, "S1")
    await phone.sign_in_by_pin("G1", pin)
    assert (await phone.get("/v1/me")).json()["must_change"] is True


async def test_a_shut_account_gets_no_pin(shops: Shops, shop: Brand) -> None:
    await shops.pin()
    await shop.execute("UPDATE account SET active = false WHERE guide_id = $1", guide_id(shop, "G1"))
    assert problem(await shops.s1.post("/v1/guides/G1/pin")) == (409, [("guide", "account_shut")])
