from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import WorkingCalendar
from domain.replenishment import (
    Purchase,
    RunOut,
    due_date,
    estimate,
    longest_reminder_span,
    segment_days_per_unit,
)

# No deadline: a busy machine is no defect.
QUICKLY = settings(max_examples=60, deadline=None)
SEVEN = Decimal(7)
EVERY_DAY = WorkingCalendar()
FIRST = date(2026, 3, 1)
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
QUANTITIES = st.decimals("0.1", "40", places=1)
BOUGHT = st.lists(st.builds(Purchase, DAYS, QUANTITIES), min_size=1, max_size=8)
HISTORY = st.lists(st.builds(Purchase, DAYS, st.decimals(-20, 40, places=1)), max_size=10)
RATES = st.decimals("0.5", "60", places=2)


def bought(day: date, quantity: int | str) -> Purchase:
    return Purchase(day, Decimal(quantity))


def by_product(*purchases: Purchase) -> RunOut | None:
    return estimate(purchases, product_days_per_unit=SEVEN, segment_days_per_unit=None)


def run_out(*purchases: Purchase) -> date:
    estimated = by_product(*purchases)
    assert estimated is not None
    return estimated.run_out


def test_worked_example_twelve_tins_on_1_march_run_out_on_24_may_and_are_due_on_19_may() -> None:
    estimated = by_product(bought(FIRST, 12))
    assert estimated == RunOut(date(2026, 5, 24), SEVEN, "product", FIRST, Decimal(12))
    assert due_date(date(2026, 5, 24), 5, EVERY_DAY) == date(2026, 5, 19)


def test_worked_example_six_more_on_1_may_move_run_out_to_5_july_and_due_to_30_june() -> None:
    assert run_out(bought(FIRST, 12), bought(date(2026, 5, 1), 6)) == date(2026, 7, 5)
    assert due_date(date(2026, 7, 5), 5, EVERY_DAY) == date(2026, 6, 30)


def test_worked_example_twelve_tins_of_seven_days_are_a_span_of_three_months() -> None:
    assert longest_reminder_span([[bought(FIRST, 12)], [bought(FIRST, 6)]], SEVEN) == 3
    assert longest_reminder_span([[bought(FIRST, 30), bought(date(2026, 4, 1), 1)]], SEVEN) == 1
    assert longest_reminder_span([[bought(FIRST, 3)]], Decimal(30)) == 3
    assert longest_reminder_span([], SEVEN) == 0


def test_a_purchase_after_running_out_starts_afresh() -> None:
    assert run_out(bought(FIRST, 1), bought(date(2026, 6, 1), 1)) == date(2026, 6, 8)


def test_a_due_day_that_is_closed_moves_to_the_working_day_before() -> None:
    closed = WorkingCalendar.stated(closed=(date(2026, 5, 19), date(2026, 5, 18)))
    assert due_date(date(2026, 5, 24), 5, closed) == date(2026, 5, 17)


def test_a_return_takes_back_what_was_bought_last() -> None:
    half = by_product(bought(FIRST, 12), bought(date(2026, 3, 10), -6))
    assert half == RunOut(date(2026, 4, 12), SEVEN, "product", FIRST, Decimal(6))
    assert run_out(bought(FIRST, 12), bought(date(2026, 5, 1), 6), bought(date(2026, 5, 2), -6)) == date(
        2026, 5, 24
    )


def test_who_returned_everything_never_runs_out() -> None:
    assert by_product(bought(FIRST, 12), bought(date(2026, 3, 10), -12)) is None
    assert by_product(bought(FIRST, -3), bought(FIRST, 0)) is None
    assert by_product() is None


def test_a_return_of_what_was_bought_before_the_history_takes_nothing_back() -> None:
    assert run_out(bought(date(2026, 2, 1), -5), bought(FIRST, 12)) == date(2026, 5, 24)


def test_purchases_of_one_day_are_added_up() -> None:
    assert by_product(bought(FIRST, 7), bought(FIRST, -1), bought(FIRST, 6)) == by_product(bought(FIRST, 12))


def test_the_product_comes_before_the_member_and_the_member_before_the_segment() -> None:
    # Gaps 20 days ÷ 2 = 10, 30 days ÷ 2 = 15: the median of two is 12.5.
    rhythm = [bought(FIRST, 2), bought(date(2026, 3, 21), 2), bought(date(2026, 4, 20), 2)]
    product = estimate(rhythm, product_days_per_unit=SEVEN, segment_days_per_unit=Decimal(9))
    member = estimate(rhythm, product_days_per_unit=None, segment_days_per_unit=Decimal(9))
    segment = estimate(rhythm[:2], product_days_per_unit=None, segment_days_per_unit=Decimal(9))
    nobody = estimate(rhythm[:2], product_days_per_unit=None, segment_days_per_unit=None)
    assert product is not None
    assert member is not None
    assert segment is not None
    assert (product.basis, product.days_per_unit) == ("product", SEVEN)
    assert (member.basis, member.days_per_unit) == ("member", Decimal("12.5"))
    # 21 March + 25 = 15 April < 20 April, so stock is out: 20 April + 25 days.
    assert member.run_out == date(2026, 5, 15)
    assert (segment.basis, segment.days_per_unit) == ("segment", Decimal(9))
    assert nobody is None


def test_parts_of_days_are_carried_and_dropped_at_the_end_only() -> None:
    thirds = [bought(FIRST, "0.5"), bought(date(2026, 3, 2), "0.5")]
    # 3.5 + 3.5 days after 1 March are 8 March; rounding each down would give 7 March.
    assert run_out(*thirds) == date(2026, 3, 8)
    assert run_out(thirds[0]) == date(2026, 3, 4)


def test_the_segment_rate_is_the_median_of_all_gaps() -> None:
    histories = [
        [bought(FIRST, 1), bought(date(2026, 3, 8), 1)],  # 7
        [bought(FIRST, 2), bought(date(2026, 3, 21), 1)],  # 10
        [bought(FIRST, 1), bought(date(2026, 3, 31), 3), bought(date(2026, 4, 9), 1)],  # 30, 3
        [bought(FIRST, 1)],
    ]
    assert segment_days_per_unit(histories) == Decimal("8.5")
    assert segment_days_per_unit([[bought(FIRST, 1)], []]) is None
    assert segment_days_per_unit([[bought(FIRST, 3), bought(FIRST + timedelta(10), 1)]]) == Decimal("3.3333")


def test_a_derived_rate_is_never_zero_and_a_mistyped_quantity_breaks_nothing() -> None:
    assert segment_days_per_unit([[bought(FIRST, 10**9), bought(FIRST + timedelta(1), 1)]]) == Decimal(
        "0.0001"
    )
    assert run_out(bought(FIRST, 10**9)) == date.max


@pytest.mark.parametrize("rate", [Decimal(0), Decimal(-1)])
def test_a_use_rate_not_above_zero_is_refused_by_its_name(rate: Decimal) -> None:
    with pytest.raises(ValueError, match=r"^product_days_per_unit: "):
        estimate([], product_days_per_unit=rate, segment_days_per_unit=None)
    with pytest.raises(ValueError, match=r"^segment_days_per_unit: "):
        estimate([], product_days_per_unit=None, segment_days_per_unit=rate)
    with pytest.raises(ValueError, match=r"^days_per_unit: "):
        longest_reminder_span([], rate)
    with pytest.raises(ValueError, match=r"^lead_days: "):
        due_date(FIRST, -1, EVERY_DAY)


@QUICKLY
@given(HISTORY, st.randoms(use_true_random=False), st.none() | RATES, st.none() | RATES)
def test_the_estimate_does_not_depend_on_the_order_of_purchases(
    history: list[Purchase], shuffler: Random, product: Decimal | None, segment: Decimal | None
) -> None:
    shuffled = list(history)
    shuffler.shuffle(shuffled)
    one = estimate(history, product_days_per_unit=product, segment_days_per_unit=segment)
    assert one == estimate(shuffled, product_days_per_unit=product, segment_days_per_unit=segment)


@QUICKLY
@given(HISTORY, st.builds(Purchase, DAYS, QUANTITIES), RATES)
def test_an_added_purchase_never_brings_the_run_out_forward(
    history: list[Purchase], added: Purchase, rate: Decimal
) -> None:
    before = estimate(history, product_days_per_unit=rate, segment_days_per_unit=None)
    after = estimate([*history, added], product_days_per_unit=rate, segment_days_per_unit=None)
    if before is not None:
        assert after is not None
        assert after.run_out >= before.run_out
        assert after.last_purchase >= before.last_purchase


@QUICKLY
@given(BOUGHT, RATES)
def test_stock_lasts_at_least_as_long_as_what_was_bought_last(
    purchases: list[Purchase], rate: Decimal
) -> None:
    estimated = estimate(purchases, product_days_per_unit=rate, segment_days_per_unit=None)
    assert estimated is not None
    assert estimated.last_purchase == max(purchase.occurred_on for purchase in purchases)
    assert estimated.run_out >= estimated.last_purchase + timedelta(days=int(estimated.last_quantity * rate))


@QUICKLY
@given(
    DAYS,
    st.integers(0, 30),
    st.sets(st.integers(1, 7), min_size=1),
    st.lists(DAYS, max_size=30),
)
def test_the_due_day_is_worked_and_leaves_the_lead(
    day: date, lead: int, weekdays: set[int], closed: list[date]
) -> None:
    calendar = WorkingCalendar.stated(tuple(weekdays), tuple(closed))
    due = due_date(day, lead, calendar)
    assert calendar.is_working(due)
    assert due <= day - timedelta(days=lead)
