"""The door, on real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from domain.errors import Conflict
from ledger.canonical import NO_HASH, chain
from ledger.door import (
    Appended,
    Driver,
    Head,
    NewEvent,
    StreamBatch,
    append,
    command_used,
    lock_heads,
    read_head,
)
from ledger.ledger import Ledger
from ledger.sequencer import last_position, sequence
from tests.brand import Brand
from tests.conftest import LedgerDatabase

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


def new(kind: str = "noted", **payload: Any) -> NewEvent:
    return NewEvent(kind, payload, NOW, "hq")


def one(stream: str, expected: Head | None = None, *events: NewEvent) -> list[StreamBatch]:
    return [StreamBatch(stream, events or (new(),), expected)]


async def put(
    ledger: Ledger, command_id: str, batches: list[StreamBatch], known_at: datetime = NOW
) -> Appended:
    async with ledger.transaction() as connection:
        return await append(
            connection,
            tenant_id=ledger.tenant_id,
            command_id=command_id,
            known_at=known_at,
            batches=batches,
        )


async def head(ledger: Ledger, stream: str) -> Head | None:
    async with ledger.connection() as connection:
        return await read_head(connection, ledger.tenant_id, stream)


@pytest_asyncio.fixture
async def owner(database: LedgerDatabase) -> AsyncIterator[Driver]:
    """A connection as the owner of the tables."""
    connection = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": "daogou", "daogou.tenant": "1"}
    )
    await connection.execute("SET ROLE daogou_owner")
    yield connection
    await connection.close()


async def test_events_of_a_stream_are_numbered_and_chained_from_their_bytes(
    ledger: Ledger, brand: Brand
) -> None:
    first = await put(ledger, "c1", one("s", None, new(n=1), new(n=2)))
    second = await put(ledger, "c2", one("s", await head(ledger, "s"), new(n=3)))
    assert (first.stream, first.version, first.events, first.duplicate) == ("s", 2, 2, False)
    assert (second.version, second.events) == (3, 1)
    rows = await brand.rows("SELECT version, body, hash, cause FROM event ORDER BY version")
    digest = NO_HASH
    for version, body, stored, _ in rows:
        digest = chain(digest, body)
        assert stored == digest, version
    assert [(row[0], row[3]) for row in rows] == [(1, "c1"), (2, "c1"), (3, "c2")]
    assert await head(ledger, "s") == Head(3, digest)


async def test_credit_goes_to_the_actor_where_nobody_else_is_named(ledger: Ledger, brand: Brand) -> None:
    await put(
        ledger, "c1", [StreamBatch("s", [new(), NewEvent("noted", {}, NOW, "manager", performed_by="guide")])]
    )
    rows = await brand.rows("SELECT actor, performed_by FROM event ORDER BY version")
    assert rows == [("hq", "hq"), ("manager", "guide")]


@pytest.mark.parametrize("expected", [None, Head(1, b"another"), Head(2, b""), Head(7, b"x")])
async def test_an_append_on_a_head_that_moved_is_a_conflict_and_writes_nothing(
    ledger: Ledger, brand: Brand, expected: Head | None
) -> None:
    await put(ledger, "c1", one("s"))
    before = await brand.everything()
    with pytest.raises(Conflict):
        await put(ledger, "c2", one("s", expected))
    assert await brand.everything() == before


async def test_an_append_to_an_existing_version_of_a_stream_that_is_not_there_is_a_conflict(
    ledger: Ledger, brand: Brand
) -> None:
    with pytest.raises(Conflict):
        await put(ledger, "c1", one("s", Head(1, b"x")))
    assert await brand.value("SELECT count(*) FROM command") == 0


async def test_a_command_id_used_twice_changes_nothing_and_answers_the_first(
    ledger: Ledger, brand: Brand
) -> None:
    await put(ledger, "c1", one("s", None, new(), new()))
    before = await brand.everything()
    again = await put(ledger, "c1", one("another stream"))
    assert again == Appended(duplicate=True, stream="s", version=2, events=0)
    assert await brand.everything() == before


async def test_a_duplicate_and_a_conflict_leave_the_callers_transaction_usable(
    ledger: Ledger, brand: Brand
) -> None:
    await put(ledger, "c1", one("s"))
    async with ledger.transaction() as connection:
        again = await append(connection, tenant_id=1, command_id="c1", known_at=NOW, batches=one("s"))
        with pytest.raises(Conflict):
            await append(connection, tenant_id=1, command_id="c2", known_at=NOW, batches=one("s"))
        await append(connection, tenant_id=1, command_id="c3", known_at=NOW, batches=one("t"))
    assert again.duplicate
    assert await brand.rows("SELECT command_id FROM command ORDER BY 1") == [("c1",), ("c3",)]


async def test_twenty_concurrent_appends_of_one_command_are_one_event(ledger: Ledger, brand: Brand) -> None:
    results = await asyncio.gather(*(put(ledger, "c1", one("s")) for _ in range(20)))
    assert sorted(result.duplicate for result in results) == [False] + [True] * 19
    assert {(result.stream, result.version) for result in results} == {("s", 1)}
    assert await brand.value("SELECT count(*) FROM event") == 1
    assert await brand.value("SELECT count(*) FROM event_pending") == 1


async def test_of_concurrent_appends_on_one_head_one_wins_and_the_others_conflict(
    ledger: Ledger, brand: Brand
) -> None:
    await put(ledger, "c0", one("s"))
    at_one = await head(ledger, "s")
    results = await asyncio.gather(
        *(put(ledger, f"c{n}", one("s", at_one)) for n in range(1, 11)), return_exceptions=True
    )
    assert sum(isinstance(result, Appended) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 9
    assert await brand.rows("SELECT version FROM event ORDER BY 1") == [(1,), (2,)]


async def test_writers_who_read_again_after_a_conflict_leave_no_gap(ledger: Ledger, brand: Brand) -> None:
    async def insist(n: int) -> None:
        while True:
            try:
                await put(ledger, f"c{n}", one("s", await head(ledger, "s")))
            except Conflict:
                continue
            return

    await asyncio.gather(*(insist(n) for n in range(12)))
    assert await brand.rows("SELECT version FROM event ORDER BY 1") == [(n,) for n in range(1, 13)]
    assert await brand.value("SELECT version FROM stream_head") == 12


async def test_concurrent_appends_to_streams_in_opposite_order_end_without_a_deadlock(
    ledger: Ledger, brand: Brand
) -> None:
    streams = [f"s{n}" for n in range(20)]
    await put(ledger, "make", [batch for stream in streams for batch in one(stream)])
    async with ledger.connection() as connection:
        heads = await lock_heads(connection, 1, streams)
    results = await asyncio.gather(
        *(
            put(ledger, f"c{n}", [b for s in streams[:: 1 if n % 2 else -1] for b in one(s, heads[s])])
            for n in range(6)
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["Appended"] + ["Conflict"] * 5
    assert await brand.value("SELECT count(*) FROM event") == 40


async def test_an_append_to_many_streams_is_all_or_none(ledger: Ledger, brand: Brand) -> None:
    await put(ledger, "c0", one("s3"))
    before = await brand.everything()
    with pytest.raises(Conflict):
        await put(ledger, "c1", [*one("s1"), *one("s2"), *one("s3")])
    assert await brand.everything() == before
    done = await put(ledger, "c2", [*one("s2"), *one("s3", await head(ledger, "s3")), *one("s1")])
    assert done.events == 3
    assert await brand.rows("SELECT stream, version FROM event ORDER BY 1, 2") == [
        ("s1", 1),
        ("s2", 1),
        ("s3", 1),
        ("s3", 2),
    ]


async def test_one_stream_told_twice_in_an_append_is_a_conflict(ledger: Ledger, brand: Brand) -> None:
    with pytest.raises(Conflict):
        await put(ledger, "c1", [*one("s"), *one("s")])
    assert await brand.value("SELECT count(*) FROM event") == 0


async def test_an_append_of_nothing_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="at least one"):
        await put(ledger, "c1", [])
    with pytest.raises(ValueError, match="at least one"):
        await put(ledger, "c1", [StreamBatch("s", ())])


@pytest.mark.parametrize("payload", [{"a": 1.0}, {"a": [{"b": 0.5}]}, {"a": float("nan")}])
async def test_floats_are_refused(ledger: Ledger, brand: Brand, payload: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="float"):
        await put(ledger, "c1", one("s", None, new(**payload)))
    assert await brand.value("SELECT count(*) FROM command") == 0


async def test_a_used_command_is_known(ledger: Ledger) -> None:
    await put(ledger, "c1", one("s"))
    async with ledger.connection() as connection:
        assert await command_used(connection, 1, "c1")
        assert not await command_used(connection, 1, "c2")
        assert not await command_used(connection, 2, "c1")


# --- partitions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known_at", "partition"),
    [
        (datetime(2031, 7, 31, 23, 59, 59, 999999, tzinfo=UTC), "event_203107"),
        (datetime(2031, 8, 1, tzinfo=UTC), "event_203108"),
        (datetime(2031, 8, 1, 4, tzinfo=timezone(timedelta(hours=8))), "event_203107"),
        (datetime(1999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), "event_200001"),
    ],
)
async def test_a_month_without_a_partition_is_made_on_its_first_event(
    ledger_database: LedgerDatabase, known_at: datetime, partition: str
) -> None:
    ledger, brand = ledger_database.ledger, Brand(ledger_database.ledger)
    assert await brand.value("SELECT to_regclass($1)", f"daogou.{partition}") is None
    done = await put(ledger, "c1", one("s"), known_at)
    assert done.events == 1
    assert await brand.value("SELECT tableoid::regclass::text FROM event") == partition


async def test_a_month_is_made_outside_a_transaction_too(ledger_database: LedgerDatabase) -> None:
    ledger, brand = ledger_database.ledger, Brand(ledger_database.ledger)
    async with ledger.connection() as connection:
        await append(
            connection,
            tenant_id=1,
            command_id="c1",
            known_at=datetime(2032, 1, 1, tzinfo=UTC),
            batches=one("s"),
        )
    assert await brand.value("SELECT tableoid::regclass::text FROM event") == "event_203201"


async def test_writers_who_need_the_same_new_month_at_once_all_get_it(
    ledger_database: LedgerDatabase,
) -> None:
    ledger, brand = ledger_database.ledger, Brand(ledger_database.ledger)
    when = datetime(2033, 5, 5, tzinfo=UTC)
    results = await asyncio.gather(*(put(ledger, f"c{n}", one(f"s{n}"), when) for n in range(10)))
    assert sum(result.events for result in results) == 10
    assert await brand.value("SELECT count(DISTINCT tableoid) FROM event") == 1


# --- append-only, roles, tenants -----------------------------------------------------------------


@pytest.mark.parametrize("table", ["event", "event_202603", "command", "event_position"])
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant_id = 1", "DELETE FROM {}", "TRUNCATE {}"])
async def test_the_ledger_refuses_change_even_by_its_owner(
    ledger: Ledger, owner: Driver, brand: Brand, table: str, change: str
) -> None:
    await put(ledger, "c1", one("s"))
    async with ledger.connection() as connection:
        await sequence(connection, 1)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await owner.execute(change.format(table))
    assert refused.value.sqlstate == "DG003"
    counts = await brand.rows(
        "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM command), (SELECT count(*) FROM event_position)"
    )
    assert counts == [(1, 1, 1)]


@pytest.mark.parametrize("table", ["event", "command", "event_position"])
async def test_the_worker_may_not_even_try_to_change_the_ledger(ledger: Ledger, table: str) -> None:
    async with ledger.connection() as connection:
        for change in ("UPDATE {} SET tenant_id = 1", "DELETE FROM {}", "TRUNCATE {}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change.format(table))


async def test_the_worker_neither_reads_nor_writes_partitions_directly(ledger: Ledger) -> None:
    await put(ledger, "c1", one("s"))
    async with ledger.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM event_202603")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("INSERT INTO event_202603 SELECT * FROM event")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DROP TABLE event_202603")


async def test_a_tenant_sees_and_writes_its_own_rows_only(
    ledger: Ledger, database: LedgerDatabase, brand: Brand
) -> None:
    await brand.open_store()
    await brand.hire()
    await brand.join("M1")
    await put(ledger, "c1", one("s"))
    async with ledger.connection() as connection:
        tables = [
            row["relname"]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relnamespace = 'daogou'::regnamespace AND relkind IN ('r', 'p')"
                " AND NOT relispartition AND relname <> 'alembic_version' ORDER BY 1"
            )
        ]
    assert len(tables) > 20
    other = await asyncpg.connect(
        database.worker_url, server_settings={"search_path": "daogou", "daogou.tenant": "2"}
    )
    try:
        seen = {table: await other.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
        assert seen == dict.fromkeys(tables, 0)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await other.execute("INSERT INTO tenant VALUES (1, 'ours')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await append(other, tenant_id=1, command_id="c2", known_at=NOW, batches=one("t"))
        changed = await other.execute("UPDATE store SET name = 'theirs'")
        assert changed == "UPDATE 0"
        own = await append(other, tenant_id=2, command_id="c1", known_at=NOW, batches=one("s"))
        assert (own.duplicate, own.version) == (False, 1)
    finally:
        await other.close()
    assert await brand.rows("SELECT tenant_id FROM event") == [(1,)]


async def test_a_connection_without_a_tenant_sees_nothing(ledger: Ledger, database: LedgerDatabase) -> None:
    await put(ledger, "c1", one("s"))
    nobody = await asyncpg.connect(database.worker_url, server_settings={"search_path": "daogou"})
    try:
        assert await nobody.fetchval("SELECT count(*) FROM event") == 0
        assert await nobody.fetchval("SELECT count(*) FROM tenant") == 0
    finally:
        await nobody.close()


async def test_the_reader_reads_facts_and_no_person(database: LedgerDatabase, brand: Brand) -> None:
    await brand.open_store()
    await brand.join("M1")
    reader = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": "daogou", "daogou.tenant": "1"}
    )
    try:
        await reader.execute("SET ROLE daogou_reader")
        assert await reader.fetchval("SELECT count(*) FROM member") == 1
        for table in ("guide_person", "member_person", "member_note"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.fetch(f"SELECT * FROM {table}")
        for change in ("DELETE FROM member", "INSERT INTO category VALUES (1, 1, 'x')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(change)
    finally:
        await reader.close()


# --- positions -------------------------------------------------------------------------------------


async def positions(brand: Brand) -> list[tuple[Any, ...]]:
    return await brand.rows("SELECT position, stream, version FROM event_position ORDER BY position")


async def test_positions_are_gapless_with_an_uncommitted_writer_in_the_middle(
    ledger: Ledger, brand: Brand
) -> None:
    await put(ledger, "c1", one("early"))
    async with ledger.connection() as sequencer:
        async with ledger.transaction() as slow:
            await append(slow, tenant_id=1, command_id="c2", known_at=NOW, batches=one("slow"))
            await put(ledger, "c3", one("late"))
            assert await sequence(sequencer, 1) == 2
            assert await positions(brand) == [(1, "early", 1), (2, "late", 1)]
        assert await sequence(sequencer, 1) == 1
        assert await sequence(sequencer, 1) == 0
        assert await last_position(sequencer, 1) == 3
    assert await positions(brand) == [(1, "early", 1), (2, "late", 1), (3, "slow", 1)]


async def test_a_writer_that_rolls_back_leaves_no_gap(ledger: Ledger, brand: Brand) -> None:
    async def fail() -> None:
        async with ledger.transaction() as failing:
            await append(failing, tenant_id=1, command_id="c1", known_at=NOW, batches=one("lost"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await put(ledger, "c2", one("kept"))
    async with ledger.connection() as connection:
        assert await sequence(connection, 1) == 1
    assert await positions(brand) == [(1, "kept", 1)]


async def test_several_sequencers_at_once_give_every_event_one_position(ledger: Ledger, brand: Brand) -> None:
    async def write(n: int) -> None:
        await put(ledger, f"c{n}", one(f"s{n}", None, new(), new(), new()))

    async def give() -> int:
        async with ledger.connection() as connection:
            return await sequence(connection, 1, batch=7)

    await asyncio.gather(*(write(n) for n in range(12)), *(give() for _ in range(4)))
    await asyncio.gather(*(give() for _ in range(4)))
    given = await positions(brand)
    assert [row[0] for row in given] == list(range(1, 37))
    assert len({row[1:] for row in given}) == 36
    for n in range(12):
        assert [row[2] for row in given if row[1] == f"s{n}"] == [1, 2, 3]
    assert await brand.value("SELECT count(*) FROM event_pending") == 0
