# ruff: noqa: A005 - the domain's word; it is only ever imported as domain.calendar
"""Working days of a store, and the way between its local time and instants.

Source: domain.md, *The day* ("per store's time zone and working-day calendar: public holidays and make-up
working days 调休"). This module knows one calendar; layering national, dealer and store calendars over each
other is not its business. It reads no clock: the caller says which day or instant is meant.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EVERY_WEEKDAY = (1, 2, 3, 4, 5, 6, 7)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WorkingCalendar:
    """The days on which a store works.

    Attributes:
        weekdays: ISO weekdays that are worked (1 Monday … 7 Sunday); retail works all seven by default.
        closed: days not worked although their weekday is: public holidays, stocktaking.
        opened: make-up working days (调休): they win over the weekday and over a closure.

    Raises:
        ValueError: a weekday outside 1..7, or no working day at all; the message names the field.
    """

    weekdays: tuple[int, ...] = EVERY_WEEKDAY
    closed: tuple[date, ...] | frozenset[date] = ()
    opened: tuple[date, ...] | frozenset[date] = ()

    def __post_init__(self) -> None:
        # Sorted and free of doubles, so that calendars told in another order are equal.
        object.__setattr__(self, "weekdays", tuple(sorted(set(self.weekdays))))
        object.__setattr__(self, "closed", tuple(sorted(set(self.closed))))
        object.__setattr__(self, "opened", tuple(sorted(set(self.opened))))
        for weekday in self.weekdays:
            if weekday not in EVERY_WEEKDAY:
                raise ValueError(f"weekdays: {weekday!r} is no ISO weekday; use 1 (Monday) to 7 (Sunday)")
        if not self.weekdays and not self.opened:
            raise ValueError("weekdays: the calendar has no working day; name a weekday or an opened day")

    def is_working(self, day: date) -> bool:
        """Whether the store works on `day`."""
        if day in tuple(self.opened):
            return True
        return day.isoweekday() in self.weekdays and day not in tuple(self.closed)

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

    def _search(self, day: date, step: timedelta) -> date:
        # With a weekday worked, closures are finite and the search ends. With opened days only, it could run
        # for ever: beyond the last (or first) of them there is nothing to find.
        opened = tuple(self.opened)
        found = day
        while not self.is_working(found):
            beyond = not self.weekdays and (found > opened[-1] if step > timedelta() else found < opened[0])
            if beyond:
                direction = "after" if step > timedelta() else "before"
                raise ValueError(f"opened: no working day on or {direction} {day}; add one or a weekday")
            found += step
        return found


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
