"""Corrections: a new check-in supersedes an earlier one of its item, or says that it was never made.

In an open day the guide corrects her own, or the manager on her behalf; a closed day is changed by a supervisor of the
region or HQ, with a reason, and its figures get a new version. Cost and locks as `ledger.late_reports`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from domain.amending import Amended, Authority, Correction, decide_correction
from domain.check_in import Channel, CheckIn, Grade, Outcome
from domain.errors import NotFound, Problem, Refused
from ledger.door import Driver
from ledger.late_reports import Why, note_why, rights_over, taken, tried_again
from ledger.ledger import Command, Ledger, task_stream
from ledger.member_history import Known, Report, item_of, read_history, told_grade
from ledger.notes import Note, keep_note, make_note
from ledger.recorded import Recorded
from ledger.recounting import GuideDay
from ledger.report_days import Done, day_of, lock_days, look_around
from ledger.restating import Change, write


@dataclass(frozen=True, slots=True)
class Reported:
    """A check-in as it was reported, valid or superseded: what a correction starts from."""

    version: int
    performed_by: UUID
    occurred_at: datetime
    on: date
    """The business date it is kept under."""
    channel: Channel
    outcome: Outcome
    grade: Grade | None
    products: tuple[str, ...]
    next_on: date | None


async def read_report(connection: Driver, tenant_id: int, task_id: UUID, version: int) -> Reported:
    """A check-in in the asker's reach.

    Raises:
        NotFound: there is none.
    """
    row = await connection.fetchrow(
        "SELECT k.guide_id, k.occurred_at, k.business_date, k.channel, k.outcome, k.products, k.next_on, k.grade,"
        " e.payload ? 'told_grade' AS told, e.payload->>'told_grade' AS told_grade"
        " FROM check_in_ever k LEFT JOIN event e ON e.tenant_id = $1 AND e.stream = $4 AND e.version = $3"
        " AND e.known_at = k.known_at WHERE k.tenant_id = $1 AND k.task_id = $2 AND k.version = $3",
        tenant_id,
        task_id,
        version,
        task_stream(task_id),
    )
    if row is None:
        raise NotFound(Problem("version", str(version), "unknown_check_in"))
    return Reported(
        version=version,
        performed_by=UUID(str(row["guide_id"])),
        occurred_at=row["occurred_at"],
        on=row["business_date"],
        channel=row["channel"],
        outcome=row["outcome"],
        grade=row["told_grade"] if row["told"] else row["grade"],
        products=tuple(row["products"]),
        next_on=row["next_on"],
    )


async def report_of_day(
    connection: Driver, tenant_id: int, task_id: UUID, day: date, guide_id: UUID
) -> int | None:
    """The version of the check-in of an item that holds for a day, this guide's where there are two; None: there is none."""
    version: int | None = await connection.fetchval(
        "SELECT version FROM check_in WHERE tenant_id = $1 AND task_id = $2 AND business_date = $3"
        " ORDER BY guide_id = $4 DESC, version DESC LIMIT 1",
        tenant_id,
        task_id,
        day,
        guide_id,
    )
    return version


async def correct(
    ledger: Ledger,
    command: Correction,
    *,
    salt: bytes = b"",
    why_salt: bytes = b"",
    amends: bool = True,
) -> Recorded:
    """Correct a check-in, or void it; sent twice with the same command id it counts once.

    Args:
        ledger: the asker's.
        command: the correction; a report without a note keeps the note there is.
        salt: 16 random bytes, needed when the report has a note.
        why_salt: 16 others, needed when there is a reason.
        amends: whether what the asker shows lets them change closed days at all: a token may hold less than its account.

    Raises:
        NotFound: no such check-in in the asker's reach.
        Refused: a rule stands against it; see `domain.amending.decide_correction`.
        Conflict: the item keeps changing; read again and retry.
    """
    async with ledger.connection() as connection:
        before = await read_report(connection, ledger.tenant_id, command.task_id, command.supersedes)
        changed: list[Reported | CheckIn] = [before, *([command.report] if command.report else [])]
        over = [
            await rights_over(
                connection, command.task_id, one.performed_by, one.occurred_at, _kept_on(one, before)
            )
            for one in changed
        ]
    authority = Authority(
        works=all(one.works for one in over), amends=amends and all(one.amends for one in over)
    )
    if not (authority.works or authority.amends):
        raise NotFound(Problem("version", str(command.supersedes), "unknown_check_in"))
    upkeep = ledger.for_upkeep()
    why = Why(command.why, why_salt)
    return await tried_again(lambda: _correct(upkeep, command, authority, salt, why))


async def _correct(
    ledger: Ledger, command: Correction, authority: Authority, salt: bytes, why: Why
) -> Recorded:
    tenant_id, task_id = ledger.tenant_id, command.task_id
    async with ledger.transaction() as connection:
        found = await item_of(connection, tenant_id, task_id)
        if found is None:
            raise NotFound(Problem("task_id", str(task_id), "unknown_task"))
        old = await read_report(connection, tenant_id, task_id, command.supersedes)
        days = [(old.performed_by, old.on)]
        if command.report is not None:
            days.append(await _day(connection, tenant_id, command.report, old))
        later = await lock_days(connection, tenant_id, task_id, days)
        known = await read_history(connection, tenant_id, *found)
        before = await taken(connection, tenant_id, command.command_id, task_id)
        if before is not None:
            return before
        standing = _standing(known, command)
        amended = await _decided(connection, tenant_id, known, command, standing, authority)
        member = known.member_id
        text = command.report.note if command.report else None
        note = await make_note(ledger, member, text, salt, "note", command.command_id)
        reason = await note_why(ledger, member, why, command.command_id)
        event = amended.event.model_copy(update=_notes(command, standing.payload, note, reason))
        for one in (note, reason):
            await keep_note(connection, tenant_id, member, one)
        done = command.report or standing
        written = Command(
            command.command_id, done.occurred_at, command.known_at, command.actor, str(done.performed_by)
        )
        change = Change(task_id, written, known, amended.with_event(event), days, later, command.supersedes)
        return await write(connection, tenant_id, change)


async def _day(connection: Driver, tenant_id: int, report: CheckIn, old: Reported) -> GuideDay:
    day = _kept_on(report, old)
    day = day or await day_of(connection, tenant_id, report.performed_by, report.occurred_at)
    if day is None:
        raise Refused([Problem("performed_by", str(report.performed_by), "not_your_task")])
    return report.performed_by, day


def _kept_on(one: Reported | Report | CheckIn, old: Reported | Report) -> date | None:
    """The day that what is corrected is kept under, where this is its time and guide, too; it is not worked out again."""
    same = (one.performed_by, one.occurred_at) == (old.performed_by, old.occurred_at)
    return old.on if same else None


def _standing(known: Known, command: Correction) -> Report:
    key = command.task_id, command.supersedes
    if key in known.reports:
        return known.reports[key]
    by = known.superseded.get(key)
    if by is None:
        raise NotFound(Problem("version", str(command.supersedes), "unknown_check_in"))
    while (command.task_id, by) in known.superseded:
        by = known.superseded[command.task_id, by]
    raise Refused([Problem("version", str(command.supersedes), "check_in_superseded", {"by": by})])


async def _decided(
    connection: Driver,
    tenant_id: int,
    known: Known,
    command: Correction,
    standing: Report,
    authority: Authority,
) -> Amended:
    # The day of the report that is corrected, then of what it is corrected to.
    changed: list[Report | CheckIn] = [standing, *([command.report] if command.report else [])]
    looked = [
        await look_around(
            connection,
            tenant_id,
            known,
            Done(
                command.task_id,
                one.performed_by,
                one.occurred_at,
                _kept_on(one, standing),
                command.supersedes,
            ),
            known_at=command.known_at,
            products=command.report.products if command.report else (),
        )
        for one in changed
    ]
    around = looked[-1][0]
    first_known_at = standing.first_known_at
    same_day = around.on == standing.on
    late = standing.payload["late"] if same_day else first_known_at > around.day_closes_at
    return decide_correction(
        known.history,
        replace(around, day_closed=late),
        command,
        version=known.heads[task_stream(command.task_id)].version + 1,
        first_known_at=first_known_at,
        authority=authority,
        closed=any(closed for _, closed in looked),
        same=command.report is not None and _same(command.report, standing),
    )


def _same(report: CheckIn, standing: Report) -> bool:
    """Whether a report says what stands there; a note or evidence that is sent is another one."""
    told = standing.payload
    return (
        report.note is None
        and report.evidence in ("", told.get("evidence", ""))
        and (
            report.performed_by,
            report.occurred_at,
            report.channel,
            report.outcome,
            report.grade,
            list(report.products),
            report.next_on and report.next_on.isoformat(),
        )
        == (
            standing.performed_by,
            standing.occurred_at,
            told["channel"],
            told["outcome"],
            told_grade(told),
            told["products"],
            told["next_on"],
        )
    )


def _notes(
    command: Correction, before: Mapping[str, Any], note: Note | None, reason: Note | None
) -> dict[str, object]:
    told: dict[str, object] = {}
    if reason is not None:
        told |= {"why": reason.note_id, "why_hmac": reason.digest}
    if command.report is None:
        return told
    report = command.report
    device = before.get("device")
    told |= {
        "device": report.device or (device and UUID(device)),
        "evidence": report.evidence or before.get("evidence", ""),
    }
    if note is not None:
        return told | {"note": note.note_id, "note_hmac": note.digest}
    kept = before["note"]
    return told | {"note": kept and UUID(kept), "note_hmac": before["note_hmac"]}
