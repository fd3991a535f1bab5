"""One pool of connections to the ledger's PostgreSQL, each bound to one tenant.

Everything runs on the driver's own connections (`driver_transaction`, `driver_connection`) out of a pool of ours
(`ledger.pool`): SQLAlchemy's cost a round trip and as much processor time as the rest of a check-in's request
(docs/performance.md). It stays for migrations.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError

from ledger.pool import First, Pool, T

WORKER = "daogou_worker"
API = "daogou_api"

DATABASE_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # killed between two messages: asyncpg is left in a state of its own (#1069)
    DBAPIError,  # migrations run through SQLAlchemy
)
"""What a restart of PostgreSQL can look like to a loop that goes on afterwards."""

# Nobody may hold a lock or a snapshot for long: a stuck client must not stop the sequencer.
TIMEOUTS = {
    "statement_timeout": "120s",
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "30s",
}


def open_database(
    url: str,
    *,
    tenant_id: int,
    role: str = WORKER,
    pool_size: int = 10,
    wait_s: float = 30.0,
    connect_s: float = 60.0,
) -> Pool:
    """Open a pool on `url` whose every connection sees the rows of one tenant only.

    Superusers and owners are above row-level security, so every connection works as `role`
    whoever logs in; a login that may not is refused when it connects.

    Args:
        url: `postgresql://user:password@host:port/database`.
        tenant_id: the brand; row-level security compares every row with it.
        role: `daogou_worker`, or `daogou_api`, which sees nothing until it has signed somebody on (`ledger.asking`).
        pool_size: connections kept; as many again may be opened under load.
        wait_s: seconds to wait for a connection of the pool when all are lent.
        connect_s: seconds a new connection may take.
    """
    settings = connection_settings(tenant_id=tenant_id, role=role)
    return Pool(url, settings, size=pool_size, wait_s=wait_s, connect_s=connect_s)


def connection_settings(*, tenant_id: int, role: str) -> dict[str, str]:
    """What every connection of the pool is told when it connects."""
    return {
        "role": role,
        "search_path": "daogou",
        "daogou.tenant": str(tenant_id),
        "application_name": "daogou",
        "timezone": "UTC",
        "jit": "off",
        **TIMEOUTS,
    }


def driver_connection(pool: Pool) -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Lend the driver's connection in autocommit: each statement is its own transaction."""
    return pool.lend()


def begun_connection(
    pool: Pool, first: First[T]
) -> AbstractAsyncContextManager[tuple[asyncpg.Connection, T]]:
    """The same, and what `first` gave on it; it may be done twice, for the connection may have died in the pool."""
    return pool.lend_first(first)


@asynccontextmanager
async def driver_transaction(pool: Pool) -> AsyncIterator[asyncpg.Connection]:
    """Lend the driver's connection inside one transaction; it commits at the end of the block."""
    async with pool.lend_first(_begin) as (driver, transaction), AsyncExitStack() as stack:
        stack.push_async_exit(transaction)
        yield driver


async def _begin(driver: asyncpg.Connection) -> Any:
    transaction = driver.transaction()
    await transaction.__aenter__()
    return transaction
