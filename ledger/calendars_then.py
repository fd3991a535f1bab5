"""Calendars as they were said at an instant: what a decision of then could know."""

from __future__ import annotations

from datetime import datetime

from ledger.door import Driver


async def say_then(connection: Driver, tenant_id: int, at: datetime) -> None:
    """Let `calendar_layer` mean what had been said by `at`, until the transaction ends; nothing of the ledger is written.

    Call it once in a transaction, before anything reads calendars. Master data (stores, leave, usual hours) stay as they
    are: they have no history yet. Rows grow with the events of all calendars; each is found by its stream.
    """
    # Another path, so that statements prepared before are planned anew and find the table of then.
    await connection.execute("SET LOCAL search_path = pg_temp, daogou")
    await connection.execute(
        "CREATE TEMPORARY TABLE calendar_layer (LIKE daogou.calendar_layer) ON COMMIT DROP"
    )
    await connection.execute(
        """
        INSERT INTO pg_temp.calendar_layer (tenant_id, scope, subject, facts, version, decided_at)
        SELECT DISTINCT ON (e.stream) $1, e.payload->>'scope', e.payload->>'subject', e.payload->'facts', e.version, e.known_at
        FROM daogou.stream_head h JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = h.stream
        WHERE h.tenant_id = $1 AND h.stream LIKE 'calendar/%' AND e.type = 'calendar_set' AND e.known_at <= $2
        ORDER BY e.stream, e.version DESC""",
        tenant_id,
        at,
    )
