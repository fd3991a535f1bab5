"""One database for many tests, emptied before each: a copy of the template a test would double their time."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing

import asyncpg
import pytest
import pytest_asyncio

from infra.databases import ensure_tenant, provide_embedded
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import SqliteKeys
from ledger.database import API, open_database
from ledger.ledger import Ledger
from tests.brand import Brand
from tests.conftest import ID_SECRET, LedgerDatabase

# The only place that takes anything out of a ledger: as superuser, with the triggers switched off.
EMPTY = """
SET session_replication_role = replica;
DO $$
DECLARE t text;
BEGIN
    FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'daogou'::regnamespace
             AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version' LOOP
        EXECUTE format('DELETE FROM daogou.%I', t);
    END LOOP;
END $$"""


async def empty(database: LedgerDatabase) -> None:
    """Take everything out, and every key: one that was destroyed would stay so in the next test."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute(EMPTY)
    finally:
        await connection.close()
    keys = database.ledger.keys
    assert isinstance(keys, SqliteKeys)
    keys.close()
    if keys.path.exists():
        with closing(sqlite3.connect(keys.path)) as store, store:
            store.execute("DROP TABLE IF EXISTS member_key")


@pytest_asyncio.fixture(scope="session")
async def shared_database(
    postgres: tuple[EmbeddedPostgres, PostgresAddress],
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[LedgerDatabase]:
    server, address = postgres
    urls = await provide_embedded(server, address, "shared", template=template)
    engine = open_database(urls.worker, tenant_id=1)
    keys = SqliteKeys(tmp_path_factory.mktemp("shared-keys") / "members.db", 1)
    yield LedgerDatabase(urls, Ledger(engine, 1, keys=keys))
    await engine.dispose()
    keys.close()


@pytest_asyncio.fixture(scope="session")
async def served(shared_database: LedgerDatabase) -> AsyncIterator[Ledger]:
    """The shared database as the API opens it: nothing is seen until somebody is signed on."""
    engine = open_database(shared_database.urls.api, tenant_id=1, role=API)
    yield Ledger(engine, 1, keys=shared_database.ledger.keys)
    await engine.dispose()


@pytest_asyncio.fixture
async def database(shared_database: LedgerDatabase) -> LedgerDatabase:
    """The shared database, empty but for tenant 1."""
    await empty(shared_database)
    await ensure_tenant(shared_database.ledger, ID_SECRET)
    return shared_database


@pytest_asyncio.fixture
async def ledger(database: LedgerDatabase) -> Ledger:
    return database.ledger


@pytest_asyncio.fixture
async def brand(ledger: Ledger) -> Brand:
    """An empty brand."""
    return Brand(ledger)


@pytest_asyncio.fixture
async def shop(brand: Brand) -> Brand:
    """A brand with store S1 and its guide G1."""
    await brand.open_store()
    await brand.hire()
    await brand.category()
    return brand
