"""Answers for programs: what `--json` prints of a verification (of reports: activities/reporting.py)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ledger.verify import Verification


def verification_json(verification: Verification) -> dict[str, Any]:
    """What was verified, and every difference that is listed."""
    standing = verification.standing
    return {
        "ok": verification.ok,
        "since": verification.since,
        "sealed_position": standing.sealed.position if standing.sealed else 0,
        "anchored_position": standing.anchored_position,
        "anchored_at": standing.anchored.sealed_at if standing.anchored else None,
        "anchored_in": standing.anchored.where if standing.anchored else None,
        "not_anchored": standing.unanchored,
        "notes": verification.beside.notes,
        "notes_erased": verification.beside.erased,
        "notes_unread": verification.beside.unread,
        "days": verification.beside.days,
        "pictures": verification.beside.pictures,
        "events": verification.events,
        "streams": verification.streams,
        "positions": verification.positions,
        "differences_found": verification.found,
        "differences": [asdict(difference) for difference in verification.differences],
    }
