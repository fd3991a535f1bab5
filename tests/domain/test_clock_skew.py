"""A phone's wrong clock moves nothing out of the day it was in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clock_skew import TOLERATED, put_right, skew

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
PUBLISHED = NOON - timedelta(hours=3)


@pytest.mark.parametrize("seconds", [-120, -1, 0, 60, 120])
def test_two_minutes_are_no_skew(seconds: int) -> None:
    assert skew(NOON + timedelta(seconds=seconds), NOON) == timedelta()


@pytest.mark.parametrize("minutes", [-90, -3, 3, 60 * 24 * 3])
def test_what_occurred_is_moved_by_as_much_as_the_clock_is_off(minutes: int) -> None:
    ahead = skew(NOON + timedelta(minutes=minutes), NOON)
    said = NOON - timedelta(minutes=30) + ahead
    assert put_right(said, ahead, published_at=PUBLISHED, received_at=NOON) == NOON - timedelta(minutes=30)


@given(
    st.timedeltas(timedelta(days=-9), timedelta(days=9)),
    st.timedeltas(timedelta(days=-9), timedelta(days=9)),
    st.booleans(),
)
def test_it_stays_between_the_publishing_of_the_list_and_the_receipt(
    off: timedelta, before: timedelta, listed: bool
) -> None:
    ahead = skew(NOON + off, NOON)
    assert abs(off) > TOLERATED or not ahead
    told = put_right(NOON + before, ahead, published_at=PUBLISHED if listed else None, received_at=NOON)
    assert told <= NOON
    assert not listed or told >= PUBLISHED
