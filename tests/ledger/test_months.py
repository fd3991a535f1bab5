"""The ledger's months are made ahead of time, and a month's end stops nobody."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest

from infra import worker_loops
from infra.databases import MONTHS_AHEAD
from ledger.door import NewEvent, StreamBatch, append, read_head
from ledger.verify import verify
from tests.brand import Brand

END = datetime(2031, 3, 31, 23, 59, 59, 999_999, tzinfo=UTC)
"""Of March in UTC; in Shanghai it is the morning of 1 April."""


async def months(brand: Brand, year: int) -> list[str]:
    rows = await brand.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'daogou'::regnamespace AND relkind = 'r'"
        " AND relname LIKE $1 ORDER BY 1",
        f"event_{year}%",
    )
    return [row[0].removeprefix("event_") for row in rows]


async def test_a_worker_that_runs_across_a_months_end_keeps_two_whole_months_ahead(
    brand: Brand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_loops, "MONTHS_EVERY", 0.0)
    instants = iter([END, END + timedelta(microseconds=1)])
    both_done = asyncio.Event()

    def clock() -> datetime:
        at = next(instants, None)
        if at is None:
            both_done.set()
        return at or END

    working = asyncio.create_task(worker_loops.run_months(brand.ledger, now=clock))
    async with asyncio.timeout(30):
        await both_done.wait()
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    assert {"203102", "203103", "203104", "203105", "203106", "203107"} <= set(await months(brand, 2031))


def test_whatever_the_day_at_least_two_whole_months_lie_ahead() -> None:
    for day in (date(2031, 1, 1) + timedelta(days=number) for number in range(366)):
        last = day + MONTHS_AHEAD
        assert (last.year * 12 + last.month) - (day.year * 12 + day.month) >= 3


async def test_a_stream_that_goes_across_a_months_end_is_one_chain_in_months_that_were_there(
    brand: Brand,
) -> None:
    await brand.execute("SELECT ensure_event_partitions($1, $2)", date(2031, 3, 1), date(2031, 4, 1))
    before = await months(brand, 2031)
    async with brand.ledger.connection() as connection:
        for number, at in enumerate((END - timedelta(seconds=1), END, END + timedelta(microseconds=1))):
            event = NewEvent("noted", {"number": number}, occurred_at=at, actor="hq")
            batch = StreamBatch("note/1", [event], await read_head(connection, 1, "note/1"))
            await append(connection, tenant_id=1, command_id=f"note/{number}", known_at=at, batches=[batch])
        assert (await verify(connection, 1)).ok
    assert await months(brand, 2031) == before
    assert await brand.rows("SELECT tableoid::regclass::text, version FROM event ORDER BY version") == [
        ("event_203103", 1),
        ("event_203103", 2),
        ("event_203104", 3),
    ]
