"""Connections are lent one user at a time, and a dead one to nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from ledger import pool as pools
from ledger.database import driver_transaction, open_database
from ledger.pool import Pool, connect_arguments
from tests.conftest import LedgerDatabase
from tests.wire import Wire, wire


@pytest_asyncio.fixture
async def line(shared_database: LedgerDatabase) -> AsyncIterator[Wire]:
    async with wire(shared_database.urls.worker) as made:
        yield made


@pytest_asyncio.fixture
async def pool(line: Wire) -> AsyncIterator[Pool]:
    made = open_database(line.url, tenant_id=1, pool_size=1, wait_s=0.05)
    yield made
    await made.dispose()


async def process_of(pool: Pool) -> int:
    async with pool.lend() as driver:
        return int(await driver.fetchval("SELECT pg_backend_pid()"))


async def test_a_connection_used_a_moment_ago_is_lent_again_without_a_round_trip(
    pool: Pool, line: Wire
) -> None:
    first = await process_of(pool)
    before = line.round_trips
    async with pool.lend():
        pass
    assert line.round_trips == before
    assert await process_of(pool) == first


async def test_one_that_lay_idle_is_asked_whether_it_lives_and_replaced_where_it_does_not(
    pool: Pool, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await process_of(pool)
    monkeypatch.setattr(pools, "TRUSTED_S", -1.0)
    assert await process_of(pool) == first
    line.cut()
    assert await process_of(pool) != first


async def test_one_that_is_silent_is_given_up(
    pool: Pool, line: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await process_of(pool)
    monkeypatch.setattr(pools, "TRUSTED_S", -1.0)
    monkeypatch.setattr(pools, "ANSWER_S", 0.01)
    monkeypatch.setattr(pools, "CLOSE_S", 0.01)
    line.held.clear()
    async with asyncio.timeout(5):
        asking = asyncio.create_task(process_of(pool))
        await asyncio.wait([asking], timeout=0.1)
        line.held.set()
        assert await asking != first


async def test_a_transaction_on_a_dead_connection_begins_on_another(pool: Pool, line: Wire) -> None:
    await process_of(pool)
    line.cut()
    async with driver_transaction(pool) as driver:
        assert await driver.fetchval("SELECT 1") == 1
    async with pool.lend() as driver:
        assert not driver.is_in_transaction()


async def test_a_block_that_is_broken_off_gives_nobody_its_connection(pool: Pool) -> None:
    first = await process_of(pool)

    async def sleep() -> None:
        async with pool.lend() as driver:
            await driver.execute("SELECT pg_sleep(60)")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await sleep()
    assert await process_of(pool) != first


async def test_a_transaction_left_open_gives_nobody_its_connection(pool: Pool) -> None:
    async with pool.lend() as driver:
        first = await driver.fetchval("SELECT pg_backend_pid()")
        await driver.execute("BEGIN")
    assert await process_of(pool) != first


async def test_twice_its_size_is_lent_at_once_and_whoever_comes_then_waits_in_vain(pool: Pool) -> None:
    async with pool.lend(), pool.lend():
        with pytest.raises(TimeoutError):
            async with pool.lend():
                pass
    async with pool.lend() as driver:
        assert await driver.fetchval("SELECT 1") == 1


async def test_what_the_first_statement_refuses_reaches_whoever_asked(pool: Pool) -> None:
    async def refused(driver: asyncpg.Connection) -> None:
        await driver.execute("SELECT 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        async with pool.lend_first(refused):
            pass
    async with pool.lend() as driver:
        assert await driver.fetchval("SELECT 1") == 1


def test_tls_in_the_address_reaches_the_driver() -> None:
    told = connect_arguments("postgresql://u:p%40q@db.example:6432/shop?ssl=require")
    assert told == {
        "host": "db.example",
        "port": 6432,
        "user": "u",
        "password": "p@q",
        "database": "shop",
        "ssl": "require",
    }
