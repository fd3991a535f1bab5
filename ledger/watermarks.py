"""Up to when is the data complete? Said by the sources, never guessed; it only ever moves on.

A kind is complete until the earliest of what its sources say: those that may tell it and have not ended, each by its latest
word. Both times hold here too: what was said, ended or begun again after the instant asked of does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from domain.confirmation import KINDS
from domain.errors import Problem, Refused
from domain.events import WatermarkMoved
from ledger.door import Driver
from ledger.feed_terms import LATEST, take_file
from ledger.feeds import feed_stream
from ledger.ledger import Command, Ledger, record

AHEAD = timedelta(minutes=5)
"""So much a sender's clock may be ahead of ours."""

_ADD = """
INSERT INTO feed_watermark (tenant_id, source, kind, complete_until, known_at)
SELECT $1, $2, w.kind, w.until, $5 FROM unnest($3::text[], $4::timestamptz[]) AS w(kind, until)
WHERE w.until > coalesce((SELECT max(o.complete_until) FROM feed_watermark o
                          WHERE o.tenant_id = $1 AND o.source = $2 AND o.kind = w.kind), '-infinity')
ON CONFLICT DO NOTHING
RETURNING kind, complete_until"""

COMPLETE = f"""
SELECT kind, min(until) AS complete_until FROM (
    SELECT w.kind, w.source, max(w.complete_until) AS until FROM feed_watermark w
    JOIN feed f ON f.tenant_id = $1 AND f.source = w.source AND (f.ended_at IS NULL OR f.ended_at > $2)
    LEFT JOIN LATERAL ({LATEST.format(source="f.source")}) t ON true
    WHERE w.tenant_id = $1 AND w.known_at <= $2 AND (t.kinds IS NULL OR w.kind = ANY(t.kinds)) GROUP BY 1, 2
) s GROUP BY 1 ORDER BY 1"""
"""`ended_at` says no more than the terms do, but for what the version before this one ended."""


def check_until(until: datetime, at: datetime, field: str) -> None:
    """Nobody can have told everything of what has not happened yet.

    Raises:
        Refused: the instant is ahead of now.
    """
    if until > at + AHEAD:
        raise Refused([Problem(field, until.isoformat(), "complete_in_future", {"now": at.isoformat()})])


async def move(
    connection: Driver, tenant_id: int, source: str, marks: Mapping[str, datetime], *, known_at: datetime
) -> dict[str, datetime]:
    """Move a source's watermarks on; gives those that moved, for one that is behind changes nothing."""
    if not marks:
        return {}
    rows = await connection.fetch(
        _ADD, tenant_id, source, list(marks), [min(one, known_at) for one in marks.values()], known_at
    )
    return {row["kind"]: row["complete_until"] for row in rows}


async def move_by_import(
    ledger: Ledger, source: str, kind: str, until: datetime, *, known_at: datetime, actor: str
) -> bool:
    """Note what whoever imports says: this source has told everything of a kind up to an instant; whether it moved.

    Raises:
        Refused: the instant is ahead of now, or the source sends and was not registered for this kind.
    """
    check_until(until, known_at, "--complete-until")
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        await take_file(connection, tenant_id, source, kind, known_at)
        moved = await move(connection, tenant_id, source, {kind: until}, known_at=known_at)
        if moved:
            mark = moved[kind]
            command = Command(f"feed/{source}/complete/{kind}/{mark.isoformat()}", known_at, known_at, actor)
            event = WatermarkMoved(source=source, kind=kind, complete_until=mark)
            await record(connection, tenant_id, command, [(feed_stream(source), event)])
    return bool(moved)


async def complete_until(connection: Driver, tenant_id: int, as_of: datetime) -> dict[str, datetime | None]:
    """By kind, up to when everything was told as of an instant; None: no source says so."""
    rows = await connection.fetch(COMPLETE, tenant_id, as_of)
    told = {row["kind"]: row["complete_until"] for row in rows}
    return {kind: told.get(kind) for kind in KINDS}
