"""What a nudge slot and word of it upwards look at grows with the lists of that day, whatever PostgreSQL knows of its tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
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

SHAPE = Shape(guides=400, items_a_guide=3, guides_a_store=40)
AN_ITEM = 25
"""Rows an item may pass in all steps of a plan. Where guides or items are gone through anew for each other, they are 400."""
SENT = """
INSERT INTO outbox (tenant_id, purpose, kind, content, created_at, expires_at, endpoint_id, state)
SELECT 1, 'nudge/of-old/' || n, 'nudge', '{}', now(), now(), 0, 'sent' FROM generate_series(1, 3000) n"""
"""What lies behind: so much that going through it would show."""
NOT_ANALYSED = (
    SENT,
    *(
        f"ALTER TABLE {table} SET (autovacuum_enabled = off)"
        for table in ("guide_day", "list_item", "outbox")
    ),
)
YESTERDAY = (
    "UPDATE list_item SET business_date = business_date - 1",
    "UPDATE guide_day SET business_date = business_date - 1",
    "DELETE FROM zone_day",
    "ANALYZE",
)
ASKS = {"nudge": "SELECT d.guide_id", "escalate": "SELECT o.guide_id"}
"""How the statement begins that looks at the lists."""


async def test_a_slot_looks_at_each_item_once_with_no_statistics_with_those_of_yesterday_and_with_todays(
    ledger_database: LedgerDatabase,
) -> None:
    url, ledger = ledger_database.admin_url, ledger_database.ledger
    await write_brand(ledger, url, SHAPE)
    await write_cycles(url, SHAPE)
    passed = {}
    for known in ("nothing", "yesterday", "today"):
        await _administer(
            url, *{"nothing": NOT_ANALYSED, "yesterday": YESTERDAY, "today": ("ANALYZE",)}[known]
        )
        if known != "today":
            step = DayStep(
                day=SHAPE.day, time_zone=SHAPE.time_zone, release=RELEASE, at=SHAPE.at(9), rehearsal=True
            )
            dispatch = DispatchActivities(Context(ledger, lambda: SHAPE.at(9)))
            assert (await dispatch.cut_lists(step)).lists == SHAPE.guides
            assert await dispatch.publish_lists(step) == SHAPE.guides
        for what, tell in (("nudge", _nudge), ("escalate", _escalate)):
            passed[what, known] = await _rows_passed(ledger_database, what, tell)

    assert all(SHAPE.items < rows < AN_ITEM * SHAPE.items for rows in passed.values()), passed


async def _nudge(connection: Any) -> int:
    at = SHAPE.at(12)
    return await nudge(
        connection, 1, Command("nudge", at, at, "daogou"), day=SHAPE.day, time_zone=SHAPE.time_zone, slot="12:00",
        expires_at=at + timedelta(hours=2),
    )  # fmt: skip


async def _escalate(connection: Any) -> int:
    at = SHAPE.at(18)
    return await escalate(
        connection, 1, Command("escalate", at, at, "daogou"), zone_day=(SHAPE.day, SHAPE.time_zone),
        telling=Upwards(Level.REGION, "18:00", 1), expires_at=at + timedelta(hours=2),
    )  # fmt: skip


async def _rows_passed(database: LedgerDatabase, what: str, tell: Callable[[Any], Awaitable[int]]) -> int:
    """Rows in all steps of the statement by which all guides are found; nobody is told in the end."""
    sent: list[Any] = []
    async with database.ledger.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        with connection.query_logger(sent.append):
            assert await tell(connection) == SHAPE.guides
            await connection.fetchval("SELECT 1")  # the driver tells a turn of the loop later
        await transaction.rollback()
        (asked,) = [one for one in sent if one.query.strip().startswith(ASKS[what])]
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {asked.query}", *asked.args)
    return round(sum(_passed(plan[0]["Plan"])))


def _passed(node: dict[str, Any]) -> Iterator[float]:
    removed = sum(rows for name, rows in node.items() if name.startswith("Rows Removed by "))
    yield node["Actual Loops"] * (node["Actual Rows"] + removed)
    for inner in node.get("Plans", ()):
        yield from _passed(inner)


async def _administer(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url, server_settings={"search_path": "daogou"})
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
