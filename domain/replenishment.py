"""Replenishment reminder (用量提醒): when will the member run out, and when is the reminder due?

Source: domain.md, *Means*, "Replenishment reminder", and *Check* for the longest reminder span. The use rate
is the product's if known, else the member's own rhythm and the segment's, each weighed by what is known of it
(`domain.rhythm`); where too few bought again for that, the member's own, else the segment's, by the rule of the trade.
Stock left over is added: all of it where the use rate is known, else as far as purchases show that it delays the next.

What was bought is what was *kept*: a return takes back what was bought last before it. Run-out, rhythm and
last purchase all count kept units, so one return cannot tell two stories. A return of something bought
before the history begins takes nothing back. All arithmetic is exact; nothing here is a float. How well it tells the
next purchase is measured by `make bench-truth` (docs/replenishment.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from domain import rhythm as rhythms
from domain.calendar import WorkingCalendar
from domain.rhythm import Rhythm

MINIMUM_GAPS = 2
"""Gaps between purchase days before a member's own rhythm is believed (ours)."""

DAYS_A_MONTH = 30
"""Length of a month of the longest reminder span."""

_RATE_STEPS = 10_000
"""A derived use rate is told in ten-thousandths of a day: what is shown is what was reckoned with."""

Basis = Literal["product", "member", "segment"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """Units of the plan's product bought on a local day; negative: returned that day; zero is ignored."""

    occurred_on: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class RunOut:
    """When a member's stock ends, and how that was reckoned.

    Attributes:
        run_out: the local day in which the last of the stock is used (a part of a day is dropped: rather
            a day early than a day without).
        days_per_unit: days that one unit lasts.
        basis: whose use rate it is.
        last_purchase: last day with units kept.
        last_quantity: units kept of that day.
        own_intervals: of a rhythm, the member's own intervals in it.
        expected_on: of a rhythm, when the next purchase is to be expected given that none was made since; never before
            `run_out`, which tells who is overdue.
    """

    run_out: date
    days_per_unit: Decimal
    basis: Basis
    last_purchase: date
    last_quantity: Decimal
    own_intervals: int | None = None
    expected_on: date | None = None


def estimate(
    purchases: Iterable[Purchase],
    *,
    product_days_per_unit: Decimal | None,
    segment_days_per_unit: Decimal | None,
    rhythm: Rhythm | None = None,
    through: date | None = None,
) -> RunOut | None:
    """When the member runs out; None if nothing was kept or no use rate is to be had.

    By a use rate, each kept purchase in order of days: run-out = max(run-out so far, purchase day) + units × days a
    unit. Parts of days are carried through and dropped only from the final day.

    Args:
        purchases: the member's purchases and returns, in any order.
        product_days_per_unit: the product's use rate, if known: it wins.
        segment_days_per_unit: the segment's, for a member without rhythm of their own.
        rhythm: the category's in the segment; with it there is no need of `segment_days_per_unit`.
        through: the last day that is over and known, for `expected_on`.

    Raises:
        ValueError: a use rate is not above zero.
    """
    _require_positive("product_days_per_unit", product_days_per_unit)
    _require_positive("segment_days_per_unit", segment_days_per_unit)
    kept = kept_units(purchases)
    if kept and rhythm is not None and product_days_per_unit is None:
        return _by_rhythm(kept, rhythm, through)
    gaps = _gap_values(kept)
    own = _median(gaps) if len(gaps) >= MINIMUM_GAPS else None
    rates: tuple[tuple[Basis, Decimal | None], ...] = (
        ("product", product_days_per_unit),
        ("member", own),
        ("segment", segment_days_per_unit),
    )
    known = [(basis, rate) for basis, rate in rates if rate is not None]
    if not kept or not known:
        return None
    basis, days_per_unit = known[0]
    ordinal = Fraction(0)
    for day, quantity in kept:
        ordinal = max(ordinal, Fraction(day.toordinal())) + quantity * Fraction(days_per_unit)
    last_day, last_quantity = kept[-1]
    return RunOut(_day(int(ordinal)), days_per_unit, basis, last_day, _exact_decimal(last_quantity))


def _by_rhythm(kept: Sequence[tuple[date, Fraction]], rhythm: Rhythm, through: date | None) -> RunOut:
    last_day, last_quantity = kept[-1]
    told = rhythms.lasting(kept, rhythm, None if through is None else (through - last_day).days)
    steps = max(1, int(Fraction(told.of_last) / last_quantity))
    return RunOut(
        run_out=_day(last_day.toordinal() + told.usual // rhythms.STEPS),
        days_per_unit=Decimal(steps) / rhythms.STEPS,
        basis="member" if told.own >= MINIMUM_GAPS else "segment",
        last_purchase=last_day,
        last_quantity=_exact_decimal(last_quantity),
        own_intervals=told.own,
        expected_on=None
        if told.expected is None
        else _day(last_day.toordinal() + told.expected // rhythms.STEPS),
    )


def segment_days_per_unit(histories: Iterable[Iterable[Purchase]]) -> Decimal | None:
    """Days that one unit lasts in a segment: the median of all its members' gap values, pooled.

    A gap value is gap days ÷ units kept at the gap's start. Members with a single gap count too: pooled they
    tell what alone they could not. None if nobody bought on two days.
    """
    return _median([value for history in histories for value in _gap_values(kept_units(history))])


def segment_rhythm(histories: Iterable[Iterable[Purchase]]) -> Rhythm | None:
    """The rhythm of a category in a segment, of its members' histories in an order that is always the same."""
    return rhythms.fit(kept_units(history) for history in histories)


def kept_units(purchases: Iterable[Purchase]) -> list[tuple[date, Fraction]]:
    """Purchase days with the units kept of each, in order of days; days returned in full are gone."""
    # On one day purchases come before returns: the order within a day is not known.
    lines = sorted((line.occurred_on, line.quantity < 0, Fraction(line.quantity)) for line in purchases)
    stack: list[tuple[date, Fraction]] = []
    for day, is_return, quantity in lines:
        if not is_return:
            already = stack.pop()[1] if stack and stack[-1][0] == day else Fraction(0)
            if already + quantity:
                stack.append((day, already + quantity))
            continue
        owed = -quantity
        while owed and stack:
            bought_on, units = stack.pop()
            taken = min(owed, units)
            owed -= taken
            if units > taken:
                stack.append((bought_on, units - taken))
    return stack


def due_date(run_out: date, lead_days: int, calendar: WorkingCalendar) -> date:
    """The reminder's due day: run-out less `lead_days`, moved to the working day before if closed.

    Raises:
        ValueError: `lead_days` is negative (the reminder would come after the run-out).
    """
    if lead_days < 0:
        raise ValueError(f"lead_days: {lead_days} is negative; use 0 or more days before the run-out")
    return calendar.working_on_or_before(run_out - timedelta(days=lead_days))


def longest_reminder_span(histories: Iterable[Iterable[Purchase]], days_per_unit: Decimal) -> int:
    """Months of 30 days, rounded up, within which every member of the segment must have been visited.

    The largest last quantity in the segment × days a unit (domain.md, *Check*); 0 if nobody kept anything.

    Raises:
        ValueError: `days_per_unit` is not above zero.
    """
    _require_positive("days_per_unit", days_per_unit)
    last = [kept[-1][1] for kept in (kept_units(history) for history in histories) if kept]
    days = max(last, default=Fraction(0)) * Fraction(days_per_unit)
    return int(-(-days // DAYS_A_MONTH))


def _gap_values(kept: Sequence[tuple[date, Fraction]]) -> list[Fraction]:
    return [(later - earlier).days / units for (earlier, units), (later, _) in pairwise(kept)]


def _median(values: Iterable[Fraction]) -> Decimal | None:
    """The median, half up to ten-thousandths and never zero; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    steps = max(1, int(middle * _RATE_STEPS + Fraction(1, 2)))
    return Decimal(steps) / _RATE_STEPS


def _day(ordinal: int) -> date:
    # A mistyped quantity of millions must not break the run for everybody else.
    return date.fromordinal(min(ordinal, date.max.toordinal()))


def _exact_decimal(value: Fraction) -> Decimal:
    # Sums and differences of decimals: the division is exact.
    return Decimal(value.numerator) / Decimal(value.denominator)


def _require_positive(field: str, rate: Decimal | None) -> None:
    if rate is not None and rate <= 0:
        raise ValueError(f"{field}: {rate} is not above zero; one unit must last some time")
