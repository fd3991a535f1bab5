"""Two commands at once: whoever comes second sees what the first one did, or is told to read again."""

from __future__ import annotations

import asyncio
from datetime import date
from uuid import UUID

import pytest

from domain.check_in import CheckIn
from domain.errors import Conflict, Refused
from ledger.check_ins import check_in
from ledger.closing import close
from ledger.tasks import change_tasks, finished_beforehand
from tests.brand import Brand, at, plan


async def the_guide(shop: Brand) -> UUID:
    return UUID(str(await shop.value("SELECT guide_id FROM guide")))


async def somebody_waits(shop: Brand) -> None:
    """Return when a statement waits for a lock."""
    async with shop.ledger.connection() as other:
        for _ in range(20_000):
            if await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                return
    pytest.fail("nobody waited for a lock")


async def test_a_check_in_between_deciding_and_taking_off_is_not_overwritten(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    guide, task = await the_guide(shop), await shop.task(member)
    await shop.buy(member, at(2, 9))
    async with shop.ledger.transaction() as connection:
        leaving = await finished_beforehand(connection, 1, plan_id="p1", cycle=1, as_of=at(2, 12))
        assert [item.task_id for item in leaving] == [task]
        await shop.report(task, guide, at(2, 10), "interested")
        with pytest.raises(Conflict):
            await change_tasks(connection, 1, shop.command("settle", at(2, 12)), leaving=leaving)
    assert await shop.value("SELECT state FROM task") == "done"
    assert await shop.value("SELECT count(*) FROM event WHERE type = 'task_left'") == 0


@pytest.mark.parametrize("rule", ["carry_over", "expire"])
async def test_a_check_in_while_the_day_closes_is_counted_that_day_or_late(shop: Brand, rule: str) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.start(plan(day={"open_items": rule}))
    guide, task = await the_guide(shop), await shop.task(member)
    await shop.morning(2, guide)
    async with shop.ledger.transaction() as connection:
        await close(connection, 1, shop.command("close", at(2, 21)), guide_id=guide, day=date(2026, 3, 2))
        # The report waits for the close, then finds the day closed and decides anew.
        waiting = asyncio.create_task(shop.report(task, guide, at(2, 20), "interested", known_at=at(2, 22)))
        await somebody_waits(shop)
    recorded = await waiting
    assert recorded.state == "done"
    late = await shop.value("SELECT (payload->>'late')::boolean FROM event WHERE type = 'checked_in'")
    assert late is True
    assert await shop.rows("SELECT payload->>'done' FROM event WHERE type = 'day_closed'") == [("0",)]
    assert await shop.rows("SELECT done, late, carried, figures_version FROM guide_day") == [(1, 1, 0, 2)]
    assert await shop.value("SELECT count(*) FROM check_in WHERE reached") == 1


@pytest.mark.parametrize("round_", range(5))
async def test_a_declined_member_stays_declined_when_two_items_are_reported_at_once(
    shop: Brand, round_: int
) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    guide = await the_guide(shop)
    tin, soap = [await shop.task(member, category=category) for category in ("TIN", "SOAP")]
    results = await asyncio.gather(
        shop.report(tin, guide, at(2, 10), "refused", grade="D"),
        shop.report(soap, guide, at(2, 10, round_), "no_answer"),
        return_exceptions=True,
    )
    assert not isinstance(results[0], BaseException)
    assert results[1] is None or not isinstance(results[1], BaseException) or isinstance(results[1], Refused)
    grade, dial_days = (await shop.rows("SELECT grade, dial_days FROM plan_member"))[0]
    assert grade == "D"
    assert dial_days == await shop.value("SELECT count(*) FROM check_in WHERE NOT reached")


async def test_twenty_reports_of_twenty_items_of_one_guide_at_once_are_all_taken(shop: Brand) -> None:
    codes = [f"M{number}" for number in range(20)]
    members = await shop.due_on(2, *codes)
    await shop.start()
    guide = await the_guide(shop)
    await shop.morning(2, guide)
    tasks = [await shop.task(member) for member in members]
    commands = [
        CheckIn(
            command_id=f"c{number}",
            task_id=task,
            performed_by=guide,
            actor="guide",
            occurred_at=at(2, 10),
            known_at=at(2, 10),
            channel="phone",
            outcome="interested",
        )
        for number, task in enumerate(tasks)
    ]
    recorded = await asyncio.gather(*(check_in(shop.ledger, command) for command in commands))
    assert {one.state for one in recorded} == {"done"}
    assert await shop.value("SELECT count(*) FROM check_in") == 20


@pytest.mark.parametrize("round_", range(3))
async def test_of_two_late_facts_of_a_day_at_once_both_are_in_its_last_figures(
    shop: Brand, round_: int
) -> None:
    members = await shop.due_on(2, "M1", "M2", "M3", "M4")
    await shop.start()
    guide = await the_guide(shop)
    await shop.morning(2, guide)
    await shop.evening(2, guide)
    tasks = [await shop.task(member) for member in members]
    outcomes = ("interested", "no_answer", "came")
    await asyncio.gather(
        *(
            shop.report(task, guide, at(2, 18, round_), outcome, known_at=at(3, 8))
            for task, outcome in zip(tasks, outcomes, strict=False)
        )
    )
    assert await shop.rows("SELECT done, reached, late, carried, figures_version FROM guide_day") == [
        (3, 2, 3, 1, 4)
    ]
    versions = await shop.rows(
        "SELECT (payload->>'version')::int, (payload->>'done')::int, (payload->>'carried')::int FROM event"
        " WHERE type = 'day_recounted' ORDER BY version"
    )
    assert versions == [(2, 1, 3), (3, 2, 2), (4, 3, 1)]


async def test_a_correction_between_deciding_and_taking_off_takes_nothing_off(shop: Brand) -> None:
    (member,) = await shop.due_on(2, "M1")
    await shop.buy(member, at(date(2026, 2, 7), 12), category="SOAP")
    await shop.start(plan(members={"bought_categories": ["TIN", "SOAP"]}))
    guide = await the_guide(shop)
    tin, soap = [await shop.task(member, category=category) for category in ("TIN", "SOAP")]
    wrong = await shop.report(tin, guide, at(2, 10), "refused", grade="D")
    async with shop.ledger.transaction() as connection:
        leaving = await finished_beforehand(connection, 1, plan_id="p1", cycle=1, as_of=at(2, 12))
        assert [(item.task_id, item.reason) for item in leaving] == [(soap, "declined")]
        await shop.correct(
            tin,
            wrong.version,
            at(2, 11),
            performed_by=guide,
            occurred_at=at(2, 10),
            outcome="came",
            grade="B",
        )
        with pytest.raises(Conflict):
            await change_tasks(connection, 1, shop.command("settle", at(2, 12)), leaving=leaving)
    assert (await shop.standing(soap))[:2] == ("open", None)
