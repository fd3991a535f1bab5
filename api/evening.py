"""The evening: a store's day is closed early, day summary, score sheet, a guide's own score, rates per day, and their rules."""

from __future__ import annotations

import secrets
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from activities.board_audience import Where
from activities.evening_boards import (
    make_day_rates,
    make_day_summary,
    make_guide_score,
    make_score_sheet,
)
from activities.evening_rules import EveningStands, evening_on, set_close_hour, set_score_rule
from activities.store_closing import close_store_day
from api.answers import Answer
from api.board_tables import (
    BoardAnswer,
    Form,
    Moment,
    OfRegion,
    OfStore,
    Part,
    Span,
    answer_board,
    audience_of,
    board_answers,
    plan_in_reach,
)
from api.context import AtHand, OptionalKey, asked_by
from api.fields import STORABLE, Body, Code, Day, Reason, Whole
from api.problems import responses
from api.replayed import mark_replayed
from domain.errors import NotFound, Problem
from domain.evening import MOST_ASKED, MOST_POINTS
from ledger.stores import manages_store
from ledger.today import has_list

router = APIRouter(tags=["evening"])

ByTheClock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), STORABLE]
Asked = Annotated[Whole, Field(ge=0, le=MOST_ASKED)]
Points = Annotated[Whole, Field(ge=0, le=MOST_POINTS)]
Percent = Annotated[Whole, Field(ge=0, le=100)]
On = Annotated[Day | None, Query(description="The business day; today where left out.")]


class StoreDayClosedAnswer(Answer):
    """A store's day is closed: what is reported of it from now on is late, or comes after the close."""

    store: str
    day: date
    lists: int = Field(description="Guides' lists of the day.")
    closed: int = Field(description="How many of them this closed; the others were closed before.")
    duplicate: bool = Field(description="All of them were closed before; nothing was changed now.")


class StagePoints(Answer):
    """Points of a stage that reaches its target."""

    calls: int
    invitations: int
    reached: int
    success: int


class ScoreRuleAnswer(Answer):
    """How days are scored; calls and invitations are asked for by the day's norm."""

    reached: int = Field(description="Items to be reached a day; 0: not asked for.")
    success: int = Field(description="Successes a day; 0: not asked for.")
    points: StagePoints
    penalty_below: int = Field(
        description="Percent of its target below which a stage costs the penalty; 0: none does."
    )
    penalty: int


class EveningAnswer(Answer):
    """What holds on a day."""

    day: date
    score: ScoreRuleAnswer
    score_from: date | None = Field(description="Since when; null: daogou's own.")
    close_from: str = Field(description="HH:MM: from then on a store manager may close her store's day.")
    stores: dict[str, str] = Field(description="Stores in reach with an hour of their own.")


class NewPoints(Body):
    """Points of stages that reach their target; what is left out stays."""

    calls: Points | None = None
    invitations: Points | None = None
    reached: Points | None = None
    success: Points | None = None


class NewScoreRule(Body):
    """How days are scored from a day on, and why; what is left out stays."""

    from_on: Day | None = Field(default=None, description="Tomorrow at the earliest, and where left out.")
    reached: Asked | None = None
    success: Asked | None = None
    points: NewPoints = NewPoints()
    penalty_below: Percent | None = None
    penalty: Points | None = None
    reason: Reason


class NewCloseHour(Body):
    """From when store managers may close their day, from a day on, and why."""

    close_from: ByTheClock
    store: Code | None = Field(default=None, description="Of this store only; of the brand where left out.")
    from_on: Day | None = Field(default=None, description="Today at the earliest, and where left out.")
    reason: Reason


@router.post("/stores/{store}/close-day", operation_id="close_store_day", responses=responses(404, 409))
async def close_day(here: AtHand, store: Code, response: Response) -> StoreDayClosedAnswer:
    """Close a store's day before it closes by itself, from the hour that is set; again it changes nothing."""
    async with here.ledger.connection() as connection:
        if not await manages_store(connection, here.ledger.tenant_id, store):
            raise NotFound(Problem("store", store, "unknown_store", {"nearest": "—"}))
    done = await close_store_day(here.ledger.for_upkeep(), store, asked_by(here, None))
    if done.duplicate:
        mark_replayed(response)
    return StoreDayClosedAnswer.model_validate(done)


@router.get(
    "/boards/day-summary",
    operation_id="read_day_summary",
    response_model=BoardAnswer,
    responses=board_answers(404),
)
async def day_summary(
    here: AtHand,
    request: Request,
    when: Moment,
    on: On = None,
    store: OfStore = None,
    region: OfRegion = None,
    form: Form = "json",
) -> Any:
    """A store's day: each guide's items, results, what is left over and waits, score and weak stage; the store's sums."""
    board = await make_day_summary(
        here.ledger, audience_of(here), when, on, where=Where(store=store, region=region)
    )
    return await answer_board(request, board, form)


@router.get(
    "/boards/score-sheet",
    operation_id="read_score_sheet",
    response_model=BoardAnswer,
    responses=board_answers(404),
)
async def score_sheet(
    here: AtHand,
    request: Request,
    when: Moment,
    on: On = None,
    store: OfStore = None,
    region: OfRegion = None,
    form: Form = "json",
) -> Any:
    """Every stage of every guide's day against its target, with its points."""
    board = await make_score_sheet(
        here.ledger, audience_of(here), when, on, where=Where(store=store, region=region)
    )
    return await answer_board(request, board, form)


@router.get(
    "/boards/day-rates",
    operation_id="read_day_rates",
    response_model=BoardAnswer,
    responses=board_answers(404),
)
async def day_rates(
    here: AtHand, request: Request, when: Moment, where: Part, days: Span, form: Form = "json"
) -> Any:
    """Rates per day by plan, counted in items: they don't add up to a cycle, which counts members."""
    await plan_in_reach(here, where.plan)
    board = await make_day_rates(here.ledger, audience_of(here), when, days, where=where)
    return await answer_board(request, board, form)


@router.get(
    "/guides/{guide}/score",
    operation_id="read_guide_score",
    response_model=BoardAnswer,
    responses=board_answers(404),
)
async def guide_score(
    here: AtHand, request: Request, guide: Code, when: Moment, on: On = None, form: Form = "json"
) -> Any:
    """A guide's own score of a day and her weak stage: she sees hers, whoever looks after her sees it too."""
    guide_id = await here.guide_in_reach(guide)
    board = await make_guide_score(here.ledger, when, guide, on)
    # Her days elsewhere are not theirs who look after her now: the asker's own rows say which are.
    async with here.ledger.connection() as connection:
        if not await has_list(connection, here.ledger.tenant_id, guide_id, board.basis.since):
            raise NotFound(Problem("date", board.basis.since.isoformat(), "no_list", {"guide": guide}))
    return await answer_board(request, board, form)


@router.get("/evening", operation_id="read_evening_rules", responses=responses())
async def rules(
    here: AtHand,
    day: Annotated[Day | None, Query(alias="date", description="On this day; today where left out.")] = None,
) -> EveningAnswer:
    """How days are scored, and from when stores may be closed."""
    return _answer(await evening_on(here.ledger, day, here.clock()))


@router.put("/evening/score", operation_id="set_score_rule", responses=responses(400, 415))
async def score_otherwise(here: AtHand, body: NewScoreRule, key: OptionalKey = None) -> EveningAnswer:
    """Score days otherwise, from a day to come on."""
    changes = body.model_dump(include={"reached", "success", "penalty_below", "penalty"}, exclude_none=True)
    points = body.points.model_dump(exclude_none=True)
    asked = asked_by(here, key or secrets.token_hex(8))
    return _answer(await set_score_rule(here.ledger, asked, changes, points, body.from_on, body.reason))


@router.put("/evening/close-hour", operation_id="set_close_hour", responses=responses(400, 415))
async def close_otherwise(here: AtHand, body: NewCloseHour, key: OptionalKey = None) -> EveningAnswer:
    """Let store managers close their day from another hour on."""
    asked = asked_by(here, key or secrets.token_hex(8))
    stands = await set_close_hour(
        here.ledger, asked, body.close_from, store=body.store, from_on=body.from_on, reason=body.reason
    )
    return _answer(stands)


def _answer(stands: EveningStands) -> EveningAnswer:
    return EveningAnswer.model_validate(stands.as_json())
