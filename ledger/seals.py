"""Seals: what the ledger was at a position, in 32 bytes, each committing to the seal before.

A seal's root is that of the Merkle tree (`ledger/merkle.py`) over the hashes of the events at positions 1 … P. An event's
hash is over its canonical bytes, which name brand, stream and version, and over the chain before it; its place in the tree
is its position. So a root commits to every event and to their order.

Cost of a seal: three reads and one insert; hashes and rows grow with what is new, not with the ledger.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime

from domain.errors import DaogouError
from ledger.canonical import microseconds
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.merkle import HASH_BYTES, Tree

AT_ONCE = 100_000
"""Positions one seal takes in at most, so that its transaction is short whatever has gathered."""

_LENGTH = struct.Struct(">I")
_COLUMNS = "position, root, peaks, seal_hash, sealed_at"


class Unsealable(DaogouError):
    """The ledger is not as its last seal says, so nothing more is sealed: `daogou audit verify` says what differs."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Everything up to a position."""

    position: int
    root: bytes
    seal_hash: bytes
    sealed_at: datetime
    peaks: bytes = b""

    @property
    def tree(self) -> Tree:
        """Its tree, to grow on."""
        return Tree(
            self.position,
            [self.peaks[at : at + HASH_BYTES] for at in range(0, len(self.peaks), HASH_BYTES)],
        )

    def holds_itself(self) -> bool:
        """Whether its peaks are those of its position and lead to its root."""
        tree = self.tree
        return tree.fits() and tree.root == self.root


def seal_hash(before: bytes, tenant_id: int, position: int, root: bytes, sealed_at: datetime) -> bytes:
    """The hash of a seal: over the seal before (nothing: the first) and its own fields, each behind its length."""
    fields = (
        str(tenant_id).encode(),
        str(position).encode(),
        root,
        str(microseconds(sealed_at)).encode(),
    )
    told = b"".join(part for field in fields for part in (_LENGTH.pack(len(field)), field))
    return hashlib.sha256(before + told).digest()


async def last_seal(connection: Driver, tenant_id: int, *, up_to: int | None = None) -> Seal | None:
    """The newest seal, or the newest at or before a position; None: there is none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM daogou.seal WHERE tenant_id = $1 AND position <= coalesce($2, 9223372036854775807)"
        " ORDER BY position DESC LIMIT 1",
        tenant_id,
        up_to,
    )
    return None if row is None else Seal(**row)


async def seal_new(ledger: Ledger, now: datetime) -> Seal | None:
    """Seal everything that has a position and is not sealed yet; gives the newest seal, None for an empty ledger.

    Safe to run from several processes: they take turns.

    Raises:
        Unsealable: the last seal does not hold itself, or an event that has a position is gone.
    """
    while True:
        async with ledger.transaction() as connection:
            sealed, more = await _seal_once(connection, ledger.tenant_id, now)
        if not more:
            return sealed


async def _seal_once(connection: Driver, tenant_id: int, now: datetime) -> tuple[Seal | None, bool]:
    """One seal over at most `AT_ONCE` positions; the newest seal, and whether there is more."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.seal'), $1)", tenant_id)
    last = await last_seal(connection, tenant_id)
    if last is not None and not last.holds_itself():
        raise Unsealable(f"the seal at position {last.position} is not as it was written")
    start = last.position if last else 0
    hashes = await entries(connection, tenant_id, after=start, most=AT_ONCE)
    if not hashes:
        return last, False
    tree = last.tree if last else Tree()
    tree.extend(b"".join(hashes))
    # A clock that was set back makes no seal older than the one before.
    sealed_at = max(now, last.sealed_at) if last else now
    sealed = Seal(
        tree.size,
        tree.root,
        seal_hash(last.seal_hash if last else b"", tenant_id, tree.size, tree.root, sealed_at),
        sealed_at,
        b"".join(tree.peaks),
    )
    await connection.execute(
        f"INSERT INTO daogou.seal (tenant_id, {_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6)",
        tenant_id,
        sealed.position,
        sealed.root,
        sealed.peaks,
        sealed.seal_hash,
        sealed.sealed_at,
    )
    return sealed, len(hashes) == AT_ONCE


async def entries(
    connection: Driver, tenant_id: int, *, after: int, up_to: int | None = None, most: int | None = None
) -> list[bytes]:
    """The tree's entries from a position on: the events' hashes in order.

    Raises:
        Unsealable: one of the positions has no event, or none of 32 bytes.
    """
    rows = await connection.fetch(
        """
        SELECT p.position, p.stream, p.version, e.hash
        FROM (SELECT * FROM daogou.event_position WHERE tenant_id = $1 AND position > $2
              AND position <= coalesce($3, 9223372036854775807) ORDER BY position LIMIT $4) p
        LEFT JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = p.stream AND e.version = p.version
             AND e.known_at = p.known_at
        ORDER BY p.position""",
        tenant_id,
        after,
        up_to,
        most,
    )
    for number, row in enumerate(rows, after + 1):
        if row["position"] != number or row["hash"] is None or len(row["hash"]) != HASH_BYTES:
            raise Unsealable(f"position {number} has no event: {row['stream']} {row['version']}")
    return [row["hash"] for row in rows]
