"""The plan: what a playbook says once it is read."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import Refused
from domain.plan import Plan
from tests.brand import plan


def test_defaults_are_those_of_the_trade() -> None:
    read = plan()
    assert (read.day.release, read.day.nudges, read.day.close) == (
        time(9),
        (time(12), time(17)),
        time(21),
    )
    assert read.day.open_items == "carry_over"
    assert read.check_rule.attribution_days == 14
    assert read.attribution_window == timedelta(days=14)
    assert (read.means[0].lead_days, read.means[0].script_version) == (5, 1)
    assert (read.period.cycles, read.act.raise_at, read.act.step) == (1, None, Decimal(5))


def test_a_plan_does_not_change() -> None:
    read = plan()
    with pytest.raises(ValidationError):
        read.name = "another"  # type: ignore[misc]
    assert read.name == "Tins"


def test_the_days_of_a_cycle_are_working_days_and_cycles_follow_without_a_gap() -> None:
    read = plan(
        period={"working_days": 3, "cycles": 3},
        calendar={"weekdays": [1, 2, 3, 4, 5], "closed": ["2026-03-04"], "opened": ["2026-03-07"]},
    )
    assert [[day.day for day in read.cycle_days(cycle)] for cycle in (1, 2, 3)] == [
        [2, 3, 5],
        [6, 7, 9],
        [10, 11, 12],
    ]


@settings(max_examples=50, deadline=None)
@given(
    weekdays=st.lists(st.integers(1, 7), min_size=1),
    working_days=st.integers(1, 30),
    cycles=st.integers(1, 6),
    closed=st.lists(st.dates(date(2026, 3, 1), date(2026, 5, 1)), max_size=10),
)
def test_every_working_day_of_the_period_is_in_one_cycle(
    weekdays: list[int], working_days: int, cycles: int, closed: list[date]
) -> None:
    read = plan(
        period={"working_days": working_days, "cycles": cycles},
        calendar={"weekdays": weekdays, "closed": closed},
    )
    days = [day for cycle in range(1, cycles + 1) for day in read.cycle_days(cycle)]
    assert days == read.working_calendar.working_days(read.period.start, working_days * cycles)


def test_check_is_the_playbooks_word_for_the_check_rule() -> None:
    read = plan(check={"attribution_days": 7})
    assert read.check_rule.attribution_days == 7
    assert read.model_dump(mode="json", by_alias=True)["check"]["attribution_days"] == 7
    assert Plan.model_validate_json(read.model_dump_json(by_alias=True)) == read


@pytest.mark.parametrize(
    ("care", "taking_part"),
    [
        ({}, ["G1", "G2", "G3"]),
        ({"guides": ["G1", "G2"]}, ["G1", "G2"]),
        ({"without_guides": ["G1"]}, ["G2", "G3"]),
        ({"guides": ["G1", "G2"], "without_guides": ["G1"]}, ["G2"]),
    ],
)
def test_a_guide_takes_part_who_is_named_or_nobody_is_and_who_is_not_excluded(
    care: dict[str, list[str]], taking_part: list[str]
) -> None:
    read = plan(care=care)
    assert [code for code in ("G1", "G2", "G3") if read.care.takes_part(code)] == taking_part


@pytest.mark.parametrize("setting", [{"care": {"target_per_day": 50}}, {"check": {"grace_days": 30}}])
def test_a_setting_that_would_do_nothing_is_refused(setting: dict[str, dict[str, int]]) -> None:
    with pytest.raises(Refused) as refused:
        plan(**setting)
    assert [problem.code for problem in refused.value.problems] == ["unknown_field"]


def test_text_is_stripped() -> None:
    assert plan(name="  Tins ").name == "Tins"
