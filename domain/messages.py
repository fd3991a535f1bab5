"""What travels between workflows and activities: one frozen model in, one out; ids, counts and instants only.

Fields are only ever added, with a default. All instants are business instants, in UTC.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """Base of every message."""

    model_config = ConfigDict(frozen=True)


class BusinessTime(Message):
    """How a workflow's clock relates to the business's.

    A rehearsal runs on a server whose clock only goes forward from the present, so its business time lies
    `offset_seconds` (whole weeks, negative) beside it. In a rehearsal what occurred is known at once.
    """

    offset_seconds: int = 0
    rehearsal: bool = False


class PlanRun(Message):
    """Start of a `PlanWorkflow`; by continue-as-new `cycle` grows, and a long run goes on where it stood.

    `opened` says that the cycle's members were selected, `ending` that only settling is left.
    """

    plan_id: str
    time: BusinessTime = BusinessTime()
    cycle: int = 1
    opened: bool = False
    ending: bool = False


class PlanStep(Message):
    """A step of a cycle at a business instant."""

    plan_id: str
    cycle: int
    at: datetime
    rehearsal: bool = False


class PlanView(Message):
    """What a `PlanWorkflow` needs to know of its plan before each step."""

    status: str
    version: int
    cycles: int
    opens_at: datetime
    """When the cycle's members are selected: ahead of the first release."""
    checks_at: datetime
    """When the Check may run: after the last day's close."""
    next_settle_at: datetime | None = None
    """When the last attribution window of the earliest cycle without final figures has closed; None: no such."""


class CycleOpened(Message):
    """What selecting and assigning came to."""

    selected: int
    assigned: int
    unassigned: int
    tasks: int


class OpenDays(Message):
    """Guide-days of a cycle that are not closed yet."""

    count: int
    closes_at: datetime | None = None
    """When the last of them should close."""


class Checked(Message):
    """A Check was written at this ledger position, after closing so many days that had not closed themselves."""

    position: int
    closed_days: int = 0


class SettledCycles(Message):
    """How many cycles got their final figures now."""

    cycles: int


class Acted(Message):
    """What Act did by rule: `raise`, `lower` or `keep` the goal, and how many items expired with the cycle."""

    goal: str
    expired: int


class PlanOutcome(Message):
    """How a plan's life ended."""

    cycles: int
    status: str


class DayRun(Message):
    """Start of a `DispatchWorkflow`: the day of a time zone and release hour (HH:MM)."""

    day: date
    time_zone: str
    release: str
    time: BusinessTime = BusinessTime()


class DayStep(Message):
    """A step of a zone's day at a business instant."""

    day: date
    time_zone: str
    release: str
    at: datetime
    rehearsal: bool = False
    slot: str = ""
    offset_seconds: int = 0
    escalate_to: str = ""
    open_percent: int = 1


class Slot(Message):
    """An instant of the day at which somebody is told what is open."""

    name: str
    at: datetime
    escalate_to: str = ""
    """The level that what is open is told to at this time; empty: the guides themselves are nudged."""
    open_percent: int = 1


class DayView(Message):
    """What a `DispatchWorkflow` needs to know of its day; `working` is False when no plan works on it."""

    working: bool
    opens_at: datetime
    closes_at: datetime
    slots: tuple[Slot, ...] = ()


class Settled(Message):
    """What new purchases and opt-outs did to open items."""

    left: int = 0
    created: int = 0


class Cut(Message):
    """How many guides have a list."""

    lists: int


class Started(Message):
    """How many guide-day workflows were started now; the rest ran already."""

    started: int


class NudgedGuides(Message):
    """How many guides were nudged."""

    guides: int


class EscalatedGuides(Message):
    """Of how many guides what is open was told upwards."""

    guides: int


class DayOutcome(Message):
    """How a zone's day went."""

    lists: int = 0
    nudges: int = 0


class ReleaseRun(Message):
    """Start of a `ReleaseWorkflow` by its Schedule: a time zone and release hour (HH:MM)."""

    time_zone: str
    release: str


class Released(Message):
    """Which day a Schedule started, or that it ran already."""

    day: date
    started: bool


class GuideDayRun(Message):
    """Start of a `GuideDayWorkflow`: one guide, one date, a list that is not empty."""

    guide_id: UUID
    day: date
    opens_at: datetime
    closes_at: datetime
    time: BusinessTime = BusinessTime()


class GuideDayStep(Message):
    """Publish or close a guide's day."""

    guide_id: UUID
    day: date
    at: datetime
    rehearsal: bool = False


class Changed(Message):
    """Whether the step changed anything, or had been done before."""

    changed: bool


class RehearsalRun(Message):
    """Start of a `RehearsalWorkflow`."""

    plan_id: str
    seed: int
    time: BusinessTime


class RehearsedDay(Message):
    """One day of the rehearsal in one zone. The simulated guides work up to each instant of `shifts`."""

    day: date
    time_zone: str
    release: str
    opens_at: datetime
    shifts: tuple[datetime, ...]
    closes_at: datetime


class RehearsalView(Message):
    """The days to rehearse, a list a zone."""

    starts_at: datetime
    zones: tuple[tuple[RehearsedDay, ...], ...]


class Shift(Message):
    """What the simulated guides of a zone do between two instants of a day."""

    seed: int
    day: date
    time_zone: str
    after: datetime
    until: datetime


class Worked(Message):
    """Check-ins of a shift: recorded, and refused by a rule (as a real guide would see)."""

    recorded: int = 0
    refused: int = 0


class RehearsalOutcome(Message):
    """What was rehearsed."""

    days: int
    check_ins: int
    refused: int
    plan: PlanOutcome


class SealedRoot(Message):
    """A seal: position and digests in hex, nothing of what happened."""

    position: int
    root: str
    seal: str
    sealed_at: datetime


class SealRun(Message):
    """What a `SealWorkflow` keeps, through every continue-as-new; also what each step gives back."""

    last: SealedRoot | None = None
    """The newest seal it has seen: Temporal's own copy, outside the database."""
    contradicted: SealedRoot | None = None
    """The first seal it remembers that the ledger has no longer, or otherwise."""
    refused: str = ""
    """Why nothing was sealed the last time; empty: it was, or there was nothing new."""
