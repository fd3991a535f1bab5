"""One pool of connections to the ledger's PostgreSQL, each bound to one tenant.

SQLAlchemy owns the pool. Set-based statements and the hot paths run on the driver's own
connection (`driver_transaction`, `driver_connection`): the ORM-less detour costs several round
trips a check-in (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

WORKER = "daogou_worker"
API = "daogou_api"

DATABASE_LOST = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # killed between two messages: asyncpg is left in a state of its own (#1069)
    DBAPIError,
    PoolTimeoutError,
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
) -> AsyncEngine:
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
    settings = {
        "role": role,
        "search_path": "daogou",
        "daogou.tenant": str(tenant_id),
        "application_name": "daogou",
        "timezone": "UTC",
        "jit": "off",
        **TIMEOUTS,
    }
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=wait_s,
        pool_pre_ping=True,
        # Transactions are the driver's; without this the ping of each checkout is three round trips, not one.
        isolation_level="AUTOCOMMIT",
        connect_args={"server_settings": settings, "timeout": connect_s},
    )


@asynccontextmanager
async def driver_connection(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """Lend the driver's connection in autocommit: each statement is its own transaction."""
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        if driver is None:  # pragma: no cover - a checked-out connection always has its driver
            raise ConnectionError("the pool lent a connection that is closed")
        try:
            yield driver
        except asyncpg.InternalClientError:
            await connection.invalidate()  # whatever state it is in, nobody is lent it again
            raise


@asynccontextmanager
async def driver_transaction(engine: AsyncEngine) -> AsyncIterator[asyncpg.Connection]:
    """Lend the driver's connection inside one transaction; it commits at the end of the block."""
    async with driver_connection(engine) as driver, driver.transaction():
        yield driver
