"""A plan's hours against its stores' calendars."""

from __future__ import annotations

from datetime import date, time

from domain.calendar import DayLayer, LayerName, NamedDay, WorkingCalendar
from domain.layers import Hours, Layers, QuietHours, StoreHours
from domain.plan_hours import hours_notes, hours_problems, step_problems
from tests.brand import ZONE, plan


def store(opens: time = time(9), closes: time = time(21), *closed: int) -> Layers:
    days = tuple(NamedDay(on=date(2026, 3, day)) for day in closed)
    return Layers(
        zone=ZONE,
        days=WorkingCalendar((DayLayer(layer=LayerName.STORE, closed=days),)),
        store=StoreHours(usual=Hours(opens=opens, closes=closes)),
    )


def test_steps_that_would_reach_members_in_quiet_hours_are_refused() -> None:
    steps = (
        ("steps.0.at", time(21, 59)),
        ("steps.1.at", time(22)),
        ("steps.2.at", time(7, 59)),
        ("steps.3.at", time(8)),
    )
    found = step_problems(steps, QuietHours())
    assert [(problem.field, problem.value, problem.code) for problem in found] == [
        ("steps.1.at", "22:00", "step_in_quiet_hours"),
        ("steps.2.at", "07:59", "step_in_quiet_hours"),
    ]


def test_a_store_that_closes_by_the_release_is_named_and_one_that_closes_later_is_not() -> None:
    what = plan(day={"release": "12:00", "nudges": ["13:00"]})
    stores = {"S1": store(), "S2": store(closes=time(12)), "S3": store(closes=time(12, 1))}
    (problem,) = hours_problems(what, stores)
    assert (problem.code, problem.params["stores"], problem.params["closes"]) == (
        "release_after_closing",
        "S2",
        "12:00",
    )


def test_a_slot_is_refused_only_where_no_store_is_open_at_it() -> None:
    what = plan(day={"nudges": ["12:00", "20:00"]})
    early = store(closes=time(18))
    assert [problem.field for problem in hours_problems(what, {"S1": early})] == ["day.nudges.1"]
    assert hours_problems(what, {"S1": early, "S2": store()}) == []


def test_days_on_which_all_stores_are_closed_are_told() -> None:
    stores = {"S1": store(time(9), time(21), 3, 4), "S2": store(time(9), time(21), 4, 5)}
    (note,) = hours_notes(plan(), stores)
    assert (note.code, note.value, note.params["days"]) == ("closed_in_all_stores", "2026-03-04", "1")


def test_a_plan_that_no_guide_takes_part_in_has_no_hours_to_judge() -> None:
    assert (hours_problems(plan(), {}), hours_notes(plan(), {})) == ([], [])
