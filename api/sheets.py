"""A sheet of paper that guides filled in, entered on behalf by the codes printed on it; each line is told by itself."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from activities.day_sheets import MOST_SHEET_LINES, EnteredLine, Entering, FilledLine, enter_sheet
from api.answers import Answer
from api.context import AtHand
from api.fields import STORABLE, Body, Day
from api.languages import words_for
from api.lists import ByTheClock
from api.problems import FieldProblem, responses, worded
from domain.check_in import Channel, Grade, Outcome
from wording.catalogue import Catalogue

router = APIRouter(prefix="/sheets", tags=["check-ins"])


class LineTold(Body):
    """A line as it was written."""

    code: Annotated[str, Field(min_length=1, max_length=220), STORABLE] = Field(
        description="As printed on the line, e.g. G1-3KT."
    )
    outcome: Outcome
    channel: Channel = "phone"
    grade: Grade | None = None
    products: tuple[Annotated[str, Field(max_length=200), STORABLE], ...] = Field(default=(), max_length=50)
    next_on: Day | None = None
    at: ByTheClock | None = Field(
        default=None,
        description="HH:MM by the store's clocks; now where left out, or the close where that has passed.",
    )
    note: Annotated[str, Field(max_length=2000), STORABLE] | None = Field(
        default=None, description="Kept beside the ledger, where it can be erased."
    )


class SheetTold(Body):
    """A filled-in sheet of a day."""

    day: Day
    lines: tuple[LineTold, ...] = Field(min_length=1, max_length=MOST_SHEET_LINES)


class LineAnswer(Answer):
    """What became of a line."""

    code: str
    result: Literal["taken", "taken_before", "refused"]
    task_id: UUID | None
    state: str = Field(description="Of the item; empty where the line was refused.")
    due_on: date | None
    problems: list[FieldProblem]


class SheetEnteredAnswer(Answer):
    """What became of a sheet: what was refused changed nothing, and the rest is taken."""

    day: date
    taken: int
    taken_before: int
    refused: int
    lines: list[LineAnswer] = Field(description="In the order they were sent.")


@router.post("", operation_id="enter_sheet", responses=responses(400, 415))
async def enter(here: AtHand, request: Request, body: SheetTold) -> SheetEnteredAnswer:
    """Enter a filled-in sheet on behalf: a check-in a line, each under a key of its own; sent twice it counts once."""
    entering = Entering(body.day, here.actor, f"check-in/{here.who.account_id}/", here.clock())
    entered = await enter_sheet(
        here.ledger, entering, [_filled(line) for line in body.lines], here.guide_to_act_for
    )
    words = words_for(request)
    return SheetEnteredAnswer(
        day=body.day,
        taken=sum(one.result == "taken" for one in entered),
        taken_before=sum(one.result == "taken_before" for one in entered),
        refused=sum(one.result == "refused" for one in entered),
        lines=[_told(words, one) for one in entered],
    )


def _filled(line: LineTold) -> FilledLine:
    return FilledLine(
        code=line.code,
        outcome=line.outcome,
        channel=line.channel,
        grade=line.grade,
        products=line.products,
        next_on=line.next_on,
        at=None if line.at is None else time.fromisoformat(line.at),
        note=line.note,
    )


def _told(words: Catalogue, one: EnteredLine) -> LineAnswer:
    return LineAnswer(
        code=one.code,
        result=one.result,
        task_id=one.task_id,
        state=one.state,
        due_on=one.due_on,
        problems=worded(words, one.problems),
    )
