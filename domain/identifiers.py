"""Ids and draws, derived instead of made: the same input gives the same id on every run."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID

_SEPARATOR = b"\x1f"


def personal_id(secret: bytes, kind: str, code: str) -> UUID:
    """The id of a person (kind `member`, `guide`) or store from the brand's own code.

    Keyed with the brand's secret, so that an id in the ledger does not give the membership number
    away; without the secret it is as good as random.
    """
    digest = hmac.digest(secret, _joined((kind, code)), "sha256")
    return _uuid8(digest)


def derived_id(*parts: str) -> UUID:
    """The id of a thing whose business key is `parts`; used for tasks, so creating one twice is one task."""
    return _uuid8(hashlib.sha256(_joined(parts)).digest())


def draw(seed: int, *key: str, below: int) -> int:
    """A number in 0..below-1 that depends on `seed` and `key` only (rehearsals, samples).

    The bias of the modulo is below `below` / 2**64.
    """
    digest = hashlib.sha256(_joined((str(seed), *key))).digest()
    return int.from_bytes(digest[:8], "big") % below


def _uuid8(digest: bytes) -> UUID:
    # RFC 9562 version 8 is for ids of one's own making; Python's UUID() sets versions 1 to 5 only.
    number = int.from_bytes(digest[:16], "big")
    number = number & ~(0xF << 76) | 8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=number)


def _joined(parts: tuple[str, ...]) -> bytes:
    return _SEPARATOR.join(part.encode() for part in parts)
