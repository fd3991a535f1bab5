"""Codes of the lines of a printed list: short enough to type from paper, and telling when a line is not the one that was meant.

    G1-3KT      guide G1, number 3 of her list; KT follows from the item and the day

Two letters out of twenty: of 400 wrong lines one is taken for right, so what was typed is told back, by line.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from uuid import UUID

LETTERS = "ACDEFHJKLMNPRTUVWXYZ"
"""Capitals that are not mistaken for a digit or for each other on paper."""
_CODE = re.compile(r"(?P<guide>.{1,200})-(?P<rank>[0-9]{1,4})(?P<check>[A-Z]{2})")


@dataclass(frozen=True, slots=True)
class LineCode:
    """A code, read."""

    guide: str
    rank: int
    check: str


def check_letters(task_id: UUID, day: date) -> str:
    """The two letters of an item on a day's list."""
    digest = hashlib.sha256(f"{task_id} {day.isoformat()}".encode()).digest()
    return LETTERS[digest[0] % len(LETTERS)] + LETTERS[digest[1] % len(LETTERS)]


def line_code(guide: str, rank: int, task_id: UUID, day: date) -> str:
    """The code of a line."""
    return f"{guide}-{rank}{check_letters(task_id, day)}"


def read_code(told: str) -> LineCode | None:
    """A code as it was typed, in whatever case its letters are; None: it is none."""
    stem, _, last = told.strip().rpartition("-")
    found = _CODE.fullmatch(f"{stem}-{last.upper()}")
    if found is None:
        return None
    return LineCode(found["guide"], int(found["rank"]), found["check"])
