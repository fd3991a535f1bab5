"""What holding a claim against the records costs does not grow with the records of others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.confirmation import Standing
from ledger.confirmations import Scope, count_claims
from ledger.system_records import SystemRecord
from tests.brand import Brand, at
from tests.conftest import LedgerDatabase
from tests.records import LATER, Records

OTHERS = 3000
"""Visits of other members in the claim's window, each of a number that is shared."""

_VISITS = """
INSERT INTO system_record (tenant_id, source, kind, key, revision, voided, member_id, also, occurred_at, known_at, message)
SELECT 1, 'till', 'visits', 'v' || n, 0, false, gen_random_uuid(), ARRAY[gen_random_uuid()],
       $1::timestamptz + n * interval '1 second', $1, 'm'
FROM generate_series(1, $2::int) n"""


def _read(node: dict[str, Any]) -> Iterator[int]:
    """Rows that each scan of what systems of record say went through."""
    if str(node.get("Relation Name", "")).startswith("system_record"):
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield round(node["Actual Loops"] * (rows + node.get("Rows Removed by Index Recheck", 0)))
    for inner in node.get("Plans", ()):
        yield from _read(inner)


async def test_a_claim_finds_the_records_of_its_member_by_an_index_also_those_of_a_shared_number(
    shop: Brand, database: LedgerDatabase
) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    member, other = await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.morning(2, guide)
    await shop.report(await shop.task(member), guide, at(2, 10), "came", channel="in_store")
    admin = await asyncpg.connect(database.admin_url, server_settings={"search_path": "daogou"})
    try:
        await admin.execute(_VISITS, at(2, 9), OTHERS)
        await admin.execute("ANALYZE system_record, system_record_also")
    finally:
        await admin.close()
    records = Records(shop, "till")
    came = at(2, 10) + timedelta(minutes=1)
    seen = await records.add(SystemRecord("visits", "shared", 0, other, came, also=(member,)))
    (claim,) = await records.claims()
    assert (claim.standing, claim.records, claim.came_of_it) == (Standing.CONFIRMED, (seen,), (seen,))
    sent: list[tuple[str, tuple[Any, ...]]] = []
    async with shop.ledger.connection() as connection:
        assert await connection.fetchval("SELECT current_user") == "daogou_worker"
        with connection.query_logger(lambda one: sent.append((one.query, one.args))):
            counted = await count_claims(connection, 1, Scope(LATER))
            await connection.fetchval("SELECT 1")  # the driver tells a turn of the loop later
        assert counted.total.claimed == 1
        (query, arguments) = next(one for one in sent if "graded" in one[0])
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    read = list(_read(plan[0]["Plan"]))
    assert read
    assert sum(read) < 20, plan
