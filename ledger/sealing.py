"""Personal texts under a member's key: AES-256-GCM, bound to brand, member and place.

The nonce is a keyed digest of place and text: the same text of the same member seals to the same bytes. So what a
file brings can be compared with what is there without opening either, set-based, in SQL; all it gives away is that
a member's text did not change. Two texts under one key share a nonce with a chance of 2**-96.
"""

from __future__ import annotations

import hmac
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_TAG_BYTES = 16


class Seal:
    """One member's key, ready for several texts; making it costs as much as sealing one.

    Args:
        key: the member's, 32 bytes.
        tenant_id: the brand.
        member: whose it is.
    """

    __slots__ = ("_cipher", "_key", "_whose")

    def __init__(self, key: bytes, tenant_id: int, member: UUID) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._whose = b"%d\x1f%b\x1f" % (tenant_id, member.bytes)

    def close(self, place: str, data: bytes) -> bytes:
        """Nonce, ciphertext and tag.

        Args:
            place: where it is kept, e.g. `phone` or `note/<id>`; moved elsewhere it does not open.
            data: the text in UTF-8, or other bytes.
        """
        bound = self._whose + place.encode()
        nonce = hmac.digest(self._key, bound + b"\x1f" + data, "sha256")[:_NONCE_BYTES]
        return nonce + self._cipher.encrypt(nonce, data, bound)

    def open(self, place: str, sealed: bytes) -> bytes | None:
        """What was sealed; None where the key or the place is another one, or these are no sealed bytes at all."""
        if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
            return None
        try:
            return self._cipher.decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._whose + place.encode()
            )
        except InvalidTag:
            return None


def seal(key: bytes, tenant_id: int, member: UUID, place: str, data: bytes) -> bytes:
    """Seal one text; see `Seal`."""
    return Seal(key, tenant_id, member).close(place, data)


def unseal(key: bytes | None, tenant_id: int, member: UUID, place: str, sealed: bytes | None) -> bytes | None:
    """What was sealed; None where there is nothing, no key, or where the key or place is another one."""
    if key is None or sealed is None:
        return None
    return Seal(key, tenant_id, member).open(place, sealed)
