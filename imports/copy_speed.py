"""How fast plain COPY is here and now: the yardstick an import is measured with.

The same final rows, in the order of the source (by time), as CSV from memory, into an identical table
with identical indexes in the same database, by the table's owner, alone.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import perf_counter

import asyncpg
from sqlalchemy.engine import make_url

from ledger.door import Driver

_CHUNK = 1 << 20
_NO_TIMEOUT = {
    "search_path": "daogou",
    "statement_timeout": "0",
    "timezone": "UTC",
    "application_name": "copy_speed",
}


@dataclass(frozen=True, slots=True)
class CopySpeed:
    """Rows copied and the seconds it took, commit included."""

    rows: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows a second; 0 of no rows."""
        return self.rows / self.seconds if self.rows else 0.0


async def final_rows(admin_url: str) -> bytes:
    """All purchases of a database as COPY's CSV, in the order in which they occurred.

    Args:
        admin_url: `postgresql://…` of a login that may become `daogou_owner`.
    """
    connection = await _owner(admin_url)
    try:
        data = io.BytesIO()
        query = "SELECT * FROM purchase ORDER BY occurred_at, basket, product"
        await connection.copy_from_query(query, output=data, format="csv")
        return data.getvalue()
    finally:
        await connection.close()


async def measure_copy(admin_url: str, data: bytes | None = None) -> CopySpeed:
    """COPY rows into a fresh table like `purchase` and drop it again.

    Args:
        admin_url: `postgresql://…` of a login that may become `daogou_owner`.
        data: what `final_rows` answered; by default the rows that are in the database now.
    """
    payload = await final_rows(admin_url) if data is None else data
    connection = await _owner(admin_url)
    try:
        await connection.execute("DROP TABLE IF EXISTS copy_speed")
        await connection.execute("CREATE TABLE copy_speed (LIKE purchase INCLUDING ALL)")
        began = perf_counter()
        status = await connection.copy_to_table("copy_speed", source=_pieces(payload), format="csv")
        seconds = perf_counter() - began
        await connection.execute("DROP TABLE copy_speed")
    finally:
        await connection.close()
    return CopySpeed(int(status.rpartition(" ")[2]), seconds)


async def _owner(admin_url: str) -> Driver:
    url = make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(url, server_settings=_NO_TIMEOUT)
    await connection.execute("SET ROLE daogou_owner")
    return connection


async def _pieces(data: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(view), _CHUNK):
        yield view[start : start + _CHUNK]
