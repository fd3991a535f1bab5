"""What can happen. One frozen model a kind of event; its fields are the payload.

Payloads carry ids, counts, dates and codes: nothing personal, no floats. Fields are only ever added,
with a default; a change of meaning is a new schema version with an upcaster.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from domain.rhythm import Rhythm


class Event(BaseModel):
    """Base of every event payload."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: ClassVar[str]
    schema_version: ClassVar[int] = 1
    """Of the payload's shape; older ones are read through `ledger.folding.upcasting`."""

    def payload(self) -> dict[str, Any]:
        """JSON values for the ledger."""
        return self.model_dump(mode="json")


class ItemStanding(BaseModel):
    """Where an item stands: as it is projected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str
    reason: str | None
    due_on: date
    attempts: int
    last_attempt_on: date | None


class MemberStanding(BaseModel):
    """Where a member stands in a cycle of a plan: as it is projected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grade: str | None = None
    dial_days: int = 0
    last_dial_on: date | None = None
    last_reached_at: datetime | None = None


# --- stream plan/{plan} -------------------------------------------------------------------------


class PlanLaunched(Event):
    """HQ launched the plan; `spec` is the playbook as it was checked."""

    type: ClassVar[str] = "plan_launched"
    plan: str
    spec: dict[str, Any]
    canary: tuple[str, ...] = ()
    """Codes of the stores it is tried in first; empty: it goes everywhere at once."""


class PlanAdjusted(Event):
    """Act: one lever was pulled. `lever` is goal, means or people; `change` says what, `figures` on what grounds."""

    type: ClassVar[str] = "plan_adjusted"
    lever: str
    change: dict[str, Any]
    reason: str
    figures: dict[str, Any]
    spec: dict[str, Any]


class CanaryConfirmed(Event):
    """The plan proved itself in its canary stores and now goes to all of them."""

    type: ClassVar[str] = "canary_confirmed"
    stores: tuple[str, ...]
    reason: str


class PlanStatusChanged(Event):
    """Paused, resumed (running), closed, or recalled because it should not have been launched."""

    type: ClassVar[str] = "plan_status_changed"
    status: str
    reason: str


class CycleStarted(Event):
    """The members of a cycle were selected and assigned, and its first items made."""

    type: ClassVar[str] = "cycle_started"
    cycle: int
    starts_on: date
    ends_on: date
    selected: int
    assigned: int
    unassigned: int
    tasks: int
    staffing_needed: int
    guides: int
    longest_reminder_months: int
    time_zone: str
    days_per_unit: dict[str, str]
    rhythms: dict[str, Rhythm] = {}
    """By category id, where enough members bought again to tell one: what items are reckoned with, whole numbers only."""


class CycleChecked(Event):
    """The Check of a cycle: figures with their counts, as of an instant and a ledger position."""

    type: ClassVar[str] = "cycle_checked"
    cycle: int
    kind: str
    as_of: datetime
    position: int
    figures: dict[str, Any]


class GoalDecided(Event):
    """Act by rule, once a cycle: what the result did to the goal (`raise`, `lower`, `keep`)."""

    type: ClassVar[str] = "goal_decided"
    cycle: int
    direction: str


# --- stream plan-member/{plan}/{cycle}/{member} ---------------------------------------------------


class MemberAssigned(Event):
    """Who looks after the member and why; without a guide, why nobody could.

    `grade` and what follows it are what the member brings along from the plan's cycles before; they count in the first
    such event of a cycle, not where somebody else takes over.
    """

    type: ClassVar[str] = "member_assigned"
    schema_version: ClassVar[int] = 2
    plan: str
    cycle: int
    member: UUID
    guide: UUID | None
    strategy: str | None
    why: str
    value_minor: int
    quadrant: str
    score: int | None = None
    runner_up: UUID | None = None
    full: tuple[UUID, ...] = ()
    tried: tuple[tuple[str, str], ...] = ()
    grade: str | None = None
    dial_days: int = 0
    last_dial_on: date | None = None
    last_reached_at: datetime | None = None


# --- stream task/{task} ---------------------------------------------------------------------------


class TaskCreated(Event):
    """An item: this member will run out of this on that day, says this basis.

    By a rhythm it also says when the next purchase is to be expected, given that nothing is bought before the item can be
    worked, and how many intervals of the member's own are in it.
    """

    type: ClassVar[str] = "task_created"
    task: UUID
    plan: str
    cycle: int
    member: UUID
    guide: UUID
    category: int
    run_out_on: date
    due_on: date
    basis: str
    days_per_unit: str
    bought_at: datetime
    expected_on: date | None = None
    own_intervals: int | None = None
    silent_since: datetime | None = None
    """Of a member who is going cold: the last contact. Such an item is due at once, and rests on no run-out."""

    def payload(self) -> dict[str, Any]:
        """JSON values; what only a member who is going cold has is left out for everybody else."""
        return self.model_dump(mode="json", exclude={"silent_since"} if self.silent_since is None else None)


class TaskLeft(Event):
    """The item left the list without a check-in of its own: withdrawn, bought after an attempt, expired, unreached."""

    type: ClassVar[str] = "task_left"
    state: str
    reason: str
    bought_at: datetime | None = None


class TaskSnoozed(Event):
    """The guide put the item off until later that day or to a later day; no attempt. `reason` is a code."""

    type: ClassVar[str] = "task_snoozed"
    guide: UUID
    business_date: date
    until: datetime
    reason: str


class TaskReassigned(Event):
    """The open item moved to another guide; history and credit stay with whoever did the work."""

    type: ClassVar[str] = "task_reassigned"
    guide: UUID
    before: UUID
    reason: str
    lent: bool = False
    """Only the item moved: the member stays with whoever looks after them."""


class CheckedIn(Event):
    """A guide's report of the item and where it leaves it.

    One that came in the order it occurred says so by `state`, `due_on`, `attempt`, `grade` and `dial_days`; the last
    attempt is on its `business_date`, and it is the last dial or the last contact. One that came out of order says by
    `leaves_item` and `leaves_member` where item and member stand now.
    """

    type: ClassVar[str] = "checked_in"
    plan: str
    cycle: int
    member: UUID
    business_date: date
    channel: str
    outcome: str
    reached: bool
    grade: str | None
    products: tuple[str, ...]
    next_on: date | None
    state: str
    due_on: date
    attempt: int
    dial_days: int
    late: bool = False
    conflict: str = ""
    """Why the report stands against the plan's state or the member's will, e.g. `plan_paused`; it counts all the same."""
    note: UUID | None = None
    note_hmac: str | None = None
    asked: str = ""
    """Digest of the request, its note left out, where it came with a key of the asker's: who sends the key again with
    another content is told so. Empty: no such key."""
    device: UUID | None = None
    """The bound phone it was reported on; None: none, or it is not known."""
    evidence: str = ""
    """SHA-256 (hex) of what proves it, e.g. a screenshot, where the guide showed something."""
    told_grade: str | None = None
    """The grade that was told, where that is not the one it led to (`grade`)."""
    skew_s: int = 0
    """By how many seconds the phone's clock was ahead; `occurred_at` has been put right by so much."""
    why: UUID | None = None
    why_hmac: str | None = None
    """Why it was entered after the grace; kept beside the ledger like a note, for it tells of the member."""
    leaves_item: ItemStanding | None = None
    leaves_member: MemberStanding | None = None

    def payload(self) -> dict[str, Any]:
        """JSON values; what an ordinary report has no use for is left out, for there are many of them."""
        unsaid = _OUT_OF_THE_ORDINARY - self.model_fields_set
        return self.model_dump(mode="json", exclude=set(unsaid))


_OUT_OF_THE_ORDINARY = frozenset({"told_grade", "skew_s", "why", "why_hmac", "leaves_item", "leaves_member"})


# --- stream guide-day/{guide}/{date} ---------------------------------------------------------------


class ListPublished(Event):
    """The guide's list of the day is there, its items in order; when the day begins and ends, by whose clocks."""

    type: ClassVar[str] = "list_published"
    schema_version: ClassVar[int] = 2
    guide: UUID
    business_date: date
    tasks: tuple[UUID, ...]
    time_zone: str = ""
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    target_calls: int | None = None
    """What is scored in the evening; None: before targets were told."""
    target_invitations: int | None = None


class ListExtended(Event):
    """Items came on a published list during the day: claimed, unclaimed at the cut-off, or from who is absent (`why`)."""

    type: ClassVar[str] = "list_extended"
    tasks: tuple[UUID, ...]
    first_rank: int
    why: str


class ListShortened(Event):
    """Items went from a published list to others' lists: its guide is absent (`why`)."""

    type: ClassVar[str] = "list_shortened"
    tasks: tuple[UUID, ...]
    why: str


class GuideAbsent(Event):
    """The guide is not there today; why is nobody's business."""

    type: ClassVar[str] = "guide_absent"
    guide: UUID
    business_date: date


class ClockedIn(Event):
    """The guide is at work (打卡)."""

    type: ClassVar[str] = "clocked_in"
    guide: UUID
    business_date: date


class Nudged(Event):
    """A reminder went into the outbox because so many items were open."""

    type: ClassVar[str] = "nudged"
    slot: str
    open_items: int


class Urged(Event):
    """Somebody who answers for the guide's work urged her; `tasks` is what was open then, in the list's order."""

    type: ClassVar[str] = "urged"
    tasks: tuple[UUID, ...]


class Escalated(Event):
    """What was open on her list by then was told to her store, her region or HQ."""

    type: ClassVar[str] = "escalated"
    level: str
    slot: str
    open_items: int


class DayClosed(Event):
    """The evening: counters recounted from the check-ins.

    Where the list was never published, `tasks` and what follows say what `list_published` would have said.
    """

    type: ClassVar[str] = "day_closed"
    schema_version: ClassVar[int] = 2
    listed: int
    done: int
    reached: int
    carried: int
    expired: int
    reason: str = ""
    """Why it was closed before its time; empty: it was not."""
    tasks: tuple[UUID, ...] = ()
    time_zone: str = ""
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    items: tuple[str, ...] = ()
    """The list's items in order, each `task#version`: where its stream stood."""
    head: str = ""
    """A digest over them and their events' hashes (`ledger/closing.py`); empty: the version before kept none."""
    target_calls: int | None = None
    target_invitations: int | None = None


# --- stream day-norm ---------------------------------------------------------------------------------


class DayNormSet(Event):
    """What is asked of a guide a day from now on (基本考核指标), and how many invitations a booked visit takes off."""

    type: ClassVar[str] = "day_norm_set"
    calls: int
    invitations: int
    invitations_a_visit: int
    reason: str


# --- streams evening/brand and evening/{store} --------------------------------------------------------


class EveningRuleSet(Event):
    """From a day on: how days are scored, or from when a store manager may close her store's day; the other part stays."""

    type: ClassVar[str] = "evening_rule_set"
    store: UUID | None = None
    """Whose hour it is; None: the brand's."""
    from_on: date
    close_from: str | None = None
    """HH:MM in the store's own time."""
    score: dict[str, Any] | None = None
    """As `domain.evening.ScoreRule` has it, whole numbers only."""
    reason: str


# --- stream contact-limits -----------------------------------------------------------------------------


class ContactLimitsSet(Event):
    """How often a member is contacted at most, over all plans, from a day on."""

    type: ClassVar[str] = "contact_limits_set"
    from_on: date
    day: int
    week: int
    month: int
    reason: str


# --- stream import/{kind} ----------------------------------------------------------------------------


class Imported(Event):
    """A batch of facts came in; `root` is a digest of its normalised rows, keyed where they are personal."""

    type: ClassVar[str] = "imported"
    kind: str
    batch: int
    root: str
    rows_read: int
    rows_new: int
    rows_bad: int
    source: str = ""
    """Of records: which system they come from."""


# --- stream feed/{source} -----------------------------------------------------------------------------
# What systems of record tell. The records lie in a table of facts; the event commits to them.


class FeedCreated(Event):
    """A system of record may send from now on; its secret is in the key store under this id."""

    type: ClassVar[str] = "feed_created"
    source: str
    secret: UUID
    kinds: tuple[str, ...] = ()
    """What it may tell; empty: of before this was said, everything."""


class FeedSecretRotated(Event):
    """A new secret; the one before works until `before_ends_at`."""

    type: ClassVar[str] = "feed_secret_rotated"
    source: str
    secret: UUID
    before_ends_at: datetime
    kinds: tuple[str, ...] = ()
    """What it may tell from now on; empty: what it could before."""


class FeedSecretsEnded(Event):
    """The source's secrets were ended with everybody's access; it sends again once it has a new one."""

    type: ClassVar[str] = "feed_secrets_ended"
    source: str
    reason: str


class FeedEnded(Event):
    """Nothing is taken from it any more, and no claim waits for it."""

    type: ClassVar[str] = "feed_ended"
    source: str
    reason: str


class RecordsReceived(Event):
    """A signed message: `root` is over its new records, `records` their number by kind."""

    type: ClassVar[str] = "records_received"
    source: str
    message: str
    root: str
    records: dict[str, int]
    complete_until: dict[str, datetime] = {}
    """How far the source has now told everything, by kind, where this message moved it on."""


class WatermarkMoved(Event):
    """An import said that the source has told everything of a kind up to an instant."""

    type: ClassVar[str] = "watermark_moved"
    source: str
    kind: str
    complete_until: datetime


# --- stream messages ---------------------------------------------------------------------------------


class MessagesStopped(Event):
    """The one switch: nothing is sent any more, whoever it is to."""

    type: ClassVar[str] = "messages_stopped"
    reason: str


class MessagesResumed(Event):
    """Messages are sent again; what expired meanwhile is not."""

    type: ClassVar[str] = "messages_resumed"
    reason: str


class MessageRetried(Event):
    """Somebody had a message sent once more whose end was unknown or which had been refused for good."""

    type: ClassVar[str] = "message_retried"
    purpose: str
    endpoint: int
    state: str
    why: str | None


# --- stream account/{account} --------------------------------------------------------------------------
# Names, logins and phones stay beside the ledger; an account is its id.


class AccountCreated(Event):
    """Somebody can sign in, or will be able to; `guide` where the account is a guide's."""

    type: ClassVar[str] = "account_created"
    account: UUID
    guide: UUID | None = None


class AccountChanged(Event):
    """The account was opened (`active`) or shut; shutting ends its sessions and tokens."""

    type: ClassVar[str] = "account_changed"
    active: bool
    reason: str


class RoleGranted(Event):
    """A role in a place (region, dealer, store or plan; empty: the brand or oneself), from when until when."""

    type: ClassVar[str] = "role_granted"
    grant: UUID
    role: str
    place: str
    starts_at: datetime
    ends_at: datetime | None
    reason: str


class RoleEnded(Event):
    """A grant ends; from the next request on it gives nothing."""

    type: ClassVar[str] = "role_ended"
    grant: UUID
    ends_at: datetime
    reason: str


class SecretChanged(Event):
    """A password or PIN was set, changed or taken away: `kind` and `change`."""

    type: ClassVar[str] = "secret_changed"
    kind: str
    change: str


class SignedIn(Event):
    """A session began: by password, PIN, OpenID Connect or WeCom."""

    type: ClassVar[str] = "signed_in"
    credential: UUID
    way: str
    device: UUID | None = None


class SignInRefused(Event):
    """Somebody tried to sign in and was turned away: as this account, or, in `sign-in/unknown`, as nobody knows whom."""

    type: ClassVar[str] = "sign_in_refused"
    way: str
    why: str


class CredentialIssued(Event):
    """A token for a machine; its secret was shown once. `rights`: no more than these."""

    type: ClassVar[str] = "credential_issued"
    credential: UUID
    kind: str
    rights: tuple[str, ...] | None
    expires_at: datetime


class CredentialEnded(Event):
    """A session was signed out or ended by somebody, or a token taken back."""

    type: ClassVar[str] = "credential_ended"
    credential: UUID
    why: str


class AccessEnded(Event):
    """Everything that opened something for the account was ended with everybody's: its sessions, tokens, one-time PIN."""

    type: ClassVar[str] = "access_ended"
    credentials: tuple[UUID, ...]
    pin: bool
    """A one-time PIN was void with it."""
    reason: str


class AccessRefused(Event):
    """The account asked for something its roles do not allow: the operation, and the right it lacked."""

    type: ClassVar[str] = "access_refused"
    operation: str
    right: str


class RequestRefused(Event):
    """A session of the account asked for a change and was turned away: the operation, and why (csrf)."""

    type: ClassVar[str] = "request_refused"
    operation: str
    why: str


class DeviceCodeMade(Event):
    """The account made a code that binds one phone of a store; the code itself is kept nowhere."""

    type: ClassVar[str] = "device_code_made"
    store: UUID
    expires_at: datetime


class PhoneRevealed(Event):
    """A member's number was shown once, unmasked, to be called; `task` says for which item."""

    type: ClassVar[str] = "phone_revealed"
    member: UUID
    task: UUID | None = None


# --- stream device/{device} ------------------------------------------------------------------------------


class DeviceBound(Event):
    """A store's phone was bound: its guides can sign in on it with a PIN."""

    type: ClassVar[str] = "device_bound"
    store: UUID
    made_by: UUID


class DeviceEnded(Event):
    """The phone is bound no more, and sessions on it have ended."""

    type: ClassVar[str] = "device_ended"
    reason: str


# --- streams guide/{guide} and store/{store} ----------------------------------------------------------------
# Decided when they are written, in force from the day they name; names and phones stay beside the ledger.


class GuideHired(Event):
    """The guide works in this store from `from_on` on."""

    type: ClassVar[str] = "guide_hired"
    guide: UUID
    store: UUID
    from_on: date


class GuideTransferred(Event):
    """From `from_on` on the guide stands in another store; her sessions on other stores' phones end then."""

    type: ClassVar[str] = "guide_transferred"
    guide: UUID
    before: UUID
    store: UUID
    from_on: date


class GuideLeft(Event):
    """After `last_on` the guide is gone: her sessions and tokens end, her open items move, her credit stays."""

    type: ClassVar[str] = "guide_left"
    guide: UUID
    store: UUID
    last_on: date
    replacement: UUID | None = None


class StoreClosed(Event):
    """After `last_on` the store is closed: its phones are bound no more, its members are at home in `to` where named."""

    type: ClassVar[str] = "store_closed"
    store: UUID
    last_on: date
    to: UUID | None = None


# --- stream member/{member} ------------------------------------------------------------------------------
# Ids only: who the member is, and why something was done, stays beside the ledger, where it can be erased.


class ConsentGiven(Event):
    """The member agreed to a purpose; `source` says how it was heard."""

    type: ClassVar[str] = "consent_given"
    member: UUID
    purpose: str
    source: str


class ConsentWithdrawn(Event):
    """The member took a consent back; of `contact` it is the global opt-out."""

    type: ClassVar[str] = "consent_withdrawn"
    member: UUID
    purpose: str
    source: str


class MemberExported(Event):
    """Everything there is about the member was handed out in one document."""

    type: ClassVar[str] = "member_exported"
    member: UUID


class MemberErased(Event):
    """What was personal of the member is gone for good; what figures rest on stays under the id."""

    type: ClassVar[str] = "member_erased"
    member: UUID


# --- stream calendar/{scope}/{subject} -------------------------------------------------------------------


class CalendarSet(Event):
    """What a brand, a region, a store or a guide says of its days and hours, all of it, from now on."""

    type: ClassVar[str] = "calendar_set"
    scope: str
    subject: str
    """A region's name, the id of a store or a guide; empty: the brand."""
    facts: dict[str, Any]
    """As `domain.calendar_facts` has them."""
