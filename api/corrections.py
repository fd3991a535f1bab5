"""What was reported before: corrected, voided, entered long after; and the list of all that is out of the ordinary.

A guide corrects her own check-in while its day is open, her manager on her behalf. A closed day is changed by a
supervisor of the region or HQ, always with a reason.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from api.answers import Answer, TakenAnswer
from api.check_ins import SALT_BYTES, RequiredKey, Told, answer_to, as_sent, used_otherwise
from api.context import AtHand, Here
from api.fields import STORABLE, Body, Code, Day, Instant
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from api.replayed import REPLAYED
from domain.amending import Correction
from domain.check_in import Channel, CheckIn, Grade, Outcome
from domain.errors import NotFound, Problem, Refused
from domain.policy import Right
from ledger.corrections import correct, read_report
from ledger.exceptions import LISTED_DAYS, CheckInException, Kind, Place, Wanted, first_day, list_exceptions
from ledger.late_reports import Why, report_late

MOST_FREE_TEXT = 500

Why_ = Annotated[
    str,
    Field(
        max_length=MOST_FREE_TEXT,
        description="Why. It tells of the member, so it is kept beside the ledger and erased with the member.",
    ),
    STORABLE,
]
TAKEN: dict[int | str, dict[str, Any]] = {
    200: {
        "model": TakenAnswer,
        "description": "Taken before under this key",
        "headers": {REPLAYED: {"schema": {"const": "true"}, "required": True}},
    }
}

router = APIRouter(tags=["check-ins"])


class CorrectedReport(Body):
    """What should have been reported, all of it; what is left out of the first three is as it was."""

    performed_by: Code | None = Field(default=None, description="Code of the guide who did it.")
    occurred_at: Instant | None = None
    note: Annotated[str, Field(max_length=2000), STORABLE] | None = None
    channel: Channel
    outcome: Outcome
    grade: Grade | None = None
    products: tuple[Annotated[str, Field(max_length=200), STORABLE], ...] = Field(default=(), max_length=50)
    next_on: Day | None = None


class Corrected(Body):
    """What takes the place of a check-in."""

    report: CorrectedReport | None = Field(
        description="null: it was never made, e.g. entered on the wrong item."
    )
    reason: Why_ = Field(
        default="", description="Needed for a closed day, for a void, and for another's work."
    )


class Belated(Told):
    """Something that was never reported, entered after the grace."""

    reason: Why_ = Field(min_length=1)


class ExceptionAnswer(Answer):
    """A check-in out of the ordinary. What was voided is told as it stood; `known_at` and `actor` are the void's."""

    day: date
    store: str
    guide: str
    task_id: UUID
    version: int
    occurred_at: datetime
    known_at: datetime
    actor: str
    outcome: str
    grade: str | None
    late: bool = Field(description="Known after the close of its day.")
    conflict: str | None = Field(
        description="plan_recalled, plan_paused, reassigned, complaint_open or phone_withdrawn."
    )
    skew_s: int = Field(description="By how many seconds the phone's clock was ahead.")
    corrects: int | None = Field(description="Version of the check-in it took the place of.")
    outcome_before: str | None
    voided: bool
    reason: str | None = Field(description="Where there is one that you may read.")


@router.post(
    "/tasks/{task_id}/check-ins/{version}/corrections",
    operation_id="correct_check_in",
    status_code=201,
    responses=responses(400, 404, 409, 413, 415) | TAKEN,
)
async def correct_check_in(
    here: AtHand,
    task_id: UUID,
    version: Annotated[int, Path(ge=1, lt=2**31, description="As the check-in's answer said.")],
    body: Corrected,
    key: RequiredKey,
    response: Response,
) -> TakenAnswer:
    """Correct a check-in, or void it; sent twice with the same key it counts once."""
    at = here.clock()
    told = body.report
    async with here.ledger.connection() as connection:
        before = await read_report(connection, here.ledger.tenant_id, task_id, version)
    guide = before.performed_by
    if told is not None and told.performed_by is not None:
        guide = await _known_guide(here, told.performed_by)
    common = {
        "command_id": f"correction/{here.who.account_id}/{key}",
        "actor": here.actor,
        "task_id": task_id,
        "known_at": at,
        "asked": _digest(body, guide),
    }
    report = told and CheckIn.model_validate(
        common
        | told.model_dump(exclude={"performed_by", "occurred_at"})
        | {"performed_by": guide, "occurred_at": told.occurred_at or before.occurred_at}
    )
    command = Correction.model_validate(
        common | {"supersedes": version, "report": report, "why": body.reason}
    )
    try:
        taken = await correct(
            here.ledger,
            command,
            salt=secrets.token_bytes(SALT_BYTES),
            why_salt=secrets.token_bytes(SALT_BYTES),
            amends=Right.AMEND_CLOSED_DAY in here.who.rights,
        )
    except Refused as error:
        raise _told(error, key, told.performed_by if told else None) from error
    return await answer_to(here, taken, command.asked, told.note if told else None, key, response)


@router.post(
    "/tasks/{task_id}/belated-check-ins",
    operation_id="enter_belated_check_in",
    status_code=201,
    responses=responses(400, 404, 409, 413, 415) | TAKEN,
)
async def enter_belated(
    here: AtHand, task_id: UUID, body: Belated, key: RequiredKey, response: Response
) -> TakenAnswer:
    """Enter what occurred before the close of a day long closed; sent twice with the same key it counts once."""
    at = here.clock()
    guide = await _known_guide(here, body.performed_by)
    command = CheckIn.model_validate(
        body.model_dump(include={"channel", "outcome", "grade", "products", "next_on", "note"})
        | {
            "command_id": f"belated/{here.who.account_id}/{key}",
            "task_id": task_id,
            "performed_by": guide,
            "actor": here.actor,
            "occurred_at": body.occurred_at or at,
            "known_at": at,
            "asked": _digest(body, guide),
        }
    )
    why = Why(body.reason, secrets.token_bytes(SALT_BYTES))
    try:
        taken = await report_late(here.ledger, command, salt=secrets.token_bytes(SALT_BYTES), why=why)
    except Refused as error:
        raise _told(error, key, body.performed_by) from error
    return await answer_to(here, taken, command.asked, body.note, key, response)


@router.get("/check-ins/exceptions", operation_id="list_exceptions", responses=responses())
async def exceptions(
    here: AtHand,
    store: Annotated[Code | None, Query(description="Of this store only.")] = None,
    guide: Annotated[Code | None, Query(description="Of this guide only.")] = None,
    first: Annotated[
        Day | None,
        Query(
            alias="from",
            description=f"First business date; else {LISTED_DAYS} days before `to`, or before today.",
        ),
    ] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last business date.")] = None,
    kind: Annotated[Kind | None, Query(description="Only these.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ExceptionAnswer]:
    """Late, corrected, voided and conflicting check-ins, and those from a phone with a wrong clock; the last known first.

    Of the last 30 business dates, where `from` names no earlier one.
    """
    place = read_cursor(after, datetime, str, int)
    if place is not None:
        _check_id(place[1], after)
    async with here.ledger.connection() as connection:
        found = await list_exceptions(
            connection,
            here.ledger,
            Wanted(first_day(first, last, here.clock().date()), last, store, guide, kind),
            after=place and (place[0], place[1], place[2]),
            limit=limit + 1,
        )
    return page_of(found, limit, ExceptionAnswer.model_validate, _place)


def _place(one: CheckInException) -> Place:
    return one.known_at, str(one.task_id), one.version


def _check_id(told: str, cursor: str | None) -> None:
    try:
        UUID(told)
    except ValueError as error:
        raise Refused([Problem("after", (cursor or "")[:80], "not_a_cursor")]) from error


async def _known_guide(here: Here, code: str) -> UUID:
    """The guide of a field, as far as the asker sees; whose work may be changed is the database's to say."""
    try:
        return await here.guide_in_reach(code)
    except NotFound as error:
        raise Refused([Problem("performed_by", code, error.problem.code)]) from error


def _told(error: Refused, key: str, guide: str | None) -> Refused:
    """A refusal in the words of the request."""
    if any(problem.code == "command_used_elsewhere" for problem in error.problems):
        return used_otherwise(key)
    return Refused([as_sent(problem, guide or problem.value) for problem in error.problems])


def _digest(body: Body, guide: UUID) -> str:
    """Of what was asked; what tells of the member and must be erasable, note and reason, is left out."""
    told = body.model_dump(mode="json", exclude={"reason": True, "note": True, "report": {"note"}})
    return hashlib.sha256(json.dumps([told, str(guide)], sort_keys=True).encode()).hexdigest()[:32]
