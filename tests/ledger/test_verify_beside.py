"""Notes and closed days are held against their events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from activities.asked import Asked
from activities.members import erase_member
from ledger.door import Driver
from ledger.seals import seal_new
from ledger.sequencer import sequence
from ledger.verify import Verification, verify
from tests.brand import Brand, at
from tests.conftest import LedgerDatabase

SALT = b"0123456789abcdef"


@pytest_asyncio.fixture
async def day(shop: Brand) -> tuple[Brand, UUID, list[UUID]]:
    """A day of three items with two reports and their notes, closed."""
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    tasks = [await shop.task(member) for member in await shop.listed(2, guide)]
    for hour, task in zip((10, 11), tasks[:2], strict=True):
        await shop.report(task, guide, at(2, hour), "interested", note=f"likes tea at {hour}", salt=SALT)
    await shop.evening(2, guide)
    return shop, guide, tasks


@pytest_asyncio.fixture
async def forger(database: LedgerDatabase) -> AsyncIterator[Driver]:
    """Somebody with the owner's power and the triggers switched off."""
    connection = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": "daogou", "daogou.tenant": "1"}
    )
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def verified(brand: Brand, *, since: int = 0) -> Verification:
    async with brand.ledger.connection() as connection:
        return await verify(connection, 1, keys=brand.ledger.keys, since=since)


async def test_every_note_is_opened_and_every_closed_day_compared(
    day: tuple[Brand, UUID, list[UUID]],
) -> None:
    result = await verified(day[0])
    assert result.differences == ()
    assert (result.beside.notes, result.beside.erased, result.beside.unread, result.beside.days) == (
        2,
        0,
        0,
        1,
    )


ONE = "note_id = (SELECT note_id FROM member_note ORDER BY note_id LIMIT 1)"
FORGED_NOTES = {
    "another note put in its place": (
        """UPDATE member_note n SET note_sealed = o.note_sealed, salt_sealed = o.salt_sealed FROM member_note o
        WHERE o.note_id > n.note_id""",
        "note exchanged",
    ),
    "bytes that are no note": (f"UPDATE member_note SET note_sealed = '\\x00' WHERE {ONE}", "note exchanged"),
    "a plain text": (
        f"UPDATE member_note SET note_sealed = NULL, note = 'likes coffee', salt = '0123456789abcdef' WHERE {ONE}",
        "note exchanged",
    ),
    "taken away": (f"DELETE FROM member_note WHERE {ONE}", "note of the event is missing"),
}


@pytest.mark.parametrize("forgery", FORGED_NOTES)
async def test_a_note_exchanged_or_taken_away_is_found(
    day: tuple[Brand, UUID, list[UUID]], forger: Driver, forgery: str
) -> None:
    brand, _, tasks = day
    statement, kind = FORGED_NOTES[forgery]
    await forger.execute(statement)
    (found,) = (await verified(brand)).differences
    assert found.kind == kind
    assert found.stream in {f"task/{task}" for task in tasks}


async def test_notes_of_an_erased_member_are_gone_by_right_and_counted(
    day: tuple[Brand, UUID, list[UUID]],
) -> None:
    brand = day[0]
    await erase_member(brand.ledger, "M1", "asked", Asked(None, at(3), "hq"))
    result = await verified(brand)
    assert result.differences == ()
    assert (result.beside.notes, result.beside.erased) == (1, 1)


async def test_a_late_fact_leaves_the_head_of_the_closed_day_as_it_was(
    day: tuple[Brand, UUID, list[UUID]],
) -> None:
    brand, guide, tasks = day
    query = "SELECT payload::text FROM event WHERE type = 'day_closed'"
    before = await brand.value(query)
    # Occurred before the close, received after it.
    await brand.report(tasks[2], guide, at(2, 20), "came", known_at=at(3, 8))
    assert await brand.value(query) == before
    assert (await verified(brand)).differences == ()


@pytest.mark.parametrize(
    ("forgery", "kind"),
    [
        ("UPDATE event SET hash = sha256('x') WHERE type = 'checked_in' AND stream = $1",
         "the day's head differs from its items"),
        ("DELETE FROM event WHERE type = 'checked_in' AND stream = $1", "an item the day was closed with is missing"),
    ],
)  # fmt: skip
async def test_a_closed_day_whose_items_changed_is_found(
    day: tuple[Brand, UUID, list[UUID]], forger: Driver, forgery: str, kind: str
) -> None:
    brand, guide, tasks = day
    await forger.execute(forgery, f"task/{tasks[0]}")
    found = [one for one in (await verified(brand)).differences if one.kind == kind]
    assert [(one.stream, one.version) for one in found] == [(f"guide-day/{guide}/{date(2026, 3, 2)}", 2)]


async def test_since_a_seal_only_what_came_after_it_is_opened_and_compared(
    day: tuple[Brand, UUID, list[UUID]], forger: Driver
) -> None:
    brand = day[0]
    async with brand.ledger.connection() as connection:
        await sequence(connection, 1)
    position = await brand.value(
        "SELECT min(p.position) FROM event_position p JOIN event e USING (tenant_id, stream, version)"
        " WHERE e.type = 'checked_in'"
    )
    rows = await forger.fetch("DELETE FROM event_position WHERE position > $1 RETURNING *", position)
    await seal_new(brand.ledger, at(2))
    await forger.executemany(
        "INSERT INTO event_position VALUES ($1, $2, $3, $4, $5)", [tuple(row) for row in rows]
    )
    result = await verified(brand, since=position)
    assert (result.ok, result.since, result.beside.notes, result.beside.days) == (True, position, 1, 1)
    await forger.execute("DELETE FROM member_note")
    assert [one.kind for one in (await verified(brand, since=position)).differences] == [
        "note of the event is missing"
    ]
