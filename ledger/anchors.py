"""Anchors: copies of seals outside the database. A ledger rewritten from end to end shows in nothing else.

As text an anchor is one line of JSON, the same in the file beside the ledger, in mails and webhooks, and in `daogou audit
root --json`: whoever kept any of them can hold the ledger against it.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.errors import Problem, Refused
from ledger.merkle import HASH_BYTES
from ledger.seals import Seal

_START = '{"tenant":'
"""What every line begins with: half a line is known by it."""


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


def check_value(seal: Seal | Anchor) -> str:
    """The first 80 bits of the seal's hash, to be read out or printed: sixteen letters and digits."""
    text = base64.b32encode(seal.seal_hash[:10]).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def read_anchors(text: str, tenant_id: int, where: str) -> list[Anchor]:
    """Read anchors, one a line, or one alone on several. What a killed writer left half is passed over.

    Raises:
        Refused: a line is no anchor, or another brand's.
    """
    if _is_one(text):
        return [_read_anchor(text, tenant_id, where, 1)]
    return [
        _read_anchor(line, tenant_id, where, number)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not _is_half(line.rstrip())
    ]


def _is_half(line: str) -> bool:
    return not line.endswith("}") and _START.startswith(line[: len(_START)])


def _is_one(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _read_anchor(text: str, tenant_id: int, where: str, number: int) -> Anchor:
    try:
        told = json.loads(text)
        anchor = Anchor(
            position=told["position"],
            root=bytes.fromhex(told["root"]),
            seal_hash=bytes.fromhex(told["seal"]),
            sealed_at=datetime.fromisoformat(told["sealed_at"]),
            where=where,
        )
        whole = (
            told["tenant"] == tenant_id
            and type(anchor.position) is int
            and anchor.position > 0
            and anchor.sealed_at.tzinfo is not None
            and len(anchor.root) == len(anchor.seal_hash) == HASH_BYTES
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(where, number, text) from error
    if not whole:
        raise _unreadable(where, number, text)
    return anchor


def _unreadable(where: str, number: int, text: str) -> Refused:
    return Refused([Problem("file", f"{where}:{number}", "anchor_unreadable", {"line": text[:80]})])
