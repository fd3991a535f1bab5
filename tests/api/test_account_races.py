"""Two commands on one account at once: what is shut stays shut, and nobody waits for each other."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from activities.linked_sign_in import sign_in_linked
from activities.signing_in import sign_in_by_password
from domain.policy import Right, Role
from ledger.account_places import Grant
from ledger.accounts import set_active
from ledger.asking import standing_for_upkeep
from ledger.door import lock_heads
from ledger.ledger import account_stream
from ledger.linked_identities import link_identity
from tests.api.browsers import PASSWORD, Browser, account
from tests.api.conftest import Api, problem
from tests.brand import Brand
from tests.identities import account_id_of, identity
from tests.ledger.test_races import somebody_waits


async def shut(shop: Brand, one: UUID, connection: object) -> None:
    await set_active(connection, 1, shop.command(), one, active=False, reason="stolen")  # type: ignore[arg-type]


async def test_no_token_begins_while_its_account_is_shut(api: Api, shop: Brand) -> None:
    one = await account(api, "aud", Grant(Role.AUDITOR))
    wanted = {"account_id": str(one), "name": "till", "rights": ["plan.read"]}
    async with shop.ledger.transaction() as connection:
        await shut(shop, one, connection)
        waiting = asyncio.create_task(api.post("/v1/tokens", wanted))
        await somebody_waits(shop)
    assert problem(await waiting) == (409, [("account", "account_shut")])
    assert not await shop.value("SELECT count(*) FROM credential WHERE account_id = $1", one)


@pytest.mark.parametrize("what", ["shut", "parted"])
async def test_no_linked_session_begins_while_its_account_is_shut_or_parted(
    api: Api, shop: Brand, what: str
) -> None:
    one = await account(api, "aud", Grant(Role.AUDITOR))
    await shop.execute("UPDATE account SET subject = 'iss sub' WHERE account_id = $1", one)
    async with shop.ledger.transaction() as connection:
        if what == "shut":
            await shut(shop, one, connection)
        else:
            await link_identity(connection, 1, shop.command(), one, "oidc", None)
        upkeep = standing_for_upkeep(api.brand.ledger)
        waiting = asyncio.create_task(sign_in_linked(upkeep, "oidc", "iss sub", api.now, shown=None))
        await somebody_waits(shop)
    assert await waiting is None
    assert not await shop.value("SELECT count(*) FROM credential WHERE account_id = $1", one)


async def test_whoever_signs_in_where_another_was_locks_both_in_one_order(api: Api, shop: Brand) -> None:
    """So two guides who swap phones at once do not wait for each other."""
    people = {login: await account(api, login, Grant(Role.AUDITOR)) for login in ("ann", "bea")}
    first, second = sorted(people, key=lambda login: account_stream(people[login]))
    upkeep = standing_for_upkeep(api.brand.ledger)
    shown = await sign_in_by_password(upkeep, first, PASSWORD, api.now, shown=None)
    assert shown is not None
    async with shop.ledger.transaction() as connection:
        await lock_heads(connection, 1, [account_stream(people[first])])
        waiting = asyncio.create_task(
            sign_in_by_password(upkeep, second, PASSWORD, api.now, shown=shown.session.secret)
        )
        await somebody_waits(shop)
        async with shop.ledger.transaction() as other:  # free: it is locked after the first one
            await other.execute("SET LOCAL lock_timeout = '1s'")
            assert await lock_heads(other, 1, [account_stream(people[second])])
    assert await waiting is not None


async def test_of_two_requests_with_one_key_at_once_one_gets_the_secret(api: Api, shop: Brand) -> None:
    wanted = {"name": "till", "rights": ["plan.read"]}
    async with shop.ledger.transaction() as connection:
        await lock_heads(connection, 1, [account_stream(account_id_of("hq"))])
        both = [asyncio.create_task(api.post("/v1/tokens", wanted, key="one")) for _ in range(2)]
        await somebody_waits(shop)
    answers = sorted([await one for one in both], key=lambda answer: -answer.status_code)
    assert [(one.status_code, one.json()["duplicate"]) for one in answers] == [(201, False), (200, True)]
    assert [bool(one.json()["secret"]) for one in answers] == [True, False]
    shown = {"Authorization": f"Bearer {answers[0].json()['secret']}"}
    assert (await api.http.get("/v1/plans", headers=shown)).status_code == 200
    other = await api.post("/v1/tokens", wanted | {"days": 3}, key="one")
    assert problem(other) == (422, [("Idempotency-Key", "key_used_otherwise")])


async def test_a_one_time_password_of_whoever_may_less_is_void_with_a_role_that_may_more(
    api: Api, shop: Brand
) -> None:
    """Not a race in a moment, but in days: who was told it waits until the account becomes something."""
    rights = (Right.MANAGE_ACCOUNTS,)
    weak = Api(
        shop, served=api.served, token=await identity(shop.ledger, "weak", Grant(Role.HQ), rights=rights)
    )
    li, wu = await account(api, "li"), await account(api, "wu")
    async with weak.http:
        by_weak = (await weak.post(f"/v1/accounts/{li}/password")).json()["password"]
    by_hq = (await api.post(f"/v1/accounts/{wu}/password")).json()["password"]
    for one in (li, wu):
        assert (await api.post(f"/v1/accounts/{one}/grants", {"role": "hq"})).status_code == 201
    assert problem(await Browser(api).sign_in("li", by_weak))[0] == 401
    assert (await Browser(api).sign_in("wu", by_hq)).status_code == 201
    anew = (await api.post(f"/v1/accounts/{li}/password")).json()["password"]
    assert (await Browser(api).sign_in("li", anew)).status_code == 201
