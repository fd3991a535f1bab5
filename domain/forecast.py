"""The coming days of a guide: what comes due against what she can do, and what is carried over from day to day.

It counts every item once, on the day it is due now; who is not reached and comes again is not foreseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class DayLoad:
    """A day: new items due, all there is to do (`load`, with what was carried in), what she can do, what is left over."""

    day: date
    due: int
    load: int
    capacity: int
    left: int

    @property
    def over(self) -> bool:
        """More than she can do."""
        return self.load > self.capacity


def day_loads(
    days: Sequence[date], due: Mapping[date, int], capacities: Sequence[int]
) -> tuple[DayLoad, ...]:
    """Carry the load forward over working days.

    Args:
        days: working days, ascending.
        due: items by the day they are due; what is due before the first day, or between two of them, is there on the
            next; what is due after the last is left out.
        capacities: what she can do on each day.

    Raises:
        ValueError: days are not ascending, a number is negative, or not one capacity a day.
    """
    if list(days) != sorted(set(days)) or len(capacities) != len(days):
        raise ValueError("days, capacities: name each day once, ascending, each with its capacity")
    if any(count < 0 for count in (*due.values(), *capacities)):
        raise ValueError("due, capacities: none may be negative")
    found: list[DayLoad] = []
    waiting = sorted(due)
    left = at = 0
    for day, capacity in zip(days, capacities, strict=True):
        new = 0
        while at < len(waiting) and waiting[at] <= day:
            new += due[waiting[at]]
            at += 1
        load = left + new
        left = max(0, load - capacity)
        found.append(DayLoad(day, new, load, capacity, left))
    return tuple(found)


def first_over(loads: Sequence[DayLoad]) -> date | None:
    """The first day on which there is more than she can do."""
    return next((one.day for one in loads if one.over), None)


def summed(many: Sequence[Sequence[DayLoad]]) -> tuple[DayLoad, ...]:
    """All guides together, day by day; each over the same days."""
    return tuple(
        DayLoad(
            of_day[0].day,
            sum(one.due for one in of_day),
            sum(one.load for one in of_day),
            sum(one.capacity for one in of_day),
            sum(one.left for one in of_day),
        )
        for of_day in zip(*many, strict=True)
    )
