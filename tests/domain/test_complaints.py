"""What reports do to a complaint's case, and what may be done to one when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.complaints import ANSWER_HOURS, deadline, objection, step_of
from tests.brand import plan


def test_a_complaint_should_be_answered_within_a_day_where_the_plan_says_nothing_else() -> None:
    occurred = datetime(2026, 3, 2, 2, tzinfo=UTC)
    assert plan().complaints.answer_hours == ANSWER_HOURS == 24
    assert deadline(occurred, ANSWER_HOURS) - occurred == timedelta(days=1)
    assert plan(complaints={"answer_hours": 48}).complaints.answer_hours == 48


@pytest.mark.parametrize(
    ("before", "after", "step"),
    [
        (False, True, "open"),
        (True, True, "move"),
        (True, False, "withdraw"),
        (False, False, None),
    ],
)
def test_a_case_follows_its_report(before: bool, after: bool, step: str | None) -> None:
    assert step_of(before=before, after=after) == step


@pytest.mark.parametrize(
    ("state", "answers", "closes"),
    [("open", True, True), ("answered", False, True), ("closed", False, False), ("withdrawn", False, False)],
)
def test_a_case_is_answered_once_and_closed_once(state: str, answers: bool, closes: bool) -> None:
    assert (objection("c", state, closes=False) is None, objection("c", state, closes=True) is None) == (
        answers,
        closes,
    )
