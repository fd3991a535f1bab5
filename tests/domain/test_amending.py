"""Late reports and corrections, example by example: whose work counts, what follows, what stands against them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from domain.errors import Refused
from domain.events import CheckedIn
from domain.standing import Bought, Cycle, Item, Left, stand
from tests.domain.amending_world import (
    GUIDE,
    HERSELF,
    OTHER,
    SOAP,
    SUPERVISOR,
    TIN,
    World,
    a_history,
    a_report,
    at,
    told,
)


def refused(call: Any, *arguments: Any, **more: Any) -> str:
    with pytest.raises(Refused) as refusal:
        call(*arguments, **more)
    (problem,) = refusal.value.problems
    return problem.code


def test_a_d_stays_whatever_was_said_later_by_somebody_who_did_not_know() -> None:
    world = World()
    world.report(a_report(SOAP, at(2, 14), "interested", grade="A", known_at=at(2, 15)))
    world.report(a_report(TIN, at(2, 10), "refused", grade="D", known_at=at(2, 16)))
    assert world.member.grade == "D"
    assert world.member.last_reached_at == at(2, 14)


def test_a_report_that_did_not_tell_the_d_is_not_the_d() -> None:
    world = World()
    world.report(a_report(TIN, at(2, 10), "refused", grade="D", known_at=at(2, 16)))
    later = a_report(SOAP, at(2, 14), "interested", grade="A", known_at=at(2, 17))
    world.report(later)
    assert stand(world.history).grades[SOAP, 2] == "D"
    # It came second, so it was decided by replaying: its own grade is what it told.
    assert world.member.grade == "D"


def test_the_third_dial_is_the_third_day_in_the_order_they_occurred() -> None:
    world = World()
    world.report(a_report(TIN, at(2), "no_answer"))
    world.report(a_report(SOAP, at(4), "no_answer"))
    assert world.rows[SOAP].state == "open"
    late = a_report(TIN, at(3), "no_answer", known_at=at(4, 11))
    world.report(late)
    assert (world.rows[TIN].state, world.rows[SOAP].state) == ("open", "unreached")
    assert world.member.dial_days == 3


def test_a_missed_call_brings_nothing_back_and_a_contact_finishes_it() -> None:
    world = World()
    world.report(a_report(TIN, at(2), "came"))
    world.history = replace(
        world.history, leavings=(Left(SOAP, at(2, 12), at(2, 12), "withdrawn", "do_not_contact"),)
    )
    missed, reached = a_report(SOAP, at(2, 13), "no_answer"), a_report(SOAP, at(2, 13), "came")
    for one, state in ((missed, "withdrawn"), (reached, "done")):
        assert stand(world.history.with_report(told(one, date(2026, 3, 2), 2))).items[SOAP].state == state


@pytest.mark.parametrize(("hour", "code"), [(10, None), (11, None), (12, "not_your_task")])
def test_what_was_done_while_the_item_was_hers_is_kept_after_it_moved(hour: int, code: str | None) -> None:
    world = World()
    world.move(TIN, OTHER, at(2, 11))
    report = a_report(TIN, at(2, hour), "came", known_at=at(2, 15))
    if code is not None:
        assert refused(world.report, report) == code
        return
    world.report(report)
    assert world.rows[TIN].state == "done"


def test_both_guides_of_an_item_that_moved_have_done_their_work() -> None:
    world = World()
    world.move(TIN, OTHER, at(2, 11))
    world.report(a_report(TIN, at(2, 14), "came", performed_by=OTHER, known_at=at(2, 15)))
    world.report(a_report(TIN, at(2, 10), "no_answer", known_at=at(2, 16)))
    assert (world.rows[TIN].state, world.rows[TIN].attempts) == ("done", 2)
    assert world.stands()[2] == {
        (GUIDE, date(2026, 3, 2)): [1, 0, 0], (OTHER, date(2026, 3, 2)): [1, 1, 0],
    }  # fmt: skip


@pytest.mark.parametrize("known_hour", [12, 15])
def test_whoever_could_know_that_it_was_done_is_told_so(known_hour: int) -> None:
    world = World()
    world.move(TIN, OTHER, at(2, 11))
    world.report(a_report(TIN, at(2, 10), "came", known_at=at(2, known_hour)))
    second = a_report(TIN, at(2, 14), "came", performed_by=OTHER, known_at=at(2, 16))
    if known_hour == 12:
        assert refused(world.report, second) == "task_closed"
        return
    world.report(second)
    assert world.rows[TIN].attempts == 2


def test_a_purchase_before_the_next_cycle_lifts_a_d_of_this_one_however_late_it_comes() -> None:
    items = (
        Item(TIN, 1, date(2026, 3, 2), at(2, 8), GUIDE),
        Item(SOAP, 2, date(2026, 3, 9), at(9, 8), GUIDE),
    )
    history = a_history(cycles=(Cycle(1, at(1), at(6, 22)), Cycle(2, at(9, 8))), items=items)
    history = history.with_report(told(a_report(TIN, at(2), "refused", grade="D"), date(2026, 3, 2), 2))
    assert stand(history).members[2].grade == "D"
    for bought, grade in (
        (Bought(at(5), at(5)), None),
        (Bought(at(5), at(10)), "D"),
        (Bought(at(1), at(1)), "D"),
    ):
        assert stand(replace(history, bought=(bought,))).members[2].grade == grade
    assert stand(replace(history, bought=(Bought(at(5), at(5)),))).members[1].grade == "D"


def test_what_was_open_at_the_end_of_its_cycle_has_expired_and_a_late_contact_still_counts() -> None:
    history = a_history(cycles=(Cycle(1, at(1), at(2, 22)),))
    assert {item.state for item in stand(history).items.values()} == {"expired"}
    late = history.with_report(told(a_report(TIN, at(2), "came"), date(2026, 3, 2), 2))
    assert stand(late).items[TIN].state == "done"


def test_a_recall_leaves_what_was_open_and_keeps_what_was_done_before() -> None:
    history = replace(a_history(), recalled_at=at(2, 12))
    report = told(a_report(TIN, at(2, 11), "came"), date(2026, 3, 2), 2)
    assert stand(history.with_report(report)).items[TIN].state == "done"
    assert stand(history).items[SOAP].state == "withdrawn"


@pytest.mark.parametrize(
    ("authority", "closed", "why", "void", "code"),
    [
        (HERSELF, False, "", False, None),
        (HERSELF, False, "", True, "correction_needs_reason"),
        (HERSELF, False, "r", True, None),
        (HERSELF, True, "r", False, "closed_day_is_the_supervisors"),
        (SUPERVISOR, False, "", False, "correction_needs_reason"),
        (SUPERVISOR, True, " ", False, "correction_needs_reason"),
        (SUPERVISOR, True, "r", False, None),
        (SUPERVISOR, True, "r", True, None),
    ],
)
def test_who_may_correct_what(authority: Any, closed: bool, why: str, void: bool, code: str | None) -> None:
    world = World()
    version = world.report(a_report(TIN, at(2), "no_answer"))
    known_at = at(3) if closed else at(2, 12)
    right = None if void else a_report(TIN, at(2), "came", known_at=known_at)
    call = {"known_at": known_at, "authority": authority, "why": why}
    if code is not None:
        assert refused(world.correct, TIN, version, right, **call) == code
        return
    amended = world.correct(TIN, version, right, **call)
    assert world.rows[TIN].state == ("open" if void else "done")
    assert amended.reopened == ()


def test_a_correction_that_reopens_an_item_says_so() -> None:
    world = World()
    version = world.report(a_report(TIN, at(2), "refused", grade="D"))
    world.settle(at(2, 12))
    assert world.rows[SOAP].reason == "declined"
    amended = world.correct(TIN, version, None, known_at=at(2, 13))
    assert set(amended.reopened) == {TIN, SOAP}
    assert set(amended.items) == {SOAP}


def test_an_ordinary_reports_payload_holds_nothing_it_has_no_use_for() -> None:
    ordinary: dict[str, Any] = {
        "plan": "p1", "cycle": 1, "member": GUIDE, "business_date": date(2026, 3, 2), "channel": "phone",
        "outcome": "came", "reached": True, "grade": None, "products": (), "next_on": None, "state": "done",
        "due_on": date(2026, 3, 2), "attempt": 1, "dial_days": 0,
    }  # fmt: skip
    rare = {"told_grade", "skew_s", "why", "why_hmac", "leaves_item", "leaves_member"}
    assert not rare & set(CheckedIn(**ordinary).payload())
    assert CheckedIn(**ordinary, told_grade=None).payload()["told_grade"] is None
