"""What a check-in costs does not grow with members, items and years."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from tests.brand import Brand, at

# Of what was not flushed yet: this transaction alone, functions' statements included.
READ = (
    "SELECT relname::text, coalesce(seq_scan, 0) AS scans, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows"
    " FROM pg_stat_xact_user_tables WHERE schemaname = 'daogou'"
)


async def test_a_check_in_finds_its_rows_by_indexes_and_reads_no_more_of_them_the_more_there_are(
    shop: Brand,
) -> None:
    await shop.due_on(2, *(f"M{number}" for number in range(12)))
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    read: list[dict[str, int]] = []
    # One connection, whose plans are made while nothing was reported yet.
    async with shop.ledger.connection() as connection:
        one = Brand(replace(shop.ledger, lend=_lending(connection)), commands=100)
        for member in await shop.listed(2, guide):
            task = await shop.task(member)
            await connection.execute("SELECT pg_stat_force_next_flush()")  # what came before
            async with connection.transaction():
                await one.report(task, guide, at(2, 10), "no_answer")
                rows = await connection.fetch(READ)
            assert [row["relname"] for row in rows if row["scans"]] == []
            read.append({row["relname"]: row["rows"] for row in rows if row["rows"]})
    assert read[-1] == read[0]
    assert max(read[0].values()) <= 5, read[0]


def _lending(connection: Any) -> Any:
    @asynccontextmanager
    async def lend() -> Any:
        yield connection

    return lend
