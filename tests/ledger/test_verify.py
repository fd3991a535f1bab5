"""Verification: whatever is changed behind the door shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import polars as pl
import pytest
import pytest_asyncio

from domain.events import CycleChecked
from imports.loading import import_frame
from imports.report import Kind, Tenant
from ledger.cycles import record_check
from ledger.door import NO_HASH, Driver, NewEvent, StreamBatch, append, read_head
from ledger.ledger import Ledger
from ledger.sequencer import sequence
from ledger.verify import MOST_LISTED, Verification, verify
from tests.brand import Brand, at
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
TWIN = """
INSERT INTO event SELECT tenant_id, stream, version, occurred_at, known_at {shift} interval '1 hour', 'forged', performed_by,
       cause, type, schema_version, body, hash, payload FROM event WHERE stream = 'a' AND version = {version}"""
TWINNED = {
    "several events of one version",
    "event has neither a position nor a place in the queue",
    "column actor differs from the bytes",
    "column known_at differs from the bytes",
}
FORGERIES = {
    "a second event of a version": (TWIN.format(shift="+", version=2), TWINNED),
    "a second event of the head's version": (TWIN.format(shift="-", version=3), TWINNED),
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
        {
            "column known_at differs from the bytes",
            "position without its event",
            "event has neither a position nor a place in the queue",
            "command without its event",
        },
    ),
    "type": (f"UPDATE event SET type = 'praised' WHERE {EVENT}", {"column type differs from the bytes"}),
    "schema version": (
        f"UPDATE event SET schema_version = 2 WHERE {EVENT}",
        {"column schema_version differs from the bytes"},
    ),
    "cause": (
        f"UPDATE event SET cause = 'a/0' WHERE {EVENT}",
        {"column cause differs from the bytes", "command without its event"},
    ),
    "an event removed in the middle": (
        f"DELETE FROM event WHERE {EVENT}",
        {
            "event missing or out of order",
            "hash does not follow from the event before and the bytes",
            "position without its event",
            "command without its event",
        },
    ),
    "the first event removed": (
        "DELETE FROM event WHERE stream = 'a' AND version = 1",
        {
            "event missing or out of order",
            "hash does not follow from the event before and the bytes",
            "position without its event",
            "command without its event",
        },
    ),
    "the tail cut": (
        "DELETE FROM event WHERE stream = 'a' AND version = 3",
        {
            "tail cut or head moved: head and last event differ in version",
            "position without its event",
            "command without its event",
        },
    ),
    "a whole stream removed": (
        "DELETE FROM event WHERE stream = 'a'",
        {"the whole stream is missing", "position without its event", "command without its event"},
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
            "command without its event",
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
            "command without its event",
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
    "a command added": (
        "INSERT INTO command (tenant_id, command_id, known_at, stream, version) VALUES (1, 'x', now(), 'a', 1)",
        {"command without its event"},
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


@pytest.mark.parametrize("table", ["check_in", "task", "member_note"])
async def test_a_view_in_a_tables_place_is_found(ledger: Ledger, forger: Driver, table: str) -> None:
    await forger.execute(f"ALTER TABLE {table} RENAME TO kept_{table}")
    try:
        await forger.execute(f"CREATE VIEW {table} AS SELECT * FROM kept_{table}")
        await forger.execute(f"GRANT SELECT ON {table} TO daogou_worker")
        result = await verified(ledger)
        assert (table, "is not the table it should be") in {(d.stream, d.kind) for d in result.differences}
    finally:
        await forger.execute(f"DROP VIEW {table}")
        await forger.execute(f"ALTER TABLE kept_{table} RENAME TO {table}")


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


@pytest_asyncio.fixture
async def day(shop: Brand) -> Brand:
    """An import, a day with two reports, and a Check."""
    await import_frame(
        shop.ledger.engine,
        Tenant(1, shop.secret, shop.ledger.keys),
        Kind.STORES,
        pl.DataFrame({"code": ["S7", "S8"], "name": ["七店", "八店"]}),
        known_at=at(1),
        actor="hq",
    )
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    first, second = [await shop.task(member) for member in await shop.listed(2, guide)]
    await shop.report(first, guide, at(2, 10), "interested", grade="A", products=("TIN",))
    await shop.report(second, guide, at(2, 11), "no_answer")
    checked = CycleChecked(
        cycle=1,
        kind="provisional",
        as_of=at(3, 9, 30),
        position=7,
        figures={"会员": 2, "rate": [1, 2], "none": None},
    )
    async with shop.ledger.transaction() as connection:
        plan_id = await connection.fetchval("SELECT plan_id FROM plan")
        await record_check(connection, 1, shop.command(when=at(3)), plan_id=plan_id, checked=checked)
    async with shop.ledger.connection() as connection:
        await sequence(connection, 1)
    return shop


async def test_nothing_is_found_where_everything_kept_is_what_the_events_told(day: Brand) -> None:
    counts = await day.rows(
        "SELECT (SELECT count(*) FROM check_in), (SELECT count(*) FROM plan_check), (SELECT count(*) FROM import_batch)"
    )
    assert counts == [(2, 1, 1)]
    assert (await verified(day.ledger)).differences == ()


KEPT = {
    "a check-in's outcome": (
        "UPDATE check_in SET outcome = 'refused' WHERE reached",
        "check-in differs from its events: outcome",
    ),
    "a check-in's time": (
        "UPDATE check_in SET occurred_at = occurred_at + interval '1 microsecond' WHERE reached",
        "check-in differs from its events: occurred_at",
    ),
    "who is credited with a check-in": (
        "UPDATE check_in SET guide_id = gen_random_uuid() WHERE reached",
        "check-in differs from its events: guide_id",
    ),
    "a check-in removed": ("DELETE FROM check_in WHERE reached", "check-in of the events is missing"),
    "a check-in invented": (
        """INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at,
                                 known_at, business_date, channel, outcome, reached)
        SELECT tenant_id, task_id, version + 1, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at,
               business_date, channel, outcome, reached FROM check_in WHERE reached""",
        "check-in without its events",
    ),
    "a Check's figures": (
        """UPDATE plan_check SET figures = figures || '{"会员": 3}'""",
        "Check differs from its events: figures",
    ),
    "a Check's figures, equal as numbers": (
        """UPDATE plan_check SET figures = figures || '{"会员": 2.0}'""",
        "Check differs from its events: figures",
    ),
    "the instant of a Check": (
        "UPDATE plan_check SET as_of = as_of - interval '1 microsecond'",
        "Check differs from its events: as_of",
    ),
    "the position of a Check": (
        "UPDATE plan_check SET position = 8",
        "Check differs from its events: position",
    ),
    "a Check removed": ("DELETE FROM plan_check", "Check of the events is missing"),
    "a Check invented": (
        "INSERT INTO plan_check SELECT tenant_id, plan_id, cycle, 'settled', as_of, position, figures FROM plan_check",
        "Check without its events",
    ),
    "the root of an import": (
        "UPDATE import_batch SET root = 'x'",
        "import batch differs from its events: root",
    ),
    "an import removed": ("DELETE FROM import_batch", "import batch of the events is missing"),
    "an import invented": (
        "INSERT INTO import_batch SELECT tenant_id, 9, kind, 'x', 1, 1, 0, known_at FROM import_batch",
        "import batch without its events",
    ),
    "a plan that stands otherwise": (
        "UPDATE plan SET status = 'paused'",
        "plan differs from its events: status",
    ),
    "an item that is due another day": (
        "UPDATE task SET due_on = due_on + 1 WHERE state = 'done'",
        "item differs from its events: due_on",
    ),
    "who looks after a member": (
        "UPDATE plan_member SET guide_id = gen_random_uuid() WHERE grade = 'A'",
        "member of a cycle differs from its events: guide_id",
    ),
    "an item added to a published list": (
        "INSERT INTO list_item SELECT tenant_id, guide_id, business_date, 9, gen_random_uuid() FROM list_item LIMIT 1",
        "item of a list without its events",
    ),
    "a day that counts more": (
        "UPDATE guide_day SET listed = 3",
        "guide's day differs from its events: listed",
    ),
}


@pytest.mark.parametrize("forgery", KEPT)
async def test_what_is_kept_beside_the_events_and_says_something_else_is_found(
    day: Brand, forger: Driver, forgery: str
) -> None:
    statement, kind = KEPT[forgery]
    await forger.execute(statement)
    assert [difference.kind for difference in (await verified(day.ledger)).differences] == [kind]


async def test_an_unreadable_instant_in_a_forged_payload_is_a_difference_and_no_failure(
    day: Brand, forger: Driver
) -> None:
    await forger.execute(
        """UPDATE event SET payload = payload || '{"as_of": "never"}' WHERE type = 'cycle_checked'"""
    )
    assert {difference.kind for difference in (await verified(day.ledger)).differences} == {
        "payload differs from the bytes",
        "Check differs from its events: as_of",
    }
