from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import DayLayer, LayerName, NamedDay, WorkingCalendar, business_date, local_instant

# No deadline: a busy machine is no defect.
QUICKLY = settings(max_examples=60, deadline=None)
DAYS = st.dates(date(2026, 1, 1), date(2026, 3, 1))
CALENDARS = st.builds(
    WorkingCalendar.stated,
    weekdays=st.sets(st.integers(1, 7), min_size=1).map(tuple),
    closed=st.lists(DAYS, max_size=20).map(tuple),
    opened=st.lists(DAYS, max_size=20).map(tuple),
)
SPRING_FESTIVAL = date(2026, 2, 17)
SATURDAY = date(2026, 2, 14)
OFFICE = WorkingCalendar.stated(weekdays=(1, 2, 3, 4, 5), closed=(SPRING_FESTIVAL,), opened=(SATURDAY,))


def test_a_store_works_all_seven_days_unless_told_otherwise() -> None:
    assert all(WorkingCalendar().is_working(SATURDAY + timedelta(days=offset)) for offset in range(7))


def test_a_public_holiday_is_closed_and_a_make_up_day_is_worked() -> None:
    assert not OFFICE.is_working(SPRING_FESTIVAL)
    assert OFFICE.is_working(SATURDAY)
    assert not OFFICE.is_working(SATURDAY + timedelta(days=1))


def test_a_make_up_day_wins_over_a_closure() -> None:
    assert WorkingCalendar.stated(closed=(SATURDAY,), opened=(SATURDAY,)).is_working(SATURDAY)


def test_searches_step_over_closed_days_in_both_directions() -> None:
    assert OFFICE.working_on_or_before(date(2026, 2, 15)) == SATURDAY
    assert OFFICE.working_on_or_after(SPRING_FESTIVAL) == date(2026, 2, 18)
    assert OFFICE.next_working(date(2026, 2, 16)) == date(2026, 2, 18)
    assert OFFICE.working_days(date(2026, 2, 15), 3) == [
        date(2026, 2, 16),
        date(2026, 2, 18),
        date(2026, 2, 19),
    ]
    assert OFFICE.count_working(SATURDAY, date(2026, 2, 19)) == 4
    assert OFFICE.count_working(SATURDAY, date(2026, 2, 13)) == 0
    assert OFFICE.working_days(SATURDAY, 0) == []


def test_a_calendar_without_a_working_day_is_refused_by_the_field_name() -> None:
    with pytest.raises(ValueError, match=r"^weekdays: "):
        WorkingCalendar.stated(weekdays=())
    with pytest.raises(ValueError, match=r"^weekdays: 8"):
        WorkingCalendar.stated(weekdays=(1, 8))
    with pytest.raises(ValueError, match=r"^count: "):
        OFFICE.working_days(SATURDAY, -1)


def test_a_search_beyond_the_only_opened_days_ends_with_a_refusal() -> None:
    fair = WorkingCalendar.stated(weekdays=(), opened=(SATURDAY,))
    assert fair.working_on_or_after(date(2026, 1, 1)) == SATURDAY
    with pytest.raises(ValueError, match=r"^opened: .* after"):
        fair.next_working(SATURDAY)
    with pytest.raises(ValueError, match=r"^opened: .* before"):
        fair.working_on_or_before(date(2026, 1, 1))


def test_a_calendar_is_the_same_in_whatever_order_it_is_told() -> None:
    days = (SATURDAY, SPRING_FESTIVAL)
    assert WorkingCalendar.stated((2, 1), closed=days) == WorkingCalendar.stated((1, 2), closed=days[::-1])
    assert WorkingCalendar.stated(opened=frozenset(days)) == WorkingCalendar.stated(opened=days)


def _holidays(**more: object) -> DayLayer:
    named = {
        "closed": (NamedDay(on=SPRING_FESTIVAL, name="春节"),),
        "opened": (NamedDay(on=SATURDAY, name="春节调休"),),
    }
    return DayLayer.model_validate(
        {"layer": LayerName.NATIONAL, "subject": "CN", "years": (2026,), **named, **more}
    )


def test_a_public_holiday_closes_what_works_all_week_and_a_make_up_day_opens_what_does_not() -> None:
    national = WorkingCalendar((_holidays(),))
    assert not WorkingCalendar.stated().within(national).is_working(SPRING_FESTIVAL)
    office = WorkingCalendar.stated((1, 2, 3, 4, 5)).within(national)
    assert office.is_working(SATURDAY)
    assert not office.is_working(SATURDAY + timedelta(days=7))
    ground = office.ground(SPRING_FESTIVAL)
    assert (ground.code, ground.layer, ground.subject, ground.name) == (
        "closed",
        LayerName.NATIONAL,
        "CN",
        "春节",
    )
    assert office.ground(SATURDAY + timedelta(days=7)).layer is LayerName.PLAN


def test_the_innermost_dated_fact_has_the_last_word() -> None:
    national = WorkingCalendar((_holidays(),))
    store = DayLayer(layer=LayerName.STORE, subject="S1", opened=(NamedDay(on=SPRING_FESTIVAL),))
    opened = WorkingCalendar.stated().within(WorkingCalendar((*national.layers, store)))
    assert opened.is_working(SPRING_FESTIVAL)
    closed = WorkingCalendar.stated(closed=(SPRING_FESTIVAL,)).within(opened)
    assert closed.ground(SPRING_FESTIVAL).layer is LayerName.PLAN


def test_weekly_patterns_must_agree_and_where_they_cannot_the_innermost_counts() -> None:
    store = DayLayer(layer=LayerName.STORE, weekdays=(1, 2, 3, 4, 5, 6))
    outer = WorkingCalendar((store,))
    assert not WorkingCalendar.stated().within(outer).is_working(SATURDAY + timedelta(days=1))
    assert WorkingCalendar.stated((7,)).within(outer).is_working(SATURDAY + timedelta(days=1))


def test_years_that_are_not_announced_yet_are_named_and_nothing_is_guessed() -> None:
    calendar = WorkingCalendar.stated().within(WorkingCalendar((_holidays(),)))
    assert calendar.unknown_years(date(2026, 12, 1), date(2027, 1, 5)) == {"CN": (2027,)}
    assert calendar.unknown_years(date(2026, 1, 1), date(2026, 12, 31)) == {}
    assert calendar.is_working(date(2027, 2, 6))


@QUICKLY
@given(CALENDARS, DAYS, st.integers(1, 15))
def test_working_days_are_the_first_so_many_and_all_are_worked(
    calendar: WorkingCalendar, start: date, count: int
) -> None:
    days = calendar.working_days(start, count)
    assert len(days) == count
    assert all(calendar.is_working(day) for day in days)
    assert calendar.count_working(start, days[-1]) == count


@QUICKLY
@given(CALENDARS, DAYS)
def test_nothing_between_a_day_and_the_working_day_found_is_worked(
    calendar: WorkingCalendar, day: date
) -> None:
    before, after = calendar.working_on_or_before(day), calendar.working_on_or_after(day)
    assert before <= day <= after
    assert calendar.count_working(before + timedelta(days=1), day) == 0
    assert calendar.count_working(day, after) == 1
    assert calendar.next_working(day) > day


def test_a_local_time_is_an_instant_in_utc() -> None:
    assert local_instant(date(2026, 3, 1), time(8), "Asia/Shanghai") == datetime(2026, 3, 1, tzinfo=UTC)
    assert local_instant(date(2026, 3, 1), time(8), "Asia/Shanghai").tzinfo is UTC


def test_a_time_the_clocks_skip_moves_forward() -> None:
    # New York, 8 March 2026: 02:00 becomes 03:00, so 02:30 is 03:30 EDT.
    assert local_instant(date(2026, 3, 8), time(2, 30), "America/New_York") == datetime(
        2026, 3, 8, 7, 30, tzinfo=UTC
    )


@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_shown_twice_is_the_first(fold: int) -> None:
    # New York, 1 November 2026: 01:30 is first EDT (05:30 UTC), then EST (06:30 UTC).
    at = time(1, 30, fold=fold)
    assert local_instant(date(2026, 11, 1), at, "America/New_York") == datetime(
        2026, 11, 1, 5, 30, tzinfo=UTC
    )


def test_the_business_date_is_the_local_one() -> None:
    evening = datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert business_date(evening, "Asia/Shanghai") == date(2026, 3, 1)
    assert business_date(evening, "UTC") == date(2026, 2, 28)


def test_what_has_no_clear_instant_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^zone: 'Mars/Base'"):
        local_instant(SATURDAY, time(8), "Mars/Base")
    with pytest.raises(ValueError, match=r"^at: "):
        local_instant(SATURDAY, time(8, tzinfo=UTC), "UTC")
    with pytest.raises(ValueError, match=r"^instant: "):
        business_date(datetime(2026, 3, 1), "UTC")  # noqa: DTZ001 - the naive one is what is refused


@QUICKLY
@given(DAYS, st.times(), st.sampled_from(["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe"]))
def test_an_instant_belongs_to_its_local_day(day: date, at: time, zone: str) -> None:
    assert business_date(local_instant(day, at, zone), zone) == day
