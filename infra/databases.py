"""Databases: made, migrated and opened; embedded by default, yours by setting."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import asyncpg

from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress, running_postgres
from infra.settings import Settings
from ledger.database import open_database
from ledger.ledger import Ledger
from ledger.migrate import migrate

WORKER = "daogou_worker"
MONTHS_AHEAD = timedelta(days=100)


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The login that migrates, and the one the code runs as."""

    admin: str
    worker: str


async def provide_embedded(
    server: EmbeddedPostgres,
    address: PostgresAddress,
    database: str,
    *,
    fresh: bool = False,
    template: str | None = None,
) -> DatabaseUrls:
    """Make sure `database` exists on the embedded server, migrated, with its worker's password set.

    Args:
        server: the running server.
        address: its superuser.
        database: name; created where it is missing.
        fresh: drop it first. What was in it is gone.
        template: copy this database instead of starting empty; nobody may be connected to it.
    """
    connection = await asyncpg.connect(address.url("postgres"))
    try:
        name = _quoted(database)
        if fresh:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            source = f" TEMPLATE {_quoted(template)} STRATEGY FILE_COPY" if template else ""
            await connection.execute(f"CREATE DATABASE {name}{source}")
        await migrate(address.url(database))
        password = server.role_password(WORKER)
        await connection.execute(f"ALTER ROLE {WORKER} PASSWORD '{password}'")
    finally:
        await connection.close()
    return DatabaseUrls(address.url(database), address.url(database, user=WORKER, password=password))


@asynccontextmanager
async def open_ledger(
    settings: Settings, *, fresh: bool = False, template: str | None = None, id_secret: bytes | None = None
) -> AsyncIterator[tuple[Ledger, DatabaseUrls]]:
    """Open the ledger of `settings`, starting the embedded server for as long where no other is set.

    Args:
        settings: where.
        fresh: begin with an empty database (embedded only).
        template: begin with a copy of this database (embedded only).
        id_secret: keys the ids of a new tenant; random where nothing is given. A rehearsal gives its own,
            so that the same seed gives the same ids.
    """
    with ExitStack() as stack:
        if settings.database_url is not None:
            urls = DatabaseUrls(settings.database_admin_url or settings.database_url, settings.database_url)
            await migrate(urls.admin)
        else:
            server, address = stack.enter_context(running_postgres(settings.home))
            urls = await provide_embedded(server, address, settings.database, fresh=fresh, template=template)
        engine = open_database(urls.worker, tenant_id=settings.tenant_id)
        try:
            ledger = Ledger(engine, settings.tenant_id)
            await ensure_tenant(ledger, id_secret or secrets.token_bytes(32))
            today = now().date()
            await ensure_months(ledger, today - timedelta(days=31), today + MONTHS_AHEAD)
            yield ledger, urls
        finally:
            await engine.dispose()


async def ensure_tenant(ledger: Ledger, id_secret: bytes, *, name: str = "daogou") -> None:
    """Give the brand its row, once; its id secret never changes afterwards."""
    async with ledger.connection() as connection:
        await connection.execute(
            "INSERT INTO tenant (tenant_id, name, id_secret) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            ledger.tenant_id,
            name,
            id_secret,
        )


async def ensure_months(ledger: Ledger, first: date, last: date) -> None:
    """Make the ledger's monthly partitions ahead of time, so that no writer has to."""
    async with ledger.connection() as connection:
        await connection.execute("SELECT ensure_event_partitions($1, $2)", first, last)


async def read_id_secret(ledger: Ledger) -> bytes:
    """The secret that keys the brand's ids."""
    async with ledger.connection() as connection:
        return bytes(
            await connection.fetchval("SELECT id_secret FROM tenant WHERE tenant_id = $1", ledger.tenant_id)
        )


def _quoted(name: str) -> str:
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"database: {name!r} is not a name of letters, digits, - and _")
    return f'"{name}"'
