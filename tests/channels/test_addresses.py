"""Addresses are checked before they are kept and masked before they are shown."""

from __future__ import annotations

import pytest

from channels.addresses import check_address, masked
from domain.errors import Refused

GOOD = [
    ("wecombot://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa", "wecom", 20),
    ("dingtalk://c0ffee1234", "dingtalk", 20),
    ("dingtalk://SECabc@c0ffee1234", "dingtalk", 20),
    ("feishu://c0ffee-1234", "feishu", 100),
    ("mailtos://hq:c0ffee@example.com?to=store@example.com", "mail", 30),
    ("mailto://hq:c0ffee@example.com:2525?smtp=127.0.0.1&to=store@example.com", "mail", 30),
    ("json://hq:c0ffee@127.0.0.1:8080/c0ffee?x=c0ffee", "webhook", 60),
    ("jsons://example.com/c0ffee", "webhook", 60),
]


@pytest.mark.parametrize(("address", "kind", "per_minute"), GOOD)
def test_an_address_tells_its_kind_and_usual_rate(address: str, kind: str, per_minute: int) -> None:
    found = check_address(address)
    assert (found.name, found.per_minute) == (kind, per_minute)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=c0ffee", "channel_scheme"),
        ("c0ffee", "channel_scheme"),
        ("", "channel_scheme"),
        ("tgram://c0ffee/1", "channel_scheme"),
        ("wecombot://", "channel_address"),
        ("wecombot://c0ffee!!", "channel_address"),
        ("json://", "channel_address"),
        ("json://[c0ffee/", "channel_address"),
        ("mailtos://c0ffee", "channel_address"),
        ("json://127.0.0.1:99999999/c0ffee", "channel_port"),
        ("json://hq:c0ffee@127.0.0.1:0/x", "channel_port"),
        ("mailto://hq:c0ffee@example.com:65536?to=a@example.com", "channel_port"),
        ("mailtos://hq:c0ffee@example.com?to=a@example.com,b@example.com", "channel_one_recipient"),
        ("mailtos://hq:c0ffee@example.com?to=a@example.com&cc=b@example.com", "channel_one_recipient"),
    ],
)
def test_what_is_no_address_is_refused_without_telling_its_secret(address: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        check_address(address)
    (problem,) = refused.value.problems
    assert (problem.field, problem.code) == ("address", code)
    assert "c0ffee" not in str(refused.value)
    assert problem.params


@pytest.mark.parametrize("address", [address for address, _, _ in GOOD])
def test_a_masked_address_holds_no_secret_and_no_recipient(address: str) -> None:
    shown = masked(address)
    assert shown.startswith(address.partition("://")[0])
    for secret in ("c0ffee", "693a91f6", "SECabc", "store", "hq"):
        assert secret not in shown


def test_nothing_shown_depends_on_the_secret_so_no_guess_can_be_tried() -> None:
    assert masked("wecombot://a") == masked("wecombot://b")
    assert masked("mailtos://hq:spring@mail.example.com") == masked("mailtos://hq:summer@mail.example.com")
