"""How days that listed an item were closed, for replaying what happened to it: as `ledger.closing.close` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.standing import Closed
from ledger.closing import ABSENT
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class PutOff:
    """The item was put off until an instant, on a day."""

    known_at: datetime
    on: date
    until: datetime


async def past_closings(
    connection: Driver,
    tenant_id: int,
    plan_id: str,
    snoozes: Mapping[UUID, Sequence[PutOff]],
    spans: Sequence[Any],
) -> tuple[Closed, ...]:
    """The closes of days that listed the items (`snoozes` names all), as `ledger.closing.close` decides them."""
    # Closed before its time, a day keeps when it was to close in its events only.
    # Every day of the cycles by name: the index goes by day and item.
    rows = await connection.fetch(
        """
        SELECT i.task_id, d.guide_id, d.business_date, d.closed_at,
               p.spec->'day'->>'open_items' = 'expire' AND NOT d.closed_at <@ p.paused
                   AND e.payload->>'reason' IS DISTINCT FROM $6 AS expires,
               e.known_at, greatest(d.closed_at, coalesce((e.payload->>'closes_at')::timestamptz, (
                   SELECT (b.payload->>'closes_at')::timestamptz FROM event b
                   WHERE b.tenant_id = $1 AND b.stream = e.stream AND b.type = 'list_published'))) AS put_off_beyond
        FROM list_item i
        JOIN guide_day d ON d.tenant_id = $1 AND d.guide_id = i.guide_id AND d.business_date = i.business_date
             AND d.state = 'closed'
        JOIN event e ON e.tenant_id = $1 AND e.stream = 'guide-day/' || d.guide_id || '/' || d.business_date
             AND e.type = 'day_closed'
        JOIN plan p ON p.tenant_id = $1 AND p.plan_id = $2
        WHERE i.tenant_id = $1 AND i.task_id = ANY($3) AND i.business_date = ANY(
            ARRAY(SELECT day::date FROM unnest($4::date[], $5::date[]) AS s(first, last),
                  generate_series(s.first, s.last, interval '1 day') AS day))""",
        tenant_id,
        plan_id,
        list(snoozes),
        [row["starts_on"] for row in spans],
        [row["ends_on"] for row in spans],
        ABSENT,
    )
    closed = []
    for row in rows:
        known = [one for one in snoozes[UUID(str(row["task_id"]))] if one.known_at <= row["known_at"]]
        put_off_on = known[-1].on if known and known[-1].until > row["put_off_beyond"] else None
        closed.append(
            Closed(
                row["task_id"],
                row["guide_id"],
                row["business_date"],
                row["closed_at"],
                row["expires"],
                put_off_on,
            )
        )
    return tuple(closed)
