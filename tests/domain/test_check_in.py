"""What a check-in does to an item, and what stands against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.check_in import NOT_REACHED, CheckIn, Grade, Outcome, TaskBefore, decide_check_in, in_order
from domain.errors import Refused
from domain.events import CheckedIn
from domain.identifiers import derived_id

GUIDE, OTHER = derived_id("guide", "1"), derived_id("guide", "2")
ON, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
CLOSE = datetime(2026, 3, 2, 13, tzinfo=UTC)
TASK = TaskBefore(
    task_id=derived_id("task", "1"),
    plan_id="p1",
    cycle=1,
    member_id=derived_id("member", "1"),
    guide_id=GUIDE,
    state="open",
    due_on=ON,
    attempts=0,
    last_attempt_on=None,
    cycle_ends_on=date(2026, 3, 11),
    grade=None,
    dial_days=0,
    attempted_that_day=False,
    dialled_that_day=False,
    opted_out=False,
    made_at=datetime(2026, 3, 1, tzinfo=UTC),
    last_reached_at=None,
    day_closes_at=CLOSE,
    day_closed=False,
)


def report(outcome: Outcome = "came", **more: Any) -> CheckIn:
    told = {
        "command_id": "c1",
        "task_id": TASK.task_id,
        "performed_by": GUIDE,
        "actor": "guide:1",
        "occurred_at": NOON,
        "known_at": NOON,
        "channel": "phone",
        "outcome": outcome,
    }
    return CheckIn.model_validate(told | more)


def decide(task: TaskBefore, command: CheckIn) -> CheckedIn:
    return decide_check_in(task, command, on=ON, next_working_day=TOMORROW)


def objection(task: TaskBefore, command: CheckIn) -> tuple[str, str, str]:
    with pytest.raises(Refused) as refusal:
        decide(task, command)
    (problem,) = refusal.value.problems
    return problem.field, problem.value, problem.code


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_every_outcome_but_no_answer_wrong_number_and_unreachable_reaches_the_member(
    outcome: Outcome,
) -> None:
    event = decide(TASK, report(outcome))
    assert event.reached == (outcome not in {"no_answer", "wrong_number", "unreachable"})
    assert (event.state, event.due_on) == (("done", ON) if event.reached else ("open", TOMORROW))
    assert event.attempt == 1


@pytest.mark.parametrize(
    ("task", "command", "expected"),
    [
        (TASK, report(performed_by=OTHER), ("performed_by", str(OTHER), "not_your_task")),
        (replace(TASK, opted_out=True), report(), ("task_id", str(TASK.task_id), "member_opted_out")),
        (replace(TASK, grade="D"), report(), ("task_id", str(TASK.task_id), "member_declined")),
        (replace(TASK, state="done"), report(), ("task_id", str(TASK.task_id), "task_closed")),
        (
            TASK,
            report(known_at=NOON - timedelta(microseconds=1)),
            ("occurred_at", NOON.isoformat(), "occurred_in_future"),
        ),
        (TASK, report("no_answer", grade="B"), ("grade", "B", "grade_without_contact")),
        (TASK, report(next_on=ON), ("next_on", "2026-03-02", "next_date_outside_cycle")),
        (TASK, report(next_on=date(2026, 3, 12)), ("next_on", "2026-03-12", "next_date_outside_cycle")),
        (
            TASK,
            report(occurred_at=CLOSE + timedelta(seconds=1), known_at=CLOSE + timedelta(seconds=1)),
            ("occurred_at", (CLOSE + timedelta(seconds=1)).isoformat(), "after_close"),
        ),
        (
            replace(TASK, day_closed=True),
            report(known_at=CLOSE + timedelta(hours=24, seconds=1)),
            ("known_at", (CLOSE + timedelta(hours=24, seconds=1)).isoformat(), "after_grace"),
        ),
        (replace(TASK, attempted_that_day=True), report(), ("task_id", str(TASK.task_id), "already_today")),
    ],
)
def test_what_stands_against_a_check_in_is_refused_with_field_value_and_code(
    task: TaskBefore, command: CheckIn, expected: tuple[str, str, str]
) -> None:
    assert objection(task, command) == expected


def test_a_late_check_in_is_marked_late() -> None:
    closed = replace(TASK, day_closed=True)
    assert decide(closed, report(known_at=CLOSE + timedelta(hours=24))).late
    assert not decide(TASK, report(known_at=CLOSE + timedelta(hours=2))).late


def test_a_next_date_keeps_a_reached_item_open_unless_the_member_declined() -> None:
    friday = date(2026, 3, 6)
    assert decide(TASK, report("interested", next_on=friday)).due_on == friday
    assert decide(TASK, report("interested", next_on=friday)).state == "open"
    assert decide(TASK, report("refused", next_on=friday, grade="D")).state == "done"


@pytest.mark.parametrize(("before", "state", "after"), [(0, "open", 1), (1, "open", 2), (2, "unreached", 3)])
def test_the_third_day_without_reaching_the_member_is_the_last(before: int, state: str, after: int) -> None:
    event = decide(replace(TASK, dial_days=before), report("no_answer"))
    assert (event.state, event.dial_days) == (state, after)


def test_nobody_can_have_called_before_the_item_was_made() -> None:
    with pytest.raises(Refused) as refused:
        decide(replace(TASK, made_at=NOON + timedelta(minutes=1)), report("came"))
    assert [problem.code for problem in refused.value.problems] == ["before_task"]


@pytest.mark.parametrize(
    "standing",
    [
        {"state": "done"},
        {"state": "expired"},
        {"guide_id": OTHER},
        {"grade": "D"},
        {"day_closed": True},
        {"later_cycle": True},
        {"recalled_at": NOON},
        {"attempted_that_day": True},
        {"dialled_that_day": True},
        {"last_attempt_on": TOMORROW},
        {"last_dial_on": TOMORROW},
        {"last_reached_at": NOON + timedelta(seconds=1)},
    ],
)
def test_a_report_is_in_order_where_nothing_later_is_known_and_nothing_is_against_it(
    standing: dict[str, Any],
) -> None:
    assert in_order(TASK, report("no_answer"), ON)
    assert not in_order(replace(TASK, **standing), report("no_answer"), ON)


@settings(max_examples=200, deadline=None)
@given(
    before=st.none() | st.sampled_from(get_args(Grade)[:3]),
    told=st.none() | st.sampled_from(get_args(Grade)),
    outcome=st.sampled_from(get_args(Outcome)),
)
def test_c_is_only_for_members_never_graded_a_or_b(
    before: str | None, told: str | None, outcome: Outcome
) -> None:
    command = report(outcome, grade=told)
    if outcome in NOT_REACHED and told not in (None, "C"):
        assert objection(replace(TASK, grade=before), command)[2] == "grade_without_contact"
        return
    after = decide(replace(TASK, grade=before), command).grade
    if before in ("A", "B"):
        assert after == (told if told in ("A", "B", "D") else before)
    elif outcome in NOT_REACHED:
        assert after == "C"
    else:
        assert after == (told or before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "shouted"},
        {"channel": "pigeon"},
        {"grade": "E"},
        {"command_id": ""},
        {"occurred_at": datetime(2026, 3, 2, 4)},  # noqa: DTZ001 - naive on purpose
        {"note": "x" * 2001},
        {"surprise": 1},
    ],
)
def test_a_report_of_another_form_is_no_check_in(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        report(**wrong)
    assert error.value.errors()[0]["loc"][0] == next(iter(wrong))
