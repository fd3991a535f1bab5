"""Keys of members: what makes personal data readable, and what erasing destroys.

They are kept apart from PostgreSQL, so that no backup of it holds both a text and its key (`infra/key_store.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol
from uuid import UUID

KEY_BYTES = 32


class MemberKeys(Protocol):
    """The keys of one brand's members, 32 random bytes each.

    A key that was destroyed never comes back: its member is known as destroyed and is given no other one.
    """

    async def get_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys that are there."""
        ...

    async def make_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys, made where there was none; on the disk when it answers. Destroyed ones are left out."""
        ...

    async def destroy(self, member: UUID) -> int:
        """Destroy a key for good; again changes nothing. Gives how many known copies were not reached.

        Once the key itself is destroyed nothing is raised any more.
        """
        ...

    async def destroyed(self) -> frozenset[UUID]:
        """Members whose keys were destroyed."""
        ...


class NoKeys:
    """A ledger opened without a key store: nothing personal can be read or written."""

    async def get_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:  # noqa: ARG002 - as the protocol says
        """None is there."""
        return {}

    async def make_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """None can be made.

        Raises:
            LookupError: a key was asked for.
        """
        if members:
            raise LookupError("the ledger was opened without a key store: personal data cannot be kept")
        return {}

    async def destroy(self, member: UUID) -> int:
        """None can be destroyed.

        Raises:
            LookupError: always; an erasure that leaves a key somewhere is none.
        """
        raise LookupError(
            f"the ledger was opened without a key store: the key of {member} cannot be destroyed"
        )

    async def destroyed(self) -> frozenset[UUID]:
        """None was."""
        return frozenset()


NO_KEYS = NoKeys()
