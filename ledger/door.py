"""The door: the only way into the ledger.

`append` is one call of `append_events`, a function in the database: it claims the command id, moves the heads of the
streams by compare-and-set, inserts the events and queues them; where a guard matches less than it should, it raises and so
undoes itself. The hot path's functions (`ledger/check_ins.py`) call its twin, made of the same text, which leaves out
row-level security because they have held the asker already. Projections follow in the same transaction.

Cost: one round trip whatever the number of streams; rows written = 1 command, and per event one
event, one pending row, and one head per stream.

The door refuses floats in payloads and a second use of a command id (it answers what the first one
did). A month without a partition is made on its first event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import asyncpg

from domain.errors import Conflict, DaogouError
from ledger.canonical import NO_HASH, StoredEvent, chain, encode, payload_bytes

Driver: TypeAlias = asyncpg.Connection

CONFLICT = "DG001"
DUPLICATE = "DG002"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a stream stands: its version (1, 2, …) and the hash of that event."""

    version: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. `performed_by` gets the credit; it is the actor where nothing else is said."""

    type: str
    payload: dict[str, Any]
    occurred_at: datetime
    actor: str
    performed_by: str = ""
    schema_version: int = 1


@dataclass(frozen=True, slots=True)
class StreamBatch:
    """Events for one stream; `expected` is the head they were decided on, None for a new stream."""

    stream: str
    events: Sequence[NewEvent]
    expected: Head | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did.

    `duplicate` says that this command id had been used before: nothing was written now, and `stream`
    and `version` tell where the first use went.
    """

    duplicate: bool
    stream: str
    version: int
    events: int


class DuplicateCommand(DaogouError):
    """The command id was used before; raised inside a statement so that it undoes itself."""


@dataclass(slots=True)
class _Rows:
    """The columns of one append, ready for unnest()."""

    heads: list[tuple[str, int, bytes, int, bytes]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)


# tenant, four columns of commands, five of heads, twelve of events: `_arguments`.
_APPEND = f"SELECT append_events({', '.join(f'${n}' for n in range(1, 23))})"


@dataclass(frozen=True, slots=True)
class Chained:
    """An event's canonical bytes, its hash and its payload as text: what the door is given of it."""

    body: bytes
    hash: bytes
    payload: str


def chained(
    new: NewEvent,
    *,
    tenant_id: int,
    stream: str,
    version: int,
    before: bytes,
    command_id: str,
    known_at: datetime,
) -> Chained:
    """An event as the door takes it; `before` is the hash of the one before it in its stream."""
    payload = payload_bytes(new.payload)
    body = encode(
        StoredEvent(
            tenant_id=tenant_id,
            stream=stream,
            version=version,
            occurred_at=new.occurred_at,
            known_at=known_at,
            actor=new.actor,
            performed_by=new.performed_by or new.actor,
            cause=command_id,
            type=new.type,
            schema_version=new.schema_version,
            payload=new.payload,
        ),
        payload,
    )
    return Chained(body, chain(before, body), payload.decode())


def _arguments(
    *,
    tenant_id: int,
    command_id: str,
    known_at: datetime,
    batches: Sequence[StreamBatch],
) -> list[Any]:
    """The arguments of `append_events`: chains every batch from its expected head."""
    rows = _Rows()
    for batch in sorted(batches, key=lambda b: b.stream):
        version = batch.expected.version if batch.expected else 0
        before = digest = batch.expected.hash if batch.expected else NO_HASH
        for new in batch.events:
            version += 1
            made = chained(
                new,
                tenant_id=tenant_id,
                stream=batch.stream,
                version=version,
                before=digest,
                command_id=command_id,
                known_at=known_at,
            )
            digest = made.hash
            rows.events.append(
                (
                    batch.stream,
                    version,
                    new.occurred_at,
                    known_at,
                    new.actor,
                    new.performed_by or new.actor,
                    command_id,
                    new.type,
                    new.schema_version,
                    made.body,
                    digest,
                    made.payload,
                )
            )
        rows.heads.append((batch.stream, version - len(batch.events), before, version, digest))
    heads = [list(column) for column in zip(*rows.heads, strict=True)]
    events = [list(column) for column in zip(*rows.events, strict=True)]
    changed, changed_to = heads[0][:1], heads[3][:1]  # a command says which stream it changed first
    return [tenant_id, [command_id], [known_at], changed, changed_to, *heads, *events]


async def append(
    connection: Driver, *, tenant_id: int, command_id: str, known_at: datetime, batches: Sequence[StreamBatch]
) -> Appended:
    """Append events to one or more streams, all or none.

    Call it inside a transaction when projections follow; alone it is its own transaction.

    Args:
        connection: the driver's connection, bound to the tenant.
        tenant_id: the brand.
        command_id: the *business* key of the command, e.g. `plan/p1/cycle/2/assign`; a second use answers
            what the first one did.
        known_at: when the ledger learns of it; every event of one append shares it.
        batches: at least one event in each.

    Raises:
        Conflict: a stream is not where `expected` says.
    """
    if not batches or any(not batch.events for batch in batches):
        raise ValueError("append needs at least one stream and one event in each")
    arguments = _arguments(tenant_id=tenant_id, command_id=command_id, known_at=known_at, batches=batches)
    try:
        count = await fetchval_with_partition(connection, known_at, _APPEND, *arguments)
    except asyncpg.PostgresError as error:
        refused = refusal(error)
        if refused is None:
            raise
        if isinstance(refused, Conflict):
            raise refused from error
        row = await connection.fetchrow(
            "SELECT stream, version FROM command WHERE tenant_id = $1 AND command_id = $2",
            tenant_id,
            command_id,
        )
        if row is None:  # out of the asker's sight: somebody else used it
            raise Conflict("the command was used by somebody else") from error
        return Appended(duplicate=True, stream=row["stream"], version=row["version"], events=0)
    return Appended(duplicate=False, stream=arguments[3][0], version=arguments[4][0], events=count)


async def fetchval_with_partition(
    connection: Driver, known_at: datetime, statement: str, *arguments: object
) -> Any:
    """Run an appending statement; where the month has no partition yet, make it and run it again."""
    try:
        return await _fetchval_apart(connection, statement, *arguments)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name is not None:
            raise  # a CHECK of ours has a name; a missing partition has none
    # Partitions are months of UTC, wherever the caller's clock hangs.
    await connection.execute("SELECT ensure_event_partitions($1, $1)", known_at.astimezone(UTC).date())
    return await _fetchval_apart(connection, statement, *arguments)


async def _fetchval_apart(connection: Driver, statement: str, *arguments: object) -> Any:
    if not connection.is_in_transaction():
        return await connection.fetchval(statement, *arguments)
    # A savepoint, so that a refused statement does not spoil the caller's transaction.
    async with connection.transaction():
        return await connection.fetchval(statement, *arguments)


def refusal(error: asyncpg.PostgresError) -> DuplicateCommand | Conflict | None:
    """Our error for one that the guards raised; None for any other, which goes on as it is."""
    if error.sqlstate == DUPLICATE:
        return DuplicateCommand("command already used")
    if error.sqlstate in {CONFLICT, "40001", "40P01"}:
        return Conflict("another command changed the stream first: read it again and retry")
    return None


async def read_head(connection: Driver, tenant_id: int, stream: str) -> Head | None:
    """Where a stream stands, or None if nothing was ever appended to it."""
    row = await connection.fetchrow(
        "SELECT version, hash FROM stream_head WHERE tenant_id = $1 AND stream = $2", tenant_id, stream
    )
    return Head(row["version"], row["hash"]) if row else None


async def lock_heads(connection: Driver, tenant_id: int, streams: Sequence[str]) -> dict[str, Head]:
    """The heads of many streams, locked until the transaction ends; call it before reading what they decide.

    Locked in the order of their names, so that two lockers never wait for each other.
    """
    rows = await connection.fetch(
        "SELECT stream, version, hash FROM stream_head WHERE tenant_id = $1 AND stream = ANY($2)"
        " ORDER BY stream FOR UPDATE",
        tenant_id,
        list(streams),
    )
    return {row["stream"]: Head(row["version"], row["hash"]) for row in rows}


async def command_used(connection: Driver, tenant_id: int, command_id: str) -> bool:
    """Whether this command id has been appended before."""
    return bool(
        await connection.fetchval(
            "SELECT true FROM command WHERE tenant_id = $1 AND command_id = $2", tenant_id, command_id
        )
    )
