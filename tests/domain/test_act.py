"""Act: three levers, each with its reason and figures; and the goal that follows the result."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.act import adjust_goal, goal_by_result, measured, replace_guide, tune_means
from domain.errors import Refused
from domain.figures import Figures
from domain.plan import Plan
from tests.brand import plan

WHY: dict[str, Any] = {"reason": "the figures", "figures": {"due": 100}}
FIGURES = Figures(
    due=100, attempted=90, followed_up=80, window_closed=60, provisional=20, succeeded=15,
    repurchased=30, members_at_start=120, revenue=5_000_50,
)  # fmt: skip


def refusal(call: Any, *arguments: Any, **more: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(Refused) as refused:
        call(*arguments, **(WHY | more))
    return [(problem.field, problem.value, problem.code) for problem in refused.value.problems]


def test_the_goal_lever_leaves_before_after_reason_and_figures() -> None:
    adjusted = adjust_goal(plan(), Decimal(90), **WHY)
    assert (adjusted.lever, adjusted.change) == ("goal", {"target": {"before": "80", "after": "90"}})
    assert (adjusted.reason, adjusted.figures) == ("the figures", {"due": 100})
    assert Plan.model_validate(adjusted.spec) == plan(goal={"target": 90})


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("80", "nothing_to_change"),
        ("100.1", "rate_above_100"),
        ("0", "too_small_exclusive"),
        ("-5", "too_small_exclusive"),
        ("NaN", "not_a_number"),
        ("Infinity", "not_a_number"),
    ],
)
def test_a_goal_that_cannot_be_is_refused(target: str, code: str) -> None:
    assert refusal(adjust_goal, plan(), Decimal(target)) == [("goal.target", target, code)]


def test_a_new_script_counts_its_version_up() -> None:
    adjusted = tune_means(plan(), script="Good evening", **WHY)
    assert adjusted.lever == "means"
    assert adjusted.change == {
        "script": {"before": "Hello", "after": "Good evening"},
        "script_version": {"before": "1", "after": "2"},
    }
    means = Plan.model_validate(adjusted.spec).means[0]
    assert (means.script, means.script_version, means.days_per_unit["TIN"]) == ("Good evening", 2, 7)


def test_other_lead_days_leave_the_script_as_it_is() -> None:
    adjusted = tune_means(plan(), lead_days=7, script="Hello", **WHY)
    assert adjusted.change == {"lead_days": {"before": "5", "after": "7"}}


def test_means_that_cannot_be_or_do_not_change_are_refused() -> None:
    assert refusal(tune_means, plan()) == [("means.0", "Reminder", "nothing_to_change")]
    assert refusal(tune_means, plan(), script="Hello", lead_days=5)[0][2] == "nothing_to_change"
    assert refusal(tune_means, plan(), lead_days=91) == [("means.0.lead_days", "91", "outside_range")]
    assert refusal(tune_means, plan(), lead_days=-1) == [("means.0.lead_days", "-1", "outside_range")]
    assert refusal(tune_means, plan(), script=" ") == [("means.0.script", " ", "empty")]
    assert [code for *_, code in refusal(tune_means, plan(), script="", lead_days=91)] == [
        "outside_range",
        "empty",
    ]


def test_the_people_lever_replaces_a_guide() -> None:
    named = plan(care={"guides": ["G1", "G2", "G3"]})
    adjusted = replace_guide(named, leaving="G1", replacement="G3", **WHY)
    assert (adjusted.lever, adjusted.change) == ("people", {"guide": {"before": "G1", "after": "G3"}})
    assert Plan.model_validate(adjusted.spec).care.guides == ("G2", "G3")


def test_a_replaced_guide_does_not_come_back_where_the_plan_names_no_guides() -> None:
    left = Plan.model_validate(replace_guide(plan(), leaving="G1", replacement="G2", **WHY).spec)
    assert left == plan(care={"without_guides": ["G1"]})
    assert (left.care.takes_part("G1"), left.care.takes_part("G2")) == (False, True)
    back = Plan.model_validate(replace_guide(left, leaving="G2", replacement="G1", **WHY).spec)
    assert (back.care.takes_part("G1"), back.care.takes_part("G2")) == (True, False)
    again = Plan.model_validate(replace_guide(left, leaving="G1", replacement="G3", **WHY).spec)
    assert again.care.without_guides == ("G1",)


def test_members_given_to_the_leaving_guide_by_hand_go_to_the_replacement() -> None:
    by_hand = {"G1": ["M1", "M2"], "G2": ["M3", "M1"], "G4": ["M4"]}
    named = plan(
        care={
            "strategies": [
                {"strategy": "manual", "members": by_hand},
                {"strategy": "manual", "members": {"G1": ["M5"]}},
                {"strategy": "round_robin"},
            ]
        }
    )
    steps = Plan.model_validate(
        replace_guide(named, leaving="G1", replacement="G2", **WHY).spec
    ).care.strategies
    assert [step.members for step in steps] == [
        {"G2": ("M3", "M1", "M2"), "G4": ("M4",)},
        {"G2": ("M5",)},
        {},
    ]


def test_a_replacement_that_cannot_be_is_refused() -> None:
    named = plan(care={"guides": ["G1"]})
    assert refusal(replace_guide, named, leaving="G1", replacement="G1") == [
        ("replacement", "G1", "nothing_to_change")
    ]
    assert refusal(replace_guide, named, leaving="G9", replacement="G1") == [
        ("leaving", "G9", "guide_not_in_plan")
    ]


@pytest.mark.parametrize("reason", ["", "  "])
def test_no_lever_is_pulled_without_a_reason(reason: str) -> None:
    expected = [("reason", reason, "reason_missing")]
    assert refusal(adjust_goal, plan(), Decimal(90), reason=reason) == expected
    assert refusal(tune_means, plan(), lead_days=7, reason=reason) == expected
    assert refusal(replace_guide, plan(), leaving="G1", replacement="G2", reason=reason) == expected


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("completion_rate", Decimal("80.0")),
        ("success_rate", Decimal("25.0")),
        ("repurchase_rate", Decimal("25.0")),
        ("revenue", Decimal("5000.50")),
        ("members", Decimal(80)),
    ],
)
def test_the_result_is_measured_as_the_goal_is_set(measure: str, expected: Decimal) -> None:
    assert measured(plan(goal={"measure": measure}), FIGURES) == expected


def by_result(followed_up: int, *, target: int = 80, measure: str = "completion_rate", **act: Any) -> Any:
    rule = {"raise_at": 100, "lower_at": 60, "step": 5} | act
    figures = Figures(due=100, followed_up=followed_up, revenue=followed_up * 100)
    return goal_by_result(plan(goal={"target": target, "measure": measure}, act=rule), figures)


@pytest.mark.parametrize(
    ("followed_up", "expected"),
    [
        (80, ("raise", Decimal(85))),
        (100, ("raise", Decimal(85))),
        (79, ("keep", Decimal(80))),
        (48, ("keep", Decimal(80))),
        (47, ("lower", Decimal(75))),
        (0, ("lower", Decimal(75))),
    ],
)
def test_a_goal_reached_rises_one_missed_by_far_falls_else_it_is_kept(
    followed_up: int, expected: tuple[str, Decimal]
) -> None:
    assert by_result(followed_up) == expected


def test_a_rate_never_rises_above_100_and_no_goal_falls_to_nothing() -> None:
    assert by_result(100, target=98) == ("raise", Decimal(100))
    assert by_result(100, target=100) == ("keep", Decimal(100))
    assert by_result(0, target=5) == ("keep", Decimal(5))
    assert by_result(120, target=98, measure="revenue") == ("raise", Decimal(103))


def test_without_a_rule_or_a_result_the_goal_is_kept() -> None:
    assert by_result(100, raise_at=None, lower_at=None) == ("keep", Decimal(80))
    assert by_result(0, lower_at=None) == ("keep", Decimal(80))
    assert by_result(100, raise_at=None) == ("keep", Decimal(80))
    nothing_due = goal_by_result(plan(act={"lower_at": 60}), Figures())
    assert nothing_due == ("keep", Decimal(80))
