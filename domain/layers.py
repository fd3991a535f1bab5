"""The layers that say when something may happen: days, store hours, shift and leave, a member's quiet hours.

Frozen models only; what they permit is worked out in `domain/permitted.py`. Hours are local times of the zone; where
they close at or before they open, they run over midnight, and belong to the day on which they begin.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain.calendar import WorkingCalendar, local_instant

_ONE_DAY = timedelta(days=1)
Span = tuple[datetime, datetime]
"""From an instant on, up to but without another one."""


def _whole_minute(at: time) -> time:
    if at.tzinfo is not None or at.second or at.microsecond:
        raise ValueError("not_a_time")
    return at


ClockTime = Annotated[time, AfterValidator(_whole_minute)]
"""A local time of day, in whole minutes."""
Weekday = Annotated[int, Field(ge=1, le=7)]
"""ISO: 1 is Monday."""


class Frozen(BaseModel):
    """Base of what layers are made of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Hours(Frozen):
    """From `opens` until `closes`; over midnight where it closes at or before it opens."""

    opens: ClockTime
    closes: ClockTime

    def on(self, day: date, zone: str) -> Span:
        """The instants on a day: empty (end not after begin) where the clocks skip all of it."""
        over = self.closes <= self.opens
        return local_instant(day, self.opens, zone), local_instant(
            day + _ONE_DAY if over else day, self.closes, zone
        )

    def __str__(self) -> str:
        return f"{self.opens:%H:%M}-{self.closes:%H:%M}"


class WeekdayHours(Frozen):
    """Hours of a weekday; several where the day is split, none where nobody works."""

    weekday: Weekday
    hours: tuple[Hours, ...] = ()


class DatedHours(Frozen):
    """Hours of one date; they win over the weekday's."""

    on: date
    hours: tuple[Hours, ...] = ()


class QuietHours(Frozen):
    """No message reaches a member while the clocks where she lives show `begins` up to, but without, `ends`."""

    begins: ClockTime = time(22)
    ends: ClockTime = time(8)

    @model_validator(mode="after")
    def _some_of_the_day_is_left(self) -> Self:
        if self.begins == self.ends:
            raise ValueError("quiet_all_day")
        return self

    def holds(self, at: time) -> bool:
        """Whether a local time of day is quiet."""
        if self.begins < self.ends:
            return self.begins <= at < self.ends
        return at >= self.begins or at < self.ends

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"


class StoreHours(Frozen):
    """When a store is open on the days it works."""

    store: str = ""
    usual: Hours
    weekly: tuple[WeekdayHours, ...] = ()
    dated: tuple[DatedHours, ...] = ()
    last_on: date | None = None
    """The store's last day, where it closes for good."""

    @cached_property
    def _by_date(self) -> dict[date, tuple[Hours, ...]]:
        return {one.on: one.hours for one in self.dated}

    @cached_property
    def _by_weekday(self) -> dict[int, tuple[Hours, ...]]:
        return {one.weekday: one.hours for one in self.weekly}

    def on(self, day: date) -> tuple[Hours, ...]:
        """The hours of a day that is worked; a weekday without hours of its own has the usual ones."""
        if self.last_on is not None and day > self.last_on:
            return ()
        return self._by_date.get(day) or self._by_weekday.get(day.isoweekday()) or (self.usual,)


class Leave(Frozen):
    """Days off, both included; without `last` until further notice."""

    first: date
    last: date | None = None

    def holds(self, day: date) -> bool:
        """Whether the day is one of them."""
        return self.first <= day and (self.last is None or day <= self.last)


class GuideHours(Frozen):
    """When a guide works. Without weekly shifts: whenever her store is open, but on dates with shifts of their own."""

    guide: str = ""
    weekly: tuple[WeekdayHours, ...] = ()
    dated: tuple[DatedHours, ...] = ()
    leave: tuple[Leave, ...] = ()

    @cached_property
    def _by_date(self) -> dict[date, tuple[Hours, ...]]:
        return {one.on: one.hours for one in self.dated}

    @cached_property
    def _by_weekday(self) -> dict[int, tuple[Hours, ...]]:
        return {one.weekday: one.hours for one in self.weekly}

    def on(self, day: date) -> tuple[Hours, ...] | None:
        """The shifts of a day; () if she is off, None if nothing is said: the store's hours then count."""
        if day in self._by_date:
            return self._by_date[day]
        return self._by_weekday.get(day.isoweekday(), ()) if self.weekly else None

    def away(self, day: date) -> Leave | None:
        """The leave she is on that day."""
        return next((one for one in self.leave if one.holds(day)), None)

    def works(self, day: date) -> bool:
        """Whether leave and shifts let her work on the day."""
        return self.away(day) is None and self.on(day) != ()


class Layers(Frozen):
    """Everything that says when something may happen to somebody, in one time zone."""

    zone: str
    days: WorkingCalendar = WorkingCalendar()
    store: StoreHours | None = None
    guide: GuideHours | None = None
    quiet: QuietHours | None = QuietHours()

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def working_day_before(self, day: date) -> date:
        """The day itself if worked, else the last working day before it (ValueError if there is none)."""
        return self.days.working_on_or_before(day)

    def working_day_after(self, day: date) -> date:
        """The first working day later than `day` (ValueError if there is none)."""
        return self.days.next_working(day)
