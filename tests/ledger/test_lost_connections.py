"""A killed PostgreSQL may leave asyncpg in a state of its own (InternalClientError), not only closed."""

from __future__ import annotations

import asyncpg
import pytest

from api.problems import is_database_lost
from infra.outbox_sender import DATABASE_LOST as LOST_TO_THE_SENDER
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger
from tests.conftest import LedgerDatabase

BROKEN = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")


async def break_off(ledger: Ledger, expected: int) -> None:
    async with ledger.connection() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") == expected
        raise BROKEN


async def test_a_connection_whose_driver_lost_its_state_is_never_lent_again(
    ledger_database: LedgerDatabase,
) -> None:
    ledger = ledger_database.ledger
    async with ledger.connection() as connection:
        before = await connection.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.InternalClientError):
        await break_off(ledger, before)
    async with ledger.connection() as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != before


def test_everybody_who_waits_out_an_outage_knows_it_for_one() -> None:
    assert isinstance(BROKEN, DATABASE_LOST)
    assert isinstance(BROKEN, LOST_TO_THE_SENDER)
    assert is_database_lost(BROKEN)
