"""Boards: leaderboards, lost orders, a plan's funnel, the three sheets, HR's month; as JSON, as a workbook, as a page to print."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from activities.board_audience import Audience, When, Where
from activities.board_lists import (
    MOST_LINES,
    SheetName,
    WhichLines,
    list_stage,
    make_funnel,
    make_sheet,
    refuse_unseen_plan,
)
from activities.boards import Days, make_leaderboard, make_lost_orders, make_month, make_summary
from activities.day_sheets import make_day_sheet
from activities.resources import By as ResourcesBy
from activities.resources import make_resources
from api.answers import Answer, RateAnswer
from api.context import AtHand, Here
from api.fields import Code, Day, Instant, PlanId
from api.languages import words_for
from api.pages import After, Limit, Page, page_of, read_cursor, write_cursor
from api.problems import responses
from domain.board import Board
from domain.board_span import MOST_DAYS, SpanKind
from domain.errors import Problem, Refused
from domain.funnel import Stage
from domain.leaderboard import By, Measure
from sheets import printed, workbook

MOST_GUIDES = 100
"""Guides on a page of HR's month: some 130,000 reports, seven seconds of processor time."""
LAST_POSITION = 2**53
MOST_CYCLES = 520

router = APIRouter(prefix="/boards", tags=["boards"])

Form = Annotated[
    Literal["json", "xlsx", "print"],
    Query(
        alias="as", description="`xlsx`: a workbook; `print`: a page for A4. Both in the asker's language."
    ),
]
At = Annotated[Instant | None, Query(description="As of this instant; now where left out.")]
Position = Annotated[
    int | None,
    Query(
        ge=1,
        le=LAST_POSITION,
        description="Nothing placed after it counts; with `at`, the board asked before.",
    ),
]
Since = Annotated[Day | None, Query(description=f"First business day; at most {MOST_DAYS} days.")]
Until = Annotated[Day | None, Query(description="Last business day, included; today where left out.")]
Cycle = Annotated[int | None, Query(ge=1, le=MOST_CYCLES, description="The newest where left out.")]
OfPlan = Annotated[PlanId | None, Query(description="Of this plan only.")]
OfStore = Annotated[Code | None, Query(description="Of this store only.")]
OfRegion = Annotated[Code | None, Query(description="Of this region only.")]


class ColumnAnswer(Answer):
    """A column of a board; `kind` says what its cells are, money in minor units."""

    name: str
    kind: str


Value = bool | int | str | RateAnswer | None


class BoardAnswer(Answer):
    """A board with what its figures rest on; a cell that is null is not recorded, which is not 0."""

    board: str
    title: dict[str, str]
    since: date
    until: date
    at: datetime
    position: int | None
    time_zone: str
    complete_until: dict[str, datetime | None]
    whole: bool = Field(description="False: of the stores in reach, or of those asked for.")
    columns: list[ColumnAnswer]
    rows: list[dict[str, Value]]
    total: dict[str, Value] | None
    notes: list[str]
    next: str | None = Field(default=None, description="Pass it as `after`; null: there is nothing more.")


class FunnelMemberAnswer(Answer):
    """A member on a stage."""

    member_id: UUID
    member: str = Field(description="Masked; empty of a name where it is not the asker's to know.")


_FILES: Mapping[int | str, dict[str, Any]] = {
    200: {
        "model": BoardAnswer,
        "content": {
            workbook.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
            printed.MEDIA_TYPE: {},
        },
    }
}


def board_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a board's route answers: its three forms, and the problems of these statuses."""
    return {**responses(*statuses), **_FILES}


def when_of(here: AtHand, at: At = None, position: Position = None) -> When:
    """The moment that is asked of."""
    return When(here.clock(), at, position)


Moment = Annotated[When, Depends(when_of)]


def _where(plan: OfPlan = None, store: OfStore = None, region: OfRegion = None) -> Where:
    return Where(plan, store, region)


Part = Annotated[Where, Depends(_where)]


def _days(
    span: Annotated[
        SpanKind, Query(description="The day, its week or its month, where no days are named.")
    ] = "day",
    on: Annotated[Day | None, Query(description="A day of the span; today where left out.")] = None,
    since: Since = None,
    until: Until = None,
) -> Days:
    return Days(span, on, since, until)


Span = Annotated[Days, Depends(_days)]


@router.get(
    "/leaderboard", operation_id="read_leaderboard", response_model=BoardAnswer, responses=board_answers(404)
)
async def leaderboard(
    here: AtHand,
    request: Request,
    when: Moment,
    where: Part,
    days: Span,
    measure: Measure = "completed",
    by: By = "guide",
    form: Form = "json",
) -> Any:
    """Who did most in a day, a week or a month; a guide sees the board of the store where she stands, and her own rank."""
    await plan_in_reach(here, where.plan)
    board = await make_leaderboard(
        here.ledger, audience_of(here, own_store=True), when, days, measure=measure, by=by, where=where
    )
    return await answer_board(request, board, form)


@router.get(
    "/lost-orders", operation_id="read_lost_orders", response_model=BoardAnswer, responses=board_answers(404)
)
async def lost(
    here: AtHand,
    request: Request,
    when: Moment,
    where: Part,
    days: Span,
    by: By = "store",
    form: Form = "json",
) -> Any:
    """Visits and bookings that brought no order in the window, and why."""
    await plan_in_reach(here, where.plan)
    board = await make_lost_orders(here.ledger, audience_of(here), when, days, by=by, where=where)
    return await answer_board(request, board, form)


@router.get(
    "/funnel/{plan}", operation_id="read_funnel", response_model=BoardAnswer, responses=board_answers(404)
)
async def funnel(
    here: AtHand, request: Request, plan: PlanId, when: Moment, cycle: Cycle = None, form: Form = "json"
) -> Any:
    """How far the members of a plan's cycle have come, stage by stage."""
    board = await make_funnel(here.ledger, audience_of(here), when, plan, cycle=cycle)
    return await answer_board(request, board, form)


@router.get("/funnel/{plan}/{stage}", operation_id="list_funnel_members", responses=responses(400, 404))
async def stage_members(
    here: AtHand,
    plan: PlanId,
    stage: Stage,
    when: Moment,
    *,
    cycle: Cycle = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[FunnelMemberAnswer]:
    """Who stands on a stage of the funnel, of the members in reach."""
    place = read_cursor(after, str)
    rows = await list_stage(
        here.ledger,
        audience_of(here),
        when,
        plan,
        stage,
        cycle=cycle,
        after=None if place is None else _uuid(place[0], after),
        limit=limit + 1,
    )
    return page_of(rows, limit, FunnelMemberAnswer.model_validate, lambda row: (str(row.member_id),))


def _lines(
    guide: Annotated[Code | None, Query(description="Of this guide only.")] = None,
    store: OfStore = None,
    plan: OfPlan = None,
    after: After = None,
    limit: Limit = 50,
) -> WhichLines:
    place = read_cursor(after, datetime, str, int)
    return WhichLines(guide, store, plan, place and (place[0], _uuid(place[1], after), place[2]), limit)


Lines = Annotated[WhichLines, Depends(_lines)]


@router.get(
    "/invitations",
    operation_id="read_invitations",
    response_model=BoardAnswer,
    responses=board_answers(400, 404),
)
async def invitations(
    here: AtHand, request: Request, when: Moment, days: Span, lines: Lines, form: Form = "json"
) -> Any:
    """Sheet 1: every call of a span; a workbook or a page to print holds all of them."""
    return await _sheet(here, request, when, days, lines, "invitations", form)


@router.get(
    "/successes", operation_id="read_successes", response_model=BoardAnswer, responses=board_answers(400, 404)
)
async def successes(
    here: AtHand, request: Request, when: Moment, days: Span, lines: Lines, form: Form = "json"
) -> Any:
    """Sheet 2: everybody who agreed to visit or join, and what came of it."""
    return await _sheet(here, request, when, days, lines, "successes", form)


@router.get(
    "/summary/{plan}", operation_id="read_summary", response_model=BoardAnswer, responses=board_answers(404)
)
async def summary(
    here: AtHand,
    request: Request,
    plan: PlanId,
    when: Moment,
    since: Since = None,
    until: Until = None,
    form: Form = "json",
) -> Any:
    """Sheet 3: every store and guide of a campaign against its target; its running cycle where no days are named."""
    await plan_in_reach(here, plan)
    board = await make_summary(here.ledger, audience_of(here), when, plan, since=since, until=until)
    return await answer_board(request, board, form)


@router.get(
    "/month", operation_id="read_month_sheet", response_model=BoardAnswer, responses=board_answers(400, 404)
)
async def month(
    here: AtHand,
    request: Request,
    when: Moment,
    on: Annotated[Day, Query(description="A day of the month.")],
    store: OfStore = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=MOST_GUIDES, description="Most guides on the page.")] = MOST_GUIDES,
    form: Form = "json",
) -> Any:
    """HR's sheet of a month, a row a guide; asked again with its `at` and `position` it is the same."""
    place = read_cursor(after, str)
    board, more = await make_month(
        here.ledger, audience_of(here), when, on, store=store, after=place[0] if place else "", limit=limit
    )
    if more is not None and form != "json" and after is None:
        raise Refused([Problem("limit", str(limit), "sheet_too_long", {"most": limit})])
    return await answer_board(request, board, form, None if more is None else write_cursor((more,)))


@router.get(
    "/resources/{guide}",
    operation_id="read_resources",
    response_model=BoardAnswer,
    responses=board_answers(404),
)
async def resources(
    here: AtHand,
    request: Request,
    guide: Code,
    by: Annotated[
        ResourcesBy, Query(description="A row a grade and product line, or a row a member, masked.")
    ] = "grade",
    form: Form = "json",
) -> Any:
    """A guide's own resources now: her members by grade and product line, last contact, who is going cold, what is next."""
    guide_id = await here.guide_in_reach(guide)
    board = await make_resources(here.ledger, guide_id, guide, at=here.clock(), by=by)
    return await answer_board(request, board, form)


@router.get(
    "/day-sheet", operation_id="read_day_sheet", response_model=BoardAnswer, responses=board_answers(404)
)
async def day_sheet(
    here: AtHand,
    request: Request,
    guide: Annotated[Code | None, Query(description="This guide's list; or")] = None,
    store: Annotated[Code | None, Query(description="the lists of this store's guides.")] = None,
    day: Annotated[Day | None, Query(alias="date", description="The newest there is where left out.")] = None,
    form: Form = "json",
) -> Any:
    """The list of a day on A4: a code a line, by which a filled-in sheet is entered (`enter_sheet`), and room to write."""
    if (guide is None) == (store is None):
        raise Refused([Problem("guide, store", guide or "", "sheet_of_one")])
    if guide is not None:
        await here.guide_in_reach(guide)
    board = await make_day_sheet(here.ledger, guide=guide, store=store, day=day, at=here.clock())
    return await answer_board(request, board, form)


async def _sheet(
    here: Here,
    request: Request,
    when: When,
    days: Days,
    lines: WhichLines,
    name: SheetName,
    form: str,
) -> Any:
    which = (
        lines if form == "json" else WhichLines(lines.guide, lines.store, lines.plan, lines.after, MOST_LINES)
    )
    board, place = await make_sheet(here.ledger, audience_of(here), when, days, which, name)
    if place is not None and form != "json":
        raise Refused(
            [Problem("since", board.basis.since.isoformat(), "sheet_too_long", {"most": MOST_LINES})]
        )
    following = None if place is None else write_cursor((place[0], str(place[1]), place[2]))
    return await answer_board(request, board, form, following)


def audience_of(here: Here, *, own_store: bool = False) -> Audience:
    """How far the asker's boards go: what `sign_on` said of them, whatever a route forgets.

    `own_store`: a guide sees the board of the store where she stands.
    """
    who = here.who
    if who.sees_all:
        return Audience(plans=who.plans)
    own = who.guide_id if own_store and who.guide_id in who.guides else None
    return Audience(who.stores, who.plans, own)


async def plan_in_reach(here: Here, plan: str | None) -> None:
    """Refuse a plan that the asker does not see, where one is named; errors as `refuse_unseen_plan`."""
    if plan is not None:
        await refuse_unseen_plan(here.ledger, plan)


async def answer_board(request: Request, board: Board, form: str, following: str | None = None) -> Any:
    """The board in the form that is asked for; `following` is where its next page begins."""
    if form == "json":
        return BoardAnswer.model_validate(board.as_json() | {"next": following})
    words = words_for(request)
    # Away from the event loop: a long sheet takes a second to write.
    if form == "xlsx":
        name = f"daogou-{board.name}-{board.basis.since}-{board.basis.until}.xlsx"
        return Response(
            await asyncio.to_thread(workbook.workbook, words, board),
            media_type=workbook.MEDIA_TYPE,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
    return Response(
        await asyncio.to_thread(printed.printed, words, board),
        media_type=printed.MEDIA_TYPE,
        headers={"Content-Security-Policy": printed.CONTENT_SECURITY_POLICY},
    )


def _uuid(told: str, cursor: str | None) -> UUID:
    try:
        return UUID(told)
    except ValueError as error:
        raise Refused([Problem("after", (cursor or "")[:80], "not_a_cursor")]) from error
