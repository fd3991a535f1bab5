"""A proof that one event is in the ledger that was sealed, to be checked by anybody with nothing but the anchor.

It goes to the first seal that the event is in: its anchor is made within minutes and stays. A proof is some twenty hashes
long and costs the events between two seals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.errors import NotFound, Problem
from ledger.anchors import anchor_fields
from ledger.door import Driver
from ledger.merkle import Tree, inclusion_path
from ledger.seals import Seal, entries, last_seal


@dataclass(frozen=True, slots=True)
class Proof:
    """The event's bytes and the hash before it, its place in the tree, and the way to the seal's root."""

    position: int
    before: bytes
    body: bytes
    path: tuple[bytes, ...]
    seal: Seal


async def prove(connection: Driver, tenant_id: int, stream: str, version: int) -> Proof:
    """The proof of one event.

    Raises:
        NotFound: there is no such event, or it is not sealed yet.
        Unsealable: an event between the two seals is gone.
    """
    row = await connection.fetchrow(
        """
        SELECT e.body, p.position, coalesce(b.hash, '') AS before FROM event e
        LEFT JOIN event_position p ON p.tenant_id = $1 AND p.stream = e.stream AND p.version = e.version
        LEFT JOIN event b ON b.tenant_id = $1 AND b.stream = e.stream AND b.version = e.version - 1
        WHERE e.tenant_id = $1 AND e.stream = $2 AND e.version = $3""",
        tenant_id,
        stream,
        version,
    )
    if row is None:
        raise NotFound(Problem("stream", f"{stream}#{version}", "unknown_event"))
    position = row["position"]
    seal = None if position is None else await _first_seal(connection, tenant_id, position)
    if seal is None:
        raise NotFound(Problem("stream", f"{stream}#{version}", "not_sealed_yet"))
    start = await last_seal(connection, tenant_id, up_to=position - 1)
    tree = start.tree if start else Tree()
    appended = await entries(connection, tenant_id, after=tree.size, up_to=seal.position)
    path = inclusion_path(tree, appended, position - 1)
    return Proof(position, row["before"], row["body"], tuple(path), seal)


async def _first_seal(connection: Driver, tenant_id: int, position: int) -> Seal | None:
    row = await connection.fetchrow(
        "SELECT position, root, peaks, seal_hash, sealed_at FROM seal"
        " WHERE tenant_id = $1 AND position >= $2 ORDER BY position LIMIT 1",
        tenant_id,
        position,
    )
    return None if row is None else Seal(**row)


def proof_fields(proof: Proof, tenant_id: int) -> dict[str, Any]:
    """A proof as JSON says it; docs/audit.md has a program of thirty lines that checks it."""
    return {
        "position": proof.position,
        "before": proof.before.hex(),
        "body": proof.body.hex(),
        "path": [node.hex() for node in proof.path],
        "anchor": anchor_fields(proof.seal, tenant_id),
    }
