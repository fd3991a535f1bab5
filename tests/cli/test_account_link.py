"""`daogou account link`: whom an account belongs to elsewhere is said by hand."""

from __future__ import annotations

import pytest

from tests.cli.shop import Shop
from tests.cli.test_account import codes, create, fetch

ISSUER = "https://id.example"
SUBJECT = ("--issuer", ISSUER, "--subject", "248289761001")


def linked(shop: Shop) -> list[tuple[object, ...]]:
    return fetch(
        shop, "SELECT login, subject, wecom_user FROM account WHERE login IN ('a1', 'b1') ORDER BY login"
    )


def test_an_account_is_linked_and_parted_and_each_change_is_an_event(shop: Shop) -> None:
    create(shop, "a1")
    create(shop, "b1")
    assert shop.json("account", "link", "A1", *SUBJECT) == {"login": "a1", "way": "oidc", "linked": True}
    assert shop.json("account", "link", "a1", "--wecom", "XiaoLin")["way"] == "wecom"
    assert linked(shop) == [("a1", f"{ISSUER} 248289761001", "xiaolin"), ("b1", None, None)]
    assert codes(shop, "account", "link", "b1", *SUBJECT) == [("identity", "identity_taken")]
    assert codes(shop, "account", "link", "b1", "--wecom", "xiaolin") == [("identity", "identity_taken")]
    assert shop.json("account", "link", "a1", "--remove", "oidc")["linked"] is False
    assert shop.json("account", "link", "b1", *SUBJECT)["linked"] is True
    assert linked(shop) == [("a1", None, "xiaolin"), ("b1", f"{ISSUER} 248289761001", None)]
    changes = fetch(
        shop,
        "SELECT payload->>'kind', payload->>'change' FROM event WHERE type = 'secret_changed'"
        " AND payload->>'kind' IN ('oidc', 'wecom') ORDER BY known_at",
    )
    assert changes == [("oidc", "set"), ("wecom", "set"), ("oidc", "removed"), ("oidc", "set")]
    told = fetch(shop, "SELECT payload::text FROM event")
    assert not any("xiaolin" in str(text) or "248289761001" in str(text) for (text,) in told)


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        ((), ("--subject", "link_one_of")),
        ((*SUBJECT, "--wecom", "x"), ("--subject", "link_one_of")),
        (("--subject", "7"), ("--issuer", "setting_not_https")),
        (("--subject", "7", "--issuer", "http://id.example"), ("--issuer", "setting_not_https")),
        (("--subject", "7", "--issuer", "https://id.example x"), ("--issuer", "setting_not_https")),
        (("--subject", "", "--issuer", ISSUER), ("--subject", "not_an_identity")),
        (("--wecom", " "), ("--wecom", "not_an_identity")),
        (("--wecom", "x" * 65), ("--wecom", "not_an_identity")),
    ],
)
def test_what_is_no_identity_is_refused(
    shop: Shop, arguments: tuple[str, ...], refused: tuple[str, str]
) -> None:
    assert codes(shop, "account", "link", "hq", *arguments) == [refused]


def test_nobody_is_linked_who_is_not_there(shop: Shop) -> None:
    assert codes(shop, "account", "link", "nobody", *SUBJECT) == [("login", "unknown_account")]
