"""Cases of complaints: opened, moved and withdrawn with the check-in that told of one; listed, answered and closed by people.

What a report does to its case is written in its own transaction (`follow_report`); what people do with one is asked of the
database in their own standing first and written for upkeep, for who answers does not record the guide's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from domain.complaint_events import CaseAnswered, CaseClosed, CaseMoved, CaseOpened, CaseWithdrawn
from domain.complaints import Resolution, deadline, objection, step_of
from domain.errors import Conflict, NotFound, Problem, Refused
from domain.events import Event
from domain.identifiers import derived_id
from ledger.door import Driver, lock_heads
from ledger.ledger import Command, Ledger, case_stream, record, task_stream
from ledger.notes import Note, keep_note, make_note, read_notes
from ledger.people import NOBODY, read_people

State = Literal["open", "answered", "closed", "withdrawn"]
Wanted = Literal["unfinished", "overdue", "closed", "withdrawn"]
Place = tuple[datetime, str]
"""Where a page ended: deadline and id of its last case."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A report that was just written: of which item, its version, what it tells, and which one it takes the place of."""

    task_id: UUID
    version: int
    plan_id: str
    member_id: UUID
    guide_id: UUID
    business_date: date
    complains: bool
    supersedes: int | None
    answer_hours: int


async def follow_report(connection: Driver, tenant_id: int, command: Command, told: Followed) -> None:
    """Open, move or withdraw the case of a report; call it in the report's transaction.

    None to three round trips. `command.occurred_at` is the report's.
    """
    before = None
    if told.supersedes is not None:
        before = await connection.fetchval(
            "SELECT case_id FROM complaint_case WHERE tenant_id = $1 AND task_id = $2 AND report = $3"
            " AND state <> 'withdrawn'",
            tenant_id,
            told.task_id,
            told.supersedes,
        )
    step = step_of(before=before is not None, after=told.complains)
    if step is None:
        return
    case_id = before or derived_id("case", str(told.task_id), str(told.version))
    event: Event
    if step == "withdraw":
        event = CaseWithdrawn(cause_stream=task_stream(told.task_id))
    else:
        stands = {"report": told.version, "guide": told.guide_id, "business_date": told.business_date}
        event = CaseMoved.model_validate(stands)
        if step == "open":
            event = CaseOpened.model_validate(
                stands
                | {
                    "case": case_id,
                    "member": told.member_id,
                    "task": told.task_id,
                    "plan": told.plan_id,
                    "deadline_at": deadline(command.occurred_at, told.answer_hours),
                }
            )
    # A case is withdrawn when that becomes known; else it dates from the complaint.
    at = command.known_at if step == "withdraw" else command.occurred_at
    done = Command(f"{command.command_id}/case", at, command.known_at, command.actor)
    appended = await record(connection, tenant_id, done, [(case_stream(case_id), event)])
    if appended.duplicate:
        raise Conflict("the command was used at the same moment: read again")
    await _project(connection, tenant_id, case_id, event, at)


async def _project(connection: Driver, tenant_id: int, case_id: UUID, event: Event, at: datetime) -> None:
    match event:
        case CaseOpened():
            await connection.execute(
                "INSERT INTO complaint_case (tenant_id, case_id, member_id, task_id, report, plan_id, guide_id,"
                " business_date, opened_at, deadline_at, state)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'open')",
                tenant_id,
                case_id,
                event.member,
                event.task,
                event.report,
                event.plan,
                event.guide,
                event.business_date,
                at,
                event.deadline_at,
            )
        case CaseMoved():
            await connection.execute(
                "UPDATE complaint_case SET report = $3, guide_id = $4, business_date = $5, opened_at = $6"
                " WHERE tenant_id = $1 AND case_id = $2",
                tenant_id,
                case_id,
                event.report,
                event.guide,
                event.business_date,
                at,
            )
        case CaseAnswered():
            await connection.execute(
                "UPDATE complaint_case SET state = 'answered', answered_at = $3 WHERE tenant_id = $1 AND case_id = $2",
                tenant_id,
                case_id,
                at,
            )
        case CaseClosed() | CaseWithdrawn():
            await connection.execute(
                "UPDATE complaint_case SET state = $3, ended_at = $4, resolution = $5"
                " WHERE tenant_id = $1 AND case_id = $2",
                tenant_id,
                case_id,
                "closed" if isinstance(event, CaseClosed) else "withdrawn",
                at,
                event.resolution if isinstance(event, CaseClosed) else None,
            )


@dataclass(frozen=True, slots=True)
class Case:
    """A complaint and how it stands. Members are masked; notes are null where they cannot be read."""

    case_id: UUID
    member: str
    plan: str
    task_id: UUID
    store: str
    """Where she stands."""
    guide: str
    business_date: date
    opened_at: datetime
    deadline_at: datetime
    overdue: bool
    """Nobody has answered the member, and the deadline has passed."""
    state: State
    answered_at: datetime | None
    ended_at: datetime | None
    resolution: str | None
    complaint: str | None
    """The note of the check-in."""
    answers: tuple[str, ...]
    """Notes of who answered and closed it, in their order."""

    @property
    def place(self) -> Place:
        """Where the next page begins."""
        return self.deadline_at, str(self.case_id)


@dataclass(frozen=True, slots=True)
class Selected:
    """Which cases: `at` decides what is overdue; store and guide by code, None: all."""

    wanted: Wanted
    at: datetime
    store: str | None = None
    guide: str | None = None
    case_id: UUID | None = None


_OVERDUE = "c.state = 'open' AND c.deadline_at < $2"
_WANTED: Mapping[Wanted, str] = {
    "unfinished": "c.state IN ('open', 'answered')",
    "overdue": f"({_OVERDUE})",
    "closed": "c.state = 'closed'",
    "withdrawn": "c.state = 'withdrawn'",
}


async def list_cases(
    connection: Driver, ledger: Ledger, selected: Selected, *, after: Place | None = None, limit: int = 50
) -> list[Case]:
    """Cases in the asker's reach, the nearest deadline first. Three round trips, and one to the key store."""
    rows = await connection.fetch(
        f"""
        SELECT c.case_id, c.member_id, c.plan_id AS plan, c.task_id, coalesce(s.code, '') AS store,
               coalesce(g.code, '') AS guide, c.business_date, c.opened_at, c.deadline_at, {_OVERDUE} AS overdue, c.state,
               c.answered_at, c.ended_at, c.resolution, k.note_id,
               ARRAY(SELECT (e.payload->>'note')::uuid FROM event e WHERE e.tenant_id = $1
                     AND e.stream = 'case/' || c.case_id AND e.known_at >= c.opened_at AND e.payload->>'note' IS NOT NULL
                     ORDER BY e.version) AS note_ids
        FROM complaint_case c
        LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = c.guide_id
        LEFT JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id
        LEFT JOIN check_in_ever k ON k.tenant_id = $1 AND k.task_id = c.task_id AND k.version = c.report
        WHERE c.tenant_id = $1 AND {"true" if selected.case_id else _WANTED[selected.wanted]}
          AND ($3::text IS NULL OR s.code = $3) AND ($4::text IS NULL OR g.code = $4)
          AND ($5::uuid IS NULL OR c.case_id = $5)
          AND ($6::timestamptz IS NULL OR (c.deadline_at, c.case_id) > ($6, $7::uuid))
        ORDER BY c.deadline_at, c.case_id LIMIT $8""",
        ledger.tenant_id,
        selected.at,
        selected.store,
        selected.guide,
        selected.case_id,
        *((after[0], UUID(after[1])) if after else (None, None)),
        limit,
    )
    people = await read_people(connection, ledger.tenant_id, ledger.keys, {row["member_id"] for row in rows})
    notes = {note: row["member_id"] for row in rows for note in (row["note_id"], *row["note_ids"]) if note}
    texts = await read_notes(connection, ledger, notes) if notes else {}
    return [_case(row, people.get(row["member_id"], NOBODY).masked, texts) for row in rows]


def _case(row: Mapping[str, Any], member: str, texts: Mapping[UUID, str]) -> Case:
    told = dict(row)
    note_id, note_ids = told.pop("note_id"), told.pop("note_ids")
    del told["member_id"]
    answers = tuple(texts[note] for note in note_ids if note in texts)
    return Case(member=member, complaint=texts.get(note_id) if note_id else None, answers=answers, **told)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is done with a case: answered, or closed with a resolution; what there is to say, with 16 random bytes."""

    case_id: UUID
    resolution: Resolution | None = None
    note: str | None = None
    salt: bytes = b""


@dataclass(frozen=True, slots=True)
class Answered:
    """How the case stands by then; `duplicate`: this very command had been done before."""

    case_id: UUID
    state: State
    duplicate: bool


def case_command(key: str, resolution: Resolution | None) -> str:
    """The command id of an answer, or of the close, under the asker's own key: one key may serve both."""
    return f"case/{'answer' if resolution is None else 'close'}/{key}"


async def answer_case(ledger: Ledger, command: Command, answer: Answer) -> Answered:
    """Answer or close a case; asked again under the same command id it changes nothing.

    Eight round trips in two transactions.

    Raises:
        NotFound: no such case, or not one the asker answers for.
        Refused: it is over, was answered already, or the command id was used for something else.
    """
    tenant_id, case_id = ledger.tenant_id, answer.case_id
    unknown = NotFound(Problem("case", str(case_id), "unknown_case"))
    async with ledger.connection() as connection:
        answers_for = await connection.fetchval(
            "SELECT urges(guide_id, business_date) FROM complaint_case WHERE tenant_id = $1 AND case_id = $2",
            tenant_id,
            case_id,
        )
    if not answers_for:
        raise unknown
    async with ledger.for_upkeep().transaction() as connection:
        await lock_heads(connection, tenant_id, [case_stream(case_id)])
        row = await connection.fetchrow(
            "SELECT c.state, c.resolution, c.member_id, k.stream FROM complaint_case c"
            " LEFT JOIN command k ON k.tenant_id = $1 AND k.command_id = $3"
            " WHERE c.tenant_id = $1 AND c.case_id = $2",
            tenant_id,
            case_id,
            command.command_id,
        )
        if row["stream"] is not None:
            otherwise = answer.resolution not in {None, row["resolution"]}
            if row["stream"] != case_stream(case_id) or otherwise:
                raise Refused([Problem("Idempotency-Key", "", "key_used_otherwise")])
            return Answered(case_id, row["state"], duplicate=True)
        problem = objection(str(case_id), row["state"], closes=answer.resolution is not None)
        if problem is not None:
            raise Refused([problem])
        member = UUID(str(row["member_id"]))
        note = await make_note(ledger, member, answer.note, answer.salt, "case note", command.command_id)
        await keep_note(connection, tenant_id, member, note)
        event = _event(answer, member, note)
        appended = await record(connection, tenant_id, command, [(case_stream(case_id), event)])
        if appended.duplicate:
            raise Conflict("the command was used at the same moment: read again")
        await _project(connection, tenant_id, case_id, event, command.occurred_at)
    return Answered(case_id, "closed" if answer.resolution is not None else "answered", duplicate=False)


def _event(answer: Answer, member: UUID, note: Note | None) -> CaseAnswered | CaseClosed:
    note_id, digest = (note.note_id, note.digest) if note else (None, None)
    if answer.resolution is None:
        return CaseAnswered(member=member, note=note_id, note_hmac=digest)
    return CaseClosed(member=member, resolution=answer.resolution, note=note_id, note_hmac=digest)
