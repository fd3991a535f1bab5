"""The evening: points and the weak stage of a guide's day, and from when a store's day may be closed."""

from __future__ import annotations

from datetime import date, time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Refused
from domain.evening import (
    STAGES,
    ScoreRule,
    Stage,
    add_sheets,
    check_rule,
    may_close,
    score,
    unasked,
)
from domain.rate import Rate

RULE = ScoreRule(
    reached=40,
    success=8,
    points={"calls": 50, "invitations": 30, "reached": 10, "success": 10},
    penalty_below=50,
    penalty=5,
)
COUNTS = {"calls": 45, "invitations": 24, "reached": 36, "success": 3}


def test_every_stage_is_scored_against_its_target() -> None:
    """50 calls and 30 invitations are asked for: 45 and 24 are 90 % and 80 %; of 8 successes 3 cost the penalty."""
    sheet = score(COUNTS, calls=50, invitations=30, rule=RULE)
    assert [(one.stage, one.share, one.points, one.most) for one in sheet.stages] == [
        ("calls", Rate(45, 50), 45, 50),
        ("invitations", Rate(24, 30), 24, 30),
        ("reached", Rate(36, 40), 9, 10),
        ("success", Rate(3, 8), 3 - 5, 10),
    ]
    assert (sheet.points, sheet.most, sheet.weak_stage) == (76, 100, "success")


def test_where_a_brand_says_nothing_only_the_days_norm_is_scored() -> None:
    sheet = score(COUNTS, calls=50, invitations=30, rule=ScoreRule())
    assert [(one.target, one.points) for one in sheet.stages] == [(50, 45), (30, 24), (None, 0), (None, 0)]
    assert (sheet.points, sheet.most, sheet.weak_stage) == (69, 80, "invitations")


def test_more_than_was_asked_earns_no_more_and_makes_up_for_no_other_stage() -> None:
    sheet = score({"calls": 80, "invitations": 29}, calls=50, invitations=30, rule=ScoreRule())
    assert [(one.share, one.points) for one in sheet.stages[:2]] == [(Rate(80, 50), 50), (Rate(29, 30), 29)]
    assert sheet.weak_stage == "invitations"


def test_two_stages_of_the_same_share_are_told_by_the_order_of_the_day() -> None:
    sheet = score({"calls": 25, "invitations": 15, "reached": 20}, calls=50, invitations=30, rule=RULE)
    assert sheet.weak_stage == "success"
    same = score({"calls": 25, "invitations": 15}, calls=50, invitations=30, rule=ScoreRule())
    assert same.weak_stage == "calls"


@pytest.mark.parametrize("target", [None, 0])
def test_a_stage_of_which_nothing_was_asked_has_no_target_and_is_never_weak(target: int | None) -> None:
    """0: booked visits took all of a guide's invitations off. None: targets were not told on that day."""
    sheet = score({"calls": 10}, calls=50, invitations=target, rule=ScoreRule())
    assert (sheet.stages[1].target, sheet.stages[1].share, sheet.weak_stage) == (None, None, "calls")
    nothing = score({"calls": 10}, calls=target, invitations=target, rule=ScoreRule())
    assert (nothing.points, nothing.most, nothing.weak_stage) == (0, 0, None)


def test_of_who_was_absent_nothing_is_asked() -> None:
    sheet = unasked({"calls": 3})
    assert (sheet.stages[0].count, sheet.points, sheet.most, sheet.weak_stage) == (3, 0, 0, None)


def test_a_stores_sheet_adds_up_and_leaves_out_targets_of_who_was_not_asked() -> None:
    one = score({"calls": 50, "invitations": 20}, calls=50, invitations=20, rule=ScoreRule())
    two = score({"calls": 25, "invitations": 35}, calls=50, invitations=35, rule=ScoreRule())
    store = add_sheets([one, two, unasked({"calls": 3})])
    assert [(line.count, line.target, line.points) for line in store.stages[:2]] == [
        (78, 100, 75),
        (55, 55, 60),
    ]
    assert (store.weak_stage, add_sheets([]).weak_stage) == ("calls", None)


@given(
    st.fixed_dictionaries({stage: st.integers(0, 120) for stage in STAGES}),
    st.none() | st.integers(0, 60),
    st.none() | st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_no_stage_earns_more_than_its_points_and_none_is_weaker_than_the_weak_one(
    counts: dict[Stage, int], calls: int | None, invitations: int | None, reached: int, success: int
) -> None:
    sheet = score(
        counts,
        calls=calls,
        invitations=invitations,
        rule=ScoreRule(reached=reached, success=success),
    )
    assert all(0 <= one.points <= one.most for one in sheet.stages)
    assert all(
        (one.points == one.most) == (one.count >= (one.target or 0)) for one in sheet.stages if one.most
    )
    shares = {one.stage: Fraction(one.count, one.target) for one in sheet.stages if one.target}
    assert (sheet.weak_stage is None) == (not shares)
    assert sheet.weak_stage is None or shares[sheet.weak_stage] == min(shares.values())


def test_a_rule_says_all_that_is_wrong_with_it_and_never_changes_a_day_under_way() -> None:
    today = date(2026, 3, 2)
    with pytest.raises(Refused) as refused:
        check_rule(ScoreRule(reached=-1, penalty_below=101, points={"calls": 1_001}), today, today)
    assert [(one.field, one.code) for one in refused.value.problems] == [
        ("from_on", "rule_of_the_past"),
        ("reached", "not_between"),
        ("points.calls", "not_between"),
        ("penalty_below", "not_between"),
    ]
    check_rule(RULE, date(2026, 3, 3), today)


def test_a_day_is_closed_from_its_hour_on_and_not_before() -> None:
    may_close(time(18), time(18), "S1")
    with pytest.raises(Refused) as refused:
        may_close(time(17, 59, 59), time(18), "S1")
    (problem,) = refused.value.problems
    assert (problem.code, problem.value, problem.params) == ("close_too_early", "S1", {"from": "18:00"})
