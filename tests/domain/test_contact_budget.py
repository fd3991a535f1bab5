"""Contacts of a member by day, week and month: what counts, what is left, when one comes free."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contact_budget import ContactPeriod, Limits, first_counted, free_on, left, span, used

DAYS = st.dates(date(2025, 12, 1), date(2027, 3, 31))
LIMITS = st.lists(st.integers(1, 6), min_size=3, max_size=3).map(lambda told: Limits(*sorted(told)))


@given(day=DAYS)
def test_every_day_is_in_one_span_of_each_period(day: date) -> None:
    for period in ContactPeriod:
        first, last = span(period, day)
        assert first <= day <= last
        assert span(period, last + timedelta(1))[0] == last + timedelta(1)
        assert first_counted(day) <= first
    assert span(ContactPeriod.WEEK, day)[0].isoweekday() == 1
    assert span(ContactPeriod.MONTH, day)[0].day == 1


@given(told=st.lists(st.integers(-40, 40), max_size=12), day=DAYS, limits=LIMITS)
def test_the_first_free_day_is_the_first_on_which_a_contact_is_left(
    told: list[int], day: date, limits: Limits
) -> None:
    days = [day + timedelta(days=ahead) for ahead in told]
    free = free_on(days, limits, day)
    assert left(used(days, free), limits) > 0
    between = [day + timedelta(days=ahead) for ahead in range((free - day).days)]
    assert all(left(used(days, one), limits) == 0 for one in between)


@given(told=st.lists(st.integers(0, 60), max_size=200), limits=LIMITS)
def test_who_takes_a_contact_only_where_one_is_left_never_goes_beyond_a_limit(
    told: list[int], limits: Limits
) -> None:
    taken: list[date] = []
    for ahead in sorted(told):
        day = date(2026, 1, 29) + timedelta(days=ahead)
        if left(used(taken, day), limits):
            taken.append(day)
    for day in taken:
        assert all(number <= limits.of(period) for period, number in used(taken, day).items())


@pytest.mark.parametrize(
    ("limits", "wrong"),
    [
        (Limits(1, 3, 8), []),
        (Limits(4, 3, 8), [("day", "contact_limit_above_longer")]),
        (Limits(0, 9, 8), [("day", "contact_limit_out_of_range"), ("week", "contact_limit_above_longer")]),
        (Limits(1, 1, 1001), [("month", "contact_limit_out_of_range")]),
    ],
)
def test_a_limit_is_at_least_one_and_not_above_that_of_a_longer_period(
    limits: Limits, wrong: list[tuple[str, str]]
) -> None:
    assert [(one.field, one.code) for one in limits.problems()] == wrong
