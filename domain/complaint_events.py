"""What happens to a complaint: a case is opened with a deadline, answered and closed, or withdrawn with its check-in.

Codes, ids and instants only: what the member complained of, and what was answered, are notes beside the ledger.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from domain.events import Event

# --- stream case/{case} ---------------------------------------------------------------------------


class CaseOpened(Event):
    """A check-in told of a complaint: the member is not contacted otherwise until the case is closed."""

    type: ClassVar[str] = "case_opened"
    case: UUID
    member: UUID
    task: UUID
    report: int
    """Version of the check-in in its item's stream."""
    plan: str
    guide: UUID
    """Who reported it."""
    business_date: date
    deadline_at: datetime
    """By when the member should have been answered."""


class CaseMoved(Event):
    """The check-in was corrected, and tells of a complaint still: what the case rests on now. The deadline stays."""

    type: ClassVar[str] = "case_moved"
    report: int
    guide: UUID
    business_date: date


class CaseAnswered(Event):
    """Somebody answered the member; what was said is a note."""

    type: ClassVar[str] = "case_answered"
    member: UUID
    note: UUID | None = None
    note_hmac: str | None = None


class CaseClosed(Event):
    """It is settled, and the member may be contacted again."""

    type: ClassVar[str] = "case_closed"
    member: UUID
    resolution: str
    note: UUID | None = None
    note_hmac: str | None = None


class CaseWithdrawn(Event):
    """The check-in was voided, or corrected to something else: there was no complaint."""

    type: ClassVar[str] = "case_withdrawn"
    cause_stream: str
