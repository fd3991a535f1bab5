"""Verification: whatever is changed behind the door shows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from ledger.door import NO_HASH, Driver, NewEvent, StreamBatch, append, read_head
from ledger.ledger import Ledger
from ledger.sequencer import sequence
from ledger.verify import MOST_LISTED, Verification, verify
from tests.brand import at
from tests.conftest import LedgerDatabase


async def fill(ledger: Ledger, stream: str, count: int = 3) -> None:
    """A stream of `count` events, a command each."""
    for n in range(count):
        async with ledger.transaction() as connection:
            await append(
                connection,
                tenant_id=ledger.tenant_id,
                command_id=f"{stream}/{n}",
                known_at=at(2),
                batches=[
                    StreamBatch(
                        stream,
                        [NewEvent("noted", {"n": n, "flag": n == 1, "text": "一"}, at(2), "hq")],
                        await read_head(connection, 1, stream),
                    )
                ],
            )


@pytest_asyncio.fixture
async def ledger(database: LedgerDatabase) -> Ledger:
    """Two streams of three events with positions, and a third that waits for its own."""
    for stream in ("a", "b"):
        await fill(database.ledger, stream)
    async with database.ledger.connection() as connection:
        await sequence(connection, 1)
    await fill(database.ledger, "c", 1)
    return database.ledger


@pytest_asyncio.fixture
async def forger(database: LedgerDatabase) -> AsyncIterator[Driver]:
    """Somebody with the owner's power and the triggers switched off."""
    connection = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": "daogou", "daogou.tenant": "1"}
    )
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


async def verified(ledger: Ledger) -> Verification:
    async with ledger.connection() as connection:
        return await verify(connection, ledger.tenant_id)


async def test_nothing_is_found_in_an_untouched_ledger(ledger: Ledger) -> None:
    result = await verified(ledger)
    assert result.ok
    assert (result.streams, result.events, result.positions, result.differences) == (3, 7, 6, ())


async def test_nothing_is_found_in_an_empty_ledger(database: LedgerDatabase) -> None:
    result = await verified(database.ledger)
    assert (result.ok, result.events) == (True, 0)


EVENT = "stream = 'a' AND version = 2"
COPY = """
INSERT INTO event SELECT tenant_id, 'a', {version}, occurred_at, known_at, actor, performed_by, cause, type,
       schema_version, body, hash, payload FROM event WHERE stream = 'b' AND version = 3"""
FORGERIES = {
    "payload, only as jsonb": (
        f"""UPDATE event SET payload = '{{"n": 9, "flag": true, "text": "一"}}' WHERE {EVENT}""",
        {"payload differs from the bytes"},
    ),
    "payload, a number that Python holds equal": (
        f"""UPDATE event SET payload = payload || '{{"n": 1.0}}' WHERE {EVENT}""",
        {"payload differs from the bytes"},
    ),
    "payload, a truth that Python holds equal": (
        f"""UPDATE event SET payload = payload || '{{"flag": 1}}' WHERE {EVENT}""",
        {"payload differs from the bytes"},
    ),
    "payload, a field more": (
        f"""UPDATE event SET payload = payload || '{{"more": null}}' WHERE {EVENT}""",
        {"payload differs from the bytes"},
    ),
    "bytes": (
        f"""UPDATE event SET body = overlay(body PLACING '"n":2' FROM position('"n":1'::bytea IN body))
        WHERE {EVENT}""",
        {"hash does not follow from the event before and the bytes", "payload differs from the bytes"},
    ),
    "bytes cut short": (
        f"UPDATE event SET body = substr(body, 1, 20) WHERE {EVENT}",
        {"hash does not follow from the event before and the bytes", "bytes are not readable"},
    ),
    "bytes with a time outside the calendar": (
        (
            f"UPDATE event SET body = decode(repeat('00000002' || '3939', 3) || '0000001e' || repeat('39', 30)"
            f" || repeat('00000000', 7), 'hex') WHERE {EVENT}"
        ),
        {"hash does not follow from the event before and the bytes", "bytes are not readable"},
    ),
    "hash": (
        f"UPDATE event SET hash = sha256('x') WHERE {EVENT}",
        {"hash does not follow from the event before and the bytes"},
    ),
    "actor": (
        f"UPDATE event SET actor = 'guide:7' WHERE {EVENT}",
        {"column actor differs from the bytes"},
    ),
    "credit": (
        f"UPDATE event SET performed_by = 'guide:7' WHERE {EVENT}",
        {"column performed_by differs from the bytes"},
    ),
    "when it occurred": (
        f"UPDATE event SET occurred_at = occurred_at - interval '1 microsecond' WHERE {EVENT}",
        {"column occurred_at differs from the bytes"},
    ),
    "when it became known": (
        f"UPDATE event SET known_at = known_at - interval '1 second' WHERE {EVENT}",
        {"column known_at differs from the bytes", "position without its event"},
    ),
    "type": (f"UPDATE event SET type = 'praised' WHERE {EVENT}", {"column type differs from the bytes"}),
    "schema version": (
        f"UPDATE event SET schema_version = 2 WHERE {EVENT}",
        {"column schema_version differs from the bytes"},
    ),
    "cause": (
        f"UPDATE event SET cause = 'a/0' WHERE {EVENT}",
        {"column cause differs from the bytes"},
    ),
    "an event removed in the middle": (
        f"DELETE FROM event WHERE {EVENT}",
        {
            "event missing or out of order",
            "hash does not follow from the event before and the bytes",
            "position without its event",
        },
    ),
    "the first event removed": (
        "DELETE FROM event WHERE stream = 'a' AND version = 1",
        {
            "event missing or out of order",
            "hash does not follow from the event before and the bytes",
            "position without its event",
        },
    ),
    "the tail cut": (
        "DELETE FROM event WHERE stream = 'a' AND version = 3",
        {"tail cut or head moved: head and last event differ in version", "position without its event"},
    ),
    "a whole stream removed": (
        "DELETE FROM event WHERE stream = 'a'",
        {"the whole stream is missing", "position without its event"},
    ),
    "an event inserted at the tail": (
        COPY.format(version=4),
        {
            "hash does not follow from the event before and the bytes",
            "column stream differs from the bytes",
            "column version differs from the bytes",
            "tail cut or head moved: head and last event differ in version",
            "event has neither a position nor a place in the queue",
        },
    ),
    "an event of another stream put in the place of one": (
        f"DELETE FROM event WHERE {EVENT}; {COPY.format(version=2)}",
        {
            "hash does not follow from the event before and the bytes",
            "column stream differs from the bytes",
            "column version differs from the bytes",
        },
    ),
    "two events swapped": (
        (
            "UPDATE event SET version = 99 WHERE stream = 'a' AND version = 1;"
            "UPDATE event SET version = 1 WHERE stream = 'a' AND version = 2;"
            "UPDATE event SET version = 2 WHERE stream = 'a' AND version = 99"
        ),
        {
            "hash does not follow from the event before and the bytes",
            "column version differs from the bytes",
        },
    ),
    "the head moved back": (
        "UPDATE stream_head SET version = 2 WHERE stream = 'a'",
        {"tail cut or head moved: head and last event differ in version"},
    ),
    "the head's hash": (
        "UPDATE stream_head SET hash = sha256('x') WHERE stream = 'a'",
        {"head and last event differ in hash"},
    ),
    "the head removed": ("DELETE FROM stream_head WHERE stream = 'a'", {"stream has no head"}),
    "a position removed": (
        "DELETE FROM event_position WHERE position = 2",
        {"positions have a gap", "event has neither a position nor a place in the queue"},
    ),
    "the last position removed": (
        "DELETE FROM event_position WHERE position = 6",
        {"event has neither a position nor a place in the queue"},
    ),
    "two positions swapped": (
        (
            "UPDATE event_position SET position = 99 WHERE position = 1;"
            "UPDATE event_position SET position = 1 WHERE position = 2;"
            "UPDATE event_position SET position = 2 WHERE position = 99"
        ),
        {"positions run against the versions of the stream"},
    ),
    "a place in the queue removed": (
        "DELETE FROM event_pending",
        {"event has neither a position nor a place in the queue"},
    ),
    "a command removed": (
        "DELETE FROM command WHERE command_id = 'a/1'",
        {"command of the event is not recorded"},
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forgery_is_found(ledger: Ledger, forger: Driver, forgery: str) -> None:
    statement, kinds = FORGERIES[forgery]
    await forger.execute(statement)
    result = await verified(ledger)
    assert not result.ok
    assert {difference.kind for difference in result.differences} == kinds
    assert {difference.stream for difference in result.differences} <= {"a", "b", "c", "event_position"}


async def test_the_first_hundred_differences_are_listed_and_all_are_counted(
    ledger: Ledger, forger: Driver
) -> None:
    async with ledger.transaction() as connection:
        await append(
            connection,
            tenant_id=1,
            command_id="many",
            known_at=at(2),
            batches=[StreamBatch(f"m{n}", [NewEvent("noted", {}, at(2), "hq")]) for n in range(150)],
        )
    await forger.execute("UPDATE event SET actor = 'x' WHERE cause = 'many'")
    result = await verified(ledger)
    assert (result.found, len(result.differences)) == (150, MOST_LISTED)


async def test_progress_is_told_while_verifying(ledger: Ledger) -> None:
    told: list[int] = []
    async with ledger.connection() as connection:
        await verify(connection, 1, on_progress=told.append)
    assert told == [7]
    assert NO_HASH == b""


async def test_another_tenants_ledger_is_not_mixed_in(ledger: Ledger, forger: Driver) -> None:
    await append(
        forger,
        tenant_id=2,
        command_id="theirs",
        known_at=at(2),
        batches=[StreamBatch("a", [NewEvent("noted", {}, at(2), "they")])],
    )
    result = await verified(ledger)
    assert (result.ok, result.events) == (True, 7)
