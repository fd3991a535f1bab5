"""Anchors: copies of seals outside the database. A ledger rewritten from end to end shows in nothing else.

As text an anchor is one line of JSON, the same in the file beside the ledger, in mails and webhooks, and in `daogou audit
root --json`: whoever kept any of them can hold the ledger against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import Problem, Refused
from ledger.merkle import HASH_BYTES
from ledger.seals import Seal


@dataclass(frozen=True, slots=True)
class Anchor:
    """A seal as it was kept elsewhere; `where` says where."""

    position: int
    root: bytes
    seal_hash: bytes
    sealed_at: datetime
    where: str

    @classmethod
    def of(cls, seal: Seal, where: str) -> Anchor:
        """The anchor of a seal."""
        return cls(seal.position, seal.root, seal.seal_hash, seal.sealed_at, where)


def anchor_fields(seal: Seal | Anchor, tenant_id: int) -> dict[str, Any]:
    """What an anchor says: position and digests, nothing of what happened."""
    return {
        "tenant": tenant_id,
        "position": seal.position,
        "root": seal.root.hex(),
        "seal": seal.seal_hash.hex(),
        "sealed_at": seal.sealed_at.isoformat(),
    }


def anchor_line(seal: Seal | Anchor, tenant_id: int) -> str:
    """The anchor as one line of JSON, without its end."""
    return json.dumps(anchor_fields(seal, tenant_id), separators=(",", ":"))


def read_anchors(lines: Iterable[str], tenant_id: int, where: str) -> list[Anchor]:
    """Read anchors, one a line; the last line may be torn (its writer was killed).

    Raises:
        Refused: a line is no anchor, or of another brand.
    """
    anchors: list[Anchor] = []
    torn: Refused | None = None
    for number, line in enumerate(lines, 1):
        if torn is not None:
            raise torn
        if not line.strip():
            continue
        try:
            anchors.append(_read_anchor(line, tenant_id, where))
        except (ValueError, KeyError, TypeError) as error:
            problem = Problem("file", f"{where}:{number}", "anchor_unreadable", {"line": line.strip()[:80]})
            torn = Refused([problem])
            if line.endswith("\n"):
                raise torn from error
    return anchors


def _read_anchor(line: str, tenant_id: int, where: str) -> Anchor:
    told = json.loads(line)
    if told["tenant"] != tenant_id:
        raise ValueError("another brand's")
    anchor = Anchor(
        position=told["position"],
        root=bytes.fromhex(told["root"]),
        seal_hash=bytes.fromhex(told["seal"]),
        sealed_at=datetime.fromisoformat(told["sealed_at"]),
        where=where,
    )
    if type(anchor.position) is not int or anchor.position < 1 or anchor.sealed_at.tzinfo is None:
        raise ValueError("no position, or no instant")
    if len(anchor.root) != HASH_BYTES or len(anchor.seal_hash) != HASH_BYTES:
        raise ValueError("no digest")
    return anchor
