"""What stays open is told upwards: store, region, HQ, each at its time of the day; a few statements for a whole zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from domain.events import Escalated, Event
from domain.urging import Level
from ledger.door import Driver
from ledger.ledger import Command, guide_day_stream, record
from ledger.open_items import open_on_list

KIND = "escalation"
PLACE = "CASE {level} WHEN 'store' THEN o.store WHEN 'region' THEN o.region ELSE '' END"
"""The code of the place of a level that a row `o` of `left_open` belongs to; by `.format`."""


def left_open(day: str, time_zone: str, percent: str, at: str) -> str:
    """SQL: the guides of a zone's day with at least so many percent of their list open at an instant."""
    return f"""
    SELECT d.guide_id, g.code, s.code AS store, s.region, d.listed, n.open_items
    FROM guide_day d {open_on_list(at)}
    WHERE d.tenant_id = $1 AND d.business_date = {day} AND d.time_zone = {time_zone} AND d.state = 'published'
      AND n.open_items > 0 AND n.open_items * 100 >= d.listed * {percent}"""


@dataclass(frozen=True, slots=True)
class Upwards:
    """Whom to tell, at which time of the day, of lists with so many percent open."""

    level: Level
    slot: str
    open_percent: int


async def escalate(
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    zone_day: tuple[date, str],
    telling: Upwards,
    expires_at: datetime,
) -> int:
    """Put one message a store, a region or the brand into the outbox; returns of how many guides it tells.

    It holds no guide and no number: those are counted when it is sent, so that nobody is told of what was done
    meanwhile. A place is told once a day. Call it in a transaction; three statements beside the door's two.
    """
    day, time_zone = zone_day
    level, slot, open_percent = telling.level, telling.slot, telling.open_percent
    # Two release hours may tell at the same time: the second looks when the first is through, and finds its messages.
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(format('escalation/%s/%s/%s/%s', $1::int, $2::text, $3::date,"
        " $4::text), 0))",
        tenant_id,
        time_zone,
        day,
        level,
    )
    rows = await connection.fetch(
        f"""
        SELECT o.guide_id, o.open_items, s.place FROM ({left_open("$2", "$3", "$4", "$6")}) o
        CROSS JOIN LATERAL (SELECT {PLACE.format(level="$5::text")} AS place) s
        WHERE NOT EXISTS (SELECT FROM outbox b WHERE b.tenant_id = $1
                          AND b.purpose = format('{KIND}/%s/%s/%s/%s', $5, s.place, $3::text, $2::date) OFFSET 0)
          AND (s.place <> '' OR $5 = 'hq')
        ORDER BY o.guide_id""",
        tenant_id,
        day,
        time_zone,
        open_percent,
        level,
        command.occurred_at,
    )
    if not rows:
        return 0
    events: list[tuple[str, Event]] = [
        (
            guide_day_stream(row["guide_id"], day),
            Escalated(level=level, slot=slot, open_items=row["open_items"]),
        )
        for row in rows
    ]
    if (await record(connection, tenant_id, command, events)).duplicate:
        return 0
    await connection.execute(
        f"""
        INSERT INTO outbox (tenant_id, purpose, kind, content, created_at, expires_at, endpoint_id, state)
        SELECT $1, format('{KIND}/%s/%s/%s/%s', $3::text, n.place, $4::text, $2::date), '{KIND}',
               jsonb_build_object('date', $2::date, 'slot', $5::text, 'level', $3::text, 'place', n.place,
                                  'time_zone', $4::text, 'open_percent', $6::int),
               $7, $8, coalesce(e.endpoint_id, 0), CASE WHEN e.endpoint_id IS NULL THEN 'unrouted' ELSE 'waiting' END
        FROM unnest($9::text[]) AS n(place)
        LEFT JOIN endpoint e ON e.tenant_id = $1 AND e.scope = CASE $3 WHEN 'hq' THEN 'brand' ELSE $3 END
             AND e.code = n.place AND e.active
        ON CONFLICT DO NOTHING""",
        tenant_id,
        day,
        level,
        time_zone,
        slot,
        open_percent,
        command.occurred_at,
        expires_at,
        sorted({row["place"] for row in rows}),
    )
    return len(rows)
