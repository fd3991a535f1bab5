"""Guides are nudged about what is open on their lists: a few statements for all guides of a zone."""

from __future__ import annotations

from datetime import date, datetime

from domain.events import Event, Nudged
from domain.permitted import Purpose, blocked
from ledger.calendars import guide_calendars
from ledger.door import Driver
from ledger.guide_messages import Telling, put_out
from ledger.ledger import Command, guide_day_stream, record
from ledger.open_items import open_on_list


async def nudge(
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    day: date,
    time_zone: str,
    slot: str,
    expires_at: datetime,
) -> int:
    """Put one reminder a guide with open items into the outbox; returns how many were new.

    One transaction looks at the lists and writes the messages, so nobody is nudged for what is finished; the
    purpose makes a second nudge for the same slot impossible. Who is not at work by then (store hours, shift, leave) is
    not nudged.
    """
    # Two release hours may share a slot: the second looks when the first is through, and finds its messages.
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(format('nudge/%s/%s/%s/%s', $1::int, $2::text, $3::date,"
        " $4::text), 0))",
        tenant_id,
        time_zone,
        day,
        slot,
    )
    rows = await connection.fetch(
        f"""
        SELECT d.guide_id, n.open_items FROM guide_day d {open_on_list("$5")}
        WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.time_zone = $3 AND d.state = 'published' AND n.open_items > 0
          AND NOT EXISTS (SELECT FROM outbox o WHERE o.tenant_id = $1 -- by its key: see `open_on_list`
                          AND o.purpose = format('nudge/%s/%s/%s', d.guide_id, $2::date, $4::text) OFFSET 0)
        ORDER BY 1""",
        tenant_id,
        day,
        time_zone,
        slot,
        command.occurred_at,
    )
    calendars = await guide_calendars(connection, tenant_id, guides=[row["guide_id"] for row in rows])
    rows = [
        row
        for row in rows
        if blocked(command.occurred_at, calendars[row["guide_id"]].layers, Purpose.WORK) is None
    ]
    if not rows:
        return 0
    events: list[tuple[str, Event]] = [
        (guide_day_stream(row["guide_id"], day), Nudged(slot=slot, open_items=row["open_items"]))
        for row in rows
    ]
    if (await record(connection, tenant_id, command, events)).duplicate:
        return 0
    await put_out(
        connection,
        tenant_id,
        Telling("nudge", day, slot, slot, command.occurred_at, expires_at),
        {row["guide_id"]: row["open_items"] for row in rows},
    )
    # After an outage a guide is told once how things stand, not once a slot.
    await connection.execute(
        """
        UPDATE outbox SET state = 'expired', why = 'overtaken', ended_at = $4
        WHERE tenant_id = $1 AND state = 'waiting' AND kind = 'nudge' AND guide_id = ANY($5)
          AND content->>'date' = $2::date::text AND content->>'slot' < $3""",
        tenant_id,
        day,
        slot,
        command.occurred_at,
        [row["guide_id"] for row in rows],
    )
    return len(rows)
