"""Connections to one database, lent one user at a time and never asked whether they still live.

A pool that pings pays a round trip a checkout, a quarter of what a check-in costs in all. This one trusts a connection
that was used a moment ago, drops one that its driver saw closing, and asks only one that lay idle for long; and whoever
begins with something that may be repeated (`first`) is moved to a fresh connection when that fails on a dead one.

Cost: no round trip a checkout under load; one after `TRUSTED_S` of idleness, unless `first` is given.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeAlias, TypeVar

import asyncpg
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import make_url

TRUSTED_S = 1.0
"""A connection given back so long ago or less is lent without asking whether it lives."""
CLOSE_S = 5.0
"""A connection that is given up may take so long to say goodbye."""
ANSWER_S = 5.0
"""One that lay idle must answer within so long; else it counts as dead."""

T = TypeVar("T")
First: TypeAlias = Callable[[asyncpg.Connection], Awaitable[T]]
"""What a borrower begins with."""

CONNECTION_LOST = (
    ConnectionError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
"""What the first statement on a connection that died while it lay in the pool can raise."""


@dataclass(frozen=True, slots=True)
class _Idle:
    driver: asyncpg.Connection
    since: float


class Pool:
    """Up to `size` connections kept and as many again under load, each told the same when it connects.

    Nothing is connected before the first checkout.
    """

    def __init__(
        self, url: str, settings: Mapping[str, str], *, size: int, wait_s: float, connect_s: float
    ) -> None:
        self._arguments = connect_arguments(url)
        self._settings = dict(settings)
        self._size, self._wait_s, self._connect_s = size, wait_s, connect_s
        self._idle: list[_Idle] = []
        self._free = asyncio.Semaphore(2 * size)
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[asyncpg.Connection]:
        """A living connection in autocommit, for the length of the block.

        Raises:
            TimeoutError: all are lent, for longer than one waits.
        """
        async with self.lend_first(_nothing, asks=False) as (driver, _):
            yield driver

    @asynccontextmanager
    async def lend_first(
        self, first: First[T], *, asks: bool = True
    ) -> AsyncIterator[tuple[asyncpg.Connection, T]]:
        """A connection, and what `first` gave on it; where that fails on a dead one, it is done on a fresh one.

        Args:
            first: reads, or writes what may be written twice.
            asks: whether it asks the server anything, and so finds out by itself whether the connection lives.
        """
        async with asyncio.timeout(self._wait_s):
            await self._free.acquire()
        try:
            driver, given = await self._begun(first, asks=asks)
            try:
                yield driver, given
            except (asyncio.CancelledError, asyncpg.InternalClientError):
                self._let_go(driver)  # in the middle of a statement, or in a state of its own
                raise
            except BaseException:
                self._take_back(driver)
                raise
            self._take_back(driver)
        finally:
            self._free.release()

    async def dispose(self) -> None:
        """Close what nobody holds; what is lent is closed when it comes back."""
        self._size = 0
        closing, self._idle = self._idle, []
        await asyncio.gather(*(_close(one.driver) for one in closing), *self._leaving)

    async def _begun(self, first: First[T], *, asks: bool) -> tuple[asyncpg.Connection, T]:
        one = self._newest()
        if one is not None:
            trusted = monotonic() - one.since <= TRUSTED_S
            try:
                # What is not trusted may be cut off without a word, and would never answer.
                async with asyncio.timeout(None if trusted else ANSWER_S):
                    if not (trusted or asks):
                        await one.driver.execute("SELECT 1")
                    return one.driver, await first(one.driver)
            except (*CONNECTION_LOST, TimeoutError):
                self._forget(one.driver)
            except BaseException:
                self._let_go(one.driver)
                raise
        fresh = await self._connect()
        try:
            return fresh, await first(fresh)
        except BaseException:
            self._let_go(fresh)
            raise

    def _newest(self) -> _Idle | None:
        """The one used last, so that those nobody needs grow old; None: none lies here alive."""
        while self._idle:
            one = self._idle.pop()
            if not one.driver.is_closed():
                return one
        return None

    def _take_back(self, driver: asyncpg.Connection) -> None:
        if driver.is_closed():
            return
        if driver.is_in_transaction() or len(self._idle) >= self._size:
            self._let_go(driver)
        else:
            self._idle.append(_Idle(driver, monotonic()))

    def _let_go(self, driver: asyncpg.Connection) -> None:
        """Close it beside what goes on, with a goodbye: the driver then waits for a statement it is cancelling."""
        leaving = asyncio.get_running_loop().create_task(_close(driver))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _forget(self, dead: asyncpg.Connection) -> None:
        """What killed one killed the others: all that lie here are given up."""
        given_up, self._idle = self._idle, []
        for driver in (dead, *(one.driver for one in given_up)):
            self._let_go(driver)

    async def _connect(self) -> asyncpg.Connection:
        driver = await asyncpg.connect(
            **self._arguments,
            server_settings=self._settings,
            timeout=self._connect_s,
            max_cached_statement_lifetime=0,  # else every statement is planned anew, five times, every five minutes
        )
        try:
            for kind in ("json", "jsonb"):
                await driver.set_type_codec(
                    kind, schema="pg_catalog", encoder=str.__str__, decoder=json.loads
                )
        except BaseException:
            driver.terminate()
            raise
        return driver


def connect_arguments(url: str) -> dict[str, Any]:
    """What the driver's `connect` is told for an address as the settings have it, `?ssl=require` included."""
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy types neither
    address = make_url(url).set(drivername="postgresql+asyncpg")
    return dict(dialect.create_connect_args(address)[1])  # type: ignore[no-untyped-call]


async def _nothing(_driver: asyncpg.Connection) -> None:
    """What a borrower begins with who asks nothing of it."""


async def _close(driver: asyncpg.Connection) -> None:
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        await driver.close(timeout=CLOSE_S)
