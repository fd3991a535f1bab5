"""What comes of the work, now: a guide's month, and the running cycle of a plan."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BeforeValidator, Field

from activities.reporting import board_json, month_json
from api.answers import Answer, FiguresAnswer, RateAnswer
from api.context import AtHand
from api.fields import EARLIEST, LATEST, Code, PlanId
from api.problems import responses
from ledger.guide_month import read_guide_month
from ledger.plan_board import read_plan_board

router = APIRouter(tags=["boards"])

MONTH = r"^[0-9]{4}-(0[1-9]|1[0-2])$"


def _month(value: object) -> object:
    try:
        first = datetime.strptime(f"{value}-01", "%Y-%m-%d").date()  # noqa: DTZ007 - a date, no instant
    except ValueError as error:
        raise ValueError("not_a_month") from error
    if str(value) != f"{first:%Y-%m}" or not EARLIEST <= first <= LATEST:
        raise ValueError("not_a_month")
    return first


Month = Annotated[date, BeforeValidator(_month, json_schema_input_type=Annotated[str, Field(pattern=MONTH)])]


class ItemCountsAnswer(Answer):
    """Items of lists, and the rates with their counts; a member on two lists is two items."""

    due: int
    attempted: int = Field(description="With a check-in of the guide that day.")
    followed_up: int = Field(description="With one that reached the member.")
    late: int = Field(description="Of the attempted: reported after the close.")
    corrected: int = Field(description="Of the attempted: by a correction.")
    completion_rate: RateAnswer
    attempt_rate: RateAnswer


class DayOfMonthAnswer(ItemCountsAnswer):
    """A business day with a list."""

    day: date
    state: str = Field(description="cut, published or closed.")
    carried: int | None = Field(description="Left open at the close; null: it is not closed.")
    figures_version: int | None = Field(
        description="1 is the close's, each late fact or correction adds one; null: counted now."
    )


class MonthAnswer(Answer):
    """A guide's month. Days count items: neither they nor their sum add up to a cycle's distinct members."""

    guide_code: str
    guide_name: str
    month: str
    as_of: datetime
    total: ItemCountsAnswer
    days: list[DayOfMonthAnswer]


class BoardFigures(FiguresAnswer):
    """Figures of a store or guide; code and name are empty for members without either."""

    code: str
    name: str
    open_today: int = Field(description="Items open and due today or before.")


class BoardAnswer(Answer):
    """The newest cycle of a plan as a Check would count it now."""

    plan: str
    name: str
    status: str
    cycle: int
    cycle_state: str
    starts_on: date
    ends_on: date
    as_of: datetime
    position: int
    total: FiguresAnswer
    open_today: int
    stores: list[BoardFigures]
    guides: list[BoardFigures]
    complete_until: dict[str, datetime | None] = Field(
        description="By kind of data, up to when it is complete; null: no source says so."
    )
    whole: bool = Field(description="False: of the stores in reach only.")


@router.get("/guides/{guide}/month", operation_id="read_guide_month", responses=responses(404))
async def month_of(
    here: AtHand,
    guide: Code,
    month: Annotated[
        Month | None, Query(description="2026-03; the present one at the guide's store where left out.")
    ] = None,
) -> MonthAnswer:
    """A guide's month: a row a business day and the sum, closed days as their close stored them, today's as it stands."""
    await here.guide_in_reach(guide)
    async with here.ledger.connection() as connection:
        found = await read_guide_month(connection, here.ledger.tenant_id, guide, month, at=here.clock())
    return MonthAnswer.model_validate(month_json(found))


@router.get("/plans/{plan}/board", operation_id="read_plan_board", responses=responses(404))
async def board_of(here: AtHand, plan: PlanId) -> BoardAnswer:
    """The running cycle of a plan, counted now: in all, every store, every guide; for a part of the brand, that part."""
    board = await read_plan_board(here.ledger, plan, at=here.clock(), in_reach=True)
    return BoardAnswer.model_validate(board_json(board))
