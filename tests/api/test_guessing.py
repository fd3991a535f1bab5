"""Whoever guesses is told nothing, counted, and made to wait, whatever route they guess on."""

from __future__ import annotations

import pytest

from domain.policy import Role
from ledger.accounts import Grant
from ledger.sign_in import FAILURES_TO_LOCK, MOST_IN_WINDOW
from tests.api.browsers import PASSWORD, Browser, account
from tests.api.conftest import Api, problem
from tests.api.test_devices import PIN, Shops, shops
from tests.brand import Brand

__all__ = ["shops"]

LOCKED = (422, [("old", "secret_locked")])
WRONG_OLD = (422, [("old", "wrong_old_secret")])


@pytest.mark.parametrize("new", ["x", PASSWORD])
async def test_a_new_password_against_the_rules_tells_nothing_of_the_old_one(
    api: Api, shop: Brand, new: str
) -> None:
    me = await account(api, "boss", Grant(Role.HQ))
    browser = Browser(api)
    await browser.sign_in("boss")
    wrong = {"old": "a wrong guess", "new": new}
    for _ in range(FAILURES_TO_LOCK):
        assert problem(await browser.post("/v1/me/password", wrong)) == WRONG_OLD
    assert await shop.value("SELECT failures FROM account WHERE account_id = $1", me) == FAILURES_TO_LOCK
    for old in ("a wrong guess", PASSWORD):
        answer = await browser.post("/v1/me/password", {"old": old, "new": new})
        assert problem(answer) == LOCKED


async def test_guesses_at_the_old_secret_wait_as_guesses_at_the_sign_in(shops: Shops) -> None:
    phone = await shops.phone(shops.s1, "S1")
    pin = await shops.pin("G1")
    await phone.sign_in_by_pin("G1", pin)
    for browser, path in ((shops.s1, "/v1/me/password"), (phone, "/v1/me/pin")):
        answers = [await browser.post(path, {"old": "000000", "new": "1"}) for _ in range(MOST_IN_WINDOW + 1)]
        assert problem(answers[-1]) == (429, [("address", "too_many_attempts")]), path
    assert PIN not in answers[-1].text
