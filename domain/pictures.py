"""Pictures that prove something: what may be one, and what is said of one. Only its first bytes are looked at.

Nothing is parsed, turned or stripped: what is kept is what came, so that its digest is that of the sender's file.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from domain.errors import Problem

MOST_PICTURE_BYTES = 700_000
"""Of one picture: a sheet of A4 that a phone has scaled down to 2,000 pixels (ours)."""

MediaType = Literal["image/jpeg", "image/png", "image/webp"]
Kind = Literal["evidence", "sheet"]


def media_type(content: bytes) -> MediaType | None:
    """What the first bytes say; None: none of the three."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def digest_of(content: bytes) -> str:
    """SHA-256 in hex: as `evidence` of a check-in names it."""
    return hashlib.sha256(content).hexdigest()


def picture_problem(content: bytes) -> Problem | None:
    """Why this is no picture to be kept."""
    if len(content) > MOST_PICTURE_BYTES:
        return Problem("content", str(len(content)), "picture_too_large", {"most": MOST_PICTURE_BYTES})
    if media_type(content) is None:
        return Problem("content", content[:8].hex(), "not_a_picture")
    return None
