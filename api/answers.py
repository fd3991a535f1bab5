"""Answers about plans, days and check-ins: what a program may rely on. Fields are only ever added."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """An answer, made once and not changed."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class UnassignedAnswer(Answer):
    """Members nobody could take, for one chain of (strategy, reason) in the order tried."""

    members: int
    tried: list[tuple[str, str]]


class DayLoadAnswer(Answer):
    """A working day to come: new items, all there is to do, what can be done, what is left over."""

    day: date
    due: int
    load: int
    capacity: int
    left: int
    over: bool = Field(description="More than can be done.")


class GuideForecastAnswer(Answer):
    """A guide's coming days for one kind of item."""

    guide: str
    store: str
    kind: str
    over_from: date | None = Field(description="The first day with more than she can do.")
    days: list[DayLoadAnswer]


class ContactsLeftAnswer(Answer):
    """Members the plan's items are about, and how many of them have no contact left, over all plans."""

    day: date = Field(description="In whose week and month: the first day that is told.")
    members: int
    none_this_week: int
    none_this_month: int


class ForecastAnswer(Answer):
    """The coming working days: load from all plans against capacity. Who comes to be over capacity stands first."""

    plan: str
    over: int = Field(description="Guides who come to have more than they can do.")
    totals: dict[str, list[DayLoadAnswer]] = Field(description="All guides together, by kind.")
    guides: list[GuideForecastAnswer]
    contacts: ContactsLeftAnswer | None = Field(default=None, description="Null: no day is told.")


class FirstCycle(Answer):
    """What a plan would start with."""

    cycle: int
    starts_on: date
    ends_on: date
    selected: int
    assigned: int
    unassigned: int
    tasks: int
    staffing_needed: int = Field(description="Guides needed for the touches due; compare `guides`.")
    guides: int
    longest_reminder_months: int
    time_zone: str
    days_per_unit: dict[str, str]
    guides_taking_part: int
    unassigned_reasons: list[UnassignedAnswer]
    forecast: ForecastAnswer


class Note(Answer):
    """What should be known of a plan and may be launched with."""

    field: str
    value: str
    code: str
    params: dict[str, str | int]


class CheckedPlan(Answer):
    """A playbook that could be launched now; nothing was written."""

    plan: str
    ok: Literal[True] = True
    preview: FirstCycle
    notes: list[Note] = Field(description="E.g. a year whose public holidays are not announced yet.")


class Acted(Answer):
    """How a plan stands after a command."""

    plan: str
    status: str
    version: int = Field(description="Of the plan's history; every command that changes something adds one.")
    duplicate: bool = Field(description="This request had been done before; nothing was changed now.")
    change: dict[str, Any] = Field(description="What was adjusted: {what: {before, after}}.")


class Replaced(Acted):
    """Another guide has taken over."""

    members: int
    tasks: int
    unassigned: int = Field(description="Members nobody could take; their open items expire.")


class PlanLine(Answer):
    """A plan in the list."""

    plan: str
    name: str
    status: str
    cycle: int
    launched_at: datetime
    canary: list[str] = Field(description="The only stores it runs in so far; empty: all.")


class StoredCheck(Answer):
    """A Check that was stored."""

    cycle: int
    kind: str
    as_of: datetime
    position: int


class PlanStatus(Answer):
    """A plan as it stands, after every adjustment."""

    plan: str
    status: str
    cycle: int
    cycle_state: str | None
    version: int
    launched_at: datetime
    canary: list[str] = Field(description="The only stores it runs in so far; empty: all.")
    checks: list[StoredCheck]
    playbook: dict[str, Any]


class RateAnswer(Answer):
    """A rate with its counts; `percent` is null where there is nothing to divide by."""

    percent: float | None
    numerator: int
    denominator: int


class FiguresAnswer(Answer):
    """Counts of distinct members; revenue in minor units."""

    due: int
    attempted: int
    followed_up: int
    withdrawn: int
    window_closed: int
    provisional: int
    succeeded: int
    provisional_succeeded: int
    repurchased: int
    members_at_start: int
    revenue: int
    provisional_revenue: int
    completion_rate: RateAnswer
    attempt_rate: RateAnswer
    success_rate: RateAnswer
    repurchase_rate: RateAnswer


class ClaimsAnswer(Answer):
    """Check-ins and how they stand against systems of record; the four standings add up to `claimed`."""

    claimed: int
    confirmed: int
    contradicted: int
    unconfirmed: int
    not_checkable: int = Field(description="No system has told everything yet that could confirm them.")
    outcome: int = Field(description="Something came of them: bought, redeemed, came or added the guide.")
    confirmed_outcome: int = Field(description="Of those, the confirmed ones.")


class FiguresOf(FiguresAnswer):
    """Figures of a store or guide; code and name are empty for members without either."""

    code: str
    name: str
    claims: ClaimsAnswer


class GoalAnswer(Answer):
    """The goal that held when the cycle was counted, and what came of it."""

    measure: str
    target: str
    by: date
    result: str | None
    reached: bool


class ReportAnswer(Answer):
    """A stored Check of a cycle."""

    plan: str
    name: str
    status: str
    cycle: int
    kind: str
    as_of: datetime
    position: int
    starts_on: date
    ends_on: date
    goal: GoalAnswer
    total: FiguresAnswer
    claims: ClaimsAnswer
    complete_until: dict[str, datetime | None] = Field(
        description="By kind of data, up to when it was complete when this was counted; null: no source says so."
    )
    stores: list[FiguresOf]
    guides: list[FiguresOf]
    assigned: int
    unassigned: list[UnassignedAnswer]
    tasks: int
    check_ins: int
    guide_days: int
    whole: bool = Field(
        description="False: of the stores in reach only; assigned, tasks, check_ins and guide_days then stand at 0."
    )


class ItemAnswer(Answer):
    """One item of a list: whom to contact, about what, why now."""

    rank: int
    task_id: UUID
    member: str = Field(description="Masked.")
    category: str
    run_out_on: date
    due_on: date
    bought_at: datetime
    grade: str | None
    quadrant: str
    state: str
    done: bool
    urged: bool = Field(description="Somebody urged her about it: it comes first.")
    done_by_other: bool = Field(
        description="Another guide had reached the member before the item came to this one: nothing is left to do."
    )
    complaint: bool = Field(
        description="A complaint of the member's waits for its end: they are not contacted until then."
    )
    silent_since: datetime | None = Field(
        description="The member is going cold: nobody has spoken to them since. Null: the item is about what runs out."
    )
    script: str
    material: str
    kind: str = Field(description="A call, or an invitation into a group.")
    snoozed_until: datetime | None = Field(
        description="Until when the guide put it off; nobody is reminded of it before."
    )


class ListAnswer(Answer):
    """A guide's list of a day; `rest` counts items that are due beyond the day's capacity."""

    guide_code: str
    guide_name: str
    store_name: str
    day: date
    state: str
    closes_at: datetime
    items: list[ItemAnswer]
    rest: int
    target_calls: int | None = Field(description="What is scored in the evening.")
    target_invitations: int | None


class UrgedAnswer(Answer):
    """A guide who was urged."""

    guide: str
    day: date
    urged_at: datetime
    open_items: int = Field(description="What was open then, and goes first on her lists from now on.")
    told: bool = Field(description="A message goes to her; false: no channel serves her.")
    duplicate: bool = Field(description="This very request had been done before.")


class AtWorkAnswer(Answer):
    """A guide who clocked in."""

    guide: str
    day: date
    published: bool = Field(description="Whether this published the list: nobody else had.")
    listed: int = Field(description="Items on the list; 0: there is none today.")


class TakenAnswer(Answer):
    """A check-in as the ledger took it, and where it left the item."""

    task_id: UUID
    version: int
    state: str
    due_on: date


class EventAnswer(Answer):
    """An event: where, what, when it occurred and became known, by whom, for whom."""

    stream: str
    version: int
    type: str
    occurred_at: datetime
    known_at: datetime
    actor: str
    performed_by: str
    cause: str
    payload: dict[str, Any]
    hash: str
    codes: dict[str, str] = Field(
        description="Codes of the guides and stores that stream and payload name by id, as far as you know them."
    )
