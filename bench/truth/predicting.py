"""The three predictions of a next purchase, each from what was known on the morning of a day, and what then came.

Two looks, as the engine has them. *At the draw* a cycle begins: of every member of the segment, whenever they last bought,
the next purchase is predicted, and for all three methods not before that morning. *After a purchase* the next item is
made: the next purchase is predicted from the one just made, by the rates of the last draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median

from bench.truth.bought import Bought, Histories
from domain.replenishment import Purchase, estimate, kept_units, segment_days_per_unit, segment_rhythm
from domain.rhythm import Kept, Rhythm

METHODS = ("ours", "fixed", "member")
"""Ours; 30 days after the last purchase; the member's median interval after it, of one without any the segment's."""

FIXED_DAYS = 30
WITHIN_DAYS = 180
"""The segment: who bought within so many days, as in the demo's playbook."""

Predict = Callable[[Kept, Sequence[Purchase], date], tuple[date, date, date]]


@dataclass(frozen=True, slots=True)
class Predicted:
    """The next purchase of a member as three methods see it, and from when on it can come."""

    category: str
    member: str
    cut: date
    since: date
    last: date
    intervals: int
    dates: tuple[date, date, date]
    """By `METHODS`, as they come: before `since` too."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a draw knows of a category."""

    rhythm: Rhythm | None
    days_per_unit: Decimal | None
    typical: float
    """The segment's median interval, for a member without one."""


def fitted(histories: Histories) -> Fitted:
    """All that is fitted, from the histories of a segment."""
    kept = [kept_units(lines) for lines in histories.values()]
    gaps = [(later - earlier).days for days in kept for (earlier, _), (later, _) in pairwise(days)]
    return Fitted(
        segment_rhythm(histories.values()),
        segment_days_per_unit(histories.values()),
        median(gaps) if gaps else FIXED_DAYS,
    )


def at_the_draw(bought: Bought, cut: date) -> Iterator[Predicted]:
    """The next purchase of everybody in the segment on the morning of `cut`, by what was bought before it."""
    for category, known in bought.before(cut).histories():
        segment = {member: lines for member, lines in known.items() if _in_segment(lines, cut)}
        fit = fitted(segment)
        for member, lines in segment.items():
            made = _predict(category, member, lines, fit, cut, cut)
            if made is not None:
                yield made


def after_purchases(bought: Bought, cut: date, end: date) -> Iterator[Predicted]:
    """The next purchase after each one of `cut` to the day before `end`, by what was fitted at `cut`."""
    fits = {}
    for category, known in bought.before(cut).histories():
        fits[category] = fitted({m: lines for m, lines in known.items() if _in_segment(lines, cut)})
    for category, known in bought.before(end).histories():
        for member, lines in known.items():
            for place, line in enumerate(lines):
                if line.occurred_on >= cut and line.quantity > 0 and category in fits:
                    since = line.occurred_on + timedelta(days=1)
                    made = _predict(category, member, lines[: place + 1], fits[category], cut, since)
                    if made is not None:
                        yield made


def next_purchases(bought: Bought) -> Mapping[tuple[str, str], Sequence[date]]:
    """Days on which something was bought, by category and member: what came, for judging only."""
    return {
        (category, member): [line.occurred_on for line in lines if line.quantity > 0]
        for category, known in bought.histories()
        for member, lines in known.items()
    }


def _in_segment(lines: Sequence[Purchase], cut: date) -> bool:
    return any(line.quantity > 0 and (cut - line.occurred_on).days <= WITHIN_DAYS for line in lines)


def _predict(
    category: str, member: str, lines: Sequence[Purchase], fit: Fitted, cut: date, since: date
) -> Predicted | None:
    kept = kept_units(lines)
    ours = estimate(
        lines,
        product_days_per_unit=None,
        segment_days_per_unit=fit.days_per_unit,
        rhythm=fit.rhythm,
        through=since - timedelta(days=1),
    )
    if ours is None:
        return None
    last = kept[-1][0]
    gaps = [(later - earlier).days for (earlier, _), (later, _) in pairwise(kept)]
    usual = median(gaps) if gaps else fit.typical
    return Predicted(
        category,
        member,
        cut,
        since,
        last,
        len(gaps),
        (
            ours.expected_on or ours.run_out,
            last + timedelta(days=FIXED_DAYS),
            last + timedelta(days=int(usual + 0.5)),
        ),
    )
