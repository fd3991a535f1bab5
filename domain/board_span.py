"""The span of a board: a day, its week, its month, or days that are named; never more than one page's worth."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from domain.errors import Problem, Refused

SpanKind = Literal["day", "week", "month"]
MOST_DAYS = 31
"""Days of one board (ours): a month is a page."""


@dataclass(frozen=True, slots=True)
class Span:
    """Business days, both ends included."""

    since: date
    until: date

    @property
    def days(self) -> int:
        """How many."""
        return (self.until - self.since).days + 1


def span_of(kind: SpanKind, on: date) -> Span:
    """The day itself, its week (Monday to Sunday) or its calendar month."""
    if kind == "day":
        return Span(on, on)
    if kind == "week":
        monday = on - timedelta(days=on.weekday())
        return Span(monday, monday + timedelta(days=6))
    first = on.replace(day=1)
    return Span(first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def named_span(since: date, until: date) -> Span:
    """Days that somebody names.

    Raises:
        Refused: the last is before the first, or they are more than a board holds.
    """
    if until < since:
        raise Refused([Problem("since", since.isoformat(), "span_empty", {"until": until.isoformat()})])
    span = Span(since, until)
    if span.days > MOST_DAYS:
        raise Refused([Problem("since", since.isoformat(), "span_too_long", {"days": MOST_DAYS})])
    return span
