"""The plan: four questions, all answered before launch, or it is refused with what is missing.

A plan is written by people as a playbook (YAML). The model is frozen; an adjustment makes a new one
(`domain/act.py`). Field names are the words of the playbook; a path into it (`goal.target`) is what
problems name.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

from domain.calendar import WorkingCalendar
from domain.complaints import ANSWER_HOURS
from domain.contact_budget import Priority
from domain.urging import Level

PLAN_ID = r"^[a-z0-9][a-z0-9-]{0,62}$"
COLD_AFTER_DAYS = 30
"""So long untouched, and a member graded A or B is going cold, where the plan says nothing else."""
EARLIEST_RELEASE, LATEST_RELEASE = time(7), time(23)
ESCALATED_FROM = {Level.STORE: 1, Level.REGION: 50, Level.HQ: 90}
"""Percent of a list that is open, from which on a level is told (ours)."""


def _without_zone(at: time) -> time:
    if at.tzinfo is not None or at.microsecond:
        raise ValueError("not_a_time")
    return at


LocalTime = Annotated[time, AfterValidator(_without_zone)]
"""A time of day in each store's own zone."""


def clock_text(at: time) -> str:
    """HH:MM, with seconds only where there are any: the name of a release hour or slot."""
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


Whole = Annotated[int, Strict()]
"""A whole number; `yes`, `1.0` and "1" are none."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Period(_Strict):
    """When a cycle runs: a first day and how many working days."""

    start: date
    working_days: Whole = Field(ge=1, le=366)
    cycles: Whole = Field(default=1, ge=1, le=520)


class CalendarRule(_Strict):
    """Which days the stores work. ISO weekdays, 1 is Monday."""

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), min_length=1
    )
    closed: tuple[date, ...] = ()
    opened: tuple[date, ...] = ()


class Segment(_Strict):
    """Which members: who bought one of the categories within so many days, less who is excluded."""

    bought_categories: tuple[str, ...] = Field(min_length=1)
    within_days: Whole = Field(ge=1, le=3660)
    with_tags: tuple[str, ...] = ()
    without_tags: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    """Codes of home stores; empty: all."""


class StrategyStep(_Strict):
    """One strategy of the ordered list of fallbacks."""

    strategy: Literal["proximity", "reception", "capability", "round_robin", "manual"]
    max_km: Whole | None = Field(default=None, ge=1)
    prefer: Literal["last", "most"] = "most"
    skills: tuple[str, ...] = ()
    """capability: skills a guide must have for this plan."""
    members: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """manual: guide code -> member codes."""


class Care(_Strict):
    """Who looks after them."""

    strategies: tuple[StrategyStep, ...] = Field(min_length=1)
    members_per_guide: Whole = Field(ge=1, le=100_000)
    items_per_day: Whole | None = Field(default=None, ge=1, le=1_000)
    """Daily capacity for calls: cuts the list, the rest stays due and visible. None: the brand's (`domain/day_norm.py`)."""
    invitations_per_day: Whole | None = Field(default=None, ge=1, le=1_000)
    """The same for group invitations."""
    cold_after_days: Whole = Field(default=COLD_AFTER_DAYS, ge=1, le=3660)
    """A member graded A or B whom nobody has spoken to for so long comes up as an item."""
    guides: tuple[str, ...] = ()
    """Codes of the guides that take part; empty: all."""
    without_guides: tuple[str, ...] = ()
    """Codes of guides that take no part, whoever else does: those who were replaced."""

    def takes_part(self, code: str) -> bool:
        """Whether the guide of this code may be given members of the plan."""
        return code not in self.without_guides and (not self.guides or code in self.guides)


class Goal(_Strict):
    """What to reach, a number and a date. Rates are percentages, revenue is in whole currency units."""

    measure: Literal["completion_rate", "success_rate", "repurchase_rate", "revenue", "members"]
    target: Decimal = Field(gt=0)
    by: date

    @model_validator(mode="after")
    def _rates_are_percentages(self) -> Self:
        if self.measure.endswith("_rate") and self.target > 100:
            raise ValueError("rate_above_100")
        return self


class Replenishment(_Strict):
    """The means of this plan: remind a member shortly before the product runs out."""

    kind: Literal["replenishment"] = "replenishment"
    name: str
    item: Literal["call", "invitation"] = "call"
    """What an item of it is: a call, or an invitation into a group. Each has its own capacity and target."""
    lead_days: Whole = Field(default=5, ge=0, le=90)
    days_per_unit: dict[str, Decimal] = Field(default_factory=dict)
    """Category -> days one unit lasts, where it is known."""
    script: str = Field(min_length=1)
    script_version: Whole = Field(default=1, ge=1)
    material: str = ""

    @model_validator(mode="after")
    def _units_last(self) -> Self:
        if any(days <= 0 for days in self.days_per_unit.values()):
            raise ValueError("days_per_unit_not_positive")
        return self


class Escalation(_Strict):
    """At this time of a day, what is open is told to this level, of lists with so large a share open."""

    to: Level
    at: LocalTime
    open_percent: Whole = Field(default=1, ge=1, le=100)


class Day(_Strict):
    """How a day runs, in each store's own time; whole seconds."""

    release: LocalTime = time(9)
    nudges: tuple[LocalTime, ...] = (time(12), time(17))
    close: LocalTime = time(21)
    open_items: Literal["carry_over", "expire"] = "carry_over"
    escalate: tuple[Escalation, ...] | None = None
    """Left out: the store an hour after the last nudge, the region an hour later where half a list is open, HQ another
    hour later where nine tenths are (ours); empty: nobody."""
    key_value_first: bool = Field(default=True, strict=True)
    """Whether members of the quadrant key value come first on the list, whatever their grade (VIP, first served)."""
    claim_until: LocalTime | None = None
    """Until then the items lie in the store's pool and its guides claim them (领取); what is unclaimed goes to whom the
    assignment names. None: items are pushed from the release on."""

    @model_validator(mode="after")
    def _hours_in_order(self) -> Self:
        if not EARLIEST_RELEASE <= self.release <= LATEST_RELEASE:
            raise ValueError("release_outside_hours")
        if self.release >= self.close:
            raise ValueError("release_not_before_close")
        if any(not self.release < nudge < self.close for nudge in self.nudges):
            raise ValueError("nudge_outside_day")
        if any(not self.release < one.at < self.close for one in self.escalate or ()):
            raise ValueError("escalation_outside_day")
        if self.claim_until is not None and not self.release < self.claim_until < self.close:
            raise ValueError("claim_outside_day")
        return self

    @property
    def escalations(self) -> tuple[Escalation, ...]:
        """To whom what is open is told in the course of the day, and when."""
        if self.escalate is not None:
            return self.escalate
        if not self.nudges:
            return ()
        last = datetime.combine(date.min, max(self.nudges))
        told = (
            Escalation(to=level, at=(last + timedelta(hours=hours)).time(), open_percent=percent)
            for hours, (level, percent) in enumerate(ESCALATED_FROM.items(), start=1)
            if (last + timedelta(hours=hours)).date() == date.min
        )
        return tuple(one for one in told if one.at < self.close)


class CheckRule(_Strict):
    """How the Check counts."""

    attribution_days: Whole = Field(default=14, ge=1, le=365)


class ComplaintRule(_Strict):
    """How complaints that are reported of the plan's items are dealt with."""

    answer_hours: Whole = Field(default=ANSWER_HOURS, ge=1, le=720)
    """By when the member should be answered, in hours after the complaint."""


class ActRule(_Strict):
    """Goal by result, in percent of the target: reached at least `raise_at`, it rises by `step`; below `lower_at`, it falls."""

    raise_at: Decimal | None = Field(default=None, gt=0)
    lower_at: Decimal | None = Field(default=None, gt=0)
    step: Decimal = Field(default=Decimal(5), gt=0)

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.raise_at is not None and self.lower_at is not None and self.lower_at >= self.raise_at:
            raise ValueError("lower_not_below_raise")
        return self


class Plan(_Strict):
    """A plan as written in a playbook."""

    plan: str = Field(pattern=PLAN_ID)
    name: str = Field(min_length=1)
    priority: Priority = "middle"
    """Who gets a member's contact where several plans want it (`domain/contact_budget.py`)."""
    period: Period
    calendar: CalendarRule = CalendarRule()
    members: Segment
    care: Care
    goal: Goal
    means: tuple[Replenishment, ...] = Field(min_length=1, max_length=1)
    day: Day = Day()
    check_rule: CheckRule = Field(default=CheckRule(), alias="check")
    act: ActRule = ActRule()
    complaints: ComplaintRule = ComplaintRule()

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, populate_by_name=True, serialize_by_alias=True
    )

    @property
    def working_calendar(self) -> WorkingCalendar:
        """The plan's own working days: the innermost layer of every store's calendar."""
        own = self.calendar
        return WorkingCalendar.stated(own.weekdays, own.closed, own.opened, plan=self.plan)

    @property
    def attribution_window(self) -> timedelta:
        """How long after a reached contact a purchase still counts for it."""
        return timedelta(days=self.check_rule.attribution_days)

    def cycle_days(self, cycle: int) -> tuple[date, ...]:
        """The working days of a cycle (1, 2, …); cycles follow each other without a gap."""
        calendar = self.working_calendar
        days = calendar.working_days(self.period.start, self.period.working_days * cycle)
        return tuple(days[-self.period.working_days :])
