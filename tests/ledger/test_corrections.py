"""Corrections: a new check-in supersedes an earlier one, and everything stands as if it had been reported so."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from domain.errors import Conflict, NotFound, Refused
from domain.identifiers import derived_id
from ledger.late_reports import Why, report_late
from ledger.recorded import Recorded
from ledger.sequencer import sequence
from ledger.tasks import Moving, change_tasks
from ledger.verify import verify
from tests.brand import Brand, at, plan
from tests.ledger.test_replay import counted_otherwise

COUNTS = (
    "SELECT done, reached, carried, late, corrected, figures_version FROM guide_day WHERE state = 'closed'"
)
STANDS = (
    "SELECT t.state, t.reason, t.due_on, t.attempts, t.last_attempt_on, pm.grade, pm.dial_days, pm.last_dial_on,"
    " pm.last_reached_at FROM task t JOIN plan_member pm USING (tenant_id, plan_id, cycle, member_id) WHERE t.task_id = $1"
)
VALID = "SELECT version, guide_id, outcome, grade, corrects FROM check_in WHERE task_id = $1"


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    """G1 with members M1 to M3, all due on Monday, the list published."""
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    return guide


@pytest_asyncio.fixture
async def tasks(shop: Brand, guide: UUID) -> list[UUID]:
    """Monday's items, in the order of the list."""
    return [await shop.task(member) for member in await shop.listed(2, guide)]


def right(guide: UUID, outcome: str = "interested", hour: int = 10, **more: Any) -> dict[str, Any]:
    return {"performed_by": guide, "occurred_at": at(2, hour), "outcome": outcome} | more


async def refused(shop: Brand, *correction: Any, **more: Any) -> tuple[str, str]:
    """Field and code; nothing may have been written."""
    before = await shop.everything()
    with pytest.raises((Refused, NotFound)) as refusal:
        await shop.correct(*correction, **more)
    assert await shop.everything() == before
    error = refusal.value
    (problem,) = error.problems if isinstance(error, Refused) else (error.problem,)
    return problem.field, problem.code


@pytest.mark.parametrize(
    ("wrong", "correct"),
    [
        (("no_answer", None), ("interested", "A")),
        (("interested", "A"), ("no_answer", None)),
        (("refused", "D"), ("interested", "B")),
        (("interested", "B"), ("refused", "D")),
        (("interested", None), ("no_answer", "C")),
    ],
)
async def test_a_correction_stands_as_if_it_had_been_reported_in_the_first_place(
    shop: Brand, guide: UUID, tasks: list[UUID], wrong: tuple[str, str], correct: tuple[str, str]
) -> None:
    mistaken = await shop.report(tasks[0], guide, at(2, 10), wrong[0], grade=wrong[1])
    await shop.report(tasks[1], guide, at(2, 10), correct[0], grade=correct[1])
    done = await shop.correct(
        tasks[0], mistaken.version, at(2, 11), actor="guide", **right(guide, correct[0], grade=correct[1])
    )
    assert await shop.rows(STANDS, tasks[0]) == await shop.rows(STANDS, tasks[1])
    columns = "guide_id, business_date, occurred_at, channel, outcome, reached, grade, conflict, late"
    valid = [
        await shop.rows(f"SELECT {columns} FROM check_in WHERE task_id = $1", task) for task in tasks[:2]
    ]
    assert valid[0] == valid[1]
    assert (done.version, done.duplicate) == (3, False)
    assert await shop.rows(
        "SELECT version, superseded_by, superseded_at, voided FROM check_in_superseded"
    ) == [(2, 3, at(2, 11), False)]
    # An open day is counted when it closes.
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'day_recounted'") == 0


async def test_the_event_of_a_correction_says_all_of_it_and_keeps_its_reason_beside(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.report(
        tasks[0], guide, at(2, 10), "no_answer", note="rang twice", salt=b"s" * 16, command_id="r"
    )
    await shop.evening(2, guide)
    told = right(guide, "came", grade="A")
    await shop.correct(tasks[0], 2, at(3, 9), why="王小姐 says she answered", command_id="c", **told)
    (event,) = await shop.rows(
        "SELECT payload::text, actor, performed_by, occurred_at, known_at FROM event WHERE type = 'check_in_corrected'"
    )
    assert event[1:] == ("supervisor:1", str(guide), at(2, 10), at(3, 9))
    payload = json.loads(event[0])
    assert "王小姐" not in event[0]
    assert payload | {"member": "", "note_hmac": "", "why_hmac": ""} == {
        "supersedes": 2, "first_known_at": "2026-03-02T02:00:00Z", "closed_day": True, "plan": "p1", "cycle": 1,
        "member": "", "business_date": "2026-03-02", "channel": "phone", "outcome": "came", "reached": True,
        "grade": "A", "told_grade": "A", "products": [], "next_on": None, "late": False, "conflict": "", "skew_s": 0,
        "note": str(derived_id("note", "r")), "note_hmac": "", "asked": "",
        "device": None, "evidence": "",
        "why": str(derived_id("why", "c")), "why_hmac": "",
        "leaves_item": {"state": "done", "reason": None, "due_on": "2026-03-02", "attempts": 1,
                        "last_attempt_on": "2026-03-02"},
        "leaves_member": {"grade": "A", "dial_days": 0, "last_dial_on": None,
                          "last_reached_at": "2026-03-02T02:00:00Z"},
    }  # fmt: skip
    assert sorted(text for text, _ in await shop.notes()) == ["rang twice", "王小姐 says she answered"]


async def test_a_correction_of_a_closed_day_gives_its_figures_a_new_version(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    assert await refused(shop, tasks[0], 2, at(3, 9), **right(guide)) == ("reason", "correction_needs_reason")
    await shop.correct(tasks[0], 2, at(3, 9), why="it was the other way round", **right(guide))
    assert await shop.rows(COUNTS) == [(1, 1, 2, 0, 1, 2)]
    await shop.correct(tasks[0], 3, at(9, 9), why="it was not", **right(guide, "wrong_number"))
    assert await shop.rows(COUNTS) == [(1, 0, 2, 0, 1, 3)]
    assert (await shop.standing(tasks[0])) == ("open", None, date(2026, 3, 3))


async def test_a_void_leaves_the_item_as_if_nothing_had_been_reported(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    untouched = await shop.rows(STANDS, tasks[1])
    await shop.report(tasks[0], guide, at(2, 10), "refused", grade="D")
    assert await refused(shop, tasks[0], 2, at(2, 11)) == ("reason", "correction_needs_reason")
    await shop.correct(tasks[0], 2, at(2, 11), why="entered on the wrong item")
    assert await shop.rows(STANDS, tasks[0]) == untouched
    assert await shop.rows(VALID, tasks[0]) == []
    assert await shop.rows("SELECT version, voided, voided_by FROM check_in_superseded") == [
        (2, True, "supervisor:1")
    ]
    again = await shop.report(tasks[0], guide, at(2, 12), "came")
    assert (again.version, again.state) == (4, "done")
    await shop.evening(2, guide)
    await shop.correct(tasks[0], 4, at(3, 9), why="neither")
    assert await shop.rows(COUNTS) == [(0, 0, 3, 0, 0, 2)]


async def test_what_is_corrected_is_the_report_that_holds(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.report(tasks[0], guide, at(2, 10), "no_answer", note="n", salt=b"s" * 16)
    await shop.correct(tasks[0], 2, at(2, 11), **right(guide, "came"))
    await shop.correct(tasks[0], 3, at(2, 12), **right(guide, "bought"))
    before = await shop.everything()
    with pytest.raises(Refused) as refusal:
        await shop.correct(tasks[0], 2, at(2, 13), **right(guide, "came"))
    (problem,) = refusal.value.problems
    assert (problem.code, dict(problem.params)) == ("check_in_superseded", {"by": 4})
    assert await shop.everything() == before
    for version in (1, 9):
        assert await refused(shop, tasks[0], version, at(2, 13), **right(guide)) == (
            "version",
            "unknown_check_in",
        )
    assert await refused(shop, tasks[1], 2, at(2, 13), **right(guide)) == ("version", "unknown_check_in")
    assert await refused(shop, tasks[0], 4, at(2, 13), **right(guide, "bought")) == (
        "version",
        "nothing_to_correct",
    )


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        ({"occurred_at": at(2, 12)}, ("occurred_at", "occurred_in_future")),
        ({"outcome": "no_answer", "grade": "A"}, ("grade", "grade_without_contact")),
        ({"next_on": date(2026, 4, 1)}, ("next_on", "next_date_outside_cycle")),
        ({"performed_by": derived_id("nobody")}, ("performed_by", "not_your_task")),
        ({"occurred_at": at(1, 12)}, ("occurred_at", "before_task")),
    ],
)
async def test_what_could_not_have_been_reported_is_no_correction(
    shop: Brand, guide: UUID, tasks: list[UUID], report: dict[str, Any], problem: tuple[str, str]
) -> None:
    await shop.report(tasks[0], guide, at(2, 10), "came")
    assert await refused(shop, tasks[0], 2, at(2, 11), why="w", **(right(guide) | report)) == problem


async def test_what_a_mistaken_d_took_off_comes_back(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    await shop.morning(2, guide)
    tin, soap = [await shop.task(member, category=category) for category in ("TIN", "SOAP")]
    await shop.report(tin, guide, at(2, 10), "refused", grade="D")
    await shop.purchases.settle_purchases(shop.day(2, 12))
    assert (await shop.standing(soap))[:2] == ("withdrawn", "declined")
    await shop.correct(tin, 2, at(2, 13), **right(guide, "interested", grade="B"))
    assert (await shop.standing(soap))[:2] == ("open", None)
    (restated,) = await shop.rows(
        "SELECT stream, payload->'leaves_item'->>'state' FROM event WHERE type = 'task_restated'"
    )
    assert restated == (f"task/{soap}", "open")
    assert await shop.rows("SELECT grade FROM plan_member") == [("B",)]


@pytest.mark.parametrize("anybody", [True, False])
async def test_an_item_that_is_open_again_goes_to_who_looks_after_the_member_by_now(
    shop: Brand, guide: UUID, tasks: list[UUID], anybody: bool
) -> None:
    other = await shop.hire("G2")
    await shop.report(tasks[0], guide, at(2, 10), "came")
    # Her members moved meanwhile; what was done stayed with her.
    await shop.execute("UPDATE plan_member SET guide_id = $1", other if anybody else None)
    await shop.correct(tasks[0], 2, at(2, 11), why="not called at all")
    expected = (other, "open", None) if anybody else (guide, "expired", "no_guide")
    assert await shop.rows("SELECT guide_id, state, reason FROM task WHERE task_id = $1", tasks[0]) == [
        expected
    ]
    last = await shop.value(
        "SELECT type FROM event WHERE stream = $1 ORDER BY version DESC LIMIT 1", f"task/{tasks[0]}"
    )
    assert last == ("task_reassigned" if anybody else "task_left")


async def test_credit_goes_where_it_belongs_and_both_guides_days_are_counted_anew(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2")
    other = await shop.hire("G2")
    by_hand = [{"strategy": "manual", "members": {"G1": ["M1"], "G2": ["M2"]}}]
    await shop.start(plan(care={"strategies": by_hand}))
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide, other)
    (member,) = await shop.listed(2, guide)
    task = await shop.task(member)
    async with shop.ledger.transaction() as connection:
        moving = [Moving(task, 0, guide, other)]
        await change_tasks(connection, 1, shop.command(when=at(2, 11)), moving=moving)
    await shop.report(task, other, at(2, 12), "came")
    await shop.evening(2, guide, other)
    await shop.correct(task, 3, at(3, 9), why="it was the other's call, before", **right(guide, "came", 10))
    assert await shop.rows(VALID, task) == [(4, guide, "came", None, 3)]
    assert await shop.rows("SELECT conflict FROM check_in") == [("reassigned",)]
    days = await shop.rows(
        "SELECT guide_id, listed, done, carried, corrected, figures_version FROM guide_day"
    )
    assert sorted(days) == sorted([(guide, 1, 1, 0, 1, 2), (other, 1, 0, 1, 0, 2)])


async def test_a_correction_to_another_day_counts_both_days_anew(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.evening(2, guide)
    await shop.morning(3, guide)
    await shop.report(tasks[0], guide, at(3, 10), "came")
    await shop.evening(3, guide)
    await shop.correct(tasks[0], 2, at(4, 9), why="the day before", **right(guide, "came"))
    assert await shop.rows(f"{COUNTS} ORDER BY business_date") == [(1, 1, 2, 1, 1, 2), (0, 0, 2, 0, 0, 2)]
    assert await shop.rows("SELECT business_date, late FROM check_in") == [(date(2026, 3, 2), True)]


VERSIONS = "SELECT done, reached, carried, figures_version FROM guide_day ORDER BY business_date"


async def test_later_closed_days_that_listed_the_item_are_counted_anew_where_it_changes_them(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    for task in tasks[:2]:
        await shop.report(task, guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    for day in (3, 4):
        await shop.morning(day, guide)
        await shop.evening(day, guide)
    stream = f"guide-day/{guide}/2026-03-03"
    sealed = await shop.rows("SELECT version, hash FROM event WHERE stream = $1 ORDER BY version", stream)
    assert await shop.rows(VERSIONS) == [(2, 0, 1, 1), (0, 0, 3, 1), (0, 0, 3, 1)]
    # What changes nothing on later days leaves them as they are.
    await shop.correct(tasks[0], 2, at(5, 9), why="another reason", **right(guide, "unreachable"))
    assert await shop.rows(VERSIONS) == [(2, 0, 1, 2), (0, 0, 3, 1), (0, 0, 3, 1)]
    # Nothing was left open on them that had been done before.
    await shop.correct(tasks[0], 3, at(5, 9), why="she came", **right(guide, "came"))
    assert await shop.rows(VERSIONS) == [(2, 1, 1, 3), (0, 0, 2, 2), (0, 0, 2, 2)]
    await shop.correct(tasks[0], 4, at(5, 10), why="she did not", **right(guide, "no_answer"))
    assert await shop.rows(VERSIONS) == [(2, 0, 1, 4), (0, 0, 3, 3), (0, 0, 3, 3)]
    assert await counted_otherwise(shop.ledger) == []
    events = await shop.rows("SELECT version, hash FROM event WHERE stream = $1 ORDER BY version", stream)
    assert events[: len(sealed)] == sealed
    told = await shop.value("SELECT payload->>'cause_stream' FROM event WHERE stream = $1 ORDER BY version DESC LIMIT 1",
                            stream)  # fmt: skip
    assert told == f"task/{tasks[0]}"


async def test_a_late_fact_reaches_later_closed_days_too_whoever_had_the_item_by_then(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    other = await shop.hire("G2")
    await shop.evening(2, guide)
    async with shop.ledger.transaction() as connection:
        moving = [Moving(tasks[0], 0, guide, other)]
        await change_tasks(connection, 1, shop.command(when=at(2, 22)), moving=moving)
    await shop.morning(3, guide, other)
    await shop.evening(3, guide, other)
    late = shop.report_command(tasks[0], guide, at(2, 18), "came", known_at=at(4, 9))
    await report_late(shop.ledger, late, why=Why("her phone was lost", b"w" * 16))
    days = await shop.rows(
        "SELECT guide_id, business_date, done, carried, figures_version FROM guide_day ORDER BY business_date, done"
    )
    first, second = date(2026, 3, 2), date(2026, 3, 3)
    assert sorted(days) == sorted([
        (guide, first, 1, 2, 2), (guide, second, 0, 2, 1), (other, second, 0, 0, 2)
    ])  # fmt: skip
    assert await counted_otherwise(shop.ledger) == []


async def test_what_expired_on_a_later_day_that_the_item_was_done_before_did_not_expire(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start(plan(day={"open_items": "expire"}))
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    await shop.morning(2, guide)
    task = UUID(str(await shop.value("SELECT task_id FROM task")))
    await shop.report(task, guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    await shop.morning(3, guide)
    await shop.evening(3, guide)
    expired = "SELECT (payload->>'expired')::int FROM event WHERE stream = $1 AND payload ? 'expired' ORDER BY version"
    assert await shop.rows(expired, f"guide-day/{guide}/2026-03-03") == [(1,)]
    await shop.correct(task, 2, at(4, 9), why="she came", **right(guide, "came"))
    assert await shop.rows(expired, f"guide-day/{guide}/2026-03-03") == [(1,), (0,)]
    assert await counted_otherwise(shop.ledger) == []


async def test_a_later_day_that_is_being_closed_counts_the_correction_or_is_counted_by_it(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    for task in tasks:
        await shop.report(task, guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    await shop.morning(3, guide)
    await asyncio.gather(
        shop.evening(3, guide),
        *(shop.correct(task, 2, at(3, 20), why="w", **right(guide, "came")) for task in tasks),
    )
    assert await counted_otherwise(shop.ledger) == []
    assert await shop.value("SELECT carried FROM guide_day WHERE business_date = '2026-03-03'") == 0


async def test_the_same_correction_sent_many_times_at_once_counts_once(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    done = await asyncio.gather(
        *(shop.correct(tasks[0], 2, at(2, 11), command_id="x", **right(guide, "came")) for _ in range(5))
    )
    assert sorted(one.duplicate for one in done) == [False] + [True] * 4
    assert {(one.version, one.state) for one in done} == {(3, "done")}


async def test_of_two_corrections_at_once_one_holds(shop: Brand, guide: UUID, tasks: list[UUID]) -> None:
    await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    done = await asyncio.gather(
        *(
            shop.correct(tasks[0], 2, at(3, 9), why="w", **right(guide, outcome))
            for outcome in ("came", "bought")
        ),
        shop.report(tasks[1], guide, at(2, 18), "came", known_at=at(3, 9)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Recorded) for one in done) == 2
    assert sum(isinstance(one, Refused | Conflict) for one in done) == 1
    assert await shop.rows(COUNTS) == [(2, 2, 1, 1, 1, 3)]
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
        assert (await verify(connection, 1)).differences == ()
