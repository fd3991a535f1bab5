"""The rhythm of a category: what is fitted from a segment, and what is predicted from it for members of every kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.replenishment import Purchase, RunOut, estimate, segment_rhythm
from domain.rhythm import MINIMUM_CASES, STEPS, Rhythm, scale

QUICKLY = settings(max_examples=60, deadline=None)
FIRST = date(2026, 1, 1)
DAYS = st.dates(FIRST, date(2026, 12, 31))
LINES = st.lists(st.builds(Purchase, DAYS, st.decimals("-8", "40", places=1)), max_size=12)
RHYTHMS = st.builds(
    Rhythm,
    lasts=st.lists(st.integers(1, 200 * STEPS), min_size=1, max_size=40).map(lambda v: tuple(sorted(v))),
    weight=st.sampled_from([1, 2, 4, 8, 16, 32]),
    elasticity=st.sampled_from([0, 25, 50, 75, 100]),
    left_over=st.sampled_from([0, 50, 100]),
    intervals=st.just(100),
)
MONTHLY = Rhythm(tuple(day * STEPS for day in range(10, 50)), 16, 0, 0, 1_000)
"""Intervals of 10 to 49 days, whatever was bought."""

History = list[Purchase]


def told(history: Sequence[Purchase], rhythm: Rhythm, through: date | None = None) -> RunOut | None:
    return estimate(
        history, product_days_per_unit=None, segment_days_per_unit=None, rhythm=rhythm, through=through
    )


def days_told(history: Sequence[Purchase], rhythm: Rhythm) -> int:
    """Days from the last purchase to the run-out."""
    found = told(history, rhythm)
    assert found is not None
    return (found.run_out - found.last_purchase).days


def every(days: int, times: int, quantity: int = 1) -> History:
    return [Purchase(FIRST + timedelta(days=days * n), Decimal(quantity)) for n in range(times)]


def segment_of(member: Callable[[Random], History], count: int = 60) -> list[History]:
    return [member(Random(number)) for number in range(count)]  # noqa: S311 - a draw that repeats


def fitted(member: Callable[[Random], History], count: int = 60) -> Rhythm:
    found = segment_rhythm(segment_of(member, count))
    assert found is not None
    return found


def walk(
    random: Random, times: int, step: Callable[[Random, int], int], bought: Callable[[Random], int]
) -> History:
    day, lines = FIRST + timedelta(days=random.randrange(20)), []
    for _ in range(times):
        quantity = bought(random)
        lines.append(Purchase(day, Decimal(quantity)))
        day += timedelta(days=step(random, quantity))
    return lines


def feeds(random: Random) -> History:
    """A tin lasts a week, a few days more or less a purchase; one to twelve are bought."""
    return walk(random, 6, lambda r, q: 7 * q + r.randint(-2, 2), lambda r: r.choice([1, 2, 4, 6, 12]))


def snacks(random: Random) -> History:
    """Comes every three weeks and takes what is there."""
    return walk(random, 6, lambda r, _: 21 + r.randint(-4, 4), lambda r: r.randint(1, 6))


def steady(random: Random) -> History:
    """Each by a rhythm of their own, from ten days to fifty, hardly ever off it."""
    own = random.randint(10, 50)
    return walk(random, 6, lambda r, _: own + r.randint(-1, 1), lambda _: 1)


def hoards(random: Random) -> History:
    """Buys for three weeks, and sometimes the same again after two days; what is there is used first."""
    lines, day = [], FIRST + timedelta(days=random.randrange(10))
    for _ in range(6):
        lines.append(Purchase(day, Decimal(3)))
        if random.random() < 0.5:
            lines.append(Purchase(day + timedelta(days=2), Decimal(3)))
            day += timedelta(days=21)
        day += timedelta(days=21)
    return lines


# --- what is fitted ------------------------------------------------------------------------------------


def test_where_twice_as_much_lasts_twice_as_long_quantities_count_in_full() -> None:
    rhythm = fitted(feeds)
    assert rhythm.elasticity == 100
    assert abs(days_told([Purchase(FIRST, Decimal(12))], rhythm) - 84) <= 4


def test_where_whatever_was_bought_is_eaten_quantities_count_for_nothing() -> None:
    rhythm = fitted(snacks)
    assert (rhythm.elasticity, rhythm.left_over) == (0, 0)
    assert abs(days_told([Purchase(FIRST, Decimal(40))], rhythm) - 21) <= 2


def test_where_what_is_there_is_used_first_stock_left_over_puts_the_next_purchase_off() -> None:
    rhythm = fitted(hoards)
    assert rhythm.left_over > 0
    once = every(21, 3, 3)
    assert days_told([*once, Purchase(FIRST + timedelta(days=44), Decimal(3))], rhythm) > days_told(
        once, rhythm
    )


def test_where_everybody_keeps_a_rhythm_of_their_own_the_segment_weighs_little() -> None:
    rhythm = fitted(steady)
    assert rhythm.weight <= 4
    assert abs(days_told(every(44, 7), rhythm) - 44) <= 1


def test_a_bulk_purchase_in_between_does_not_make_the_next_ones_last() -> None:
    rhythm = fitted(steady)
    bulk = [
        *every(20, 6),
        Purchase(FIRST + timedelta(days=120), Decimal(30)),
        Purchase(FIRST + timedelta(days=142), Decimal(1)),
    ]
    assert abs(days_told(bulk, rhythm) - 20) <= 2


def test_of_who_never_bought_before_the_segment_tells() -> None:
    found = told([Purchase(FIRST, Decimal(1))], MONTHLY)
    assert found is not None
    assert (found.basis, found.own_intervals) == ("segment", 0)
    assert found.run_out == FIRST + timedelta(days=29)


def test_too_few_who_bought_again_tell_no_rhythm_and_the_trades_rule_stands() -> None:
    few = segment_of(feeds, MINIMUM_CASES - 1)
    assert segment_rhythm(few) is None
    assert segment_rhythm([every(20, 1)] * 500) is None
    assert segment_rhythm([every(20, 2)] * 500) is None
    assert segment_rhythm([]) is None


def test_returns_and_mistyped_quantities_break_no_fit() -> None:
    odd = [
        [Purchase(FIRST, Decimal(-3))],
        [Purchase(FIRST, Decimal(10**9)), Purchase(FIRST + timedelta(days=20), Decimal(1))],
        [Purchase(FIRST, Decimal("0.001")), Purchase(FIRST + timedelta(days=20), Decimal(1))],
        [*every(20, 3), Purchase(FIRST + timedelta(days=41), Decimal(-1))],
    ]
    clean, dirty = fitted(snacks), segment_rhythm([*segment_of(snacks), *odd])
    assert dirty is not None
    assert abs(days_told(every(21, 3), dirty) - days_told(every(21, 3), clean)) <= 2


def test_a_fit_is_the_same_every_time() -> None:
    assert fitted(hoards) == fitted(hoards)


# --- what is predicted ---------------------------------------------------------------------------------


def test_days_without_a_purchase_put_the_expected_one_off_and_never_the_run_out() -> None:
    history = every(21, 2)
    last = history[-1].occurred_on
    looks = [told(history, MONTHLY, last + timedelta(days=days)) for days in (0, 15, 30, 45, 60)]
    found = [one for one in looks if one is not None]
    assert len({one.run_out for one in found}) == 1
    ahead = [(one.expected_on - last).days for one in found if one.expected_on]
    assert ahead[0] == (found[0].run_out - last).days
    assert ahead == sorted(ahead)
    assert ahead[2] > 30
    # Longer than anything ever seen: as if bought on the last day that passed.
    assert ahead[4] == 60 + ahead[0]


def test_a_known_use_rate_wins_over_any_rhythm() -> None:
    twelve = [Purchase(date(2026, 3, 1), Decimal(12))]
    found = estimate(
        twelve, product_days_per_unit=Decimal(7), segment_days_per_unit=None, rhythm=MONTHLY, through=FIRST
    )
    assert found == RunOut(date(2026, 5, 24), Decimal(7), "product", date(2026, 3, 1), Decimal(12))


@pytest.mark.parametrize(("elasticity", "expected"), [(0, 1), (25, 2), (50, 4), (75, 8), (100, 16)])
def test_the_scale_of_a_quantity_is_its_power(elasticity: int, expected: int) -> None:
    assert scale(Fraction(16), elasticity) == expected * STEPS


@QUICKLY
@given(LINES, RHYTHMS, st.decimals("0.1", "100", places=1))
def test_more_bought_last_never_runs_out_earlier(
    history: list[Purchase], rhythm: Rhythm, more: Decimal
) -> None:
    last = date(2027, 1, 1)
    less = told([*history, Purchase(last, Decimal(1))], rhythm)
    much = told([*history, Purchase(last, Decimal(1) + more)], rhythm)
    assert less is not None
    assert much is not None
    assert much.run_out >= less.run_out


@QUICKLY
@given(LINES, RHYTHMS, st.integers(0, 400), st.randoms(use_true_random=False))
def test_nothing_is_predicted_before_the_last_purchase_or_what_is_over(
    history: list[Purchase], rhythm: Rhythm, elapsed: int, shuffler: Random
) -> None:
    found = told(history, rhythm)
    if found is None:
        return
    through = found.last_purchase + timedelta(days=elapsed)
    later = told(history, rhythm, through)
    assert later is not None
    assert later.expected_on is not None
    assert found.last_purchase <= found.run_out == later.run_out <= later.expected_on
    assert later.expected_on > through
    assert later.days_per_unit > 0
    shuffled = list(history)
    shuffler.shuffle(shuffled)
    assert told(shuffled, rhythm, through) == later
