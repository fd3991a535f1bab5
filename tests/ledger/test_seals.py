"""Seals and anchors: what is rewritten behind the door shows, however well it is done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from ledger.anchors import Anchor
from ledger.canonical import NO_HASH, chain, decode, encode, payload_bytes
from ledger.door import Driver, NewEvent, StreamBatch, append, read_head
from ledger.ledger import Ledger
from ledger.seals import Seal, Unsealable, last_seal, seal_new
from ledger.sequencer import sequence
from ledger.verify import Verification, verify
from tests.brand import at
from tests.conftest import LedgerDatabase

NOON = at(2, 12)
KEPT_IN = "anchors.jsonl"


async def note(ledger: Ledger, stream: str, *, times: int = 1) -> None:
    """Events with positions, a command each."""
    async with ledger.connection() as connection:
        for _ in range(times):
            head = await read_head(connection, 1, stream)
            number = head.version if head else 0
            event = NewEvent("noted", {"n": number, "text": "一"}, at(2), "hq")
            await append(
                connection,
                tenant_id=1,
                command_id=f"{stream}/{number}",
                known_at=at(2),
                batches=[StreamBatch(stream, [event], head)],
            )
        await sequence(connection, 1)


@pytest_asyncio.fixture
async def sealed(database: LedgerDatabase) -> tuple[Ledger, list[Seal]]:
    """Nine events in three streams; sealed after four, seven and nine."""
    ledger, seals = database.ledger, []
    for number, streams in enumerate(("aab", "bca", "ac")):
        for stream in streams:
            await note(ledger, stream)
        if number == 0:
            await note(ledger, "b")
        seal = await seal_new(ledger, NOON + number * timedelta(minutes=5))
        assert seal is not None
        seals.append(seal)
    assert [seal.position for seal in seals] == [4, 7, 9]
    return ledger, seals


@pytest_asyncio.fixture
async def forger(database: LedgerDatabase) -> AsyncIterator[Driver]:
    """Somebody with the owner's power and the triggers switched off."""
    connection = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": "daogou", "daogou.tenant": "1"}
    )
    await connection.execute("SET session_replication_role = replica")
    yield connection
    await connection.close()


def kept(*seals: Seal, where: str = KEPT_IN) -> list[Anchor]:
    return [Anchor.of(seal, where) for seal in seals]


async def verified(ledger: Ledger, *anchors: Anchor, since: int = 0) -> Verification:
    async with ledger.connection() as connection:
        return await verify(connection, 1, anchors=anchors, since=since)


def told(verification: Verification) -> list[tuple[str, int, str]]:
    return [(one.stream, one.version, one.kind) for one in verification.differences]


async def rewrite(forger: Driver, stream: str, version: int, changes: dict[str, Any]) -> None:
    """Change an event as a master forger does: bytes, columns, jsonb, every hash after it, and the head."""
    rows = await forger.fetch("SELECT * FROM event WHERE stream = $1 ORDER BY version", stream)
    digest = NO_HASH
    for row in rows:
        event = decode(row["body"])
        if row["version"] == version:
            event.payload.update(changes)
        body = encode(event)
        digest = chain(digest, body)
        await forger.execute(
            "UPDATE event SET body = $3, hash = $4, payload = $5::text::jsonb WHERE stream = $1 AND version = $2",
            stream,
            row["version"],
            body,
            digest,
            payload_bytes(event.payload).decode(),
        )
    await forger.execute("UPDATE stream_head SET hash = $2 WHERE stream = $1", stream, digest)


async def cut(forger: Driver, stream: str) -> None:
    """Take the last event of a stream away, and everything that tells of it; positions close up."""
    version = await forger.fetchval("SELECT version FROM stream_head WHERE stream = $1", stream)
    position = await forger.fetchval(
        "SELECT position FROM event_position WHERE stream = $1 AND version = $2", stream, version
    )
    for table in ("event", "event_position", "command"):
        await forger.execute(f"DELETE FROM {table} WHERE stream = $1 AND version = $2", stream, version)
    await forger.execute("UPDATE event_position SET position = position - 1 WHERE position > $1", position)
    await forger.execute(
        "UPDATE stream_head SET version = version - 1, hash = (SELECT hash FROM event e"
        " WHERE e.stream = $1 AND e.version = $2 - 1) WHERE stream = $1",
        stream,
        version,
    )


async def reseal(forger: Driver, ledger: Ledger, seals: list[Seal]) -> None:
    """Make the table of seals anew over what is there now, at the same positions and instants."""
    await forger.execute("DELETE FROM seal")
    positions = await forger.fetch("SELECT * FROM event_position ORDER BY position")
    for seal in seals:
        await forger.execute("DELETE FROM event_position")
        await forger.executemany(
            "INSERT INTO event_position VALUES ($1, $2, $3, $4, $5)",
            [tuple(row) for row in positions if row["position"] <= seal.position],
        )
        await seal_new(ledger, seal.sealed_at)
    await forger.execute("DELETE FROM event_position")
    await forger.executemany(
        "INSERT INTO event_position VALUES ($1, $2, $3, $4, $5)", [tuple(row) for row in positions]
    )


async def test_a_sealed_and_anchored_ledger_is_proven_up_to_its_anchor(
    sealed: tuple[Ledger, list[Seal]],
) -> None:
    ledger, seals = sealed
    await note(ledger, "d", times=2)
    result = await verified(ledger, *kept(*seals[:2]))
    assert told(result) == []
    assert result.standing.sealed == seals[2]
    assert result.standing.anchored_position == 7
    assert result.standing.unanchored == 4


async def test_a_seal_costs_what_is_new_and_gives_the_same_root_as_one_over_everything(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, seals = sealed
    assert await seal_new(ledger, NOON) == seals[2]  # nothing is new: nothing is written
    await forger.execute("DELETE FROM seal")
    at_once = await seal_new(ledger, NOON)
    assert at_once is not None
    assert (at_once.position, at_once.root) == (9, seals[2].root)
    assert at_once.seal_hash != seals[2].seal_hash


@pytest.mark.parametrize("stream", ["a", "b", "c"])
async def test_a_chain_rewritten_with_correct_hashes_differs_from_its_seals(
    sealed: tuple[Ledger, list[Seal]], forger: Driver, stream: str
) -> None:
    ledger, _ = sealed
    await rewrite(forger, stream, 1, {"text": "二"})
    result = await verified(ledger)
    expected = {"a": [(1, 4), (5, 7), (8, 9)], "b": [(1, 4), (5, 7)], "c": [(5, 7), (8, 9)]}[stream]
    assert told(result) == [
        ("seal", last, f"an event at the positions {first} to {last} is not the one sealed")
        for first, last in expected
    ]


async def test_a_rewritten_ledger_with_rewritten_seals_differs_from_what_was_kept_outside(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, seals = sealed
    await rewrite(forger, "c", 1, {"text": "二"})
    await reseal(forger, ledger, seals)
    assert told(await verified(ledger)) == []  # inside the database everything fits
    result = await verified(ledger, *kept(*seals))
    kind = f"an event at the positions 5 to 7 is not the one anchored: {KEPT_IN}"
    assert told(result) == [("seal", 7, kind)]
    assert result.standing.anchored_position == 4
    assert result.standing.unanchored == 5


async def test_a_tail_cut_with_all_that_told_of_it_differs_from_what_was_kept_outside(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, seals = sealed
    await cut(forger, "c")
    assert told(await verified(ledger)) == [("seal", 9, "events up to the sealed position are missing")]
    await forger.execute("DELETE FROM seal WHERE position = 9")
    assert told(await verified(ledger)) == []
    kind = f"events up to the anchored position are missing: {KEPT_IN}"
    assert told(await verified(ledger, *kept(*seals))) == [("seal", 9, kind)]


async def test_events_put_in_another_order_differ_from_their_seals(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, _ = sealed
    await forger.execute(
        "UPDATE event_position SET position = 99 WHERE position = 3;"  # a's second and b's first
        "UPDATE event_position SET position = 3 WHERE position = 2;"
        "UPDATE event_position SET position = 2 WHERE position = 99"
    )
    kind = "an event at the positions 1 to 4 is not the one sealed"
    assert told(await verified(ledger)) == [("seal", 4, kind)]


FORGED_SEALS = {
    "the root": (
        "UPDATE seal SET root = sha256('x') WHERE position = 7",
        {"the seal does not follow from the one before", "the seal's peaks do not lead to its root"},
    ),
    "the peaks": (
        "UPDATE seal SET peaks = root WHERE position = 7",
        {"the seal's peaks do not lead to its root"},
    ),
    "the instant": (
        "UPDATE seal SET sealed_at = sealed_at - interval '1 microsecond' WHERE position = 7",
        {"the seal does not follow from the one before"},
    ),
    "one taken away": (
        "DELETE FROM seal WHERE position = 7",
        {"the seal does not follow from the one before"},
    ),
    "its position": (
        "UPDATE seal SET position = 6 WHERE position = 7",
        {"the seal does not follow from the one before", "the seal's peaks do not lead to its root"},
    ),
}


@pytest.mark.parametrize("forgery", FORGED_SEALS)
async def test_a_forged_seal_is_found(
    sealed: tuple[Ledger, list[Seal]], forger: Driver, forgery: str
) -> None:
    statement, kinds = FORGED_SEALS[forgery]
    await forger.execute(statement)
    result = await verified(sealed[0])
    assert {one.kind for one in result.differences} == kinds
    assert {one.stream for one in result.differences} == {"seal"}


async def test_seals_all_taken_away_are_missed_by_whoever_kept_one(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, seals = sealed
    await forger.execute("DELETE FROM seal")
    kind = f"the anchored seal is missing: {KEPT_IN}"
    assert told(await verified(ledger, *kept(*seals))) == [("seal", 4, kind)]


async def test_nothing_is_sealed_on_top_of_a_forged_seal(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, _ = sealed
    await forger.execute("UPDATE seal SET root = sha256('x') WHERE position = 9")
    await note(ledger, "d")
    with pytest.raises(Unsealable, match="position 9"):
        await seal_new(ledger, NOON)
    await forger.execute(
        "DELETE FROM seal WHERE position = 9; DELETE FROM event WHERE stream = 'c' AND version = 2"
    )
    with pytest.raises(Unsealable, match="position 9 has no event: c 2"):
        await seal_new(ledger, NOON)


async def test_the_table_of_seals_is_append_only_even_for_its_owner(
    sealed: tuple[Ledger, list[Seal]], database: LedgerDatabase
) -> None:
    owner = await asyncpg.connect(database.admin_url, server_settings={"search_path": "daogou"})
    try:
        for statement in ("UPDATE seal SET position = 1", "DELETE FROM seal", "TRUNCATE seal"):
            with pytest.raises(asyncpg.PostgresError, match="append-only"):
                await owner.execute(statement)
    finally:
        await owner.close()
    async with sealed[0].connection() as connection:
        assert await last_seal(connection, 1) == sealed[1][2]


async def test_what_came_since_a_seal_is_verified_without_what_was_before(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, seals = sealed
    result = await verified(ledger, *kept(*seals[:2]), since=8)
    assert (result.ok, result.since, result.events, result.streams) == (True, 7, 2, 2)
    assert result.standing.anchored_position == 7
    await rewrite(forger, "b", 1, {"text": "二"})  # all of it before position 7
    assert told(await verified(ledger, since=7)) == []
    await rewrite(forger, "a", 4, {"text": "二"})  # position 8
    kind = "an event at the positions 8 to 9 is not the one sealed"
    assert told(await verified(ledger, since=7)) == [("seal", 9, kind)]


@pytest.mark.parametrize(
    ("forgery", "kinds"),
    [
        ("UPDATE event SET actor = 'x' WHERE stream = 'a' AND version = 4", {"column actor differs from the bytes"}),
        ("UPDATE stream_head SET version = 3 WHERE stream = 'a'",
         {"tail cut or head moved: head and last event differ in version"}),
        ("DELETE FROM command WHERE command_id = 'a/3'", {"command of the event is not recorded"}),
        ("DELETE FROM event WHERE stream = 'a' AND version = 4",
         {"position without its event", "tail cut or head moved: head and last event differ in version",
          "an event at the positions 8 to 9 is not the one sealed"}),
        ("DELETE FROM event_position WHERE position = 8", {"positions have a gap",
          "an event at the positions 8 to 9 is not the one sealed"}),
    ],
)  # fmt: skip
async def test_a_forgery_since_a_seal_is_found(
    sealed: tuple[Ledger, list[Seal]], forger: Driver, forgery: str, kinds: set[str]
) -> None:
    await forger.execute(forgery)
    assert {one.kind for one in (await verified(sealed[0], since=7)).differences} == kinds


async def test_a_seal_that_is_taken_for_granted_must_be_the_one_kept_outside(
    sealed: tuple[Ledger, list[Seal]], forger: Driver
) -> None:
    ledger, seals = sealed
    await rewrite(forger, "b", 1, {"text": "二"})
    await reseal(forger, ledger, seals)
    kind = f"the seal is not the one that was anchored: {KEPT_IN}"
    assert ("seal", 7, kind) in told(await verified(ledger, *kept(*seals), since=7))
