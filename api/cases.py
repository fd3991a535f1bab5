"""Complaints: listed with their deadlines, answered and closed by whoever answers for the guide's work."""

from __future__ import annotations

import secrets
from datetime import date, datetime
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Query
from pydantic import Field

from api.answers import Answer
from api.check_ins import SALT_BYTES
from api.context import AtHand, Here, OptionalKey, asked_by
from api.fields import STORABLE, Body, Code
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from domain.complaints import Resolution
from domain.errors import Problem, Refused
from ledger.cases import Answer as CaseAnswer
from ledger.cases import Answered, Selected, State, Wanted, answer_case, case_command, list_cases
from ledger.ledger import Command

router = APIRouter(prefix="/cases", tags=["complaints"])

Note = Annotated[str, Field(min_length=1, max_length=2000), STORABLE]


class ComplaintAnswer(Answer):
    """A complaint and how it stands. While it is open or answered the member is not contacted otherwise."""

    case_id: UUID
    member: str = Field(description="Masked.")
    plan: str
    task_id: UUID
    store: str
    guide: str = Field(description="Who reported it.")
    business_date: date
    opened_at: datetime
    deadline_at: datetime = Field(description="By when the member should have been answered.")
    overdue: bool
    state: State
    answered_at: datetime | None
    ended_at: datetime | None
    resolution: str | None
    complaint: str | None = Field(description="The note of the check-in, where you may read it.")
    answers: list[str] = Field(description="What was noted of the answers, in their order.")


class Answering(Body):
    """The member was answered."""

    note: Note | None = Field(
        default=None, description="What was said; kept beside the ledger and erased with the member."
    )


class Closing(Answering):
    """It is settled."""

    resolution: Resolution


class CaseStandingAnswer(Answer):
    """How a case stands by then."""

    case_id: UUID
    state: State
    duplicate: bool = Field(description="This very request had been done before.")


@router.get("", operation_id="list_cases", responses=responses(400))
async def cases(
    here: AtHand,
    *,
    state: Annotated[Wanted, Query(description="`unfinished` are open or answered.")] = "unfinished",
    store: Annotated[Code | None, Query(description="Of this store only.")] = None,
    guide: Annotated[Code | None, Query(description="Reported by this guide only.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ComplaintAnswer]:
    """Complaints in your reach, the nearest deadline first."""
    place = read_cursor(after, datetime, str)
    if place is not None:
        _check_id(place[1], after)
    async with here.ledger.connection() as connection:
        found = await list_cases(
            connection,
            here.ledger,
            Selected(state, here.clock(), store=store, guide=guide),
            after=place and (place[0], place[1]),
            limit=limit + 1,
        )
    return page_of(found, limit, ComplaintAnswer.model_validate, lambda one: one.place)


@router.post("/{case_id}/answer", operation_id="answer_case", responses=responses(400, 404, 409, 415))
async def answered(
    here: AtHand, case_id: UUID, body: Answering, key: OptionalKey = None
) -> CaseStandingAnswer:
    """Say that the member was answered: the deadline is kept. The case stays until it is closed."""
    return await _answer(here, CaseAnswer(case_id, note=body.note), key)


@router.post("/{case_id}/close", operation_id="close_case", responses=responses(400, 404, 409, 415))
async def closed(here: AtHand, case_id: UUID, body: Closing, key: OptionalKey = None) -> CaseStandingAnswer:
    """Close a case: the member may be contacted again."""
    return await _answer(here, CaseAnswer(case_id, body.resolution, body.note), key)


async def _answer(here: Here, told: CaseAnswer, key: str | None) -> CaseStandingAnswer:
    asked = asked_by(here, key)
    command = Command(
        case_command(asked.key or str(uuid4()), told.resolution), asked.at, asked.at, asked.actor
    )
    salted = CaseAnswer(told.case_id, told.resolution, told.note, secrets.token_bytes(SALT_BYTES))
    stands: Answered = await answer_case(here.ledger, command, salted)
    return CaseStandingAnswer.model_validate(stands)


def _check_id(told: str, cursor: str | None) -> None:
    try:
        UUID(told)
    except ValueError as error:
        raise Refused([Problem("after", (cursor or "")[:80], "not_a_cursor")]) from error
