"""Check-ins through the door."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from domain.errors import Conflict, NotFound, Refused
from domain.identifiers import derived_id
from ledger.database import open_database
from ledger.ledger import Ledger
from ledger.recorded import Recorded
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase

SALT = b"0123456789abcdef"


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    """G1 with members M1 to M3, all due on Monday, 2 March, the list published."""
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    return guide


@pytest_asyncio.fixture
async def task(shop: Brand, guide: UUID) -> UUID:
    """The first item of the list."""
    return await shop.task((await shop.listed(2, guide))[0])


async def refused(brand: Brand, task: UUID, guide: UUID, *report: Any, **more: Any) -> tuple[str, str]:
    """Field and code of the refusal; nothing may have been written."""
    before = await brand.everything()
    with pytest.raises(Refused) as refusal:
        await brand.report(task, guide, *report, **more)
    assert await brand.everything() == before
    (problem,) = refusal.value.problems
    return problem.field, problem.code


async def test_a_check_in_is_an_event_of_the_item_and_projects_item_member_and_check_in(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    await shop.category("奶粉")
    done = await shop.report(
        task, guide, at(2, 10), "interested", grade="A", products=("TIN", "奶粉"), actor="manager:1"
    )
    assert (done.task_id, done.version, done.state, done.duplicate) == (task, 2, "done", False)
    event = (
        await shop.rows(
            "SELECT type, actor, performed_by, occurred_at, payload->>'state' FROM event"
            " WHERE stream = $1 AND version = 2",
            f"task/{task}",
        )
    )[0]
    assert event == ("checked_in", "manager:1", str(guide), at(2, 10), "done")
    assert await shop.rows(
        "SELECT version, guide_id, actor, business_date, outcome, reached, grade, products FROM check_in"
    ) == [(2, guide, "manager:1", date(2026, 3, 2), "interested", True, "A", ["TIN", "奶粉"])]
    assert await shop.rows("SELECT state, attempts, last_attempt_on FROM task WHERE task_id = $1", task) == [
        ("done", 1, date(2026, 3, 2))
    ]
    assert await shop.rows(
        "SELECT grade, dial_days, last_dial_on, last_reached_at FROM plan_member WHERE grade IS NOT NULL"
    ) == [("A", 0, None, at(2, 10))]


async def test_the_same_check_in_sent_twice_counts_once(shop: Brand, guide: UUID, task: UUID) -> None:
    first = await shop.report(task, guide, at(2, 10), "no_answer", command_id="phone/1")
    before = await shop.everything()
    again = await shop.report(task, guide, at(2, 10), "no_answer", command_id="phone/1")
    assert again == Recorded(task, first.version, first.state, first.due_on, duplicate=True)
    assert await shop.everything() == before


async def test_the_same_check_in_sent_ten_times_at_once_counts_once(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    results = await asyncio.gather(
        *(shop.report(task, guide, at(2, 10), "refused", command_id="phone/1") for _ in range(10))
    )
    assert sorted(result.duplicate for result in results) == [False] + [True] * 9
    assert {(result.version, result.state) for result in results} == {(2, "done")}
    assert await shop.value("SELECT count(*) FROM check_in") == 1


async def test_of_different_check_ins_of_an_item_at_once_one_counts(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    results = await asyncio.gather(
        *(shop.report(task, guide, at(2, 10), "came") for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(result, Recorded) for result in results) == 1
    assert sum(isinstance(result, (Conflict, Refused)) for result in results) == 5
    assert await shop.value("SELECT attempts FROM task WHERE task_id = $1", task) == 1


async def test_a_command_id_of_another_item_is_refused_and_not_taken_for_a_repetition(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    other = await shop.task((await shop.listed(2, guide))[1])
    await shop.report(other, guide, at(2, 10), "came", command_id="phone/1")
    assert await refused(shop, task, guide, at(2, 10), "came", command_id="phone/1") == (
        "command_id",
        "command_used_elsewhere",
    )


async def test_an_unknown_item_is_not_found(shop: Brand, guide: UUID) -> None:
    with pytest.raises(NotFound) as missing:
        await shop.report(derived_id("nothing"), guide, at(2, 10), "came")
    assert missing.value.problem.code == "unknown_task"


async def test_another_guides_item_is_refused(shop: Brand, guide: UUID, task: UUID) -> None:
    other = await shop.hire("G2")
    assert await refused(shop, task, other, at(2, 10), "came") == ("performed_by", "not_your_task")


async def test_a_closed_item_is_refused(shop: Brand, guide: UUID, task: UUID) -> None:
    await shop.report(task, guide, at(2, 10), "came")
    assert await refused(shop, task, guide, at(3, 10), "came") == ("task_id", "task_closed")


async def test_an_opted_out_member_is_not_checked_in_from_then_on(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    await shop.execute("UPDATE member SET opted_out_at = $1", at(2, 11))
    assert await refused(shop, task, guide, at(2, 11), "came") == ("task_id", "member_opted_out")
    before_that = await shop.report(task, guide, at(2, 10, 59), "came", known_at=at(2, 12))
    assert before_that.state == "done"


async def test_a_member_graded_d_is_not_contacted_again_in_this_plan(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    tin, soap = [await shop.task(member, category=category) for category in ("TIN", "SOAP")]
    await shop.report(tin, guide, at(2, 10), "refused", grade="D")
    assert await refused(shop, soap, guide, at(2, 11), "came") == ("task_id", "member_declined")


@pytest.mark.parametrize("outcome", ["no_answer", "wrong_number", "unreachable"])
@pytest.mark.parametrize("grade", ["A", "B", "D"])
async def test_a_grade_needs_a_contact(
    shop: Brand, guide: UUID, task: UUID, outcome: str, grade: str
) -> None:
    assert await refused(shop, task, guide, at(2, 10), outcome, grade=grade) == (
        "grade",
        "grade_without_contact",
    )


@pytest.mark.parametrize("next_on", [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 12)])
async def test_a_next_date_outside_the_cycle_is_refused(
    shop: Brand, guide: UUID, task: UUID, next_on: date
) -> None:
    assert await refused(shop, task, guide, at(2, 10), "interested", next_on=next_on) == (
        "next_on",
        "next_date_outside_cycle",
    )


@pytest.mark.parametrize("next_on", [date(2026, 3, 3), date(2026, 3, 11)])
async def test_a_next_date_keeps_the_item_open_for_that_day(
    shop: Brand, guide: UUID, task: UUID, next_on: date
) -> None:
    done = await shop.report(task, guide, at(2, 10), "interested", grade="B", next_on=next_on)
    assert (done.state, done.due_on) == ("open", next_on)
    assert await shop.standing(task) == ("open", None, next_on)
    again = await shop.report(task, guide, at(next_on, 10), "bought")
    assert again.state == "done"


async def test_what_occurred_after_the_close_is_refused(shop: Brand, guide: UUID, task: UUID) -> None:
    assert await refused(shop, task, guide, at(2, 21, 1), "came") == ("occurred_at", "after_close")
    on_the_hour = await shop.report(task, guide, at(2, 21), "came")
    assert on_the_hour.state == "done"


async def test_what_occurs_in_the_future_is_refused(shop: Brand, guide: UUID, task: UUID) -> None:
    assert await refused(shop, task, guide, at(2, 10), "came", known_at=at(2, 9, 59)) == (
        "occurred_at",
        "occurred_in_future",
    )


async def test_a_late_check_in_is_accepted_within_a_day_of_the_close_and_marked_late(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    await shop.evening(2, guide)
    grace_over = at(3, 21) + timedelta(microseconds=1)
    assert await refused(shop, task, guide, at(2, 18), "came", known_at=grace_over) == (
        "known_at",
        "after_grace",
    )
    done = await shop.report(task, guide, at(2, 18), "came", known_at=at(3, 21))
    assert done.state == "done"
    payload = json.loads(
        await shop.value("SELECT payload::text FROM event WHERE stream = $1 AND version = 2", f"task/{task}")
    )
    assert (payload["late"], payload["business_date"]) == (True, "2026-03-02")


@pytest.mark.parametrize(("known_hour", "late"), [(20, False), (23, True)])
async def test_what_is_known_before_the_close_is_not_late(
    shop: Brand, guide: UUID, task: UUID, known_hour: int, late: bool
) -> None:
    await shop.report(task, guide, at(2, 18), "came", known_at=at(2, known_hour))
    assert await shop.value("SELECT (payload->>'late')::boolean FROM event WHERE type = 'checked_in'") is late


async def test_an_item_is_checked_in_once_a_day(shop: Brand, guide: UUID, task: UUID) -> None:
    await shop.report(task, guide, at(2, 10), "no_answer")
    assert await refused(shop, task, guide, at(2, 15), "came") == ("task_id", "already_today")


async def test_a_late_report_of_an_earlier_day_opens_neither_day_for_a_second_one(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    await shop.report(task, guide, at(3, 10), "no_answer")
    late = await shop.report(task, guide, at(2, 10), "no_answer", known_at=at(3, 11))
    assert (late.state, late.due_on) == ("open", date(2026, 3, 4))
    assert await refused(shop, task, guide, at(3, 15), "came") == ("task_id", "already_today")
    assert await refused(shop, task, guide, at(2, 15), "came") == ("task_id", "already_today")
    rows = await shop.rows("SELECT dial_days, last_dial_on FROM plan_member WHERE dial_days > 0")
    assert rows == [(2, date(2026, 3, 3))]
    assert await shop.value("SELECT last_attempt_on FROM task WHERE task_id = $1", task) == date(2026, 3, 3)


async def test_no_answer_comes_again_the_next_working_day(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    sunday_off = plan(calendar={"weekdays": [1, 2, 3, 4, 5, 6], "closed": ["2026-03-09"]})
    await shop.start(sunday_off)
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    task = UUID(str(await shop.value("SELECT task_id FROM task")))
    first = await shop.report(task, guide, at(6, 10), "no_answer")
    assert (first.state, first.due_on) == ("open", date(2026, 3, 7))
    second = await shop.report(task, guide, at(7, 10), "unreachable")
    assert (second.state, second.due_on) == ("open", date(2026, 3, 10))


async def test_a_member_not_reached_on_three_days_is_left_as_unreached(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    states = [(await shop.report(task, guide, at(day, 10), "no_answer")).state for day in (2, 3, 4)]
    assert states == ["open", "open", "unreached"]
    assert (await shop.standing(task))[:2] == ("unreached", "not_reached")
    assert await shop.value("SELECT max(dial_days) FROM plan_member") == 3


async def test_a_member_is_dialled_in_vain_once_a_day_whatever_the_item(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    tin, soap = [await shop.task(member, category=category) for category in ("TIN", "SOAP")]
    await shop.report(tin, guide, at(2, 10), "no_answer")
    assert await refused(shop, soap, guide, at(2, 11), "no_answer") == ("task_id", "already_today")
    await shop.report(soap, guide, at(2, 15), "came")
    assert await shop.value("SELECT dial_days FROM plan_member") == 1


async def test_a_reached_contact_counts_no_dial_day(shop: Brand, guide: UUID, task: UUID) -> None:
    await shop.report(task, guide, at(2, 10), "no_answer")
    await shop.report(task, guide, at(3, 10), "interested", next_on=date(2026, 3, 5))
    await shop.report(task, guide, at(5, 10), "no_answer")
    assert await shop.value("SELECT max(dial_days) FROM plan_member") == 2


@pytest.mark.parametrize("grade", ["A", "B"])
@pytest.mark.parametrize(("outcome", "told"), [("no_answer", None), ("no_answer", "C"), ("came", "C")])
async def test_c_never_takes_a_or_b_back(
    shop: Brand, guide: UUID, task: UUID, grade: str, outcome: str, told: str | None
) -> None:
    await shop.report(task, guide, at(2, 10), "interested", grade=grade, next_on=date(2026, 3, 3))
    await shop.report(task, guide, at(3, 10), outcome, grade=told)
    assert await shop.rows("SELECT grade FROM plan_member WHERE grade IS NOT NULL") == [(grade,)]


async def test_a_member_never_graded_and_not_reached_is_c_until_graded(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    await shop.report(task, guide, at(2, 10), "no_answer")
    assert await shop.rows("SELECT grade FROM plan_member WHERE grade IS NOT NULL") == [("C",)]
    await shop.report(task, guide, at(3, 10), "interested", grade="B")
    assert await shop.rows("SELECT grade FROM plan_member WHERE grade IS NOT NULL") == [("B",)]


async def test_of_a_note_the_event_holds_a_keyed_digest_and_the_text_stays_beside(
    shop: Brand, guide: UUID, task: UUID
) -> None:
    await shop.report(task, guide, at(2, 10), "came", note="喜欢二段奶粉", salt=SALT, command_id="n1")
    body, payload = (await shop.rows("SELECT body, payload::text FROM event WHERE type = 'checked_in'"))[0]
    digest = hmac.new(SALT, "喜欢二段奶粉".encode(), hashlib.sha256).hexdigest()
    assert "喜欢".encode() not in body
    assert json.loads(payload)["note_hmac"] == digest
    assert json.loads(payload)["note"] == str(derived_id("note", "n1"))
    assert await shop.notes() == [("喜欢二段奶粉", SALT)]
    assert await shop.rows("SELECT n.note, n.salt FROM member_note n JOIN check_in c USING (note_id)") == [
        (None, None)
    ]


async def test_a_note_without_a_salt_is_a_mistake_of_the_caller(shop: Brand, guide: UUID, task: UUID) -> None:
    with pytest.raises(ValueError, match="salt"):
        await shop.report(task, guide, at(2, 10), "came", note="text", salt=b"short")
    assert await shop.value("SELECT count(*) FROM check_in") == 0


async def test_check_ins_of_a_paused_plan_are_still_taken(shop: Brand, guide: UUID, task: UUID) -> None:
    await shop.execute("UPDATE plan SET status = 'paused'")
    done = await shop.report(task, guide, at(2, 10), "came")
    assert done.state == "done"


async def test_a_check_in_is_two_statements_and_nothing_else(
    shop: Brand, database: LedgerDatabase, guide: UUID, task: UUID
) -> None:
    other = await shop.task((await shop.listed(2, guide))[1])
    engine = open_database(database.worker_url, tenant_id=1, pool_size=1)
    alone = Brand(Ledger(engine, 1, keys=database.ledger.keys), commands=100)
    statements: list[str] = []
    try:
        async with alone.ledger.connection() as connection:
            connection.add_query_logger(lambda record: statements.append(record.query.strip()))
        # The driver looks types up once a connection.
        await alone.report(other, guide, at(2, 10), "came")
        await asyncio.sleep(0)  # a logger is told a turn of the loop later
        statements.clear()
        await alone.report(task, guide, at(2, 10), "no_answer", note="n", salt=SALT)
        await asyncio.sleep(0)
    finally:
        await engine.dispose()
        assert [re.findall(r"items_to_report|record_check_ins", statement) for statement in statements] == [
            ["items_to_report"],
            ["record_check_ins"],
        ]


async def test_a_check_in_reads_the_business_date_in_the_stores_own_zone(brand: Brand) -> None:
    await brand.open_store("S1", zone="America/New_York")
    guide = await brand.hire()
    await brand.due_on(2, "M1")
    await brand.start()
    task = UUID(str(await brand.value("SELECT task_id FROM task")))
    await brand.report(task, guide, at(4, 1), "no_answer")
    rows = await brand.rows("SELECT business_date FROM check_in")
    assert rows == [(date(2026, 3, 3),)]
