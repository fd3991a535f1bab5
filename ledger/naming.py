"""Whom did a source name? What it *sent* is compared with what it sent before, never what either was resolved to.

A member's code gives one id for ever, so the id says what was sent. A number is given up, taken over and shared, so a record
that named its member by number keeps a digest of it, under the key of the member it was resolved to: it says nothing
without that key, and nothing at all any more once the member is erased.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ledger.member_keys import MemberKeys

_LABEL = b"named by number\x1f"


@dataclass(frozen=True, slots=True)
class Standing:
    """The members of a record that stands; `named` is null where it was named by code, or before it was kept."""

    member_id: UUID
    also: tuple[UUID, ...]
    named: bytes | None


def digest_of_number(key: bytes | None, digits: str | None) -> bytes | None:
    """What a record keeps of the number that named its member; None: no number, or the member was erased."""
    return None if key is None or digits is None else hmac.digest(key, _LABEL + digits.encode(), "sha256")


async def digests_of_numbers(
    keys: MemberKeys, named: Sequence[tuple[UUID, str | None]]
) -> list[bytes | None]:
    """For each member and the digits (`domain.phones.dialled`) that named it; one look into the key store."""
    found = await keys.get_many({member for member, digits in named if digits is not None})
    return [digest_of_number(found.get(member), digits) for member, digits in named]


async def keys_of(keys: MemberKeys, standing: Sequence[Standing]) -> Mapping[UUID, bytes]:
    """The keys that the digests of these were made with, as far as they are there."""
    return await keys.get_many({one.member_id for one in standing if one.named is not None})


def names_the_same(
    standing: Standing, keys: Mapping[UUID, bytes], members: Sequence[UUID], digits: str | None
) -> bool:
    """Whether a source that sends these names whom it named before.

    Where no digest says so (named by code, or of before digests were kept), one member in common does: both ways of
    naming are found to mean the same person. Where the key is gone, the member was erased and nothing can differ.

    Args:
        standing: what was kept then.
        keys: from `keys_of`.
        members: whom it is resolved to now.
        digits: of the number it sent; None: it sent a code.
    """
    if standing.named is not None and digits is not None:
        key = keys.get(standing.member_id)
        return key is None or hmac.compare_digest(standing.named, digest_of_number(key, digits) or b"")
    return not {standing.member_id, *standing.also}.isdisjoint(members)
