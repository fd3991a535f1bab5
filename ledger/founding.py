"""Many new streams at once: the first event of each, in bulk. What a cycle starts with goes this way.

The door's guards hold, as constraints instead of compare-and-set: a command id or a stream that is there already fails the
whole transaction. So nothing has to be locked, compared or joined. Only the canonical bytes and their hashes go to the
server: everything else, what is projected too, is read out of them there, in the order of the tables' keys, while the bytes
of the next chunks are composed beside it.

Cost: 1 round trip a chunk of `CHUNK` streams; rows written = 1 command a chunk, and per event one event, one pending row,
one head and what is projected.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC

import asyncpg

from domain.errors import Conflict
from domain.events import Event
from ledger.canonical import LikeEvents, Places, StoredEvent
from ledger.door import Driver
from ledger.ledger import Command

CHUNK = 4_000
"""Streams in one append, so that a launch of a million keeps statements and memory bounded."""
AHEAD = 8
"""Chunks composed before they are written."""

_APPEND = """
WITH claimed AS (
    INSERT INTO command (tenant_id, command_id, known_at, stream, version)
    VALUES ($1, $2, $3, convert_from(substr(($8::bytea[])[1], $10, $11), 'UTF8'), 1)
), appended AS (
    INSERT INTO event (tenant_id, stream, version, occurred_at, known_at, actor, performed_by, cause, type,
                       schema_version, body, hash, payload)
    SELECT $1, convert_from(substr(e.body, $10, $11), 'UTF8'), 1, $4, $3, $5, $6, $2, $7, $13::smallint, e.body, e.hash,
           convert_from(substr(e.body, $12), 'UTF8')::jsonb
    FROM (SELECT unnest($8::bytea[]) AS body, unnest($9::bytea[]) AS hash) e
    RETURNING stream, known_at, hash, payload
), headed AS (
    INSERT INTO stream_head (tenant_id, stream, version, hash) SELECT $1, stream, 1, hash FROM appended
), queued AS (
    INSERT INTO event_pending (tenant_id, stream, version, known_at) SELECT $1, stream, 1, known_at FROM appended
)
"""


@dataclass(frozen=True, slots=True)
class NewStreams:
    """Streams of one kind, each with its first event; `prefix` and the payload's field `key` make a stream's name.

    The fields must be ids, all of one length, so that the same places of all bodies hold the same things.
    """

    prefix: str
    key: str
    events: Sequence[Event]
    """One a stream, all of one type, in the order of the streams' names."""
    projection: str
    """An INSERT that reads `appended` (stream, known_at, hash, payload); $1 is the tenant."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: NewStreams
    command_id: str
    places: Places
    bodies: list[bytes]
    hashes: list[bytes]


class Founding:
    """Events that are being composed; `write` appends them."""

    def __init__(self, tenant_id: int, command: Command) -> None:
        self._tenant_id, self._command = tenant_id, command
        self._composed: asyncio.Queue[_Chunk | Exception | None] = asyncio.Queue(AHEAD)

    async def write(self, connection: Driver) -> None:
        """Append and project all, or none: call it in a transaction.

        Raises:
            Conflict: something was there already; the transaction can only be rolled back.
        """
        # Partitions are months of UTC, wherever the caller's clock hangs.
        day = self._command.known_at.astimezone(UTC).date()
        await connection.execute("SELECT ensure_event_partitions($1, $1)", day)
        try:
            while (chunk := await self._composed.get()) is not None:
                if isinstance(chunk, Exception):
                    raise chunk
                await self._write(connection, chunk)
        except asyncpg.UniqueViolationError as error:
            raise Conflict("another command wrote this first: read again and retry") from error

    async def _write(self, connection: Driver, chunk: _Chunk) -> None:
        told = self._command
        await connection.execute(
            _APPEND + chunk.kind.projection,
            self._tenant_id,
            chunk.command_id,
            told.known_at,
            told.occurred_at,
            told.actor,
            told.performed_by or told.actor,
            chunk.kind.events[0].type,
            chunk.bodies,
            chunk.hashes,
            chunk.places.stream,
            chunk.places.stream_length,
            chunk.places.payload,
            chunk.kind.events[0].schema_version,
        )

    async def compose(self, kinds: Sequence[NewStreams]) -> None:
        """Compose chunk by chunk in a thread, `AHEAD` of what is written."""
        try:
            number = 0
            for kind in kinds:
                for at in range(0, len(kind.events), CHUNK):
                    part = kind.events[at : at + CHUNK]
                    await self._composed.put(await asyncio.to_thread(self._compose, kind, part, number))
                    number += 1
            await self._composed.put(None)
        except Exception as error:  # noqa: BLE001 - told to whoever writes
            await self._composed.put(error)

    def _compose(self, kind: NewStreams, part: Sequence[Event], number: int) -> _Chunk:
        told, one = self._command, part[0]
        cause = f"{told.command_id}/{number}"
        first = LikeEvents(
            StoredEvent(
                tenant_id=self._tenant_id,
                stream=f"{kind.prefix}{getattr(one, kind.key)}",
                version=1,
                occurred_at=told.occurred_at,
                known_at=told.known_at,
                actor=told.actor,
                performed_by=told.performed_by or told.actor,
                cause=cause,
                type=one.type,
                schema_version=one.schema_version,
                payload={},
            )
        )
        bodies = []
        for event in part:
            payload = event.payload()
            bodies.append(first.body(kind.prefix + payload[kind.key], payload))
        # The first event of a stream is chained to nothing.
        hashes = [hashlib.sha256(body).digest() for body in bodies]
        return _Chunk(kind, cause, first.places, bodies, hashes)


@asynccontextmanager
async def founding(tenant_id: int, command: Command, kinds: Sequence[NewStreams]) -> AsyncIterator[Founding]:
    """Compose events beside the block, which calls `write` once.

    Args:
        tenant_id: the brand.
        command: every chunk has a command id of its own: this one's with the chunk's number.
        kinds: the events; each stream once.
    """
    made = Founding(tenant_id, command)
    composing = asyncio.create_task(made.compose(kinds))
    try:
        yield made
    finally:
        composing.cancel()
        with suppress(asyncio.CancelledError):
            await composing
