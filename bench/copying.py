"""Rows that stand in a database, and COPY of the same into another one: the bare thing beside which we write.

Binary COPY data in memory, in the order in which the rows lie there, into the same tables with the same indexes, by their
owner, without row-level security, in one transaction.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import asyncpg

Rows = dict[str, bytes]
"""By table, and its columns where the server gives the rest; as COPY's binary format has them."""
_PIECE = 1 << 20


@asynccontextmanager
async def owner_of(admin_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the owner of the tables, bound by no row-level security and no timeout."""
    connection = await asyncpg.connect(
        admin_url, server_settings={"search_path": "daogou", "statement_timeout": "0", "timezone": "UTC"}
    )
    try:
        await connection.execute("SET ROLE daogou_owner")
        yield connection
    finally:
        await connection.close()


async def read_rows(owner: asyncpg.Connection, queries: Mapping[str, str]) -> Rows:
    """What these queries give, by table as in `Rows`."""
    return {table: await _read(owner, query) for table, query in queries.items()}


async def copy_rows(owner: asyncpg.Connection, rows: Rows) -> None:
    """COPY all of them, in one transaction."""
    async with owner.transaction():
        for table, data in rows.items():
            name, _, columns = table.partition(" (")
            told = columns.removesuffix(")").split(", ") if columns else None
            await owner.copy_to_table(name, columns=told, source=_pieces(data), format="binary")


async def _read(owner: asyncpg.Connection, query: str) -> bytes:
    data = io.BytesIO()
    await owner.copy_from_query(query, output=data, format="binary")
    return data.getvalue()


async def _pieces(data: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _PIECE):
        yield view[start : start + _PIECE]
