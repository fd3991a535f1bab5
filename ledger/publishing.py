"""Lists are published: a guide's, or all of a zone at once. From then on a list is its guide's to work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.events import ListPublished
from ledger.door import Driver, StreamBatch, append, lock_heads
from ledger.ledger import Command, guide_day_stream, record, stream_batch

AT_ONCE = 1_000
"""Lists published in one transaction: who clocks in meanwhile waits for no more than these."""


async def publish(connection: Driver, tenant_id: int, command: Command, *, guide_id: UUID, day: date) -> bool:
    """Publish a guide's list; False if it was published before. Call it in a transaction.

    The workflow calls it at the release hour, clocking in calls it where Temporal is away: same command id,
    same effect.
    """
    cut = await connection.fetchrow(
        "SELECT state, time_zone, opens_at, closes_at, target_calls, target_invitations FROM guide_day"
        " WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 FOR UPDATE",
        tenant_id,
        guide_id,
        day,
    )
    if cut is None or cut["state"] != "cut":
        return False
    items = await connection.fetch(
        "SELECT task_id FROM list_item WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3 ORDER BY rank",
        tenant_id,
        guide_id,
        day,
    )
    published = _published(guide_id, day, cut, [row["task_id"] for row in items])
    await record(connection, tenant_id, command, [(guide_day_stream(guide_id, day), published)])
    await connection.execute(
        """
        UPDATE guide_day SET state = 'published', published_at = $4, clocked_in_at = coalesce(clocked_in_at, (
            SELECT occurred_at FROM event e WHERE e.tenant_id = $1 AND e.stream = $5 AND e.type = 'clocked_in'))
        WHERE tenant_id = $1 AND guide_id = $2 AND business_date = $3""",
        tenant_id,
        guide_id,
        day,
        command.occurred_at,
        guide_day_stream(guide_id, day),  # who came before the release hour
    )
    return True


async def released(
    connection: Driver, tenant_id: int, *, day: date, time_zone: str, at: datetime
) -> list[UUID]:
    """Guides of a zone whose lists are cut, not published, and released by an instant; in the order of their ids."""
    rows = await connection.fetch(
        "SELECT guide_id FROM guide_day WHERE tenant_id = $1 AND business_date = $2 AND time_zone = $3 AND state = 'cut'"
        " AND opens_at <= $4 ORDER BY guide_id",
        tenant_id,
        day,
        time_zone,
        at,
    )
    return [row["guide_id"] for row in rows]


async def publish_many(
    connection: Driver, tenant_id: int, command: Command, *, guides: Sequence[UUID], day: date
) -> int:
    """Publish the lists of these guides, not many more than `AT_ONCE`; returns how many. Call it in a transaction.

    A list that somebody published meanwhile is left as it is. What is published is not published again, so the command's id
    is this one's with the first guide of those who get their list now: two who come with some of the same guides do not
    take each other's command for their own. Seven round trips; rows written: as many a list as
    `publish` writes, but one command for all.
    """
    cut = await connection.fetch(
        "SELECT guide_id, time_zone, opens_at, closes_at, target_calls, target_invitations FROM guide_day"
        " WHERE tenant_id = $1 AND business_date = $2 AND guide_id = ANY($3) AND state = 'cut' ORDER BY guide_id FOR UPDATE",
        tenant_id,
        day,
        list(guides),
    )
    if not cut:
        return 0
    guides = [row["guide_id"] for row in cut]
    listed = dict(await connection.fetch(_LISTED, tenant_id, day, guides))
    streams = [guide_day_stream(guide, day) for guide in guides]
    heads = await lock_heads(connection, tenant_id, streams)
    command = replace(command, command_id=f"{command.command_id}/{guides[0]}")
    batches = [
        _with_tasks(
            stream_batch(command, stream, heads.get(stream), _published(row["guide_id"], day, row, ())),
            listed[row["guide_id"]],
        )
        for stream, row in zip(streams, cut, strict=True)
    ]
    await append(
        connection,
        tenant_id=tenant_id,
        command_id=command.command_id,
        known_at=command.known_at,
        batches=batches,
    )
    await connection.execute(
        """
        UPDATE guide_day d SET state = 'published', published_at = $4, clocked_in_at = coalesce(d.clocked_in_at, e.occurred_at)
        FROM unnest($3::uuid[]) AS n(guide_id)
        LEFT JOIN (SELECT stream, occurred_at FROM event
                   WHERE tenant_id = $1 AND stream = ANY($5) AND type = 'clocked_in' OFFSET 0) e
             ON e.stream = format('guide-day/%s/%s', n.guide_id, $2::date)
        WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.guide_id = n.guide_id""",
        tenant_id,
        day,
        guides,
        command.occurred_at,
        [stream for stream in streams if stream in heads],  # who may have come before the release hour
    )
    return len(cut)


# Each list by its key, whatever the planner knows of today: see `ledger.open_items`.
_LISTED = """
SELECT n.guide_id, ARRAY(SELECT i.task_id::text FROM list_item i
    WHERE i.tenant_id = $1 AND i.guide_id = n.guide_id AND i.business_date = $2 ORDER BY i.rank) AS tasks
FROM unnest($3::uuid[]) AS n(guide_id)"""


def _with_tasks(batch: StreamBatch, tasks: list[str]) -> StreamBatch:
    """The list as text, as it came: reading half a million ids and writing them again takes longer than all the rest here."""
    (event,) = batch.events
    return replace(batch, events=[replace(event, payload=event.payload | {"tasks": tasks})])


def _published(guide_id: UUID, day: date, cut: Mapping[str, Any], tasks: Sequence[UUID]) -> ListPublished:
    return ListPublished(
        guide=guide_id,
        business_date=day,
        tasks=tuple(tasks),
        time_zone=cut["time_zone"],
        opens_at=cut["opens_at"],
        closes_at=cut["closes_at"],
        target_calls=cut["target_calls"],
        target_invitations=cut["target_invitations"],
    )


async def list_published_at(
    connection: Driver, tenant_id: int, guide_id: UUID, instant: datetime
) -> datetime | None:
    """When the guide's list of the day of `instant` was published; None: it was not."""
    published_at: datetime | None = await connection.fetchval(
        """
        SELECT d.published_at FROM guide_day d
        WHERE d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = (SELECT on_day FROM day_at($2, $3))""",
        tenant_id,
        guide_id,
        instant,
    )
    return published_at
