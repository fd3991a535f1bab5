"""What goes out to guides: one row in the outbox for each endpoint that serves a guide, by the message's purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from ledger.door import Driver
from ledger.endpoints import SERVING


@dataclass(frozen=True, slots=True)
class Telling:
    """What guides are told about: the open items of a day's lists, at a time of the day."""

    kind: str
    """Also the first word of a message's purpose, `{kind}/{guide}/{day}/{mark}`."""
    day: date
    slot: str
    """The time of day that the text names."""
    mark: str
    """Tells it from the guide's other messages of the kind and day."""
    at: datetime
    expires_at: datetime
    """After that it is not sent any more."""


async def put_out(
    connection: Driver, tenant_id: int, telling: Telling, open_items: Mapping[UUID, int]
) -> None:
    """Put one message a guide into the outbox; one statement. A purpose that is there is not put out again.

    A message goes to each endpoint of the nearest scope that serves the guide; where none does, one row says so
    (`unrouted`). Call it in the transaction that looked at the lists.
    """
    await connection.execute(
        f"""
        WITH n AS (
            SELECT * FROM unnest($6::uuid[], $7::int[]) AS n(guide_id, open_items)
        ), served AS (
            SELECT n.guide_id, e.endpoint_id, rank() OVER (PARTITION BY n.guide_id ORDER BY place.nearness) AS choice
            FROM n
            JOIN guide g ON g.tenant_id = $1 AND g.guide_id = n.guide_id
            JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
            {SERVING}
        )
        INSERT INTO outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at, endpoint_id, state)
        SELECT $1, format('%s/%s/%s/%s', $8::text, n.guide_id, $2::date, $9::text), $8, n.guide_id,
               jsonb_build_object('date', $2::date, 'slot', $3::text, 'open_items', n.open_items), $4, $5,
               coalesce(v.endpoint_id, 0), CASE WHEN v.endpoint_id IS NULL THEN 'unrouted' ELSE 'waiting' END
        FROM n LEFT JOIN served v ON v.guide_id = n.guide_id AND v.choice = 1
        ON CONFLICT DO NOTHING""",
        tenant_id,
        telling.day,
        telling.slot,
        telling.at,
        telling.expires_at,
        list(open_items),
        list(open_items.values()),
        telling.kind,
        telling.mark,
    )
