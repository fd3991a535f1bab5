"""What a check-in costs does not grow with members, items and years."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg

from tests.brand import Brand, at
from tests.conftest import LedgerDatabase

# Of what was not flushed yet: this transaction alone, functions' statements included.
READ = (
    "SELECT relname::text, coalesce(seq_scan, 0) AS scans, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows"
    " FROM pg_stat_xact_user_tables WHERE schemaname = 'daogou'"
)


# So many more items of other guides that an index which finds too much costs more than the right one, whatever
# statistics there were: of a dozen rows every index is as good as any.
OTHERS = (
    "INSERT INTO daogou.task SELECT (jsonb_populate_record(t, jsonb_build_object('task_id', gen_random_uuid(),"
    " 'member_id', gen_random_uuid(), 'guide_id', ('00000000-0000-0000-0000-' || lpad((n % 50)::text, 12, '0'))::uuid))).*"
    " FROM daogou.task t, generate_series(1, 5000) n WHERE t.task_id = (SELECT task_id FROM daogou.task LIMIT 1)"
)


async def test_a_check_in_finds_its_rows_by_indexes_and_reads_no_more_of_them_the_more_there_are(
    ledger_database: LedgerDatabase,
) -> None:
    shop = Brand(ledger_database.ledger)
    await shop.open_store()
    await shop.hire()
    await shop.category()
    await shop.due_on(2, *(f"M{number}" for number in range(12)))
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    await _among_many(ledger_database)
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


async def _among_many(database: LedgerDatabase) -> None:
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(OTHERS)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


def _lending(connection: Any) -> Any:
    @asynccontextmanager
    async def lend() -> Any:
        yield connection

    return lend
