"""Whoever guesses is told nothing, counted, and made to wait, whatever route they guess on."""

from __future__ import annotations

import pytest

from activities.password_rules import normalised, password_problem
from activities.passwords import heard
from api.problems import MOST_TOLD
from domain.policy import Role
from ledger.account_places import Grant
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


HUGE = "\ufdfa" * 100_000
"""Of which NFKC makes 1,800,000 characters."""


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/devices", {"code": HUGE}, "code"),
        ("/v1/sessions", {"login": "boss", "password": HUGE}, "password"),
        ("/v1/sessions", {"login": HUGE, "password": PASSWORD}, "login"),
        ("/v1/sessions/pin", {"guide": "G1", "pin": HUGE}, "pin"),
        ("/v1/sessions/pin", {"guide": HUGE, "pin": PIN}, "guide"),
    ],
)
async def test_what_is_longer_than_it_can_be_is_turned_away_unread_and_not_repeated(
    api: Api, path: str, body: dict[str, str], field: str
) -> None:
    answer = await Browser(api).post(path, body)
    assert problem(answer) == (422, [(field, "text_too_long")])
    if field in {"password", "pin"}:
        assert HUGE[0] not in answer.text
    assert len(answer.content) < 3000


async def test_of_a_body_full_of_names_that_are_no_fields_some_are_told(api: Api) -> None:
    answer = await Browser(api).post("/v1/sessions", dict.fromkeys(map(str, range(20_000)), 1))
    assert problem(answer)[0] == 422
    assert len(answer.json()["problems"]) == MOST_TOLD


def test_a_secret_is_cut_before_it_is_made_one_spelling_of() -> None:
    assert len(normalised(HUGE)) < 20_000
    assert len(heard(HUGE)) < 1000
    assert password_problem("x1" * 65, "boss", field="new") is not None
    assert password_problem("ab c" * 32, "boss", field="new") is None
