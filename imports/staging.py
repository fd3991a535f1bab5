"""Rows into a temporary table by COPY, while the bytes of the next chunk are made beside it.

COPY into a table with row-level security is refused for every role but its owner, so the rows go by a
temporary table of this transaction: no index, no write-ahead log, gone at commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable

import polars as pl

from imports.report import Progress
from ledger.door import Driver

CHUNK = 65_536
"""Rows a chunk: about 8 MB of purchases; smaller chunks cost hand-overs, larger ones wait at the start."""

Encoder = Callable[[pl.DataFrame], bytes]


def as_csv(frame: pl.DataFrame) -> bytes:
    """The rows as COPY reads CSV: nothing for null, quotes where needed, no header."""
    return frame.write_csv(include_header=False).encode()


async def chunks(frame: pl.DataFrame, digest: hashlib._Hash, on_progress: Progress) -> AsyncIterator[bytes]:
    """The rows as CSV, chunk by chunk, each hashed; one chunk is always being made ahead."""

    def make(start: int) -> bytes:
        data = as_csv(frame.slice(start, CHUNK))
        digest.update(data)
        return data

    ahead: Awaitable[bytes] | None = asyncio.ensure_future(asyncio.to_thread(make, 0))
    start = 0
    while ahead is not None:
        data = await ahead
        start += CHUNK
        ahead = asyncio.ensure_future(asyncio.to_thread(make, start)) if start < frame.height else None
        on_progress("stage", min(start, frame.height), frame.height)
        yield data


def root_of(kind: str, frame: pl.DataFrame, *, key: bytes | None = None) -> str:
    """Hex SHA-256 over the kind and the rows as CSV; without a key the same as staging the rows gives.

    With a `key` it is HMAC-SHA-256: rows that hold what can be guessed need one.
    """
    digest = start_root(kind) if key is None else hmac.new(key, f"{kind}\n".encode(), hashlib.sha256)
    for start in range(0, frame.height, CHUNK):
        digest.update(as_csv(frame.slice(start, CHUNK)))
    return digest.hexdigest()


def start_root(kind: str) -> hashlib._Hash:
    """The digest of a batch before its first row."""
    return hashlib.sha256(f"{kind}\n".encode())


async def stage(connection: Driver, ddl: str, frame: pl.DataFrame, kind: str, on_progress: Progress) -> str:
    """Make the temporary table `stage` with `ddl` as its columns, fill it, answer the root of the rows.

    `ddl` names the frame's columns in their order.
    """
    await connection.execute(f"CREATE TEMP TABLE stage ({ddl}) ON COMMIT DROP")
    digest = start_root(kind)
    if frame.height:
        source = chunks(frame, digest, on_progress)
        await connection.copy_to_table("stage", source=source, format="csv", columns=frame.columns)
    return digest.hexdigest()
