from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import polars as pl
from sqlalchemy.engine import make_url

from imports.loading import import_file, import_frame
from imports.report import ImportReport, Kind, Tenant
from infra.key_store import SqliteKeys
from ledger.database import driver_connection
from ledger.people import NOBODY, Person, read_people
from ledger.pool import Pool

KNOWN_AT = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
SECRET = b"import tests"


@dataclass(frozen=True)
class Database:
    admin_url: str
    worker_url: str


@dataclass
class Brand:
    engine: Pool
    folder: Path
    tenant: Tenant = field(init=False)

    def __post_init__(self) -> None:
        self.tenant = Tenant(1, SECRET, SqliteKeys(self.folder / "keys" / "members.db", 1))

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

    async def person(self, member: UUID) -> Person:
        """What can be read of somebody."""
        async with driver_connection(self.engine) as connection:
            people = await read_people(connection, self.tenant.tenant_id, self.tenant.keys, [member])
        return people.get(member, NOBODY)

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.fetch(query, *arguments))[0][0]

    async def traces(self) -> tuple[Any, ...]:
        """Rows in every table an import of purchases writes to."""
        tables = ("purchase", "category", "import_batch", "event", "stream_head", "command")
        return tuple([await self.value(f"SELECT count(*) FROM {table}") for table in tables])


async def execute_as_admin(url: str, *statements: str) -> None:
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(target)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
