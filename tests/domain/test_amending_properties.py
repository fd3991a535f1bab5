"""In whatever order facts come, and whatever was corrected on the way, item, member and counters end where they should."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from domain.check_in import NOT_REACHED, CheckIn, Grade, Outcome
from domain.errors import Refused
from domain.standing import stand
from tests.domain.amending_world import SOAP, TIN, World, a_report, at

CHEAP = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


@st.composite
def reports(draw: st.DrawFn, days: tuple[int, int]) -> CheckIn:
    """A report that may be made by itself, of one of the member's items, on one of the days."""
    outcome = draw(st.sampled_from(get_args(Outcome)))
    grades = (None, "C") if outcome in NOT_REACHED else (None, *get_args(Grade))
    day = draw(st.integers(*days))
    next_on = draw(st.none() | st.integers(day + 1, 13).map(lambda other: date(2026, 3, other)))
    return a_report(
        draw(st.sampled_from([TIN, SOAP])),
        at(day, draw(st.integers(9, 19)), draw(st.integers(0, 59))),
        outcome,
        grade=draw(st.sampled_from(grades)),
        next_on=next_on,
    )


def live(
    facts: list[CheckIn], days: range, *, expires: bool, bought_on: int | None = None, settles: bool = True
) -> World:
    """Live the days: each report as it occurs, what is finished taken off at noon and before the close, the day closed.

    What the rules refuse is not there. On the day the member buys, that is what takes items off.
    """
    world = World()
    for day in days:
        todays = [one for one in sorted(facts, key=lambda one: one.occurred_at) if one.occurred_at.day == day]
        for one in todays:
            if one.occurred_at <= at(day, 12):
                take(world, one)
        if settles and bought_on in (None, day):
            world.settle(at(day, 12), bought=bought_on == day)
        for one in todays:
            if one.occurred_at > at(day, 12):
                take(world, one)
        if settles and bought_on is None:
            world.settle(at(day, 20, 59))
        world.close(day, expires=expires)
    return world


def take(world: World, report: CheckIn) -> bool:
    try:
        world.report(report)
    except Refused:
        return False
    return True


@CHEAP
@given(st.lists(reports((2, 6)), max_size=8), st.booleans(), st.none() | st.integers(2, 6))
def test_a_report_in_order_leaves_everything_where_replaying_all_of_it_does(
    facts: list[CheckIn], expires: bool, bought_on: int | None
) -> None:
    world = live(facts, range(2, 7), expires=expires, bought_on=bought_on)
    standing = stand(world.history)
    assert dict(standing.items) == world.rows
    assert standing.members[1] == world.member


@CHEAP
@given(st.lists(reports((2, 3)), min_size=2, max_size=6), st.booleans(), st.data())
def test_the_same_facts_in_any_order_of_arrival_end_in_the_same_rows(
    facts: list[CheckIn], expires: bool, data: st.DataObject
) -> None:
    # Where open items expire at the close, what nobody is known to have attempted is on no list the next day.
    in_time = live(
        [one for one in facts if not expires or one.occurred_at.day == 2],
        range(2, 3),
        expires=expires,
        settles=False,
    )
    for one in sorted(facts, key=lambda one: one.occurred_at):
        if one.occurred_at.day == 3 and not expires:
            take(in_time, one)
    late = live([], range(2, 3), expires=expires, settles=False)
    arriving = data.draw(st.permutations(list(in_time.told.values())))
    for number, one in enumerate(arriving):
        late.report(one.model_copy(update={"known_at": at(3, 20) + timedelta(minutes=1, seconds=number)}))
    for world in (late, in_time):
        world.settle(at(3, 20, 59))
    assert late.stands()[:2] == in_time.stands()[:2]
    assert reached(late) == reached(in_time)


def reached(world: World) -> set[tuple[object, ...]]:
    """The reports that are counted, whenever they came."""
    return {(one.task_id, one.occurred_at, one.outcome) for one in world.told.values()}


@CHEAP
@given(
    st.lists(reports((2, 5)), min_size=1, max_size=6),
    reports((2, 5)),
    st.integers(0, 5),
    st.booleans(),
    st.none() | st.integers(2, 5),
)
def test_a_correction_leaves_everything_as_if_it_had_been_reported_in_the_first_place(
    facts: list[CheckIn], other: CheckIn, which: int, expires: bool, bought_on: int | None
) -> None:
    # Which of two reasons to take an item off came first is in the history and stays: one kind of them at a time.
    days, told = (
        range(2, 6),
        {"expires": expires, "bought_on": None if expires else bought_on, "settles": not expires},
    )
    world = live(facts, days, **told)
    assume(world.told)
    key, wrong = list(world.told.items())[which % len(world.told)]
    right = wrong.model_copy(
        update={name: getattr(other, name) for name in ("outcome", "grade", "next_on", "occurred_at")}
        | {"known_at": other.occurred_at}
    )
    kept = list(world.told.values())
    first_place = live([right if one is wrong else one for one in kept], days, **told)
    # What could not have been reported beside the rest is no correction of it.
    assume(len(first_place.told) == len(kept))
    try:
        world.correct(*key, right.model_copy(update={"known_at": at(6, 10)}), known_at=at(6, 10))
    except Refused as refused:
        pytest.fail(f"{refused} stands against what could have been reported in the first place")
    for one in (world, first_place):
        one.settle(at(6, 12), bought=told["bought_on"] is not None)
    rows, member, counters = world.stands()
    assert (rows, member) == first_place.stands()[:2]
    if (
        right.occurred_at.day == wrong.occurred_at.day
    ):  # else it came after the close of its day, which it did
        assert counters == first_place.stands()[2]


@CHEAP
@given(st.lists(reports((2, 5)), min_size=1, max_size=6), st.integers(0, 5), st.booleans())
def test_a_void_leaves_everything_as_if_there_had_been_no_report(
    facts: list[CheckIn], which: int, expires: bool
) -> None:
    days, told = range(2, 6), {"expires": expires, "settles": not expires}
    world = live(facts, days, **told)
    assume(world.told)
    kept = list(world.told.items())
    key, wrong = kept[which % len(kept)]
    never = live([one for _, one in kept if one is not wrong], days, **told)
    assume(len(never.told) == len(kept) - 1)
    world.correct(*key, None, known_at=at(6, 10))
    world.settle(at(6, 12))
    never.settle(at(6, 12))
    assert world.stands() == never.stands()
