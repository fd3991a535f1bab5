"""Signatures as the Standard Webhooks specification has them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.webhook_signature import is_signed, is_timely, read_secret_text, secret_text, signature

# The specification's own example.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - it is printed in the specification
MESSAGE, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_signature_is_the_specifications() -> None:
    secret = read_secret_text(SECRET)
    assert signature(secret, MESSAGE, TIMESTAMP, BODY) == SIGNATURE
    assert secret_text(secret) == SECRET


def test_one_of_several_signatures_and_secrets_is_enough() -> None:
    secret = read_secret_text(SECRET)
    assert is_signed([b"old", secret], MESSAGE, TIMESTAMP, BODY, f"v1,AAAA v2,xyz {SIGNATURE}")
    assert not is_signed([], MESSAGE, TIMESTAMP, BODY, SIGNATURE)
    assert not is_signed([secret], MESSAGE, TIMESTAMP, BODY, "")
    assert not is_signed([secret], MESSAGE, TIMESTAMP, BODY, SIGNATURE.replace("v1", "v2"))


@pytest.mark.parametrize(
    "changed", [(MESSAGE, TIMESTAMP, b"{}"), (MESSAGE, 1, BODY), ("other", TIMESTAMP, BODY)]
)
def test_what_was_signed_cannot_be_changed(changed: tuple[str, int, bytes]) -> None:
    assert not is_signed([read_secret_text(SECRET)], *changed, SIGNATURE)


@pytest.mark.parametrize(
    ("away", "timely"), [(0, True), (300, True), (-300, True), (301, False), (-301, False), (10**15, False)]
)
def test_a_message_is_timely_within_five_minutes(away: int, *, timely: bool) -> None:
    assert is_timely(TIMESTAMP + away, datetime.fromtimestamp(TIMESTAMP, UTC)) is timely


def test_a_secret_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="not_a_secret"):
        read_secret_text("whsec_*")
