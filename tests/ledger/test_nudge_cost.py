"""What a nudge slot and word of it upwards read grows with the lists of that day, whatever PostgreSQL knows of the tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg

from activities.context import Context
from activities.dispatch import DispatchActivities
from bench.day.brand import RELEASE, Shape, write_brand, write_cycles
from domain.messages import DayStep
from domain.urging import Level
from ledger.escalating import Upwards, escalate
from ledger.ledger import Command
from ledger.nudging import nudge
from tests.conftest import LedgerDatabase

SHAPE = Shape(guides=100, items_a_guide=10)
READ = (
    "SELECT relname::text, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows FROM pg_stat_xact_user_tables"
    " WHERE schemaname = 'daogou' AND relname IN ('list_item', 'task', 'guide_day', 'outbox')"
)
SENT = """
INSERT INTO outbox (tenant_id, purpose, kind, content, created_at, expires_at, endpoint_id, state)
SELECT 1, 'nudge/of-old/' || n, 'nudge', '{}', now(), now(), 0, 'sent' FROM generate_series(1, 3000) n"""
"""What lies behind: so many that looking through them would show."""
YESTERDAY = (
    "UPDATE list_item SET business_date = business_date - 1",
    "UPDATE guide_day SET business_date = business_date - 1",
    "DELETE FROM zone_day",
    "ANALYZE",
)


async def test_a_slot_reads_each_item_once_before_statistics_know_of_the_day_and_before_there_are_any(
    ledger_database: LedgerDatabase,
) -> None:
    ledger = ledger_database.ledger
    await write_brand(ledger, ledger_database.admin_url, SHAPE)
    await write_cycles(ledger_database.admin_url, SHAPE)
    await _administer(ledger_database.admin_url, SENT)
    read = {}
    for known in ("nothing", "yesterday"):
        if known == "yesterday":
            await _administer(ledger_database.admin_url, *YESTERDAY)
        step = DayStep(
            day=SHAPE.day, time_zone=SHAPE.time_zone, release=RELEASE, at=SHAPE.at(9), rehearsal=True
        )
        dispatch = DispatchActivities(Context(ledger, lambda: SHAPE.at(9)))
        assert (await dispatch.cut_lists(step)).lists == SHAPE.guides
        assert await dispatch.publish_lists(step) == SHAPE.guides
        read["nudge", known] = await _read(ledger_database, lambda on, known=known: _nudge(on, known))
        read["escalate", known] = await _read(ledger_database, lambda on, known=known: _escalate(on, known))
    for what, rows in read.items():
        # Of the lists of the day each row once; of what lies behind, what its key says.
        assert rows["list_item"] == rows["task"] == SHAPE.items, (what, rows)
        assert rows["guide_day"] <= 3 * SHAPE.guides, (what, rows)
        assert rows.get("outbox", 0) <= 3 * SHAPE.guides, (what, rows)


async def _nudge(connection: Any, slot: str) -> int:
    at = SHAPE.at(12)
    return await nudge(
        connection, 1, Command(f"nudge/{slot}", at, at, "daogou"), day=SHAPE.day, time_zone=SHAPE.time_zone,
        slot=slot, expires_at=at + timedelta(hours=2),
    )  # fmt: skip


async def _escalate(connection: Any, slot: str) -> int:
    at = SHAPE.at(18)
    telling = Upwards({"nothing": Level.STORE, "yesterday": Level.REGION}[slot], slot, 1)
    return await escalate(
        connection, 1, Command(f"escalate/{slot}", at, at, "daogou"), zone_day=(SHAPE.day, SHAPE.time_zone),
        telling=telling, expires_at=at + timedelta(hours=2),
    )  # fmt: skip


async def _read(database: LedgerDatabase, doing: Callable[[Any], Awaitable[int]]) -> dict[str, int]:
    """Rows read of each table by one transaction that tells of all guides."""
    async with database.ledger.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")  # what came before
        async with connection.transaction():
            assert await doing(connection) == SHAPE.guides
            return {row["relname"]: row["rows"] for row in await connection.fetch(READ)}


async def _administer(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "daogou"})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
