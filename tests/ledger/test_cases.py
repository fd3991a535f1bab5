"""Complaints: a case each with a deadline; nobody contacts the member until it is closed."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from activities.asked import Asked
from activities.members import erase_member, export_member
from domain.complaints import Resolution
from domain.errors import NotFound, Refused
from infra.outbox_sender import send_due
from ledger.as_of import resolve
from ledger.cases import Answer, Case, Selected, Wanted, answer_case, list_cases
from ledger.endpoints import add_endpoint
from ledger.gauges import complaints_overdue
from ledger.looking_back import member_then
from ledger.today import read_todays_list
from ledger.verify import verify
from tests.brand import Brand, at, plan
from tests.conftest import LedgerDatabase
from tests.three_guides import folds_agree

SALT = b"0123456789abcdef"
TWO = {"bought_categories": ["TIN", "SOAP"]}


async def complained(shop: Brand) -> tuple[UUID, UUID, UUID]:
    """M1 complains on Monday at ten, and another item of theirs comes due on Tuesday: guide, member, that item."""
    (member,) = await shop.due_on(2, "M1")
    await shop.due_on(3, "M1", category="SOAP")
    await shop.start(plan(members=TWO))
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    await shop.report(
        await shop.task(member), guide, at(2, 10), "complaint", note="the tin was open", salt=SALT
    )
    return guide, member, await shop.task(member, category="SOAP")


async def cases(shop: Brand, wanted: Wanted = "unfinished", when: int = 2, hour: int = 11) -> list[Case]:
    async with shop.ledger.connection() as connection:
        return await list_cases(connection, shop.ledger, Selected(wanted, at(when, hour)))


async def done(
    shop: Brand, when: Any, resolution: Resolution | None = None, key: str = "", note: str | None = None
) -> tuple[str, bool]:
    case_id = await shop.value("SELECT case_id FROM complaint_case")
    command = shop.command(key, when)
    stands = await answer_case(shop.ledger, command, Answer(case_id, resolution, note, SALT))
    return stands.state, stands.duplicate


async def test_a_complaint_keeps_its_member_off_every_list_until_its_case_is_closed(shop: Brand) -> None:
    guide, member, other = await complained(shop)
    (case,) = await cases(shop)
    assert (case.guide, case.store, case.state, case.complaint) == ("G1", "S1", "open", "the tin was open")
    assert (case.opened_at, case.deadline_at, case.overdue) == (at(2, 10), at(3, 10), False)
    assert await cases(shop, "overdue", 3, 10) == []

    await shop.morning(3, guide)
    assert await shop.listed(3, guide) == []
    assert [one.overdue for one in await cases(shop, "overdue", 3, 11)] == [True]
    async with shop.ledger.connection() as connection:
        overdue = [await complaints_overdue(connection, 1, at=at(3, hour)) for hour in (10, 11)]
    assert overdue == [0, 1]
    # Her phone was offline and did not know: the call is kept, and stands out.
    await shop.report(other, guide, at(3, 15), "no_answer")
    assert await shop.value("SELECT conflict FROM check_in WHERE task_id = $1", other) == "complaint_open"

    assert await done(shop, at(3, 16), key="a", note="we called back") == ("answered", False)
    assert await done(shop, at(3, 17), key="a", note="we called back") == ("answered", True)
    with pytest.raises(Refused) as refused:
        await done(shop, at(3, 18))
    assert [one.code for one in refused.value.problems] == ["case_over"]
    assert await cases(shop, "overdue", 4) == []
    await shop.morning(4, guide)
    assert await shop.listed(4, guide) == [], "answered is not closed"

    assert await done(shop, at(4, 10), "exchanged") == ("closed", False)
    await shop.morning(5, guide)
    assert await shop.listed(5, guide) == [member]
    await shop.report(other, guide, at(5, 10), "interested")
    assert await shop.value("SELECT conflict FROM check_in WHERE task_id = $1 AND reached", other) is None
    ((closed,),) = [await cases(shop, "closed")]
    assert (closed.resolution, closed.answers) == ("exchanged", ("we called back",))
    assert await folds_agree(shop) == []


async def test_what_was_listed_before_is_neither_reminded_of_nor_reached_by_a_message(shop: Brand) -> None:
    guide, member, other = await complained(shop)
    await shop.correct(
        await shop.task(member), 2, at(2, 10, 30), why="not hers", actor="manager:1"
    )  # void: the case goes, and the member may be called again
    assert [one.state for one in await cases(shop, "withdrawn")] == ["withdrawn"]
    await shop.morning(3, guide)
    assert await shop.listed(3, guide) == [member]
    listed = await shop.value("SELECT task_id FROM list_item WHERE business_date = $1", date(2026, 3, 3))
    # Told late: the complaint of yesterday comes in while today's list is out.
    command = await shop.report(await shop.task(member), guide, at(2, 20), "complaint", known_at=at(3, 11))
    assert command.state == "done"
    assert await shop.value("SELECT count(*) FROM complaint_case WHERE state = 'open'") == 1
    if listed == other:
        assert (await shop.reminders.nudge_open_items(shop.day(3, 12, slot="12:00"))).guides == 0
        async with shop.ledger.connection() as connection:
            todays = await read_todays_list(connection, 1, "G1", None, keys=shop.ledger.keys)
        assert [item.complaint for item in todays.items] == [True]
    await add_endpoint(
        shop.ledger, scope="brand", code="", kind="webhook", address="json://127.0.0.1:1/", per_minute=9
    )
    await shop.execute(
        "INSERT INTO outbox (tenant_id, purpose, kind, member_id, content, created_at, expires_at, endpoint_id)"
        ' VALUES (1, \'contact/1\', \'contact\', $1, \'{"plan": "p1", "text": "hello"}\', $2, $3, 1)',
        member,
        at(3, 11),
        at(3, 20),
    )
    assert await send_due(shop.ledger, now=lambda: at(3, 12), language="zh") == {}
    assert await shop.rows("SELECT state, why FROM outbox") == [("expired", "complaint_open")]
    assert await folds_agree(shop) == []


async def test_a_case_follows_the_corrections_of_its_check_in_and_stands_as_it_stood_then(
    shop: Brand,
) -> None:
    guide, member, _ = await complained(shop)
    item = await shop.task(member)
    report = {"performed_by": guide, "occurred_at": at(2, 10), "why": "r"}
    await shop.correct(item, 2, at(2, 12), outcome="complaint", grade="B", **report)
    (case,) = await cases(shop)
    assert (case.state, await shop.value("SELECT report FROM complaint_case")) == ("open", 3)
    assert await shop.value("SELECT conflict FROM check_in WHERE task_id = $1", item) is None
    await shop.correct(item, 3, at(2, 13), outcome="refused", **report)
    assert await cases(shop) == []
    await shop.correct(item, 4, at(2, 14), outcome="complaint", **report)
    assert sorted(await shop.rows("SELECT state, report FROM complaint_case")) == [
        ("open", 5),
        ("withdrawn", 3),
    ]
    assert await folds_agree(shop) == []

    for hour, states in ((11, ["open"]), (13, ["withdrawn"]), (15, ["open", "withdrawn"])):
        async with (
            shop.ledger.connection() as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            then = await resolve(connection, 1, position=None, at=at(2, hour), now=at(2, 20))
            stood = await member_then(connection, 1, then, "M1")
        assert sorted(one["state"] for one in stood.complaints) == states, hour


async def test_what_is_said_of_a_complaint_is_the_members_and_goes_with_them(
    shop: Brand, database: LedgerDatabase
) -> None:
    await complained(shop)
    await done(shop, at(2, 12), "apologised", note="said sorry")
    told = await export_member(shop.ledger, "M1", Asked(None, at(2, 13), "hq"))
    assert [one["notes"] for one in told["complaints"]] == [["said sorry"]]
    async with shop.ledger.connection() as connection:
        verified = await verify(connection, 1, keys=shop.ledger.keys)
    assert (verified.differences, verified.beside.notes) == ((), 2)
    rows = await shop.rows("SELECT payload::text FROM event")
    assert not [row for row in rows if "sorry" in row[0] or "tin was open" in json.loads(row[0])]

    owner = await asyncpg.connect(database.admin_url)  # who exchanges it behind the ledger's back
    await owner.execute(
        "UPDATE daogou.member_note k SET note_sealed = n.note_sealed FROM daogou.member_note n WHERE n.note_id <> k.note_id"
    )
    await owner.close()
    async with shop.ledger.connection() as connection:
        verified = await verify(connection, 1, keys=shop.ledger.keys)
    assert sorted(one.stream.split("/")[0] for one in verified.differences) == ["case", "task"]

    await erase_member(shop.ledger, "M1", "asked for", Asked(None, at(2, 14), "hq"))
    assert await shop.value("SELECT count(*) FROM member_note") == 0
    (case,) = await cases(shop, "closed")
    assert (case.complaint, case.answers) == (None, ())
    assert await folds_agree(shop) == []


async def test_a_case_nobody_knows_is_not_there(shop: Brand) -> None:
    with pytest.raises(NotFound):
        await answer_case(shop.ledger, shop.command(), Answer(UUID(int=1)))
