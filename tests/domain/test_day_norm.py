"""Target and capacity of a day, and booked visits traded against invitations (domain.md, *The day*, 1)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.day_norm import Capacity, DayNorm, capacity_of, day_capacity, share_invitations
from tests.brand import plan

visits_of = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 12), max_size=12)


def test_three_guides_by_thirty_with_two_visits_at_the_first_share_20_35_35() -> None:
    assert share_invitations(30, {"1": 2, "2": 0, "3": 0}, 5) == {"1": 20, "2": 35, "3": 35}


@given(each=st.integers(0, 60), visits=visits_of, a_visit=st.integers(0, 9))
def test_the_stores_total_stays_and_nobodys_share_is_negative(
    each: int, visits: dict[str, int], a_visit: int
) -> None:
    shared = share_invitations(each, visits, a_visit)
    assert sum(shared.values()) == each * len(visits)
    assert all(type(one) is int and one >= 0 for one in shared.values())
    assert set(shared) == set(visits)


@given(each=st.integers(0, 60), visits=visits_of, a_visit=st.integers(0, 9))
def test_the_order_in_which_guides_are_told_changes_nothing(
    each: int, visits: dict[str, int], a_visit: int
) -> None:
    turned = dict(reversed(visits.items()))
    assert share_invitations(each, turned, a_visit) == share_invitations(each, visits, a_visit)


@given(each=st.integers(0, 60), visits=visits_of, a_visit=st.integers(0, 9))
def test_more_visits_never_mean_more_invitations_and_equal_ones_differ_by_one_at_most(
    each: int, visits: dict[str, int], a_visit: int
) -> None:
    shared = share_invitations(each, visits, a_visit)
    by_visits = sorted((count, shared[guide]) for guide, count in visits.items())
    for (fewer, more_shared), (more, less_shared) in pairwise(by_visits):
        assert less_shared <= more_shared or (fewer == more and less_shared - more_shared == 1)


def test_a_guide_alone_in_her_store_keeps_hers() -> None:
    assert share_invitations(30, {"1": 3}, 5) == {"1": 30}


def test_what_cannot_be_divided_goes_to_the_first_by_id() -> None:
    assert share_invitations(30, {"1": 1, "2": 0, "3": 0}, 5) == {"1": 25, "2": 33, "3": 32}


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        share_invitations(30, {"1": -1}, 5)


def test_capacity_is_the_target_where_a_plan_says_nothing() -> None:
    calls = plan(care={"items_per_day": None})
    invitations = plan(means=[{"name": "n", "script": "s", "item": "invitation"}])
    assert (capacity_of(calls, DayNorm()), capacity_of(invitations, DayNorm())) == (50, 30)
    assert capacity_of(plan(care={"items_per_day": 20}), DayNorm()) == 20
    own = plan(care={"invitations_per_day": 40}, means=[{"name": "n", "script": "s", "item": "invitation"}])
    assert day_capacity([calls, own], DayNorm(calls=60)) == Capacity(60, 40)
