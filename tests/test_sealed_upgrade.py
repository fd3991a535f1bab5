"""A database of the version before the members' keys comes out sealed, and reads as before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from alembic import command
from sqlalchemy.engine import Connection

from domain.identifiers import personal_id
from infra import databases
from infra.databases import open_ledger
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import SqliteKeys
from infra.settings import Settings
from ledger import people
from ledger.migrate import _config, _engine, migrate
from ledger.people import Person, note_place, open_text, read_people, salt_place
from ledger.sealing import unseal
from tests.conftest import drop_database

SECRET, SALT = b"before", b"0123456789abcdef"
NAME, PHONE, NOTE = "欧阳无忌", "13987654321", "对芒果过敏"
NOTE_ID = UUID(int=7)


@pytest.fixture
async def old(postgres: tuple[EmbeddedPostgres, PostgresAddress]) -> AsyncIterator[str]:
    """A database as version 2 left it, with 12 members and a note."""
    _, address = postgres
    name = "of_version_2"
    admin = await asyncpg.connect(address.url("postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    engine = _engine(address.url(name))
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade_to_2)
        await connection.commit()
    await engine.dispose()
    owner = await asyncpg.connect(address.url(name), server_settings={"search_path": "daogou"})
    await owner.execute("INSERT INTO tenant VALUES (1, 'daogou')")
    await owner.execute("INSERT INTO tenant_secret VALUES (1, $1)", SECRET)
    members = [personal_id(SECRET, "member", f"M{n}") for n in range(12)]
    await owner.execute(
        "INSERT INTO member (tenant_id, member_id, opted_out_at, batch_id)"
        " SELECT 1, m, CASE WHEN n = 1 THEN timestamptz '2026-03-01' END, 1"
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS u(m, n)",
        members,
    )
    await owner.execute(
        "INSERT INTO member_person SELECT 1, m, 'M' || n - 1, $2, CASE WHEN n > 1 THEN $3 END"
        " FROM unnest($1::uuid[]) WITH ORDINALITY AS u(m, n)",
        members,
        NAME,
        PHONE,
    )
    await owner.execute("INSERT INTO member_note VALUES (1, $1, $2, $3, $4)", NOTE_ID, members[0], SALT, NOTE)
    await owner.close()
    yield name
    await drop_database(address, name)


def _upgrade_to_2(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")


async def _files_hold(address: PostgresAddress, name: str, text: str) -> bool:
    """Whether a text is in any file of the database, as it lies on the disk."""
    admin = await asyncpg.connect(address.url(name))
    try:
        await admin.execute("CHECKPOINT")
        folder = await admin.fetchval(
            "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database WHERE datname = $1",
            name,
        )
    finally:
        await admin.close()
    return _any_holds(Path(folder), text)


def _any_holds(folder: Path, text: str) -> bool:
    return any(text.encode() in path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_what_was_plain_is_sealed_and_reads_as_before(
    old: str, home: Path, postgres: tuple[EmbeddedPostgres, PostgresAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = postgres
    monkeypatch.setattr(people, "BATCH", 5)  # in several batches
    assert await _files_hold(address, old, NAME), "the search finds what is there"
    async with open_ledger(Settings(home=home, database=old)) as (ledger, _):
        members = [personal_id(SECRET, "member", f"M{n}") for n in range(12)]
        async with ledger.connection() as connection:
            read = await read_people(connection, 1, ledger.keys, members)
            plain = await connection.fetchval(
                "SELECT count(*) FROM member_person WHERE code IS NOT NULL OR name IS NOT NULL OR phone IS NOT NULL"
            )
            note = await connection.fetchrow("SELECT * FROM member_note")
            consents = [
                tuple(row)
                for row in await connection.fetch("SELECT member_id, purpose, given, source FROM consent")
            ]
        keys = await ledger.keys.get_many(members)
        assert [read[member] for member in members] == [
            Person(f"M{n}", NAME, PHONE if n else None) for n in range(12)
        ]
        assert plain == 0
        assert (note["note"], note["salt"]) == (None, None)
        key = keys[members[0]]
        assert open_text(key, 1, members[0], note_place(NOTE_ID), note["note_sealed"]) == NOTE
        assert unseal(key, 1, members[0], salt_place(NOTE_ID), note["salt_sealed"]) == SALT
        assert consents == [(members[0], "contact", False, "import")]
        for text in (NAME, PHONE, NOTE):
            assert not await _files_hold(address, old, text), "nothing plain lies in the tables' files"
    assert isinstance(ledger.keys, SqliteKeys)
    before = ledger.keys.path.stat().st_mtime_ns
    async with open_ledger(Settings(home=home, database=old)) as (ledger, _):
        assert await people.count_plain(ledger) == 0
        assert isinstance(ledger.keys, SqliteKeys)
        assert ledger.keys.path.stat().st_mtime_ns == before, "the next start changes nothing"


async def test_what_the_version_before_writes_meanwhile_reads_and_is_sealed_later(
    old: str, home: Path
) -> None:
    member = personal_id(SECRET, "member", "M99")
    async with open_ledger(Settings(home=home, database=old)) as (ledger, _):
        async with ledger.connection() as connection:
            await connection.execute(
                "INSERT INTO member (tenant_id, member_id, batch_id) VALUES (1, $1, 1)", member
            )
            await connection.execute(
                "INSERT INTO member_person (tenant_id, member_id, code, name) VALUES (1, $1, 'M99', $2)",
                member,
                NAME,
            )
            assert (await read_people(connection, 1, ledger.keys, [member]))[member] == Person("M99", NAME)
        assert await people.seal_plain(ledger) == 1
        async with ledger.connection() as connection:
            assert (await read_people(connection, 1, ledger.keys, [member]))[member] == Person("M99", NAME)


async def test_pages_that_could_not_be_freed_are_freed_by_the_next_start(
    old: str, home: Path, postgres: tuple[EmbeddedPostgres, PostgresAddress], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = postgres
    monkeypatch.setattr(databases, "LOCK_TIMEOUT_S", 1)
    await migrate(address.url(old))
    reader = await asyncpg.connect(address.url(old))
    async with reader.transaction():
        await reader.execute("LOCK TABLE daogou.member_person IN ACCESS SHARE MODE")
        async with open_ledger(Settings(home=home, database=old)) as (ledger, _):
            assert await people.count_plain(ledger) == 0
        assert await _files_hold(address, old, NAME), "somebody reads, and is not made to wait"
    await reader.close()
    async with open_ledger(Settings(home=home, database=old)):
        assert not await _files_hold(address, old, NAME)
        assert not await _files_hold(address, old, PHONE)
