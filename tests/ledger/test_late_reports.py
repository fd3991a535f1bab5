"""Facts that come late: they count, their day is counted anew, and what is closed stays closed."""

from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from domain.errors import NotFound, Refused
from domain.identifiers import derived_id
from ledger.late_reports import Why, report_late
from ledger.recounting import count_days
from ledger.sequencer import sequence
from ledger.tasks import Moving, change_tasks
from ledger.today import read_todays_list
from ledger.verify import verify
from tests.brand import MONDAY, Brand, at, plan

COUNTS = "SELECT listed, done, reached, carried, late, corrected, figures_version FROM guide_day WHERE state = 'closed'"
WHY = Why("her phone was lost", b"w" * 16)


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    """G1 with members M1 to M4, all due on Monday, the list published."""
    await shop.due_on(2, "M1", "M2", "M3", "M4")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    return guide


@pytest_asyncio.fixture
async def tasks(shop: Brand, guide: UUID) -> list[UUID]:
    """Monday's items, in the order of the list."""
    return [await shop.task(member) for member in await shop.listed(2, guide)]


async def refused(shop: Brand, *report: Any, **more: Any) -> tuple[str, str]:
    """Field and code; nothing may have been written."""
    before = await shop.everything()
    with pytest.raises(Refused) as refusal:
        await shop.report(*report, **more)
    assert await shop.everything() == before
    (problem,) = refusal.value.problems
    return problem.field, problem.code


async def hand_over(shop: Brand, task: UUID, before: UUID, after: UUID, hour: int) -> None:
    async with shop.ledger.transaction() as connection:
        attempts = await connection.fetchval("SELECT attempts FROM task WHERE task_id = $1", task)
        command = shop.command(when=at(2, hour))
        assert await change_tasks(connection, 1, command, moving=[Moving(task, attempts, before, after)])


async def test_a_late_fact_gives_the_days_figures_a_new_version_and_leaves_the_close_as_it_was(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.report(tasks[0], guide, at(2, 10), "came")
    await shop.evening(2, guide)
    stream = f"guide-day/{guide}/2026-03-02"
    sealed = await shop.rows(
        "SELECT version, hash, body FROM event WHERE stream = $1 ORDER BY version", stream
    )
    await shop.report(tasks[1], guide, at(2, 18), "interested", known_at=at(2, 23))
    await shop.report(tasks[2], guide, at(2, 19), "no_answer", known_at=at(3, 9))
    assert await shop.rows(COUNTS) == [(4, 3, 2, 1, 2, 0, 3)]
    events = await shop.rows(
        "SELECT version, hash, body FROM event WHERE stream = $1 ORDER BY version", stream
    )
    assert events[: len(sealed)] == sealed
    told = await shop.rows(
        "SELECT e.payload::text FROM event e WHERE e.stream = $1 AND e.type = 'day_recounted' ORDER BY version",
        stream,
    )
    assert [json.loads(row[0]) for row in told] == [
        {
            "guide": str(guide), "business_date": "2026-03-02", "version": version, "listed": 4, "done": version,
            "reached": 2, "carried": 4 - version, "expired": 0, "late": version - 1, "corrected": 0,
            "cause_stream": f"task/{tasks[version - 1]}",
        }
        for version in (2, 3)
    ]  # fmt: skip


async def test_a_late_fact_is_sealed_with_what_comes_next(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.evening(2, guide)
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
        closed = await connection.fetchval("SELECT max(position) FROM event_position")
    await shop.report(tasks[0], guide, at(2, 18), "interested", known_at=at(3, 9))
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
        assert (await verify(connection, 1)).differences == ()
    after = await shop.rows(
        "SELECT e.type FROM event_position p JOIN event e USING (tenant_id, stream, version) WHERE p.position > $1",
        closed,
    )
    assert sorted(after) == [("checked_in",), ("day_recounted",)]


@pytest.mark.parametrize("rule", ["carry_over", "expire"])
async def test_a_day_counted_anew_without_a_late_fact_is_as_it_was_closed(shop: Brand, rule: str) -> None:
    codes = [f"M{number}" for number in range(8)]
    await shop.due_on(2, *codes)
    await shop.hire("G2")
    await shop.start(
        plan(
            day={"open_items": rule}, care={"strategies": [{"strategy": "manual", "members": {"G1": codes}}]}
        )
    )
    guide, other = [
        await shop.value("SELECT guide_id FROM guide WHERE code = $1", code) for code in ("G1", "G2")
    ]
    await shop.morning(2, guide)
    members = await shop.listed(2, guide)
    tasks = [await shop.task(member) for member in members]
    await shop.report(tasks[0], guide, at(2, 10), "came")
    await shop.report(tasks[1], guide, at(2, 10), "no_answer")
    await shop.report(tasks[2], guide, at(2, 10), "interested", next_on=date(2026, 3, 4))
    await hand_over(shop, tasks[3], guide, other, 11)
    await hand_over(shop, tasks[4], guide, other, 11)
    await shop.report(tasks[4], other, at(2, 12), "came")
    await shop.buy(members[5], at(2, 12))
    await shop.purchases.settle_purchases(shop.day(2, 13))
    await shop.evening(2, guide)
    (closed,) = await shop.rows(
        "SELECT (payload->>'listed')::int, (payload->>'done')::int, (payload->>'reached')::int,"
        " (payload->>'carried')::int, (payload->>'expired')::int FROM event WHERE type = 'day_closed'"
    )
    async with shop.ledger.connection() as connection:
        counted = await count_days(connection, 1, [(guide, MONDAY)])
    assert counted[guide, MONDAY] == dict(zip(("listed", "done", "reached", "carried", "expired"), closed, strict=True)) | {
        "late": 0, "corrected": 0,
    }  # fmt: skip
    assert closed == ((8, 3, 2, 2, 0) if rule == "carry_over" else (8, 3, 2, 0, 2))


async def test_a_report_of_what_expired_untouched_is_no_longer_expired_in_the_figures(shop: Brand) -> None:
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start(plan(day={"open_items": "expire"}))
    guide = await shop.value("SELECT guide_id FROM guide")
    await shop.morning(2, guide)
    tasks = [await shop.task(member) for member in await shop.listed(2, guide)]
    await shop.evening(2, guide)
    reached = await shop.report(tasks[0], guide, at(2, 18), "came", known_at=at(3, 8))
    missed = await shop.report(tasks[1], guide, at(2, 18), "no_answer", known_at=at(3, 8))
    # As if it had been reported in time: what was attempted does not expire.
    assert (reached.state, missed.state, missed.due_on) == ("done", "open", date(2026, 3, 3))
    assert [(await shop.standing(task))[:2] for task in tasks] == [
        ("done", None), ("open", None), ("expired", "day_closed"),
    ]  # fmt: skip
    last = await shop.value(
        "SELECT payload::text FROM event WHERE type = 'day_recounted' ORDER BY version DESC LIMIT 1"
    )
    assert {name: json.loads(last)[name] for name in ("done", "carried", "expired")} == {
        "done": 2, "carried": 0, "expired": 1,
    }  # fmt: skip


async def test_the_same_facts_in_another_order_end_in_the_same_rows(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    told = [
        (at(2, 10), "no_answer", None),
        (at(3, 10), "no_answer", None),
        (at(4, 10), "interested", "B"),
    ]
    for day in (2, 3):
        await shop.evening(day, guide)
    for task, arriving in ((tasks[0], told), (tasks[1], told[::-1])):
        for number, (when, outcome, grade) in enumerate(arriving):
            await supervised(shop, task, guide, when, outcome, grade=grade, known_at=at(4, 11 + number))
    rows = await shop.rows(
        "SELECT t.state, t.reason, t.due_on, t.attempts, t.last_attempt_on, pm.grade, pm.dial_days, pm.last_dial_on,"
        " pm.last_reached_at FROM task t JOIN plan_member pm USING (tenant_id, plan_id, cycle, member_id)"
        " WHERE t.task_id = ANY($1)", tasks[:2],
    )  # fmt: skip
    assert rows[0] == rows[1]
    assert rows[0] == (
        "done",
        None,
        date(2026, 3, 4),
        3,
        date(2026, 3, 4),
        "B",
        2,
        date(2026, 3, 3),
        at(4, 10),
    )


async def supervised(shop: Brand, task: UUID, guide: UUID, when: Any, outcome: str, **more: Any) -> Any:
    """Entered by somebody who may, with a reason, whenever that is."""
    command = shop.report_command(task, guide, when, outcome, **more)
    return await report_late(shop.ledger, command, why=WHY)


async def test_after_the_grace_only_who_may_change_closed_days_enters_it_with_a_reason(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.evening(2, guide)
    too_late = at(3, 21) + timedelta(microseconds=1)
    assert await refused(shop, tasks[0], guide, at(2, 18), "came", known_at=too_late) == (
        "known_at",
        "after_grace",
    )
    command = shop.report_command(tasks[0], guide, at(2, 18), "came", known_at=at(9, 9))
    with pytest.raises(Refused, match="correction_needs_reason"):
        await report_late(shop.ledger, command, why=Why("  ", b"w" * 16))
    done = await report_late(shop.ledger, command, why=WHY)
    assert done.state == "done"
    assert await shop.rows(COUNTS) == [(4, 1, 1, 3, 1, 0, 2)]
    payload = await shop.value("SELECT payload::text FROM event WHERE type = 'checked_in'")
    assert "lost" not in payload
    assert json.loads(payload)["why"] == str(derived_id("why", command.command_id))
    assert await shop.notes() == [("her phone was lost", b"w" * 16)]


async def test_what_occurred_after_the_close_is_nobodys_to_enter(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.evening(2, guide)
    command = shop.report_command(tasks[0], guide, at(2, 21, 1), "came", known_at=at(3, 9))
    with pytest.raises(Refused, match="after_close"):
        await report_late(shop.ledger, command, why=WHY)


async def test_the_same_late_report_sent_many_times_at_once_counts_once(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.evening(2, guide)
    done = await asyncio.gather(
        *(
            shop.report(tasks[0], guide, at(2, 18), "came", known_at=at(3, 9), command_id="phone/1")
            for _ in range(5)
        )
    )
    assert sorted(one.duplicate for one in done) == [False] + [True] * 4
    assert {(one.version, one.state) for one in done} == {(2, "done")}
    assert await shop.rows(COUNTS) == [(4, 1, 1, 3, 1, 0, 2)]


async def test_what_was_done_before_the_purchase_is_not_lost_because_the_phone_was_offline(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    first, second = (await shop.listed(2, guide))[:2]
    for member in (first, second):
        await shop.buy(member, at(2, 12))
    await shop.purchases.settle_purchases(shop.day(2, 13))
    assert [(await shop.standing(task))[0] for task in tasks[:2]] == ["withdrawn"] * 2
    assert (await shop.report(tasks[0], guide, at(2, 10), "came", known_at=at(2, 20))).state == "done"
    missed = await shop.report(tasks[1], guide, at(2, 10), "no_answer", known_at=at(2, 20))
    assert missed.state == "bought"
    assert (await shop.standing(tasks[1]))[:2] == ("bought", "bought_after_attempt")
    assert await refused(shop, tasks[2], guide, at(2, 14), "came", known_at=at(2, 13)) == (
        "occurred_at", "occurred_in_future",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "state", "open_for_the_other"), [("interested", "done", False), ("no_answer", "open", True)]
)
async def test_what_was_done_before_the_item_was_reassigned_is_kept_with_its_credit_and_listed(
    shop: Brand, guide: UUID, tasks: list[UUID], outcome: str, state: str, open_for_the_other: bool
) -> None:
    other = await shop.hire("G2")
    await hand_over(shop, tasks[0], guide, other, 11)
    recorded = await shop.report(tasks[0], guide, at(2, 10), outcome, known_at=at(2, 15))
    assert recorded.state == state
    assert await shop.rows("SELECT guide_id, conflict FROM check_in") == [(guide, "reassigned")]
    assert await shop.rows("SELECT guide_id, state = 'open' FROM task WHERE task_id = $1", tasks[0]) == [
        (other, open_for_the_other)
    ]
    await shop.evening(2, guide)
    assert await shop.rows("SELECT done, reached, carried FROM guide_day WHERE guide_id = $1", guide) == [
        (1, int(outcome == "interested"), 3)
    ]


@pytest.mark.parametrize("first", ["before", "after"])
async def test_the_work_of_both_guides_of_a_reassigned_item_is_kept_in_whatever_order_it_comes(
    shop: Brand, guide: UUID, tasks: list[UUID], first: str
) -> None:
    other = await shop.hire("G2")
    await hand_over(shop, tasks[0], guide, other, 11)
    reports = [(guide, at(2, 10), "interested", "A"), (other, at(2, 14), "came", None)]
    for number, (who, when, outcome, grade) in enumerate(reports if first == "before" else reversed(reports)):
        await shop.report(tasks[0], who, when, outcome, grade=grade, known_at=at(2, 15 + number))
    assert await shop.rows("SELECT guide_id, outcome, conflict FROM check_in ORDER BY occurred_at") == [
        (guide, "interested", "reassigned"), (other, "came", None),
    ]  # fmt: skip
    assert await shop.rows("SELECT state, attempts, guide_id FROM task WHERE task_id = $1", tasks[0]) == [
        ("done", 2, other)
    ]
    assert await shop.rows("SELECT grade, last_reached_at FROM plan_member WHERE grade IS NOT NULL") == [
        ("A", at(2, 14))
    ]


async def test_what_occurred_after_the_item_was_reassigned_or_was_known_to_be_done_is_refused(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    other = await shop.hire("G2")
    await hand_over(shop, tasks[0], guide, other, 11)
    assert await refused(shop, tasks[0], guide, at(2, 12), "came") == ("performed_by", "not_your_task")
    await shop.report(tasks[0], guide, at(2, 10), "came", known_at=at(2, 13))
    assert await refused(shop, tasks[0], other, at(2, 14), "came") == ("task_id", "task_closed")
    third = await shop.hire("G3")
    assert await refused(shop, tasks[0], third, at(2, 10), "came") == ("performed_by", "not_your_task")


async def test_who_has_the_item_now_is_told_that_it_was_done_before_it_came_to_her(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    other = await shop.hire("G2")
    await shop.evening(2, guide)
    await hand_over(shop, tasks[0], guide, other, 22)
    await shop.morning(3, other)
    await shop.report(tasks[0], guide, at(2, 18), "came", known_at=at(3, 9, 30))
    async with shop.ledger.connection() as connection:
        listed = await read_todays_list(connection, 1, "G2", date(2026, 3, 3), keys=shop.ledger.keys)
    assert [(item.task_id, item.state, item.done, item.done_by_other) for item in listed.items] == [
        (tasks[0], "done", False, True)
    ]
    await shop.reminders.nudge_guides(shop.day(3, 12, slot="12:00"))
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'nudged'") == 0
    await shop.evening(3, other)
    assert await shop.rows("SELECT done, carried FROM guide_day WHERE guide_id = $1", other) == [(0, 0)]


async def test_a_contact_the_day_knew_of_is_not_made_twice_by_another_guide(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    other = await shop.hire("G2")
    await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    await hand_over(shop, tasks[0], guide, other, 11)
    assert await refused(shop, tasks[0], other, at(2, 15), "no_answer") == ("task_id", "already_today")


async def test_a_report_of_a_cycle_before_reaches_the_members_next_cycle(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    two = plan(period={"start": "2026-03-02", "working_days": 2, "cycles": 2})
    await shop.start(two)
    guide, task = await shop.value("SELECT guide_id FROM guide"), await shop.value("SELECT task_id FROM task")
    await shop.morning(2, guide)
    await shop.morning(3, guide)
    for day in (2, 3):
        await shop.evening(day, guide)
    step = shop.plan_step("p1", 1, at(3, 21, 5))
    await shop.review.check_cycle(step)
    await shop.review.act_on_check(step)
    await shop.start(two, cycle=2, when=at(4, 8, 30))
    await shop.report(UUID(str(task)), guide, at(3, 20), "refused", grade="D", known_at=at(4, 9))
    assert await shop.rows("SELECT cycle, grade, last_reached_at FROM plan_member ORDER BY cycle") == [
        (1, "D", at(3, 20)), (2, "D", at(3, 20)),
    ]  # fmt: skip
    assert await shop.rows("SELECT stream FROM event WHERE type = 'member_restated'") == [
        (f"plan-member/p1/2/{await shop.value('SELECT member_id FROM member')}",)
    ]


async def test_an_item_nobody_ever_made_is_not_found(shop: Brand, guide: UUID) -> None:
    with pytest.raises(NotFound, match="unknown_task"):
        await shop.report(derived_id("nothing"), guide, at(2, 10), "came")
