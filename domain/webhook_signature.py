"""Signatures of messages, as the Standard Webhooks specification has them.

HMAC-SHA-256 over `id.timestamp.body` under the sender's secret, in a header that may hold several, apart by spaces, so
that a secret can be rotated. Its reference package is kept well, but brings an HTTP client and four more packages for
what are twenty lines of the standard library.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

TOLERANCE = timedelta(minutes=5)
"""Older or newer messages are taken for replays (the specification's own)."""
PREFIX = "whsec_"
_VERSION = "v1"
_MOST = 20
"""Signatures that are looked at."""


def secret_text(secret: bytes) -> str:
    """A secret as it is handed over."""
    return PREFIX + base64.b64encode(secret).decode()


def read_secret_text(text: str) -> bytes:
    """A secret that was handed over.

    Raises:
        ValueError: it is none.
    """
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not_a_secret") from error


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message, as its header has it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return f"{_VERSION},{base64.b64encode(hmac.digest(secret, signed, 'sha256')).decode()}"


def is_signed(secrets: Iterable[bytes], message_id: str, timestamp: int, body: bytes, shown: str) -> bool:
    """Whether one of the signatures shown was made with one of the secrets; it takes as long either way."""
    told = shown.split()[:_MOST]
    found = False
    for secret in secrets:
        made = signature(secret, message_id, timestamp, body).encode()
        for one in told:
            found |= hmac.compare_digest(made, one.encode())
    return found


def is_timely(timestamp: int, at: datetime) -> bool:
    """Whether a message was signed within `TOLERANCE` of now."""
    try:
        signed_at = datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return abs(at - signed_at) <= TOLERANCE
