"""Answers for programs: what `--json` prints of a verification (of reports: activities/reporting.py)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ledger.verify import Verification


def verification_json(verification: Verification) -> dict[str, Any]:
    """What was verified, and every difference that is listed."""
    return {
        "ok": verification.ok,
        "events": verification.events,
        "streams": verification.streams,
        "positions": verification.positions,
        "differences_found": verification.found,
        "differences": [asdict(difference) for difference in verification.differences],
    }
