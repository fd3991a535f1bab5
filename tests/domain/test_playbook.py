"""From a written playbook to a plan, or to every problem in the user's own field names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import Problem, Refused
from domain.plan import Plan
from domain.playbook import References, check_plan, nearest, parse_plan
from tests.brand import plan, written

KNOWN = References(frozenset({"TIN", "SOAP", "SOFT DRINKS"}), frozenset({"S1"}), frozenset({"G1", "G2"}))
TODAY = date(2026, 3, 1)


def problems(**changes: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(Refused) as refusal:
        parse_plan(written(**changes))
    return [(problem.field, problem.value, problem.code) for problem in refusal.value.problems]


def with_means(**changes: Any) -> dict[str, Any]:
    return {"means": [{**written()["means"][0], **changes}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"goal": None}, ("goal", "", "not_valid")),
        ({"goal": {"target": "many"}}, ("goal.target", "many", "not_a_number")),
        ({"goal": {"target": []}}, ("goal.target", "[]", "not_a_number")),
        ({"goal": {"target": float("nan")}}, ("goal.target", "nan", "not_a_number")),
        ({"goal": {"target": 0}}, ("goal.target", "0", "too_small_exclusive")),
        ({"goal": {"target": 101}}, ("goal.target", "101", "rate_above_100")),
        ({"goal": {"measure": "fame"}}, ("goal.measure", "fame", "not_a_choice")),
        ({"goal": {"by": "soon"}}, ("goal.by", "soon", "not_a_date")),
        ({"goal": {"by": []}}, ("goal.by", "[]", "not_a_date")),
        ({"goal": {"by": "2026-03-31T10:00"}}, ("goal.by", "2026-03-31T10:00", "not_a_date")),
        ({"goal": {"sum": 1}}, ("goal.sum", "1", "unknown_field")),
        ({"plan": "Not an id"}, ("plan", "Not an id", "not_an_id")),
        ({"plan": 7}, ("plan", "7", "not_text")),
        ({"name": "  "}, ("name", "  ", "empty")),
        ({"period": {"working_days": 0}}, ("period.working_days", "0", "too_small")),
        ({"period": {"working_days": 400}}, ("period.working_days", "400", "too_large")),
        ({"period": {"working_days": "ten"}}, ("period.working_days", "ten", "not_a_whole_number")),
        ({"period": {"working_days": 1.5}}, ("period.working_days", "1.5", "not_a_whole_number")),
        ({"period": {"working_days": None}}, ("period.working_days", "", "not_a_whole_number")),
        ({"calendar": {"weekdays": [8]}}, ("calendar.weekdays.0", "8", "too_large")),
        ({"calendar": {"weekdays": [1, 0]}}, ("calendar.weekdays.1", "0", "too_small")),
        ({"calendar": {"weekdays": []}}, ("calendar.weekdays", "[]", "too_few")),
        ({"members": {"bought_categories": []}}, ("members.bought_categories", "[]", "too_few")),
        ({"care": {"strategies": []}}, ("care.strategies", "[]", "too_few")),
        (
            {"care": {"strategies": [{"strategy": "lottery"}]}},
            ("care.strategies.0.strategy", "lottery", "not_a_choice"),
        ),
        ({"means": []}, ("means", "[]", "too_few")),
        ({"means": written()["means"] * 2}, ("means", None, "too_many")),
        (with_means(script=""), ("means.0.script", "", "empty")),
        (with_means(lead_days=91), ("means.0.lead_days", "91", "too_large")),
        (
            with_means(days_per_unit={"TIN": 0}),
            ("means.0.days_per_unit", '{"TIN": 0}', "days_per_unit_not_positive"),
        ),
        ({"day": {"release": "early"}}, ("day.release", "early", "not_a_time")),
        ({"day": {"release": []}}, ("day.release", "[]", "not_a_time")),
        ({"day": {"release": "09:00Z"}}, ("day.release", "09:00Z", "not_a_time")),
        ({"day": {"nudges": ["12:00+08:00"]}}, ("day.nudges.0", "12:00+08:00", "not_a_time")),
        ({"day": {"release": "06:59"}}, ("day.release", "06:59", "release_outside_hours")),
        ({"day": {"release": "23:01"}}, ("day.release", "23:01", "release_outside_hours")),
        ({"day": {"close": "09:00"}}, ("day.close", "09:00", "release_not_before_close")),
        ({"day": {"nudges": ["09:00"]}}, ("day.nudges", '["09:00"]', "nudge_outside_day")),
        ({"day": {"nudges": ["21:00"]}}, ("day.nudges", '["21:00"]', "nudge_outside_day")),
        ({"act": {"raise_at": 60, "lower_at": 60}}, ("act.lower_at", "60", "lower_not_below_raise")),
        ({"surprise": 1}, ("surprise", "1", "unknown_field")),
    ],
)
def test_a_wrong_field_is_named_as_it_was_written_with_its_value_and_code(
    changes: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    ((field, value, code),) = problems(**changes)
    assert (field, code) == (expected[0], expected[2])
    assert expected[1] in (value, None)


@pytest.mark.parametrize("question", ["members", "care", "goal", "means", "period", "plan", "name"])
def test_a_question_that_is_not_answered_is_named(question: str) -> None:
    playbook = written()
    del playbook[question]
    with pytest.raises(Refused) as refusal:
        parse_plan(playbook)
    assert refusal.value.problems == (Problem(question, "", "missing"),)


def test_an_empty_playbook_is_told_everything_that_is_missing() -> None:
    with pytest.raises(Refused) as refusal:
        parse_plan({})
    assert [p.field for p in refusal.value.problems if p.code == "missing"] == [
        "plan",
        "name",
        "period",
        "members",
        "care",
        "goal",
        "means",
    ]


@pytest.mark.parametrize("nothing", [None, "text", 7, [], [written()]])
def test_what_is_no_mapping_is_no_playbook(nothing: object) -> None:
    with pytest.raises(Refused) as refusal:
        parse_plan(nothing)
    assert refusal.value.problems[0].code == "not_a_playbook"


def test_limits_are_told_with_the_problem_and_long_values_are_cut() -> None:
    with pytest.raises(Refused) as refusal:
        parse_plan(written(period={"working_days": 0}, plan="x" * 200))
    by_code = {problem.code: problem for problem in refusal.value.problems}
    assert by_code["too_small"].params == {"limit": "1"}
    assert len(by_code["not_an_id"].value) == 78


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 500) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["09:00Z", "2026-03-02", "09:00", "TIN", "completion_rate"]) | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def _paths(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    inner = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    )
    return found + [deeper for key, one in inner for deeper in _paths(one, (*path, key))]


FULL = written(
    calendar={"weekdays": [1, 2], "closed": ["2026-03-09"], "opened": []},
    day={"release": "09:00", "nudges": ["12:00"], "close": "21:00", "open_items": "expire"},
    check={"attribution_days": 14},
    act={"raise_at": 100, "lower_at": 60, "step": 5},
)


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(_paths(FULL)), value=JSON)
def test_whatever_stands_in_a_field_the_playbook_is_read_or_refused_with_its_problems(
    path: tuple[Any, ...], value: object
) -> None:
    def put(into: Any, at: tuple[Any, ...]) -> Any:
        if not at:
            return value
        if isinstance(into, list):
            return [put(one, at[1:]) if index == at[0] else one for index, one in enumerate(into)]
        return {key: put(one, at[1:]) if key == at[0] else one for key, one in into.items()}

    found: Plan | tuple[Problem, ...]
    try:
        found = parse_plan(put(FULL, path))
    except Refused as refusal:
        found = refusal.problems
    if isinstance(found, Plan):
        assert found.working_calendar.working_on_or_after(date(2026, 3, 2)) >= date(2026, 3, 2)
    else:
        assert found
        assert all(problem.field and problem.code for problem in found)


# --- against the world -------------------------------------------------------------------------------


def against(
    references: References = KNOWN, today: date = TODAY, **changes: Any
) -> list[tuple[str, str, str]]:
    found = check_plan(plan(**changes), references=references, today=today)
    return [(problem.field, problem.value, problem.code) for problem in found]


def test_nothing_stands_against_a_plan_that_fits_the_brand() -> None:
    assert against() == []
    assert against(today=date(2026, 3, 2)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"period": {"start": "2026-02-28"}}, ("period.start", "2026-02-28", "period_past")),
        ({"goal": {"by": "2026-03-01"}}, ("goal.by", "2026-03-01", "goal_before_start")),
        (
            {"members": {"bought_categories": ["TIN", "TEA"]}},
            ("members.bought_categories", "TEA", "unknown_category"),
        ),
        (with_means(days_per_unit={"TEA": 7}), ("means.0.days_per_unit", "TEA", "unknown_category")),
        ({"members": {"stores": ["S9"]}}, ("members.stores", "S9", "unknown_store")),
        ({"care": {"guides": ["G1", "G9"]}}, ("care.guides", "G9", "unknown_guide")),
        ({"care": {"without_guides": ["G9"]}}, ("care.without_guides", "G9", "unknown_guide")),
        (
            {"care": {"strategies": [{"strategy": "manual", "members": {"G9": ["M1"]}}]}},
            ("care.strategies.0.members", "G9", "unknown_guide"),
        ),
        (
            {"care": {"strategies": [{"strategy": "round_robin"}, {"strategy": "manual"}]}},
            ("care.strategies.1.members", "", "manual_without_members"),
        ),
    ],
)
def test_what_does_not_fit_the_brand_is_named(
    changes: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert against(**changes) == [expected]


def test_a_brand_without_guides_can_run_no_plan() -> None:
    assert against(replace(KNOWN, guides=frozenset())) == [("care.guides", "", "no_guides")]


def test_the_nearest_known_name_is_suggested() -> None:
    (problem,) = check_plan(
        plan(members={"bought_categories": ["SOFT DRINK"]}), references=KNOWN, today=TODAY
    )
    assert problem.params == {"nearest": "SOFT DRINKS"}
    assert nearest("soap bars", KNOWN.categories) == "SOAP"
    assert nearest("xyz", KNOWN.categories) is None
    assert nearest("TIN", frozenset()) is None


def test_the_playbook_that_comes_along_is_a_plan() -> None:
    text = files("playbooks").joinpath("replenishment.yaml").read_text(encoding="utf-8")
    assert parse_plan(yaml.safe_load(text)).plan == "replenishment-autumn"
