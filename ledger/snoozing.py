"""An item is put off: one event in its stream, and its row says until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from uuid import UUID

from domain.calendar import business_date
from domain.errors import NotFound, Problem, Refused
from domain.snooze import ItemToSnooze, decide_snooze
from ledger.door import Driver, lock_heads
from ledger.ledger import Command, Ledger, record, task_stream

_READ = """
SELECT t.guide_id, t.state, t.snoozes, t.snoozed_until, t.snooze_reason, t.last_attempt_on, c.ends_on
FROM task t
JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
WHERE t.tenant_id = $1 AND t.task_id = $2"""
_ZONE = """
SELECT s.time_zone FROM task t
JOIN guide g ON g.tenant_id = $1 AND g.guide_id = t.guide_id
JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
WHERE t.tenant_id = $1 AND t.task_id = $2"""


@dataclass(frozen=True, slots=True)
class Snoozed:
    """An item that is put off; `left`: how often it still may be."""

    task_id: UUID
    until: datetime
    snoozes: int
    duplicate: bool


async def snooze(
    ledger: Ledger, command: Command, task_id: UUID, guide_id: UUID, until: time | date, reason: str
) -> Snoozed:
    """Put an item of a guide's list off; the same command again changes nothing. Seven round trips.

    Raises:
        NotFound: no such item, or not in reach.
        Refused: a rule stands against it (`domain.snooze`), or the command id was used for something else.
    """
    tenant = ledger.tenant_id
    async with ledger.transaction() as connection:
        zone = await connection.fetchval(_ZONE, tenant, task_id)
        if zone is None:
            raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
        day = business_date(command.occurred_at, zone)
        # The day before the item, as whoever closes it; whoever reports on it at this moment is waited for, or waits.
        closes_at = await _open_list(connection, tenant, task_id, guide_id, day)
        await lock_heads(connection, tenant, [task_stream(task_id)])
        row = await connection.fetchrow(_READ, tenant, task_id)
        if row is None:
            raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
        done = await connection.fetchrow(
            "SELECT stream FROM command WHERE tenant_id = $1 AND command_id = $2", tenant, command.command_id
        )
        if done is not None:
            if done["stream"] != task_stream(task_id) or row["snoozed_until"] is None:
                raise Refused([Problem("Idempotency-Key", "", "key_used_otherwise")])
            return Snoozed(task_id, row["snoozed_until"], row["snoozes"], duplicate=True)
        item = ItemToSnooze(
            task_id=task_id,
            guide_id=row["guide_id"],
            state=row["state"],
            snoozes=row["snoozes"],
            attempted_today=row["last_attempt_on"] == day,
            listed=closes_at is not None,
            cycle_ends_on=row["ends_on"],
            day=day,
            time_zone=zone,
            closes_at=closes_at or command.occurred_at,
        )
        event = decide_snooze(item, guide_id, until, reason, command.occurred_at)
        await record(connection, tenant, command, [(task_stream(task_id), event)])
        await connection.execute(
            "UPDATE task SET snoozes = snoozes + 1, snoozed_on = $3, snoozed_until = $4, snooze_reason = $5"
            " WHERE tenant_id = $1 AND task_id = $2",
            tenant,
            task_id,
            day,
            event.until,
            reason,
        )
        return Snoozed(task_id, event.until, item.snoozes + 1, duplicate=False)


async def _open_list(
    connection: Driver, tenant_id: int, task_id: UUID, guide_id: UUID, day: date
) -> datetime | None:
    """The close of the guide's day, held open, if the item is on its list; None: it is not, or the day is closed."""
    closes_at: datetime | None = await connection.fetchval(
        """
        SELECT d.closes_at FROM guide_day d
        JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = d.guide_id AND i.business_date = d.business_date
        WHERE d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = $3 AND d.state = 'published' AND i.task_id = $4
        FOR SHARE OF d""",
        tenant_id,
        guide_id,
        day,
        task_id,
    )
    return closes_at
