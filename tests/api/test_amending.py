"""Who may change a closed day: the right follows the store it belongs to, and no phone of a shop gives it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from activities.sessions import digest
from domain.policy import Right, Role
from ledger.account_places import Grant
from ledger.asking import sign_on
from ledger.database import driver_connection
from ledger.ledger import Ledger
from tests.api.browsers import Browser, account
from tests.api.conftest import Api, problem
from tests.api.test_devices import PIN, Shops, guide_id, shops
from tests.api.test_pins import give
from tests.brand import Brand, at
from tests.identities import identity

__all__ = ["shops"]

DONE = {"channel": "phone", "outcome": "came"}
LATER = at(4, 22)
"""Monday is closed, and Tuesday; the grace is over."""


async def belated(api: Api, task: UUID, *, day: int = 2) -> Any:
    api.keys += 1
    told = DONE | {
        "performed_by": "G1",
        "occurred_at": at(day, 11).isoformat(),
        "reason": "her phone was lost",
    }
    return await api.post(f"/v1/tasks/{task}/belated-check-ins", told, key=f"belated/{api.keys}")


async def correct(api: Api, task: UUID, version: int) -> Any:
    api.keys += 1
    told = {"report": DONE, "reason": "she told me"}
    return await api.post(f"/v1/tasks/{task}/check-ins/{version}/corrections", told, key=f"c/{api.keys}")


async def test_after_a_transfer_a_closed_day_is_changed_by_the_supervisor_of_the_store_it_belongs_to(
    api: Api, shop: Brand, served: Ledger, tasks: list[UUID]
) -> None:
    await shop.open_store("S2")
    await shop.hire("G2")
    await shop.execute("UPDATE store SET region = CASE code WHEN 'S1' THEN 'north' ELSE 'south' END")
    guide = guide_id(shop, "G1")
    done = await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    assert (
        await api.post("/v1/staff/transfer", {"guide": "G1", "store": "S2", "from_on": "2026-03-03"})
    ).is_success
    await shop.evening(2, guide)
    old, new, manager = [
        Api(shop, served=served, now=LATER, token=await identity(shop.ledger, str(grant.place), grant))
        for grant in (
            Grant(Role.SUPERVISOR, "north"), Grant(Role.SUPERVISOR, "south"), Grant(Role.STORE_MANAGER, "S2"),
        )
    ]  # fmt: skip
    before = await shop.rows("SELECT * FROM event WHERE type <> 'access_refused'")
    assert problem(await belated(new, tasks[1])) == (404, [("task_id", "unknown_task")])
    assert problem(await correct(new, tasks[0], done.version)) == (404, [("version", "unknown_check_in")])
    # Nor does her new manager enter what she did for the old one, be it within the grace.
    manager.now = at(3, 10)
    late = await manager.check_in(tasks[1], occurred_at=at(2, 11).isoformat())
    assert problem(late) == (404, [("task_id", "unknown_task")])
    assert await shop.rows("SELECT * FROM event WHERE type <> 'access_refused'") == before
    assert (await belated(old, tasks[1])).status_code == 201
    assert (await correct(old, tasks[0], done.version)).status_code == 201
    assert await shop.rows("SELECT done, reached, figures_version FROM guide_day WHERE business_date = '2026-03-02'") == [
        (2, 2, 3)
    ]  # fmt: skip
    for one in (old, new, manager):
        await one.http.aclose()


async def test_by_pin_on_a_phone_of_the_shop_a_supervisor_changes_no_closed_day(
    shops: Shops, shop: Brand, tasks: list[UUID]
) -> None:
    await shop.execute("UPDATE store SET region = 'R1'")
    roles = (Grant(Role.GUIDE), Grant(Role.STORE_MANAGER, "S1"), Grant(Role.SUPERVISOR, "R1"))
    boss = await account(shops.api, "boss", *roles, guide=guide_id(shop, "G2"))
    await give(shop, boss)
    phone = await shops.phone(shops.s1, "S1")
    await phone.sign_in_by_pin("G2", PIN)
    await shop.evening(2, guide_id(shop, "G1"))
    # Without the checks of the API: the rows alone.
    unchecked = Api(shop, served=shops.api.served, enforcing=False, now=LATER)
    unchecked.http.cookies = phone.http.cookies
    unchecked.http.headers["X-CSRF-Token"] = phone.csrf
    unchecked.http.base_url = phone.http.base_url
    unchecked.now = at(2, 21, 30)
    assert problem(await belated(unchecked, tasks[0])) == (404, [("task_id", "unknown_task")])
    browser = Browser(shops.api)
    await browser.sign_in("boss")
    unchecked.http.cookies = browser.http.cookies
    unchecked.http.headers["X-CSRF-Token"] = browser.csrf
    assert (await belated(unchecked, tasks[0])).status_code == 201


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.HQ])
async def test_a_token_without_that_right_changes_no_closed_day_in_the_rows_either(
    shop: Brand, served: Ledger, tasks: list[UUID], role: Role
) -> None:
    await shop.execute("UPDATE store SET region = 'north'")
    grant = Grant(role, "north" if role is Role.SUPERVISOR else "")
    told = []
    for rights in (None, (Right.CORRECT_CHECK_IN,), (Right.CORRECT_CHECK_IN, Right.AMEND_CLOSED_DAY)):
        token = await identity(shop.ledger, f"machine{len(told)}", grant, rights=rights)
        async with driver_connection(served.engine) as connection:
            await sign_on(connection, digest(token), LATER)
            query = "SELECT amends FROM rights_over($1, $2, '2026-03-02')"
            told.append(await connection.fetchval(query, tasks[0], guide_id(shop, "G1")))
    assert told == [True, False, True]
