"""Gives committed events a gapless position, in the order they queued.

A `bigserial` is not commit order and a global lock costs several times the speed, so positions are
given afterwards: events wait in `event_pending` (written with them) and one sequencer a tenant
moves them, under a lock that only sequencers take. An event that has not committed is not seen and
simply gets a later position. Everything that must not change afterwards says "≤ position P".

Cost: one statement a batch, one insert and one delete an event; independent of the ledger's size.
"""

from __future__ import annotations

from ledger.door import Driver

_SEQUENCE = """
WITH taken AS (
    DELETE FROM event_pending WHERE id IN (
        SELECT id FROM event_pending WHERE tenant_id = $1 ORDER BY id LIMIT $2
    ) RETURNING id, stream, version, known_at
), last AS (
    SELECT coalesce(max(position), 0) AS position FROM event_position WHERE tenant_id = $1
), placed AS (
    INSERT INTO event_position (tenant_id, position, stream, version, known_at)
    SELECT $1, last.position + row_number() OVER (ORDER BY taken.id), stream, version, known_at
    FROM taken, last
    RETURNING position
)
SELECT count(*) FROM placed"""


async def sequence(connection: Driver, tenant_id: int, *, batch: int = 20_000) -> int:
    """Give every waiting event its position; returns how many got one.

    Safe to run from several processes: they take turns.
    """
    total = 0
    while True:
        async with connection.transaction():
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('daogou.sequencer'), $1)", tenant_id
            )
            placed = int(await connection.fetchval(_SEQUENCE, tenant_id, batch))
        total += placed
        if placed < batch:
            return total


async def last_position(connection: Driver, tenant_id: int) -> int:
    """The highest position given; 0 for an empty ledger."""
    return int(
        await connection.fetchval(
            "SELECT coalesce(max(position), 0) FROM event_position WHERE tenant_id = $1", tenant_id
        )
    )


async def waiting(connection: Driver, tenant_id: int) -> bool:
    """Whether an event has no position yet."""
    return bool(
        await connection.fetchval("SELECT EXISTS (SELECT FROM event_pending WHERE tenant_id = $1)", tenant_id)
    )
