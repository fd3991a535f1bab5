"""The world, built once a run in a database of its own, and put back after whatever changed it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from infra.databases import ensure_tenant, provide_embedded
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import open_keys
from infra.settings import Settings
from ledger.database import API, open_database
from ledger.ledger import Ledger
from tests.brand import Brand
from tests.conftest import ID_SECRET, LedgerDatabase
from tests.security.world import World, build

# What a refusal leaves behind is the note of it, and nothing else.
_ASIDE = {
    "event": "type <> 'access_refused'",
    "command": "command_id NOT LIKE '%/refused/%'",
    "stream_head": "stream NOT LIKE 'account/%'",
    "event_pending": "stream NOT LIKE 'account/%'",
}

_SUM = "coalesce(md5(string_agg(x::text, '|' ORDER BY x::text)), '')"
_MARK = "count(*), coalesce(max(x.xmin::text::bigint), 0)"


@dataclass
class Kept:
    """All rows as they stood, to compare with and to go back to; a superuser's, so that nothing is hidden from it."""

    connection: asyncpg.Connection
    tables: tuple[str, ...]
    before: dict[str, str] = field(default_factory=dict)
    """A checksum of each table as it was kept."""
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many rows each table had, and the newest transaction that wrote one, when it was last seen to be unchanged."""

    async def begin(self) -> None:
        """What is there now is how it stood."""
        self.before, self.marks = await self._sums(self.tables), await self._marks()

    async def changed(self) -> list[str]:
        """The tables that are not as they were; those nobody wrote into are not read again."""
        now = await self._marks()
        written = [table for table in self.tables if now[table] != self.marks[table]]
        if not written:
            return []
        sums = await self._sums(written)
        changed = [table for table in written if sums[table] != self.before[table]]
        self.marks |= {table: now[table] for table in written if table not in changed}
        return changed

    async def _sums(self, tables: Iterable[str]) -> dict[str, str]:
        return {row[0]: row[1] for row in await self._each(tables, _SUM)}

    async def _marks(self) -> dict[str, tuple[int, int]]:
        return {row[0]: (row[1], row[2]) for row in await self._each(self.tables, _MARK)}

    async def _each(self, tables: Iterable[str], what: str) -> list[Any]:
        """`what` of each table, notes of refusals aside."""
        one = " UNION ALL ".join(
            f"SELECT '{table}', {what} FROM daogou.{table} x WHERE {_ASIDE.get(table, 'true')}"
            for table in tables
        )
        return list(await self.connection.fetch(one))

    async def restore(self, tables: list[str]) -> None:
        """Put these tables back."""
        async with self.connection.transaction():
            await self.connection.execute("SET LOCAL session_replication_role = replica")
            for table in {*tables, *_ASIDE}:
                await self.connection.execute(f"DELETE FROM daogou.{table}")
                await self.connection.execute(
                    f"INSERT INTO daogou.{table} OVERRIDING SYSTEM VALUE SELECT * FROM kept.{table}"
                )
        self.marks = await self._marks()

    async def rows(self, table: str) -> list[Any]:
        """Every row of a table."""
        return list(await self.connection.fetch(f"SELECT * FROM daogou.{table}"))


@dataclass
class Stage:
    """The world and its database."""

    world: World
    database: LedgerDatabase
    served: Ledger
    """As the API opens it."""
    kept: Kept


@pytest_asyncio.fixture(scope="session")
async def stage(
    postgres: tuple[EmbeddedPostgres, PostgresAddress],
    template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    server, address = postgres
    urls = await provide_embedded(server, address, "security", template=template)
    engine = open_database(urls.worker, tenant_id=1)
    keys = open_keys(Settings(home=tmp_path_factory.mktemp("security")))
    ledger = Ledger(engine, 1, keys=keys)
    await ensure_tenant(ledger, ID_SECRET)
    served = open_database(urls.api, tenant_id=1, role=API)
    connection = await asyncpg.connect(urls.admin)
    try:
        world = await build(Brand(ledger))
        kept = await _keep(connection)
        yield Stage(world, LedgerDatabase(urls, ledger), Ledger(served, 1, keys=keys), kept)
    finally:
        await connection.close()
        await served.dispose()
        await engine.dispose()


async def _keep(connection: asyncpg.Connection) -> Kept:
    rows = await connection.fetch(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'daogou'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1"
    )
    tables = tuple(row[0] for row in rows)
    await connection.execute("CREATE SCHEMA kept")
    for table in tables:
        await connection.execute(f"CREATE TABLE kept.{table} AS SELECT * FROM daogou.{table}")
    kept = Kept(connection, tables)
    await kept.begin()
    return kept


@pytest_asyncio.fixture
async def put_back(stage: Stage) -> AsyncIterator[Stage]:
    """The world as it was built, before and after."""
    yield stage
    await stage.kept.restore(await stage.kept.changed())
