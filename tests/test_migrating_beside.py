"""Migrations run beside whoever works on the ledger: nobody waits long for one, and a new one that would is refused here."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from ledger.migrate import LOCK_TIMEOUT_S, _engine, is_migrated, migrate
from ledger.migrations import beside
from tests.conftest import drop_database

SCRIPTS = Path("ledger/migrations")
RELEASED = "0012"
"""Up to here migrations were written before the rule; nobody had a big ledger."""
MY_TURN = {"search_path": "daogou", "statement_timeout": "5s"}


@pytest_asyncio.fixture
async def url(postgres: tuple[EmbeddedPostgres, PostgresAddress]) -> AsyncIterator[str]:
    """An empty database's."""
    _, address = postgres
    name = f"beside_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(address.url("postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    yield address.url(name)
    await drop_database(address, name)


async def waiting(watcher: asyncpg.Connection, what: str, task: asyncio.Task[None]) -> None:
    """Come back once a session waits for somebody while it runs this."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ $1"
        " AND datname = current_database())"
    )
    while not await watcher.fetchval(query, what):
        assert not task.done(), task


async def test_a_migration_that_has_to_wait_lets_others_through_and_keeps_what_went_before_it(
    url: str,
) -> None:
    await migrate(url, to="0007")
    holder, other = [await asyncpg.connect(url, server_settings=MY_TURN) for _ in range(2)]
    async with holder.transaction():
        await holder.execute("SELECT FROM check_in")  # 0009 wants the table for itself
        migrating = asyncio.create_task(migrate(url, lock_timeout_s=0.2))
        await waiting(other, "ALTER TABLE check_in", migrating)
        # Whoever comes now queues behind the migration until that gives up.
        await other.execute("DELETE FROM check_in")
        assert await other.fetchval("SELECT version_num FROM public.daogou_migration") == "0008"
        assert not migrating.done()
    await migrating
    assert await is_migrated(url)
    for one in (holder, other):
        await one.close()


@pytest.mark.parametrize("lock_timeout_s", [LOCK_TIMEOUT_S, 30.0], ids=["gives way", "is in a deadlock"])
async def test_a_migration_outlives_who_has_one_of_its_tables_and_comes_to_another(
    url: str, lock_timeout_s: float
) -> None:
    await migrate(url, to="0018")
    # It is the migration that looks for a deadlock, however slow the machine: who has the table waits patiently.
    patient = MY_TURN | {"deadlock_timeout": "60s", "statement_timeout": "60s"}
    holder, other = [await asyncpg.connect(url, server_settings=patient) for _ in range(2)]
    async with holder.transaction():
        await holder.execute("SELECT FROM task")  # a route reads the item first
        migrating = asyncio.create_task(migrate(url, to="0019", lock_timeout_s=lock_timeout_s))
        await waiting(other, "ALTER TABLE", migrating)
        await holder.execute(
            "SELECT FROM guide_day"
        )  # then the day, which the migration has locked before it
        assert not migrating.done()
    await migrating
    assert await other.fetchval("SELECT version_num FROM public.daogou_migration") == "0019"
    for one in (holder, other):
        await one.close()


async def test_an_index_is_built_and_rows_are_changed_while_others_write(url: str) -> None:
    await migrate(url)
    holder, other = [await asyncpg.connect(url, server_settings=MY_TURN) for _ in range(2)]
    add = "INSERT INTO category (tenant_id, category_id, name) SELECT 1, n, 'c' || n FROM generate_series($1::int, $2::int) n"
    await other.execute(add, 1, 25)
    by_name = ("category_of_name", "category (tenant_id, name)")

    def build(op: Operations) -> None:
        beside.build_index(op, *by_name)

    def rename(op: Operations) -> None:
        beside.in_batches(
            op,
            "UPDATE category SET name = upper(name) WHERE (tenant_id, category_id) IN (SELECT tenant_id, category_id"
            " FROM category WHERE name <> upper(name) LIMIT 10)",
        )

    async with holder.transaction():
        await holder.execute(add, 26, 26)
        building = asyncio.create_task(_revision(url, build))
        await waiting(other, "CONCURRENTLY", building)
        await other.execute(add, 27, 27)
    await building
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'category_of_name'::regclass"
    assert await other.fetchval(valid)
    # What one that was killed leaves behind serves nobody.
    await other.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'category_of_name'::regclass"
    )
    await _revision(url, build)
    assert await other.fetchval(valid)
    await _revision(url, rename)
    (row,) = await other.fetch("SELECT count(*), count(DISTINCT xmin::text) FROM category WHERE name ~ '^C'")
    assert tuple(row) == (27, 3), "ten, ten and seven rows, each in a transaction of its own"
    for one in (holder, other):
        await one.close()


async def _revision(url: str, work: Callable[[Operations], None]) -> None:
    """Run something as a revision does."""

    def run(connection: Connection) -> None:
        context = MigrationContext.configure(
            connection, opts={"transactional_ddl": True, "transaction_per_migration": True}
        )
        with context.begin_transaction(_per_migration=True):
            work(Operations(context))

    engine = _engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


def statements(script: str) -> list[str]:
    """The statements of a script in one line each, without comments and bodies of functions."""
    bare = re.sub(
        r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", script), flags=re.DOTALL
    )
    return [" ".join(one.split()) for one in bare.split(";") if one.strip()]


REFUSED = {
    r"CREATE (UNIQUE )?INDEX .*\bON (ONLY )?(?P<table>\w+)": "writers wait while it is built: `beside.build_index`",
    r"REINDEX|CLUSTER|VACUUM|LOCK TABLE": "everybody waits: do without",
    r"(WITH .*\) )?(UPDATE|DELETE FROM|INSERT INTO) (?P<table>\w+)": "rows stay locked to the end: `beside.in_batches`",
    r"ALTER TABLE (IF EXISTS |ONLY )*(?P<table>\w+) .*(ALTER (COLUMN )?\w+ (SET DATA )?TYPE|SET NOT NULL|SET (UN)?LOGGED)": (
        "the table is read or written anew: add a column, fill it in batches, leave the old one"
    ),
    r"ALTER TABLE (IF EXISTS |ONLY )*(?P<table>\w+) .*ADD (?!COLUMN|.*NOT VALID|.*USING INDEX)": (
        "every row is looked at: NOT VALID here and VALIDATE in the next revision; UNIQUE and PRIMARY KEY USING INDEX"
    ),
    r"ALTER TABLE (IF EXISTS |ONLY )*(?P<table>\w+) .*ADD COLUMN .*(DEFAULT (\w+\(|\()|GENERATED|UNIQUE|PRIMARY KEY|REFERENCES)": (
        "every row is written: add it bare or with a constant, fill it in batches"
    ),
    r"SET (LOCAL |SESSION )?(lock_timeout|statement_timeout)": "both are the way's own: ledger/migrate.py",
}
"""What a script may not do to a table that was there before it, and what to do instead: decision 10."""
LOCKS = (
    r"ALTER TABLE (?:IF EXISTS |ONLY )*(?P<altered>\w+)|CREATE (?:OR REPLACE )?TRIGGER .* ON (?P<watched>\w+)"
)
"""What holds a table to the end of the migration, if only for a moment by itself."""
WITH_REASON: dict[tuple[str, str], str] = {}
"""(revision, statement): why it takes no time on any ledger."""


def against_the_rule(script: str) -> list[str]:
    told = statements(script)
    own = {
        name
        for one in told
        for name in re.findall(r"^CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)", one)
    }
    refused = [
        f"{one}: {instead}"
        for one in told
        for pattern, instead in REFUSED.items()
        if (found := re.match(pattern, one, flags=re.IGNORECASE))
        and found.groupdict().get("table") not in own
    ]
    held = ""
    for one in told:
        if (locks := re.match(LOCKS, one, flags=re.IGNORECASE)) and (
            locks["altered"] or locks["watched"]
        ) not in own:
            held = locks["altered"] or locks["watched"]
        elif held and re.match(r"(WITH|INSERT INTO) .*\bSELECT\b", one, flags=re.IGNORECASE):
            refused.append(f"{one}: whoever writes {held} waits while it is filled: fill first, lock after")
    return refused


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sql")), ids=lambda script: script.stem)
def test_a_new_migration_makes_nobody_wait(script: Path) -> None:
    found = against_the_rule(script.read_text(encoding="utf-8"))
    if script.stem > RELEASED:
        known = {f"{what}: {why}" for (revision, what), why in WITH_REASON.items() if revision == script.stem}
        assert [one for one in found if one.rpartition(": ")[0] not in known] == [], "docs/decisions/0010"


@pytest.mark.parametrize(
    ("revision", "begins"),
    [
        ("0006", ["CREATE INDEX", "UPDATE plan_cycle", "WITH said", "UPDATE guide_day"]),
        ("0012", ["INSERT INTO"]),
    ],
)
def test_the_rule_finds_what_migrations_before_it_did(revision: str, begins: list[str]) -> None:
    found = against_the_rule((SCRIPTS / f"{revision}.sql").read_text(encoding="utf-8"))
    assert sorted(" ".join(one.split()[:2]) for one in found) == sorted(begins)
