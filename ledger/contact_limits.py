"""How often a member is contacted at most: said by HQ from a day on, read as it stands or as it stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domain.contact_budget import Limits
from domain.errors import Problem, Refused
from domain.events import ContactLimitsSet
from ledger.door import Driver, command_used
from ledger.ledger import Command, record

STREAM = "contact-limits"
_LAST_ZONE = timedelta(hours=12)
"""In the last zone a day begins so long after UTC."""


@dataclass(frozen=True, slots=True)
class DatedLimits:
    """What was said, and from when on it counts; `from_on` None: where nothing was said."""

    from_on: date | None
    limits: Limits
    decided_at: datetime | None = None


async def read_limits(
    connection: Driver, tenant_id: int, *, known_at: datetime | None = None
) -> list[DatedLimits]:
    """Every span of days with limits of its own, in order, beginning with what the trade has. One round trip.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        known_at: as it had been said by then; None: as it stands.
    """
    rows = await connection.fetch(
        "SELECT DISTINCT ON (from_on) from_on, day, week, month, decided_at FROM contact_limit"
        " WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR decided_at <= $2) ORDER BY from_on, version DESC",
        tenant_id,
        known_at,
    )
    said = [
        DatedLimits(row["from_on"], Limits(row["day"], row["week"], row["month"]), row["decided_at"])
        for row in rows
    ]
    return [DatedLimits(None, Limits()), *said]


def standing_on(said: Sequence[DatedLimits], day: date) -> Limits:
    """The limits of a day."""
    return next(one.limits for one in reversed(said) if one.from_on is None or one.from_on <= day)


async def set_limits(connection: Driver, tenant_id: int, command: Command, said: ContactLimitsSet) -> bool:
    """Say how often members are contacted at most from a day on; what was said of a later day stays.

    Event and row; call it in a transaction. False: the command was done before, nothing was written.

    Raises:
        Refused: a limit is none or above that of the longer period, or the day lies behind; all of it at once.
    """
    if await command_used(connection, tenant_id, command.command_id):
        return False
    problems = Limits(said.day, said.week, said.month).problems()
    if said.from_on < (command.known_at - _LAST_ZONE).date():
        today = command.known_at.date().isoformat()
        problems.append(
            Problem("from_on", said.from_on.isoformat(), "contact_limit_in_past", {"today": today})
        )
    if not said.reason.strip():
        problems.append(Problem("reason", said.reason, "reason_missing"))
    if problems:
        raise Refused(problems)
    appended = await record(connection, tenant_id, command, [(STREAM, said)])
    if appended.duplicate:
        return False
    await connection.execute(
        "INSERT INTO contact_limit (tenant_id, version, from_on, day, week, month, decided_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        tenant_id,
        appended.version,
        said.from_on,
        said.day,
        said.week,
        said.month,
        command.known_at,
    )
    return True
