"""What whoever plays the day looks at: has the engine got so far, and what does the ledger say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from bench.chaos.clients import TooSlowError
from bench.chaos.engine import Engine
from bench.chaos.script import RECALLED, SECRET, members_frame
from domain.identifiers import personal_id
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger

T = TypeVar("T")
LOOK_S = 0.2


async def until(look: Callable[[], Awaitable[T]], what: str, within: float) -> T:
    """Look again and again until there is something to see; a lost database is looked at again.

    Raises:
        TooSlowError: there was nothing within so many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        with suppress(*DATABASE_LOST):
            if seen := await look():
                return seen
        if time.monotonic() > deadline:
            raise TooSlowError(f"{what}: not within {within:.0f} s")
        await asyncio.sleep(LOOK_S)


async def up(engine: Engine) -> bool:
    """Whether every part of the engine runs."""
    return engine.healthy()


async def cycles_started(ledger: Ledger) -> bool:
    """Whether each of the three plans has begun its cycle."""
    return await _count(ledger, "SELECT count(*) FROM plan_cycle WHERE tenant_id = $1") == 3


async def slots_nudged(ledger: Ledger, slots: int) -> bool:
    """Whether so many slots have been nudged at."""
    query = "SELECT count(DISTINCT payload->>'slot') FROM event WHERE tenant_id = $1 AND type = 'nudged'"
    return await _count(ledger, query) == slots


async def days_closed(ledger: Ledger) -> bool:
    """Whether every guide-day is closed."""
    query = "SELECT count(*) FROM guide_day WHERE tenant_id = $1 AND state <> 'closed'"
    return await _count(ledger, query) == 0


async def plans_checked(ledger: Ledger) -> bool:
    """Whether the plans that were not recalled are checked, and no item is open."""
    # The recalled plan's workflow looks again five minutes after its recall; its Check is not waited for.
    counted = f"SELECT count(*) FROM plan_check WHERE tenant_id = $1 AND plan_id <> '{RECALLED}'"
    left = "SELECT count(*) FROM task WHERE tenant_id = $1 AND state = 'open'"
    return (await _count(ledger, counted), await _count(ledger, left)) == (2, 0)


async def nothing_waits(ledger: Ledger) -> bool:
    """No event waits for its position, no message for its end; a killed sender's ends when its lease does."""
    query = (
        "SELECT (SELECT count(*) FROM event_pending WHERE tenant_id = $1) + (SELECT count(*) FROM outbox"
        " WHERE tenant_id = $1 AND state IN ('waiting', 'sending'))"
    )
    return await _count(ledger, query) == 0


async def items_by_member(ledger: Ledger) -> dict[str, str]:
    """Every item's id by its member's code."""
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT member_id, task_id::text FROM task WHERE tenant_id = $1", ledger.tenant_id
        )
    codes = {personal_id(SECRET, "member", code): code for code in members_frame()["code"]}
    return {codes[row["member_id"]]: row["task_id"] for row in rows}


async def told_otherwise(ledger: Ledger, acknowledged: Mapping[str, datetime]) -> list[str]:
    """Acknowledged check-ins (key to the instant the client gave) whose event says another instant."""
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT cause, occurred_at FROM event WHERE tenant_id = $1 AND type = 'checked_in'",
            ledger.tenant_id,
        )
    stored = {row["cause"].rpartition("/")[2]: row["occurred_at"] for row in rows}
    return [key for key, at in acknowledged.items() if stored.get(key) != at]


async def _count(ledger: Ledger, query: str) -> int:
    async with ledger.connection() as connection:
        return int(await connection.fetchval(query, ledger.tenant_id))
