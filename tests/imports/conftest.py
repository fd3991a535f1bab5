from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import polars as pl
import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine

from imports.loading import import_file, import_frame
from imports.report import ImportReport, Kind, Tenant
from ledger.database import driver_connection, open_database
from ledger.migrate import migrate

KNOWN_AT = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
SECRET = b"import tests"


@dataclass(frozen=True)
class Database:
    admin_url: str
    worker_url: str


@dataclass
class Brand:
    engine: AsyncEngine
    folder: Path
    tenant: Tenant = field(default_factory=lambda: Tenant(1, SECRET))

    def write(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    async def load(self, kind: Kind, what: Path | pl.DataFrame, **options: Any) -> ImportReport:
        options.setdefault("known_at", KNOWN_AT)
        if isinstance(what, Path):
            return await import_file(self.engine, self.tenant, kind, what, actor="clerk", **options)
        return await import_frame(self.engine, self.tenant, kind, what, actor="clerk", **options)

    async def purchases(self, text: str, name: str = "purchases.csv", **options: Any) -> ImportReport:
        return await self.load(Kind.PURCHASES, self.write(name, text), **options)

    async def fetch(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        async with driver_connection(self.engine) as connection:
            return [tuple(row) for row in await connection.fetch(query, *arguments)]

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.fetch(query, *arguments))[0][0]

    async def traces(self) -> tuple[Any, ...]:
        """Rows in every table an import of purchases writes to."""
        tables = ("purchase", "category", "import_batch", "event", "stream_head", "command")
        return tuple([await self.value(f"SELECT count(*) FROM {table}") for table in tables])


async def _admin(url: str, *statements: str) -> None:
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(target)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


# --- until tests/conftest.py brings `ledger_database`: remove from here ...
@pytest.fixture(scope="session")
async def _template() -> AsyncIterator[str]:
    admin = os.environ.get("DAOGOU_TEST_ADMIN_URL")
    if not admin:
        pytest.skip("DAOGOU_TEST_ADMIN_URL names no PostgreSQL")
    name = f"imports_template_{os.getpid()}"
    await _admin(admin, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    url = make_url(admin).set(database=name).render_as_string(hide_password=False)
    await migrate(url)
    await _admin(
        url,
        "INSERT INTO daogou.tenant VALUES (1, 'tests', 'import tests', NULL)",
        "SELECT daogou.ensure_event_partitions('2025-12-01', '2026-12-31')",
    )
    yield name
    await _admin(admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def ledger_database(_template: str) -> AsyncIterator[Database]:
    admin = os.environ["DAOGOU_TEST_ADMIN_URL"]
    name = f"imports_test_{os.getpid()}"
    await _admin(admin, f"CREATE DATABASE {name} TEMPLATE {_template}")
    url = make_url(admin).set(database=name).render_as_string(hide_password=False)
    yield Database(url, url)
    await _admin(admin, f"DROP DATABASE {name} WITH (FORCE)")


# --- ... to here


@pytest.fixture
async def brand(ledger_database: Database, tmp_path: Path) -> AsyncIterator[Brand]:
    """Two stores, a guide and three members, ready for purchases."""
    engine = open_database(ledger_database.worker_url, tenant_id=1, pool_size=2)

    @event.listens_for(engine.sync_engine, "connect")
    def become_worker(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET ROLE daogou_worker")
        cursor.close()
        connection.commit()

    brand = Brand(engine, tmp_path)
    await brand.load(
        Kind.STORES,
        pl.DataFrame({"code": ["S1", "S2"], "name": ["One", "Two"], "time_zone": ["Asia/Shanghai", "America/New_York"]}),
    )
    await brand.load(Kind.GUIDES, pl.DataFrame({"code": ["G1"], "name": ["Li"], "store": ["S1"]}))
    await brand.load(Kind.MEMBERS, pl.DataFrame({"code": ["M1", "M2", "M3"], "store": ["S1", "S1", None]}))
    yield brand
    await engine.dispose()
