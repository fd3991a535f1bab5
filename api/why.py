"""How an item and the figures it is part of came about."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from api.answers import Answer, EventAnswer
from api.context import AtHand
from api.problems import responses
from domain.plan import Segment
from ledger.why import why

router = APIRouter(prefix="/audit", tags=["timeline"])


class ContactAnswer(Answer):
    """A contact that reached the member."""

    occurred_at: datetime
    plan_id: str
    guide_id: str


class LineAnswer(Answer):
    """A line of a purchase, returns negative; value in minor units."""

    occurred_at: datetime
    quantity: str
    value: int
    takes_back: datetime | None

    model_config = Answer.model_config | {"coerce_numbers_to_str": True}


class ShareAnswer(Answer):
    """The member's share of each figure: 0 or 1, or money in minor units."""

    due: int
    withdrawn: int
    attempted: int
    followed_up: int
    window_closed: int
    provisional: int
    succeeded: int
    provisional_succeeded: int
    repurchased: int
    members_at_start: int
    revenue: int
    provisional_revenue: int


class EffectAnswer(Answer):
    """What the member counts for, for whom, and why."""

    outcome: Literal["not_reached", "counted", "window_open", "returned", "won_by_other", "no_purchase"]
    guide_id: str | None
    figures: ShareAnswer
    contact: ContactAnswer | None
    window_ends_at: datetime | None
    purchases: list[LineAnswer]
    winner: ContactAnswer | None


class RunOutAnswer(Answer):
    """When the stock ends, and how that was reckoned."""

    run_out: date
    days_per_unit: str
    basis: str
    last_purchase: date
    last_quantity: str
    own_intervals: int | None = Field(
        default=None,
        description="Of a rhythm: how many intervals of the member's own are in it, beside the segment's.",
    )

    model_config = Answer.model_config | {"coerce_numbers_to_str": True}


class BasisAnswer(Answer):
    """The estimate worked out again; `run_out` is null where you do not see the purchases."""

    run_out: RunOutAnswer | None
    lead_days: int
    agrees: bool | None


class ListedDayAnswer(Answer):
    """A guide's list with the item on it, and the events of that day."""

    guide: UUID
    day: date
    rank: int
    state: str
    events: list[EventAnswer]


class CountedInAnswer(Answer):
    """What the member is in a stored Check; `event` where you see the history of the whole plan."""

    kind: str
    as_of: datetime
    position: int
    event: EventAnswer | None
    effect: EffectAnswer


class WhyAnswer(Answer):
    """How an item came about, and what came of it; each line names its event."""

    task_id: UUID
    plan: str
    cycle: int
    member: UUID
    category: str
    state: str
    reason: str | None
    due_on: date
    time_zone: str
    as_of: datetime
    whole: bool = Field(description="False: contacts and purchases beyond your reach are not in the figures.")
    rule: Segment
    selected: list[EventAnswer]
    basis: BasisAnswer
    assigned: list[EventAnswer]
    days: list[ListedDayAnswer]
    reports: list[EventAnswer]
    effect: EffectAnswer
    checks: list[CountedInAnswer]
    codes: dict[str, str]


@router.get("/why/{task_id}", operation_id="read_why", responses=responses(404))
async def read_why(here: AtHand, task_id: UUID) -> WhyAnswer:
    """How an item and the figures it is part of came about: selection, guide, lists, reports, purchase, rates.

    Nothing in it names a person: members and guides are ids, `codes` names guides.
    """
    async with here.ledger.connection() as connection:
        told = await why(connection, here.ledger.tenant_id, task_id, now=here.clock(), in_reach=True)
    return WhyAnswer.model_validate(told)
