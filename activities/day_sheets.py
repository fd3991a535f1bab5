"""The day's list on paper (A4), and a filled-in sheet entered on behalf: a check-in a line, each under a command id of its own.

A line is named by its code, so nobody types ids. What becomes of one line does not touch the others: each is told by itself, and
the whole sheet entered again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Literal
from uuid import UUID

from domain.board import Basis, Board, Cell, Column
from domain.calendar import local_instant
from domain.check_in import Channel, CheckIn, Grade, Outcome
from domain.errors import Conflict, DaogouError, NotFound, Problem, Refused
from domain.sheet_codes import check_letters, line_code, read_code
from ledger.check_ins import check_in
from ledger.check_ins_before import taken_before
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.notes import SALT_BYTES
from ledger.recorded import Recorded
from ledger.sheet_lines import SheetLine, guides_with_lists, read_sheet_line
from ledger.today import ListedItem, TodaysList, read_todays_list

MOST_SHEET_LINES = 500
"""Lines of one request: a store's whole day on ten sheets (ours)."""

_COLUMNS = (
    Column("line", "text"), Column("member", "text"), Column("why", "code", "boards.why_listed"), Column("about", "text"),
    Column("grade", "text"), Column("quadrant", "code", "quadrants"), Column("due_on", "date"),
    Column("told_outcome", "text"), Column("told_grade", "text"), Column("told_next_on", "text"),
)  # fmt: skip


async def make_day_sheet(
    ledger: Ledger,
    *,
    guide: str | None = None,
    store: str | None = None,
    day: date | None = None,
    at: datetime,
) -> Board:
    """A guide's list of a day, or those of all guides of a store, to be printed: with a code a line and room to write.

    Args:
        ledger: the asker's.
        guide: her code; or
        store: the store's.
        day: the newest there is where left out.
        at: now.

    Raises:
        NotFound: no list on that day in the asker's reach.
    """
    async with ledger.connection() as connection:
        if guide is not None:
            listed = [await read_todays_list(connection, ledger.tenant_id, guide, day, keys=ledger.keys)]
            zone = await _zone_of(connection, ledger.tenant_id, guide)
        else:
            on, zone, guides = await guides_with_lists(connection, ledger.tenant_id, store or "", day)
            if on is None:
                named = day.isoformat() if day else ""
                raise NotFound(Problem("date", named, "no_list", {"guide": store or ""}))
            listed = [
                await read_todays_list(connection, ledger.tenant_id, one, on, keys=ledger.keys)
                for one in guides
            ]
    first = listed[0]
    return Board(
        "day_sheet",
        Basis(first.day, first.day, at, None, zone, whole=False),
        _COLUMNS,
        tuple(_row(one, item) for one in listed for item in one.items),
        {"of": f"{first.guide_code} {first.guide_name}".strip() if guide is not None else store or ""},
        ("write_and_enter", "codes_are_of_the_day", "masked"),
    )


async def _zone_of(connection: Driver, tenant_id: int, guide: str) -> str:
    zone: str | None = await connection.fetchval(
        "SELECT s.time_zone FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id"
        " WHERE g.tenant_id = $1 AND g.code = $2",
        tenant_id,
        guide,
    )
    return zone or "UTC"


def _row(listed: TodaysList, item: ListedItem) -> tuple[Cell, ...]:
    return (
        line_code(listed.guide_code, item.rank, item.task_id, listed.day), item.member, _why(item), item.category,
        item.grade or "", item.quadrant, item.due_on, "", "", "",
    )  # fmt: skip


def _why(item: ListedItem) -> str:
    if item.complaint:
        return "complaint"
    if item.done or item.state != "open":
        return "done"
    if item.urged:
        return "urged"
    return "going_cold" if item.silent_since is not None else "runs_out"


@dataclass(frozen=True, slots=True)
class FilledLine:
    """A line as it was written on the sheet. `at`: by the store's clocks; None: now, or the close where that has passed."""

    code: str
    outcome: Outcome
    channel: Channel = "phone"
    grade: Grade | None = None
    products: tuple[str, ...] = ()
    next_on: date | None = None
    at: time | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class EnteredLine:
    """What became of a line."""

    code: str
    result: Literal["taken", "taken_before", "refused"]
    task_id: UUID | None = None
    state: str = ""
    due_on: date | None = None
    problems: tuple[Problem, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Entering:
    """Who enters a sheet of which day; `command_prefix` is the asker's own."""

    day: date
    actor: str
    command_prefix: str
    at: datetime


async def enter_sheet(
    ledger: Ledger,
    entering: Entering,
    lines: Sequence[FilledLine],
    guide_to_act_for: Callable[[str], Awaitable[UUID]],
) -> list[EnteredLine]:
    """Enter what was written on a day's sheet, a line after the other; entered again it counts once.

    Some four round trips a line, more where a day has closed.

    Args:
        ledger: the asker's.
        entering: of which day, and who.
        lines: at most `MOST_SHEET_LINES`.
        guide_to_act_for: the id of a guide whose work the asker records; NotFound where it is not.
    """
    return [await _enter(ledger, entering, line, guide_to_act_for) for line in lines]


async def _enter(
    ledger: Ledger,
    entering: Entering,
    line: FilledLine,
    guide_to_act_for: Callable[[str], Awaitable[UUID]],
) -> EnteredLine:
    try:
        found = await _line_of(ledger, entering, line, guide_to_act_for)
        command = _command(entering, line, found)
        taken = await check_in(ledger, command, salt=secrets.token_bytes(SALT_BYTES))
        if taken.duplicate:
            return await _taken_before(ledger, line, command, taken)
    except (Refused, NotFound) as error:
        return EnteredLine(line.code, "refused", problems=tuple(_as_written(line, one) for one in _of(error)))
    except Conflict:
        return EnteredLine(line.code, "refused", problems=(Problem("code", line.code, "conflict"),))
    return EnteredLine(line.code, "taken", taken.task_id, taken.state, taken.due_on)


def _of(error: DaogouError) -> Sequence[Problem]:
    if isinstance(error, Refused):
        return error.problems
    return (error.problem,) if isinstance(error, NotFound) else ()


def _as_written(line: FilledLine, problem: Problem) -> Problem:
    """What a rule of the domain names by an id, by the line's code."""
    if problem.field in {"task_id", "performed_by", "guide", "command_id"}:
        return Problem("code", line.code, problem.code, problem.params)
    return problem


async def _line_of(
    ledger: Ledger,
    entering: Entering,
    line: FilledLine,
    guide_to_act_for: Callable[[str], Awaitable[UUID]],
) -> SheetLine:
    unknown = Refused([Problem("code", line.code[:80], "unknown_line", {"day": entering.day.isoformat()})])
    code = read_code(line.code)
    if code is None:
        raise unknown
    try:
        guide_id = await guide_to_act_for(code.guide)
    except NotFound as error:
        raise unknown from error
    async with ledger.connection() as connection:
        found = await read_sheet_line(connection, ledger.tenant_id, guide_id, entering.day, code.rank)
    if found is None or check_letters(found.task_id, entering.day) != code.check:
        raise unknown
    return found


def _command(entering: Entering, line: FilledLine, found: SheetLine) -> CheckIn:
    if line.at is not None:
        occurred_at = local_instant(entering.day, line.at, found.time_zone)
    else:
        occurred_at = min(entering.at, found.closes_at)
    # A line that was taken back may be entered anew.
    again = f"/{found.voided}" if found.voided else ""
    return CheckIn(
        command_id=f"{entering.command_prefix}sheet/{found.guide_id}/{entering.day}/{found.task_id}{again}",
        task_id=found.task_id,
        performed_by=found.guide_id,
        actor=entering.actor,
        occurred_at=occurred_at,
        known_at=entering.at,
        channel=line.channel,
        outcome=line.outcome,
        grade=line.grade,
        products=line.products,
        next_on=line.next_on,
        note=line.note,
        asked=_digest(line),
    )


def _digest(line: FilledLine) -> str:
    """Of what was written, without the note, which must be erasable."""
    told = [line.outcome, line.channel, line.grade, line.products, str(line.next_on), str(line.at)]
    return hashlib.sha256(json.dumps(["sheet", *told]).encode()).hexdigest()[:32]


async def _taken_before(ledger: Ledger, line: FilledLine, command: CheckIn, taken: Recorded) -> EnteredLine:
    async with ledger.for_upkeep().connection() as connection:
        before = await taken_before(
            connection, ledger.tenant_id, taken.task_id, taken.version, keys=ledger.keys
        )
    if before.asked != command.asked or not before.had_note(line.note):
        raise Refused([Problem("code", line.code, "line_entered_otherwise")])
    return EnteredLine(line.code, "taken_before", taken.task_id, before.state, before.due_on)
