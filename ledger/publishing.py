"""A guide's list is published: from then on it is hers to work."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from domain.events import ListPublished
from ledger.door import Driver
from ledger.ledger import Command, guide_day_stream, record


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
    published = ListPublished(
        guide=guide_id,
        business_date=day,
        tasks=tuple(row["task_id"] for row in items),
        time_zone=cut["time_zone"],
        opens_at=cut["opens_at"],
        closes_at=cut["closes_at"],
        target_calls=cut["target_calls"],
        target_invitations=cut["target_invitations"],
    )
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
