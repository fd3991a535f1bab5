"""Guides are urged: by HQ, the region's supervisor or the store's manager, three times in 24 hours at most."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.errors import Problem, Refused
from domain.events import Urged
from domain.urging import MOST_URGES, URGE_WINDOW, urge_again_at
from ledger.door import Driver
from ledger.guide_messages import Telling, put_out
from ledger.guides import unknown_guide
from ledger.ledger import Command, Ledger, guide_day_stream, record
from ledger.open_items import ITEMS_OF_DAY, item_open

EXPIRES_AFTER = timedelta(hours=1)
"""An urge that could not be sent by then is not sent any more; nor after her day has closed."""


@dataclass(frozen=True, slots=True)
class UrgedGuide:
    """What an urge came to."""

    day: date
    urged_at: datetime
    open_items: int
    """What was open then, and goes first on her lists from now on."""
    duplicate: bool
    told: bool
    """Whether a message goes to her: no channel serves her otherwise."""


async def urge(ledger: Ledger, command: Command, *, guide_id: UUID, guide_code: str) -> UrgedGuide:
    """Urge a guide about what is open on her list; asked again under the same command id it changes nothing.

    Seven round trips in two transactions: whoever asks is looked at first, what is written is written for upkeep, since
    who urges does not record her work.

    Raises:
        NotFound: she is not the asker's to urge.
        Refused: her list is not out or closed, nothing on it is open, she was urged often enough, or the name of the
            request was used for something else.
    """
    tenant_id, at = ledger.tenant_id, command.occurred_at
    async with ledger.connection() as connection:
        found = await _day(connection, tenant_id, guide_id, at)
        on = found.day if found else at.date()
        if not await connection.fetchval("SELECT urges($1, $2)", guide_id, on):
            raise unknown_guide(guide_code)
    async with ledger.for_upkeep().transaction() as connection:
        # Two who urge at once take turns, or both would find her urged twice.
        await connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('urge/' || $1, 0))", str(guide_id)
        )
        before = await _urged_before(connection, tenant_id, command.command_id, guide_id)
        if before is not None:
            return before
        found = await _day(connection, tenant_id, guide_id, at)
        if found is None:
            raise Refused([Problem("guide", guide_code, "no_open_day")])
        await _not_often(connection, tenant_id, guide_id, guide_code, at)
        rows = await connection.fetch(
            f"""
            SELECT t.task_id FROM guide_day d
            JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
            JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
            {ITEMS_OF_DAY}
            WHERE d.tenant_id = $1 AND d.guide_id = $2 AND d.business_date = $3 AND {item_open("$4")} ORDER BY i.rank""",
            tenant_id,
            guide_id,
            found.day,
            at,
        )
        if not rows:
            raise Refused([Problem("guide", guide_code, "nothing_open")])
        tasks = tuple(row["task_id"] for row in rows)
        appended = await record(
            connection, tenant_id, command, [(guide_day_stream(guide_id, found.day), Urged(tasks=tasks))]
        )
        await connection.execute(
            "INSERT INTO guide_urge (tenant_id, guide_id, business_date, version, urged_at, actor, tasks)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            tenant_id,
            guide_id,
            found.day,
            appended.version,
            at,
            command.actor,
            list(tasks),
        )
        slot = f"{at.astimezone(ZoneInfo(found.time_zone)):%H:%M}"
        expires_at = min(at + EXPIRES_AFTER, found.closes_at)
        await put_out(
            connection,
            tenant_id,
            Telling("urge", found.day, slot, str(appended.version), at, expires_at),
            {guide_id: len(tasks)},
        )
        told = await _told(connection, tenant_id, guide_id, found.day, appended.version)
    return UrgedGuide(found.day, at, len(tasks), duplicate=False, told=told)


@dataclass(frozen=True, slots=True)
class _Day:
    day: date
    time_zone: str
    closes_at: datetime


async def _day(connection: Driver, tenant_id: int, guide_id: UUID, at: datetime) -> _Day | None:
    row = await connection.fetchrow(
        "SELECT business_date, time_zone, closes_at FROM guide_day WHERE tenant_id = $1 AND guide_id = $2"
        " AND state = 'published' AND opens_at <= $3 AND closes_at > $3 ORDER BY business_date DESC LIMIT 1",
        tenant_id,
        guide_id,
        at,
    )
    return None if row is None else _Day(row["business_date"], row["time_zone"], row["closes_at"])


async def _urged_before(
    connection: Driver, tenant_id: int, command_id: str, guide_id: UUID
) -> UrgedGuide | None:
    row = await connection.fetchrow(
        "SELECT u.guide_id, u.business_date, u.version, u.urged_at, cardinality(u.tasks) AS open_items FROM command c"
        " LEFT JOIN guide_urge u ON u.tenant_id = $1 AND u.version = c.version"
        " AND c.stream = 'guide-day/' || u.guide_id || '/' || u.business_date"
        " WHERE c.tenant_id = $1 AND c.command_id = $2",
        tenant_id,
        command_id,
    )
    if row is None:
        return None
    if row["guide_id"] != guide_id:
        raise Refused([Problem("Idempotency-Key", "", "key_used_otherwise")])
    told = await _told(connection, tenant_id, guide_id, row["business_date"], row["version"])
    return UrgedGuide(row["business_date"], row["urged_at"], row["open_items"], duplicate=True, told=told)


async def _told(connection: Driver, tenant_id: int, guide_id: UUID, day: date, version: int) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM outbox WHERE tenant_id = $1 AND purpose = $2 AND endpoint_id > 0)",
            tenant_id,
            f"urge/{guide_id}/{day}/{version}",
        )
    )


async def _not_often(
    connection: Driver, tenant_id: int, guide_id: UUID, guide_code: str, at: datetime
) -> None:
    rows = await connection.fetch(
        "SELECT urged_at FROM guide_urge WHERE tenant_id = $1 AND guide_id = $2 AND urged_at > $3",
        tenant_id,
        guide_id,
        at - URGE_WINDOW,
    )
    again = urge_again_at([row["urged_at"] for row in rows], at)
    if again is not None:
        gaps: dict[str, str | int] = {"most": MOST_URGES, "again_at": again.isoformat(timespec="minutes")}
        raise Refused([Problem("guide", guide_code, "urged_enough", gaps)])
