"""Every projection built anew from the events, beside reading the events and copying the same rows in.

A ledger of its own (`bench.filled_ledger`) has events and no rows: `rebuild` puts them all back. The other side reads every
event, binary and thrown away, and COPYs the rows that the rebuild had made, binary, into the emptied tables, in one
transaction, by their owner. Who goes first takes turns.
"""

from __future__ import annotations

import gc
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import perf_counter

import asyncpg
from sqlalchemy.engine import make_url

from bench.administering import administer
from bench.filled_ledger import EVENTS_AN_ITEM, fill
from infra.databases import ensure_tenant
from ledger.database import open_database
from ledger.folding.comparing import PROJECTIONS
from ledger.folding.projections import Projection
from ledger.folding.rebuilding import owner, rebuild
from ledger.ledger import Ledger
from ledger.migrate import migrate

NAME = "bench_rebuilding"
READ = """SELECT e.stream, e.version, e.occurred_at, e.known_at, e.actor, e.performed_by, e.cause, e.type,
e.schema_version, e.payload FROM event e"""
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class RebuildPair:
    """Seconds of both."""

    events: int
    rows: int
    rebuilt: float
    copied: float

    @property
    def ratio(self) -> float:
        """The rebuild's speed as a share of reading and copying."""
        return self.copied / self.rebuilt


async def measure_rebuild(admin_url: str, *, events: int, pairs: int) -> list[RebuildPair]:
    """Fill a database of its own, measure, drop it."""
    admin = make_url(admin_url)
    drop = f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)'
    await administer(admin, drop, f'CREATE DATABASE "{NAME}"')
    url = admin.set(database=NAME).render_as_string(hide_password=False)
    try:
        await migrate(url)
        engine = open_database(url, tenant_id=1, pool_size=1)
        await ensure_tenant(Ledger(engine, 1), b"bench")
        await engine.dispose()
        connection = await asyncpg.connect(url)
        await fill(connection, 1, -(-events // EVENTS_AN_ITEM))
        await connection.close()
        await administer(make_url(url), "VACUUM ANALYZE")
        await _rebuilt(url)
        data = await _rows(url)
        found = []
        for number in range(pairs):
            if number % 2 == 0:
                rebuilt, rows, count = await _rebuilt(url)
                copied = await _copied(url, data)
            else:
                copied = await _copied(url, data)
                rebuilt, rows, count = await _rebuilt(url)
            found.append(RebuildPair(count, rows, rebuilt, copied))
        return found
    finally:
        await administer(admin, drop)


def _kept_apart() -> list[Projection]:
    """Those that hold nothing but what events tell: the others are neither put back nor taken away."""
    return [one for one in PROJECTIONS if not one.in_part]


async def _emptied(url: str) -> None:
    gc.collect()
    tables = ", ".join(f"daogou.{one.table}" for one in _kept_apart())
    await administer(make_url(url), f"TRUNCATE {tables}", "CHECKPOINT")


async def _rebuilt(url: str) -> tuple[float, int, int]:
    """Seconds, rows put back, events."""
    await _emptied(url)
    async with owner(url) as connection:
        began = perf_counter()
        built = await rebuild(connection, 1)
        spent = perf_counter() - began
        events: int = await connection.fetchval("SELECT count(*) FROM daogou.event")
    return spent, sum(one.differing for one in built), events


async def _rows(url: str) -> dict[str, bytes]:
    async with owner(url) as connection:
        found = {}
        for one in _kept_apart():
            data = io.BytesIO()
            await connection.copy_from_query(
                f"SELECT * FROM daogou.{one.table}", output=data, format="binary"
            )
            found[one.table] = data.getvalue()
        return found


async def _copied(url: str, data: dict[str, bytes]) -> float:
    await _emptied(url)

    async def forget(_piece: bytes) -> None:
        """What was read is not kept."""

    async with owner(url) as connection:
        await connection.execute("SET search_path = daogou")
        began = perf_counter()
        async with connection.transaction():
            await connection.copy_from_query(READ, output=forget, format="binary")
            for table, rows in data.items():
                await connection.copy_to_table(table, source=_pieces(rows), format="binary")
        return perf_counter() - began


async def _pieces(data: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]
