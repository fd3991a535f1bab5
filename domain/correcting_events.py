"""What can happen to what was reported before: it is corrected, and what came of it is restated.

Nothing is taken back: a correction is a new event that supersedes an earlier one, and each says in full where it leaves
what it touches (`leaves_item`, `leaves_member`), so that reading the latest of them is enough.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from domain.events import Event, ItemStanding, MemberStanding

# --- stream task/{task} ---------------------------------------------------------------------------


class CheckInCorrected(Event):
    """A new check-in takes the place of an earlier one of the item, `supersedes`: its version in this stream.

    It holds everything a check-in does. `late` says of the first report whether it came after the close of the day.
    """

    type: ClassVar[str] = "check_in_corrected"
    supersedes: int
    first_known_at: datetime
    """When the report it takes the place of became known; that of a correction: when the first one did."""
    closed_day: bool
    """A day was closed that it changes: a supervisor did it, with a reason."""
    plan: str
    cycle: int
    member: UUID
    business_date: date
    channel: str
    outcome: str
    reached: bool
    grade: str | None
    told_grade: str | None
    products: tuple[str, ...]
    next_on: date | None
    late: bool
    conflict: str
    skew_s: int
    note: UUID | None
    note_hmac: str | None
    asked: str
    why: UUID | None
    why_hmac: str | None
    leaves_item: ItemStanding
    leaves_member: MemberStanding
    device: UUID | None = None
    """The bound phone of the report that holds: the correction's where it names one, else as it was."""
    evidence: str = ""
    """As `CheckedIn.evidence`; the same."""


class CheckInVoided(Event):
    """A check-in of the item, `supersedes`, was never made: it was entered on the wrong item."""

    type: ClassVar[str] = "check_in_voided"
    supersedes: int
    closed_day: bool
    plan: str
    cycle: int
    member: UUID
    business_date: date
    asked: str
    why: UUID | None
    why_hmac: str | None
    leaves_item: ItemStanding
    leaves_member: MemberStanding


class TaskRestated(Event):
    """A report of another item of the member came late or was corrected: where that leaves this one."""

    type: ClassVar[str] = "task_restated"
    leaves_item: ItemStanding
    cause_stream: str
    """The item whose check-in it was."""


# --- stream plan-member/{plan}/{cycle}/{member} ---------------------------------------------------


class MemberRestated(Event):
    """A report of an earlier cycle came late or was corrected: where that leaves the member in this one."""

    type: ClassVar[str] = "member_restated"
    plan: str
    cycle: int
    member: UUID
    leaves_member: MemberStanding
    cause_stream: str
    """The item whose check-in it was."""


# --- stream guide-day/{guide}/{date} ---------------------------------------------------------------


class DayRecounted(Event):
    """The figures of a closed day in a new version: a fact came late, or a check-in of the day was corrected."""

    type: ClassVar[str] = "day_recounted"
    guide: UUID
    business_date: date
    version: int
    """Of the figures: the close's are the first."""
    listed: int
    done: int
    reached: int
    carried: int
    expired: int
    late: int
    """Of the items done, those whose report came after the close."""
    corrected: int
    """Of the items done, those whose report is a correction."""
    cause_stream: str
    """The item whose check-in it was."""
