"""Reports that are not the latest of all: they came late, out of order, or of an item that has moved on.

An ordinary check-in is `ledger.check_ins`; what that cannot take in one step comes here, and so does what a supervisor
enters after the grace. Whoever asks is looked at in their own standing; what follows is read and written as upkeep, for
it may touch another guide's item, and nothing of the member may be overlooked.

Cost: some thirty round trips in one transaction; it locks one member's rows of one plan, the guide-day, and those
that listed the item since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

import asyncpg

from domain.amending import Authority, decide_late_report
from domain.check_in import CheckIn
from domain.errors import Conflict, NotFound, Problem, Refused
from ledger.door import Driver, refusal
from ledger.ledger import Command, Ledger, task_stream
from ledger.member_history import item_of, read_history
from ledger.notes import Note, keep_note, make_note
from ledger.recorded import Recorded
from ledger.report_days import Done, day_of, lock_days, look_around
from ledger.restating import Change, write

TRIES = 5
"""How often a report is decided anew when what it rests on changes under it."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Why:
    """Why something is entered that only a supervisor enters; `salt`: 16 random bytes of its own."""

    text: str
    salt: bytes


async def report_late(
    ledger: Ledger, command: CheckIn, *, salt: bytes = b"", why: Why | None = None
) -> Recorded:
    """Record a check-in that is not in order; sent twice with the same command id it counts once.

    Args:
        ledger: the asker's.
        command: the report.
        salt: 16 random bytes, needed when the report has a note.
        why: it is entered by who may change closed days, whenever that is.

    Raises:
        NotFound: no such item in the asker's reach.
        Refused: a rule stands against it; see `domain.amending.decide_late_report`.
        Conflict: the item keeps changing; read again and retry.
    """
    async with ledger.connection() as connection:
        authority = await rights_over(connection, command.task_id, command.performed_by, command.occurred_at)
    if not (authority.works if why is None else authority.amends):
        raise NotFound(Problem("task_id", str(command.task_id), "unknown_task"))
    if why is not None and not why.text.strip():
        raise Refused([Problem("reason", why.text, "correction_needs_reason")])
    upkeep = ledger.for_upkeep()
    return await tried_again(lambda: _report(upkeep, command, salt, why))


async def rights_over(
    connection: Driver, task_id: UUID, guide_id: UUID, occurred_at: datetime, on: date | None = None
) -> Authority:
    """By what right whoever stands on the connection reports or corrects a guide's work on an item, that day.

    It follows the store where she stood. `on`: the day it is kept under; else that of the instant.
    """
    row = await connection.fetchrow(
        "SELECT r.works, r.amends FROM day_at($2, $3) d, rights_over($1, $2, coalesce($4::date, d.on_day)) r",
        task_id,
        guide_id,
        occurred_at,
        on,
    )
    return Authority(works=row["works"], amends=row["amends"])


async def tried_again(work: Callable[[], Awaitable[_T]]) -> _T:
    """The same once more where somebody changed what it rests on."""
    for left in reversed(range(TRIES)):
        try:
            return await work()
        except Conflict:
            if not left:
                raise
        except asyncpg.PostgresError as error:
            if not isinstance(refusal(error), Conflict):
                raise
            if not left:
                raise Conflict("the item keeps changing: read it again and retry") from error
    raise AssertionError("unreachable")


async def taken(connection: Driver, tenant_id: int, command_id: str, task_id: UUID) -> Recorded | None:
    """The check-in or correction that this command was, where it was taken before; call it with the item's head locked.

    Raises:
        Refused: the command id was used for another item.
    """
    row = await connection.fetchrow(
        "SELECT c.stream, c.version, t.state, t.due_on FROM command c"
        " JOIN task t ON t.tenant_id = $1 AND t.task_id = $3 WHERE c.tenant_id = $1 AND c.command_id = $2",
        tenant_id,
        command_id,
        task_id,
    )
    if row is None:
        return None
    if row["stream"] != task_stream(task_id):
        raise Refused([Problem("command_id", command_id, "command_used_elsewhere")])
    return Recorded(task_id, row["version"], row["state"], row["due_on"], duplicate=True)


async def _report(ledger: Ledger, command: CheckIn, salt: bytes, why: Why | None) -> Recorded:
    tenant_id, task_id, guide_id = ledger.tenant_id, command.task_id, command.performed_by
    async with ledger.transaction() as connection:
        found = await item_of(connection, tenant_id, task_id)
        if found is None:
            raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
        day = await day_of(connection, tenant_id, guide_id, command.occurred_at)
        if day is None:
            raise Refused([Problem("performed_by", str(guide_id), "not_your_task")])
        days: list[tuple[UUID, date]] = [(guide_id, day)]
        later = await lock_days(connection, tenant_id, task_id, days)
        known = await read_history(connection, tenant_id, *found)
        before = await taken(connection, tenant_id, command.command_id, task_id)
        if before is not None:
            return before
        around, _ = await look_around(
            connection,
            tenant_id,
            known,
            Done(task_id, guide_id, command.occurred_at, day),
            known_at=command.known_at,
            products=command.products,
        )
        version = known.heads[task_stream(task_id)].version + 1
        amended = decide_late_report(
            known.history, around, command, version=version, by_supervisor=why is not None
        )
        member = known.member_id
        note = await make_note(ledger, member, command.note, salt, "note", command.command_id)
        reason = await note_why(ledger, member, why, command.command_id)
        event = amended.event.model_copy(update=_notes(note, reason))
        written = Command(
            command.command_id, command.occurred_at, command.known_at, command.actor, str(guide_id)
        )
        await keep_note(connection, tenant_id, member, note)
        await keep_note(connection, tenant_id, member, reason)
        change = Change(task_id, written, known, amended.with_event(event), days, later)
        return await write(connection, tenant_id, change)


async def note_why(ledger: Ledger, member: UUID, why: Why | None, command_id: str) -> Note | None:
    """A reason tells of the member, so it is kept as a note."""
    if why is None or not why.text.strip():
        return None
    return await make_note(ledger, member, why.text, why.salt, "why", command_id)


def _notes(note: Note | None, reason: Note | None) -> dict[str, object]:
    told: dict[str, object] = {}
    if note is not None:
        told |= {"note": note.note_id, "note_hmac": note.digest}
    if reason is not None:
        told |= {"why": reason.note_id, "why_hmac": reason.digest}
    return told
