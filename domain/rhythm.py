"""A category's rhythm: after how long its members buy again, and what a member's own intervals weigh beside that.

Nobody's use rate is known here; only that they bought, and when again. What is predicted is the middle of what has been
seen: each of the member's own intervals counts once, all of the segment's together count as `Rhythm.weight` intervals
(a member without any is like everybody, one with many like themselves). The middle is halfway between the median and the
middle of the shortest span that holds half of them: intervals are skewed, and half of the members are to be met as closely
as can be, which the median alone does not do. Once days
have passed without a purchase, only intervals longer than that are left to be in the middle of.

Intervals are compared as if one unit had been bought: an interval after q units is divided by q to the power of
`Rhythm.elasticity`, which is fitted: 1 for tins that are fed daily, 0 where twice as much is simply eaten.

Exact and the same on every machine: whole ten-thousandths of a day, roots by `decimal` in a context of their own.
What was tried, on which data, and what it gave: docs/replenishment.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import islice, pairwise

STEPS = 10_000
"""Ten-thousandths: of a day, and of the scale of a quantity."""

QUANTILES = 40
"""The segment's intervals are told by so many of their quantiles, whatever their number."""

MINIMUM_CASES = 10
"""Members whose last interval can be held against a prediction, before a rhythm is believed (ours)."""

SAMPLE = 1_000
"""Members on whom the fit is tried: the first in order of ids, which are digests and therefore a fair draw."""

WEIGHTS = (16, 8, 32, 4, 2, 1)
ELASTICITIES = (0, 25, 50, 75, 100)
LEFT_OVERS = (0, 50, 100)
"""What the fit chooses from, preferred first; the last two in hundredths.

The preferred value stands unless another errs less by more than one part in the root of the number of cases, which is about
the chance a sum of so many errors is subject to: few cases choose nothing by chance, and a thousand need 3 %.
"""

LONGEST_ERROR = 30
"""Days at which an error counts no further in the fit: beyond a month a prediction is simply wrong."""

Kept = Sequence[tuple[date, Fraction]]
"""Purchase days with the units kept of each, in order of days."""

_CONTEXT = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How the members of a segment buy a category again.

    Attributes:
        lasts: quantiles of their intervals, each divided by the scale of the quantity before it, in ten-thousandths of
            a day, rising.
        weight: all of `lasts` together weigh as much as so many of a member's own intervals.
        elasticity: hundredths: 100 if twice as much lasts twice as long, 0 if it lasts no longer.
        left_over: hundredths of the stock left over at a purchase that push the next one out.
        intervals: of how many intervals `lasts` are the quantiles.
    """

    lasts: tuple[int, ...]
    weight: int
    elasticity: int
    left_over: int
    intervals: int


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long after the last purchase the next one is to be expected, in ten-thousandths of a day.

    Attributes:
        usual: had it just been made; with what was left over at it.
        of_last: the part of `usual` that comes from the last purchase itself.
        expected: given that nothing was bought since; None if not asked for.
        own: the member's own intervals in it.
    """

    usual: int
    of_last: int
    expected: int | None
    own: int


def lasting(kept: Kept, rhythm: Rhythm, elapsed: int | None = None) -> Lasting:
    """How long the stock of `kept` lasts by `rhythm`.

    Args:
        kept: at least one purchase day.
        rhythm: the segment's.
        elapsed: full days since the last purchase that passed without another.
    """
    scales = [scale(quantity, rhythm.elasticity) for _, quantity in kept]
    gaps = _gaps(kept)
    own = [gap * STEPS * STEPS // at for gap, at in zip(gaps, scales, strict=False)]
    unit = _middle(own, rhythm, -1)
    left = _left_over(gaps, scales, unit, rhythm.left_over)
    of_last = unit * scales[-1] // STEPS
    expected = None
    if elapsed is not None:
        passed = elapsed * STEPS
        rest = _middle(own, rhythm, (passed - left) * STEPS // scales[-1])
        # Longer than anything that was ever seen: as if bought on the last day that passed.
        expected = left + rest * scales[-1] // STEPS if rest else passed + of_last
        expected = max(expected, left + of_last, passed + STEPS)
    return Lasting(left + of_last, of_last, expected, len(own))


def fit(histories: Iterable[Kept]) -> Rhythm | None:
    """The rhythm of a category in a segment; None where too few bought again for anything to be told.

    Elasticity, left-over share and weight are those by which each member's last interval would have been predicted
    best from what came before it. Cost: all intervals are sorted once; then 20 predictions for each of `SAMPLE` members.
    """
    bought = [kept for kept in histories if len(kept) > 1]
    cases = [(kept[:-1], (kept[-1][0] - kept[-2][0]).days) for kept in islice(bought, SAMPLE)]
    before = [kept[:-1] for kept in bought]
    if len(cases) < MINIMUM_CASES or not any(len(kept) > 1 for kept in before):
        return None
    lasts = {elasticity: _quantiles(before, elasticity) for elasticity in ELASTICITIES}

    def error(elasticity: int, left_over: int, weight: int) -> int:
        tried = Rhythm(lasts[elasticity], weight, elasticity, left_over, 0)
        return sum(min(abs(lasting(kept, tried).usual // STEPS - gap), LONGEST_ERROR) for kept, gap in cases)

    shapes = [(elasticity, left_over) for left_over in LEFT_OVERS for elasticity in ELASTICITIES]
    elasticity, left_over = shapes[_preferred([error(*shape, WEIGHTS[0]) for shape in shapes], len(cases))]
    weight = WEIGHTS[_preferred([error(elasticity, left_over, weight) for weight in WEIGHTS], len(cases))]
    return Rhythm(
        _quantiles(bought, elasticity),
        weight,
        elasticity,
        left_over,
        sum(len(kept) - 1 for kept in bought),
    )


@lru_cache(maxsize=4_096)
def scale(quantity: Fraction, elasticity: int) -> int:
    """`quantity` to the power of `elasticity` hundredths (quarters only), in ten-thousandths and never zero."""
    fourths = elasticity // 25
    units = _CONTEXT.divide(Decimal(quantity.numerator), Decimal(quantity.denominator))
    root = _CONTEXT.sqrt(_CONTEXT.sqrt(units))
    powered = units if fourths == 4 else _CONTEXT.power(root, fourths)
    return max(1, int(_CONTEXT.multiply(powered, STEPS)))


def _gaps(kept: Kept) -> list[int]:
    return [(later - earlier).days for (earlier, _), (later, _) in pairwise(kept)]


def _quantiles(histories: Iterable[Kept], elasticity: int) -> tuple[int, ...]:
    values = sorted(
        (later - earlier).days * STEPS * STEPS // scale(quantity, elasticity)
        for kept in histories
        for (earlier, quantity), (later, _) in pairwise(kept)
    )
    count = min(QUANTILES, len(values))
    return tuple(values[(2 * place + 1) * len(values) // (2 * count)] for place in range(count))


def _middle(own: Sequence[int], rhythm: Rhythm, above: int) -> int:
    """Halfway between the weighted median of what is above `above` and the middle of its shortest half; 0 if nothing is."""
    each = len(rhythm.lasts)
    points = [(value, each) for value in own if value > above]
    points += [(value, rhythm.weight) for value in rhythm.lasts if value > above]
    if not points:
        return 0
    points.sort()
    total = sum(weight for _, weight in points)
    median = _median(points, total)
    return (median + _shortest_half(points, total, median)) // 2


def _median(points: Sequence[tuple[int, int]], total: int) -> int:
    rest = total
    for place, (value, weight) in enumerate(points):
        rest -= 2 * weight
        if rest < 0:
            return value
        if rest == 0:
            return (value + points[place + 1][0]) // 2
    return points[-1][0]


def _shortest_half(points: Sequence[tuple[int, int]], total: int, median: int) -> int:
    """The middle of the shortest span that holds half of the weight; of several such that next to the median."""
    first, held = 0, 0
    best = (points[-1][0] - points[0][0] + 1, 0, median)
    for value, weight in points:
        held += weight
        while 2 * (held - points[first][1]) >= total:
            held -= points[first][1]
            first += 1
        if 2 * held >= total:
            middle = (value + points[first][0]) // 2
            best = min(best, (value - points[first][0], abs(middle - median), middle))
    return best[2]


def _left_over(gaps: Sequence[int], scales: Sequence[int], unit: int, share: int) -> int:
    left = 0
    if share:
        for gap, at in zip(gaps, scales, strict=False):
            left = max(0, left + unit * at // STEPS - gap * STEPS) * share // 100
    return left


def _preferred(errors: Sequence[int], cases: int) -> int:
    """The first whose error is larger than the least by no more than chance may make it."""
    least = min(errors)
    return next(place for place, error in enumerate(errors) if (error - least) ** 2 * cases <= least * least)
