"""Three urges in 24 hours, whoever urges."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.plan import Day, Escalation
from domain.urging import MOST_URGES, URGE_WINDOW, Level, urge_again_at

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTES = st.lists(st.integers(0, 5 * 24 * 60), max_size=60)


@settings(max_examples=60, deadline=None)
@given(MINUTES)
def test_whoever_urges_whenever_it_is_allowed_never_urges_four_times_in_24_hours(minutes: list[int]) -> None:
    urged: list[datetime] = []
    for minute in sorted(minutes):
        at = START + timedelta(minutes=minute)
        again = urge_again_at(urged, at)
        if again is None:
            urged.append(at)
        else:
            assert again > at
            assert urge_again_at(urged, again) is None
            assert urge_again_at(urged, again - timedelta(seconds=1)) is not None
    for at in urged:
        assert sum(at - URGE_WINDOW < one <= at for one in urged) <= MOST_URGES


@settings(max_examples=60, deadline=None)
@given(MINUTES)
def test_nobody_is_urged_four_times_in_24_hours_in_whatever_order_requests_come(minutes: list[int]) -> None:
    urged: list[datetime] = []
    for minute in minutes:
        at = START + timedelta(minutes=minute)
        if urge_again_at(urged, at) is None:
            urged.append(at)
    for at in urged:
        assert sum(at - URGE_WINDOW < one <= at for one in urged) <= MOST_URGES


def test_what_is_open_is_told_to_the_store_the_region_and_hq_an_hour_apart_after_the_last_nudge() -> None:
    told = [(one.to, one.at, one.open_percent) for one in Day().escalations]
    assert told == [(Level.STORE, time(18), 1), (Level.REGION, time(19), 50), (Level.HQ, time(20), 90)]


def test_nobody_is_told_after_the_close_or_where_nobody_is_nudged() -> None:
    early = Day(close=time(19, 30))
    assert [one.to for one in early.escalations] == [Level.STORE, Level.REGION]
    assert Day(nudges=()).escalations == ()
    assert Day(nudges=(time(22, 30),), close=time(23, 59)).escalations[0].at == time(23, 30)
    assert Day(escalate=()).escalations == ()


def test_an_escalation_outside_the_day_is_refused() -> None:
    with pytest.raises(ValueError, match="escalation_outside_day"):
        Day(escalate=(Escalation(to=Level.STORE, at=time(22)),))
