"""The hot path: one check-in that is the latest of all. What is not goes to `ledger.late_reports`.

Cost: two round trips, each a function in the database (`items_to_report` gives everything the decision needs;
`record_check_ins` appends through the door and projects, and undoes itself when a guard fails), 7 rows written: command,
event, head, pending, check-in, task, plan member. Independent of how many members, items and years there are.

Both hold the item against the asker's reach once, by the rules of the tables, and then go by key without row-level
security: a statement under it holds every policy's sub-selects, and starting those cost more than what they found.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from domain.calendar import local_instant
from domain.check_in import CheckIn, TaskBefore, decide_check_in, in_order
from domain.errors import Conflict, Problem, Refused
from domain.events import CheckedIn
from domain.identifiers import derived_id
from ledger.calendars import working_days
from ledger.door import Driver, DuplicateCommand, NewEvent, chained, fetchval_with_partition, refusal
from ledger.late_reports import report_late
from ledger.ledger import Ledger, task_stream
from ledger.people import note_place, salt_place, seal_text
from ledger.plans import parse_spec
from ledger.pool import CONNECTION_LOST
from ledger.recorded import Recorded
from ledger.sealing import seal

# As whoever stands on the connection.
_READ = "SELECT * FROM items_to_report(NULL, NULL, NULL, $1, $2, $3, $4)"
_WRITE = f"SELECT record_check_ins(NULL, NULL, {', '.join(f'${n}' for n in range(1, 25))})"

log = structlog.get_logger(__name__)

TRIES = 5
"""How often a check-in is decided anew when what it rests on changes under it."""


async def check_in(ledger: Ledger, command: CheckIn, *, salt: bytes = b"") -> Recorded:
    """Record one check-in; sent twice with the same command id it counts once.

    Args:
        ledger: the tenant's ledger.
        command: the report.
        salt: 16 random bytes, needed when the report has a note: the event holds HMAC(salt, note) only.

    Raises:
        NotFound: no such item.
        Refused: a rule stands against it; see `domain.check_in.objection`.
        Conflict: the item changed meanwhile; read again and retry.
    """
    if command.note is not None and len(salt) < 16:
        raise ValueError("salt: a note needs 16 random bytes")
    try:
        async with ledger.connection() as connection:
            recorded = await _check_in(connection, ledger, command, salt)
    except CONNECTION_LOST as error:
        # Whether it was written nobody knows: on another connection the command id tells.
        log.warning("check_in_again", reason=type(error).__name__)
        async with ledger.connection() as connection:
            recorded = await _check_in(connection, ledger, command, salt)
    return recorded or await report_late(ledger, command, salt=salt)


async def _check_in(
    connection: Driver, ledger: Ledger, command: CheckIn, salt: bytes, *, tries: int = TRIES
) -> Recorded | None:
    """Take a check-in that is in order; None: it is not, or its item is out of sight."""
    row = await connection.fetchrow(
        _READ,
        [command.task_id],
        [command.command_id],
        [command.occurred_at],
        [array_text(command.products)],
    )
    if row is None:
        return None
    if row["done_version"] is not None:
        if row["done_stream"] != task_stream(command.task_id):
            raise Refused([Problem("command_id", command.command_id, "command_used_elsewhere")])
        return Recorded(command.task_id, row["done_version"], row["state"], row["due_on"], duplicate=True)
    decided = await decide(ledger, row, command, salt)
    if decided is None:
        return None
    try:
        await fetchval_with_partition(
            connection, command.known_at, _WRITE, *([one] for one in decided.arguments)
        )
    except asyncpg.PostgresError as error:
        refused = refusal(error)
        if refused is None:
            raise
        if isinstance(refused, DuplicateCommand) and tries > 1:
            # The same command came twice at once, or day or member changed since they were read: read again.
            return await _check_in(connection, ledger, command, salt, tries=tries - 1)
        raise Conflict("the item keeps changing: read it again and retry") from error
    return decided.recorded


@dataclass(frozen=True, slots=True)
class Decided:
    """A check-in that is in order: what it comes to, and what `record_check_ins` is told of it."""

    recorded: Recorded
    arguments: tuple[Any, ...]


async def decide(ledger: Ledger, row: Mapping[str, Any], command: CheckIn, salt: bytes) -> Decided | None:
    """Decide a check-in on what `items_to_report` gave; None: it is not in order. Asks the database nothing.

    Raises:
        Refused: a rule stands against it.
    """
    on = row["on_day"]
    plan = parse_spec(row["spec"])
    closes_at = row["closes_at"] or local_instant(on, plan.day.close, row["time_zone"])
    before = TaskBefore(
        task_id=command.task_id,
        plan_id=row["plan_id"],
        cycle=row["cycle"],
        member_id=row["member_id"],
        guide_id=row["guide_id"],
        state=row["state"],
        due_on=row["due_on"],
        attempts=row["attempts"],
        last_attempt_on=row["last_attempt_on"],
        cycle_ends_on=row["ends_on"],
        grade=row["grade"],
        dial_days=row["dial_days"],
        attempted_that_day=row["attempted_that_day"],
        dialled_that_day=row["dialled_that_day"],
        opted_out=row["opted_out"],
        phone_withdrawn=row["phone_agreed"] is False,
        made_at=row["made_at"],
        last_reached_at=row["last_reached_at"],
        day_closes_at=closes_at,
        day_closed=row["day_closed"] or command.known_at > closes_at,
        while_paused=row["while_paused"],
        recalled_at=row["ended_at"] if row["plan_status"] == "recalled" else None,
        categories=tuple(row["categories"]),
        last_dial_on=row["last_dial_on"],
        later_cycle=row["later_cycle"],
        complaint_open=row["complaint_open"],
    )
    if not in_order(before, command, on):
        return None
    days = working_days(
        plan.working_calendar,
        code=row["store"],
        zone=row["store_zone"],
        region=row["region"],
        said=row["said"],
    )
    event = decide_check_in(before, command, on=on, next_working_day=days.next_working(on))
    event, note_id = _with_note(event, command, salt)
    sealed_salt, sealed_note = await _sealed_note(ledger, before.member_id, note_id, salt, command.note)
    version, head = row["version"] + 1, row["hash"]
    made = chained(
        NewEvent(
            event.type,
            event.payload(),
            command.occurred_at,
            command.actor,
            str(command.performed_by),
            event.schema_version,
        ),
        tenant_id=ledger.tenant_id,
        stream=task_stream(command.task_id),
        version=version,
        before=head,
        command_id=command.command_id,
        known_at=command.known_at,
    )
    return Decided(
        Recorded(command.task_id, version, event.state, event.due_on, duplicate=False),
        (
            command.task_id,
            command.command_id,
            command.known_at,
            command.occurred_at,
            command.actor,
            command.performed_by,
            before.plan_id,
            before.cycle,
            before.member_id,
            on,
            version - 1,
            head,
            made.body,
            made.hash,
            event.schema_version,
            made.payload,
            row["day_closed"],
            before.grade,
            before.dial_days,
            before.last_dial_on,
            before.last_reached_at,
            note_id,
            sealed_salt,
            sealed_note,
        ),
    )


def array_text(texts: tuple[str, ...]) -> str:
    """An array as PostgreSQL writes it: there, arrays of arrays are all of one length."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{one}"' for one in quoted) + "}"


def _with_note(event: CheckedIn, command: CheckIn, salt: bytes) -> tuple[CheckedIn, UUID | None]:
    if command.note is None:
        return event, None
    note_id = derived_id("note", command.command_id)
    digest = hmac.new(salt, command.note.encode(), hashlib.sha256).hexdigest()
    return event.model_copy(update={"note": note_id, "note_hmac": digest}), note_id


async def _sealed_note(
    ledger: Ledger, member: UUID, note_id: UUID | None, salt: bytes, note: str | None
) -> tuple[bytes | None, bytes | None]:
    """Salt and note under the member's key; nothing where there is no note. Of an erased member nothing is kept."""
    if note_id is None or note is None:
        return None, None
    key = (await ledger.keys.make_many([member])).get(member)
    if key is None:
        return None, None
    return (
        seal(key, ledger.tenant_id, member, salt_place(note_id), salt),
        seal_text(key, ledger.tenant_id, member, note_place(note_id), note),
    )
