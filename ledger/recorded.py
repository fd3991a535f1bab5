"""What became of a check-in or a correction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Recorded:
    """A check-in as the ledger took it; `duplicate` if the same command had been taken before."""

    task_id: UUID
    version: int
    state: str
    due_on: date
    duplicate: bool
