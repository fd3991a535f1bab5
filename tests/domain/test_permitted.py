"""The next permitted instant against a scan minute by minute, with layers, zones and changes of the clocks at random."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calendar import DayLayer, LayerName, NamedDay, WorkingCalendar, local_instant
from domain.errors import Refused
from domain.layers import DatedHours, GuideHours, Hours, Layers, Leave, QuietHours, StoreHours, WeekdayHours
from domain.permitted import HORIZON, Purpose, blocked, next_permitted

QUICKLY = settings(max_examples=60, deadline=None)
# A date of each zone's changes of the clocks, forwards and back; Lord Howe's are of half an hour.
CHANGES = {
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25)),
    "Australia/Lord_Howe": (date(2026, 10, 4), date(2026, 4, 5)),
    "Asia/Shanghai": (date(2026, 2, 17), date(2026, 10, 1)),
}
MINUTE = timedelta(minutes=1)
SHANGHAI = "Asia/Shanghai"
DAY = Hours(opens=time(9), closes=time(21))


def at(day: date, hour: int, minute: int = 0, zone: str = SHANGHAI) -> datetime:
    return local_instant(day, time(hour, minute), zone)


@st.composite
def clock_times(draw: st.DrawFn) -> time:
    # Every other one near the hours at which clocks are changed.
    hour = draw(st.integers(0, 23) | st.integers(0, 3))
    return time(hour, draw(st.sampled_from([0, 15, 30, 45])))


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    return Hours(opens=draw(clock_times()), closes=draw(clock_times()))


@st.composite
def cases(draw: st.DrawFn) -> tuple[datetime, Layers, Purpose]:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    middle = draw(st.sampled_from(CHANGES[zone]))
    near = st.integers(-2, 4).map(lambda days: middle + timedelta(days=days))
    named = st.lists(near, max_size=3, unique=True).map(lambda days: tuple(NamedDay(on=day) for day in days))
    weekdays = st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days)))
    several = st.lists(hours(), max_size=2).map(tuple)
    layers = [
        DayLayer(
            layer=name,
            weekdays=draw(st.just((1, 2, 3, 4, 5, 6, 7)) | weekdays),
            closed=draw(named),
            opened=draw(named),
        )
        for name in (LayerName.NATIONAL, LayerName.STORE)
    ]
    quiet = draw(
        st.none() | st.builds(QuietHours) | st.builds(Hours, opens=clock_times(), closes=clock_times())
    )
    if isinstance(quiet, Hours):
        quiet = QuietHours(begins=quiet.opens, ends=quiet.closes) if quiet.opens != quiet.closes else None
    store = StoreHours(
        usual=draw(hours()),
        weekly=(WeekdayHours(weekday=middle.isoweekday(), hours=draw(several)),),
    )
    leave_on = draw(near)
    guide = GuideHours(
        weekly=draw(
            st.just(()) | st.just(tuple(WeekdayHours(weekday=day, hours=(DAY,)) for day in range(1, 7)))
        ),
        dated=(DatedHours(on=draw(near), hours=draw(several)),),
        leave=draw(st.just(()) | st.just((Leave(first=leave_on, last=leave_on + timedelta(days=1)),))),
    )
    asked = at(middle, 0, zone=zone) + timedelta(minutes=draw(st.integers(-1500, 3000)))
    whole = Layers(
        zone=zone,
        days=WorkingCalendar(tuple(layers)),
        store=draw(st.none() | st.just(store)),
        guide=draw(st.none() | st.just(guide)),
        quiet=quiet,
    )
    return asked, whole, draw(st.sampled_from(sorted(Purpose)))


def allowed(instant: datetime, layers: Layers, purpose: Purpose) -> bool:
    """Told once more, of one instant alone, without looking for another one."""
    local = instant.astimezone(ZoneInfo(layers.zone))
    days = [local.date() + timedelta(days=back) for back in (-1, 0)]

    def within(told: tuple[Hours, ...], day: date) -> bool:
        return any(begin <= instant < end for begin, end in (one.on(day, layers.zone) for one in told))

    if purpose is not Purpose.WORK and layers.quiet is not None:
        begins, ends = layers.quiet.begins, layers.quiet.ends
        minute = local.hour * 60 + local.minute
        first, last = begins.hour * 60 + begins.minute, ends.hour * 60 + ends.minute
        if (minute - first) % 1440 < (last - first) % 1440:
            return False
    if purpose is Purpose.CONTACT:
        return True
    if layers.store is None:
        there = layers.days.is_working(local.date())
    else:
        there = any(layers.days.is_working(day) and within(layers.store.on(day), day) for day in days)
    if layers.guide is None or not there or layers.guide.away(local.date()):
        return there and layers.guide is None
    today = layers.guide.on(local.date())
    return today is None or any(within(layers.guide.on(day) or (), day) for day in days)


@QUICKLY
@given(cases())
def test_it_is_the_first_permitted_minute_from_the_one_asked_and_itself_permitted(
    case: tuple[datetime, Layers, Purpose],
) -> None:
    asked, layers, purpose = case
    scanned = (asked + minute * MINUTE for minute in range(6 * 1440))
    first = next((instant for instant in scanned if allowed(instant, layers, purpose)), None)
    try:
        found = next_permitted(asked, layers, purpose)
    except Refused:
        assert first is None
        return
    if first is None:
        assert found.instant >= asked + 6 * 1440 * MINUTE
        assert allowed(found.instant, layers, purpose)
    else:
        assert found.instant == first
    assert (found.reason is None) == (found.instant == asked)
    again = next_permitted(found.instant, layers, purpose)
    assert (again.instant, again.reason) == (found.instant, None)
    untils = [move.until for move in found.moves]
    assert untils == sorted(set(untils))


@QUICKLY
@given(cases(), st.integers(0, 4000))
def test_asked_later_it_is_never_earlier(case: tuple[datetime, Layers, Purpose], minutes: int) -> None:
    asked, layers, purpose = case
    later = asked + minutes * MINUTE
    try:
        second = next_permitted(later, layers, purpose)
    except Refused:
        return
    assert asked <= next_permitted(asked, layers, purpose).instant <= second.instant


@QUICKLY
@given(cases())
def test_what_is_blocked_is_what_is_moved(case: tuple[datetime, Layers, Purpose]) -> None:
    asked, layers, purpose = case
    reason = blocked(asked, layers, purpose)
    assert (reason is None) == allowed(asked, layers, purpose)


def test_the_reason_names_the_layer_and_the_fact() -> None:
    holidays = tuple(NamedDay(on=date(2026, 10, day), name="国庆节") for day in range(1, 8))
    national = DayLayer(layer=LayerName.NATIONAL, subject="CN", closed=holidays)
    layers = Layers(zone=SHANGHAI, days=WorkingCalendar((national,)), store=StoreHours(store="S1", usual=DAY))
    found = next_permitted(at(date(2026, 9, 30), 21, 30), layers, Purpose.WORK)
    assert found.instant == at(date(2026, 10, 8), 9)
    assert found.reason is not None
    assert (found.reason.code, found.reason.layer, found.reason.fact) == (
        "after_closing",
        LayerName.STORE,
        "09:00-21:00",
    )
    holiday = found.moves[1].reason
    assert (holiday.code, holiday.layer, holiday.subject, holiday.fact) == (
        "closed",
        LayerName.NATIONAL,
        "CN",
        "国庆节",
    )


def test_quiet_hours_bind_to_the_minute_and_over_midnight() -> None:
    layers, day = Layers(zone=SHANGHAI), date(2026, 3, 2)
    for asked, expected in (
        (at(day, 21, 59), at(day, 21, 59)),
        (at(day, 22), at(day, 22) + timedelta(hours=10)),
        (at(day, 7, 59), at(day, 8)),
        (at(day, 8), at(day, 8)),
    ):
        assert next_permitted(asked, layers, Purpose.CONTACT).instant == expected


def test_quiet_hours_that_end_in_the_hour_the_clocks_skip_end_when_they_jump() -> None:
    quiet = QuietHours(begins=time(22), ends=time(2, 30))
    layers = Layers(zone="America/New_York", quiet=quiet)
    asked = datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert next_permitted(asked, layers, Purpose.CONTACT).instant == datetime(2026, 3, 8, 7, tzinfo=UTC)


def test_an_hour_shown_twice_is_quiet_twice() -> None:
    quiet = QuietHours(begins=time(1), ends=time(1, 30))
    layers = Layers(zone="America/New_York", quiet=quiet)
    first, second = datetime(2026, 11, 1, 5, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)
    for asked in (first, second):
        expected = asked + timedelta(minutes=30)
        assert next_permitted(asked, layers, Purpose.CONTACT).instant == expected


def test_leave_without_an_end_and_a_store_gone_for_good_are_refused_with_the_fact() -> None:
    store = StoreHours(store="S1", usual=DAY)
    away = Layers(zone=SHANGHAI, store=store, guide=GuideHours(leave=(Leave(first=date(2026, 3, 1)),)))
    gone = Layers(zone=SHANGHAI, store=store.model_copy(update={"last_on": date(2026, 3, 1)}))
    closed = tuple(NamedDay(on=date(2026, 3, 1) + timedelta(days=day)) for day in range(HORIZON.days + 9))
    shut = Layers(
        zone=SHANGHAI,
        store=store,
        days=WorkingCalendar((DayLayer(layer=LayerName.BRAND, closed=closed),)),
    )
    for layers, code in ((away, "on_leave"), (gone, "store_gone"), (shut, "closed")):
        with pytest.raises(Refused) as refused:
            next_permitted(at(date(2026, 3, 2), 10), layers, Purpose.WORK)
        (problem,) = refused.value.problems
        assert (problem.code, problem.params["code"]) == ("nothing_permitted", code)


def test_due_dates_move_through_the_same_layers() -> None:
    national = DayLayer(layer=LayerName.NATIONAL, closed=(NamedDay(on=date(2026, 5, 1)),))
    layers = Layers(zone=SHANGHAI, days=WorkingCalendar((national,)))
    assert layers.working_day_before(date(2026, 5, 1)) == date(2026, 4, 30)
    assert layers.working_day_after(date(2026, 4, 30)) == date(2026, 5, 2)
