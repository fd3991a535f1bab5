"""How often a member is contacted at most, over all plans: one account a member, and who gets the contact that is left.

Source: domain.md, *The day* and *Members*; the numbers are ours. A contact is **reserved** while an item about the member
is on an open list and nobody has tried it, **committed** when it happened (a check-in, a message on its way to the member),
and **released** when the item leaves the list untried: carried over, expired, withdrawn. Who comes to the store by herself
is not contacted. Periods are those of the calendar: a day, a week from Monday, a month.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Literal, get_args

from domain.errors import Problem

Priority = Literal["high", "middle", "low"]
"""Of plans: where two want a member's contact, the higher gets it."""
PRIORITIES: tuple[Priority, ...] = get_args(Priority)
A_DAY, A_WEEK, A_MONTH = 1, 3, 8
"""Contacts a member has where the brand says nothing else (ours)."""
MOST_CONTACTS = 1_000
_ONE_DAY = timedelta(days=1)


class ContactPeriod(StrEnum):
    """For what a limit holds."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many contacts a member has at most."""

    day: int = A_DAY
    week: int = A_WEEK
    month: int = A_MONTH

    def of(self, period: ContactPeriod) -> int:
        """The limit of a period."""
        return {ContactPeriod.DAY: self.day, ContactPeriod.WEEK: self.week, ContactPeriod.MONTH: self.month}[
            period
        ]

    def problems(self) -> list[Problem]:
        """What is wrong with them: each at least 1, none above that of the longer period."""
        found = []
        longer = {"day": ("week", self.week), "week": ("month", self.month), "month": ("", MOST_CONTACTS)}
        for name, limit in (("day", self.day), ("week", self.week), ("month", self.month)):
            other, most = longer[name]
            if not 1 <= limit <= most:
                code = "contact_limit_above_longer" if limit >= 1 and other else "contact_limit_out_of_range"
                found.append(Problem(name, str(limit), code, {"most": most, "longer": other}))
        return found


def span(period: ContactPeriod, day: date) -> tuple[date, date]:
    """First and last day of the period that holds a day."""
    if period is ContactPeriod.DAY:
        return day, day
    if period is ContactPeriod.WEEK:
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - _ONE_DAY


def first_counted(day: date) -> date:
    """The earliest day whose contacts count on a day."""
    return min(span(period, day)[0] for period in ContactPeriod)


def used(days: Iterable[date], day: date) -> dict[ContactPeriod, int]:
    """How many of the contacts on these days count in each period that holds a day."""
    told = list(days)
    spans = {period: span(period, day) for period in ContactPeriod}
    return {period: sum(first <= one <= last for one in told) for period, (first, last) in spans.items()}


def left(counted: Mapping[ContactPeriod, int], limits: Limits) -> int:
    """How many contacts are left: those of the period that leaves the fewest; what is over the limit leaves none."""
    return max(0, min(limits.of(period) - counted[period] for period in ContactPeriod))


def free_on(days: Sequence[date], limits: Limits, day: date) -> date:
    """The first day from `day` on, on which a contact is left, where nothing more happens until then."""
    while not left(used(days, day), limits):
        day += _ONE_DAY  # ends: a month in which nothing happened has a contact left
    return day
