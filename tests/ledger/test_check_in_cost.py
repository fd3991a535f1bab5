"""What a check-in costs does not grow with members, items and years."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from tests.brand import Brand, at


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan":
        yield node["Relation Name"]
    for inner in node.get("Plans", ()):
        yield from _scans(inner)


async def test_a_check_in_finds_every_row_by_an_index(shop: Brand) -> None:
    await shop.due_on(2, "M1")
    await shop.start()
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    task = await shop.task((await shop.listed(2, guide))[0])
    sent: list[tuple[str, tuple[Any, ...]]] = []
    async with shop.ledger.connection() as connection:
        with connection.query_logger(lambda one: sent.append((one.query, one.args))):
            await Brand(replace(shop.ledger, lend=_lending(connection))).report(
                task, guide, at(2, 10), "no_answer"
            )
        # So that only where no index serves a table is read from end to end, however few rows it has today.
        async with connection.transaction():
            await connection.execute(
                "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan"
            )
            assert len(sent) == 2  # the driver tells a turn of the loop later
            for query, arguments in sent:
                (plan,) = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *arguments)
                assert list(_scans(plan["Plan"])) == [], query


def _lending(connection: Any) -> Any:
    @asynccontextmanager
    async def lend() -> Any:
        yield connection

    return lend
