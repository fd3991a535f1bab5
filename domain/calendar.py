# ruff: noqa: A005 - the domain's word; it is only ever imported as domain.calendar
"""Working days, layer over layer, and the way between a store's local time and instants.

Source: domain.md, *The day* ("per store's time zone and working-day calendar: public holidays and make-up
working days 调休"). Opening hours, shifts, leave and quiet hours lie on top of it: `domain/layers.py`. It reads no
clock and knows no holiday: the caller says which day is meant and hands the tables in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field

EVERY_WEEKDAY = (1, 2, 3, 4, 5, 6, 7)
_ONE_DAY = timedelta(days=1)


class LayerName(StrEnum):
    """Whose calendar it is, from the outermost to the innermost."""

    NATIONAL = "national"
    BRAND = "brand"
    REGION = "region"
    STORE = "store"
    PLAN = "plan"
    GUIDE = "guide"
    MEMBER = "member"


class NamedDay(BaseModel):
    """A date that a layer says something about, and why: the holiday's name, "stocktaking"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on: date
    name: str = ""


class DayLayer(BaseModel):
    """What one layer says of days: a weekly pattern and dated facts.

    `opened` (make-up working days 调休, extra openings) wins over `closed` (holidays, stocktaking) of the same layer.
    `years` is for tables that are announced year by year: of other years the layer knows nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    layer: LayerName
    subject: str = ""
    """Whose: a country, a region, a store's code, a plan."""
    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = EVERY_WEEKDAY
    closed: tuple[NamedDay, ...] = ()
    opened: tuple[NamedDay, ...] = ()
    years: tuple[int, ...] | None = None

    @cached_property
    def closed_names(self) -> dict[date, str]:
        """The closed dates and why."""
        return {day.on: day.name for day in self.closed}

    @cached_property
    def opened_names(self) -> dict[date, str]:
        """The opened dates and why."""
        return {day.on: day.name for day in self.opened}

    def knows(self, day: date) -> bool:
        """Whether the layer's table reaches to the day's year."""
        return self.years is None or day.year in self.years


class Ground(BaseModel):
    """Why a day is worked or not: the layer that decided, and the fact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worked: bool
    code: str
    """`opened`, `closed`, `weekday_off` or `usual`."""
    layer: LayerName
    subject: str = ""
    name: str = ""


@dataclass(frozen=True)
class WorkingCalendar:
    """The days that are worked, by its layers from the outermost to the innermost.

    A dated fact of the innermost layer that has one decides; without one, all weekly patterns must agree (where they
    have no day in common, the innermost pattern alone counts). So a public holiday closes a store that is open seven
    days a week, a make-up Saturday opens one that is not, and a plan that names the date has the last word.
    """

    layers: tuple[DayLayer, ...] = ()
    _weekdays: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        common = set(EVERY_WEEKDAY)
        for layer in self.layers:
            common &= set(layer.weekdays)
        if not common:
            common = set(next((one.weekdays for one in reversed(self.layers) if one.weekdays), ()))
        object.__setattr__(self, "_weekdays", frozenset(common))
        if not common and not self._opened_days():
            raise ValueError("weekdays: the calendar has no working day; name a weekday or an opened day")

    @classmethod
    def stated(
        cls,
        weekdays: Iterable[int] = EVERY_WEEKDAY,
        closed: Iterable[date] = (),
        opened: Iterable[date] = (),
        *,
        plan: str = "",
    ) -> Self:
        """A calendar of a plan's own days alone.

        Raises:
            ValueError: a weekday outside 1..7, or no working day at all; the message names the field.
        """
        days = tuple(sorted(set(weekdays)))
        for weekday in days:
            if weekday not in EVERY_WEEKDAY:
                raise ValueError(f"weekdays: {weekday!r} is no ISO weekday; use 1 (Monday) to 7 (Sunday)")
        own = DayLayer(
            layer=LayerName.PLAN,
            subject=plan,
            weekdays=days,
            closed=tuple(NamedDay(on=day) for day in sorted(set(closed))),
            opened=tuple(NamedDay(on=day) for day in sorted(set(opened))),
        )
        return cls((own,))

    def within(self, outer: WorkingCalendar) -> WorkingCalendar:
        """This calendar's layers as the innermost of `outer`'s."""
        return WorkingCalendar((*outer.layers, *self.layers))

    def ground(self, day: date) -> Ground:
        """Whether the day is worked, and which layer's fact says so."""
        for layer in reversed(self.layers):
            for worked, names in ((True, layer.opened_names), (False, layer.closed_names)):
                if day in names:
                    code = "opened" if worked else "closed"
                    return _ground(layer, code, names[day], worked=worked)
        worked = day.isoweekday() in self._weekdays
        against = [one for one in self.layers if day.isoweekday() not in one.weekdays]
        if not worked and against:
            return _ground(against[-1], "weekday_off", "", worked=False)
        return Ground(worked=worked, code="usual", layer=LayerName.BRAND)

    def is_working(self, day: date) -> bool:
        """Whether `day` is worked."""
        for layer in reversed(self.layers):
            if day in layer.opened_names:
                return True
            if day in layer.closed_names:
                return False
        return day.isoweekday() in self._weekdays

    def unknown_years(self, first: date, last: date) -> dict[str, tuple[int, ...]]:
        """Years from `first` to `last` of which a layer's table says nothing yet, by the layer's subject."""
        found = {}
        for layer in self.layers:
            years = tuple(
                year
                for year in range(first.year, last.year + 1)
                if layer.years is not None and year not in layer.years
            )
            if years:
                found[layer.subject] = years
        return found

    def working_on_or_before(self, day: date) -> date:
        """The day itself if worked, else the last working day before it (ValueError if there is none)."""
        return self._search(day, -_ONE_DAY)

    def working_on_or_after(self, day: date) -> date:
        """The day itself if worked, else the first working day after it (ValueError if there is none)."""
        return self._search(day, _ONE_DAY)

    def next_working(self, day: date) -> date:
        """The first working day later than `day` (ValueError if there is none)."""
        return self._search(day + _ONE_DAY, _ONE_DAY)

    def working_days(self, start: date, count: int) -> list[date]:
        """The first `count` working days from `start` on, `start` included if it is worked.

        Raises:
            ValueError: `count` is negative, or the calendar has fewer working days left.
        """
        if count < 0:
            raise ValueError(f"count: {count} is negative; ask for 0 or more working days")
        days: list[date] = []
        while len(days) < count:
            days.append(self.next_working(days[-1]) if days else self.working_on_or_after(start))
        return days

    def count_working(self, start: date, end: date) -> int:
        """Working days from `start` to `end`, both included; 0 if `end` is before `start`."""
        span = (end - start).days + 1
        return sum(self.is_working(start + timedelta(days=offset)) for offset in range(span))

    def _opened_days(self) -> list[date]:
        return sorted(day for layer in self.layers for day in layer.opened_names if self.is_working(day))

    def _search(self, day: date, step: timedelta) -> date:
        # With a weekday worked, closures are finite and the search ends. With opened days only, it could run
        # for ever: beyond the last (or first) of them there is nothing to find.
        opened = [] if self._weekdays else self._opened_days()
        found = day
        while not self.is_working(found):
            beyond = not self._weekdays and (found > opened[-1] if step > timedelta() else found < opened[0])
            if beyond:
                direction = "after" if step > timedelta() else "before"
                raise ValueError(f"opened: no working day on or {direction} {day}; add one or a weekday")
            found += step
        return found


def _ground(layer: DayLayer, code: str, name: str, *, worked: bool) -> Ground:
    return Ground(worked=worked, code=code, layer=layer.layer, subject=layer.subject, name=name)


def local_instant(day: date, at: time, zone: str) -> datetime:
    """The instant, in UTC, at which clocks in `zone` show `at` on `day`.

    A time that the clocks skip (spring) moves forward by the length of the gap, so nothing due in it is
    lost; a time they show twice (autumn) is the first of the two, so nothing happens twice.

    Args:
        day: the local day.
        at: the local time of day, without time zone.
        zone: IANA name, e.g. "Asia/Shanghai".

    Raises:
        ValueError: `at` carries a time zone, or `zone` is unknown.
    """
    if at.tzinfo is not None:
        raise ValueError(f"at: {at!r} carries a time zone; pass the local time and name the zone apart")
    # fold=0 is the offset before the change: the first of two, and in a gap the time moved forward.
    return datetime.combine(day, at.replace(fold=0), tzinfo=_zone(zone)).astimezone(UTC)


def business_date(instant: datetime, zone: str) -> date:
    """The day that calendars in `zone` show at `instant` (aware; ValueError if naive or zone unknown)."""
    if instant.utcoffset() is None:
        raise ValueError(f"instant: {instant!r} has no time zone; pass an aware datetime")
    return instant.astimezone(_zone(zone)).date()


def _zone(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"zone: {zone!r} is unknown; use an IANA name such as 'Asia/Shanghai'") from error
