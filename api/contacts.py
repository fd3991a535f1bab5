"""Members' contact accounts: what one says, and how often members are contacted at most."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from activities.contacts import account_of, limits_of, say_limits
from api.answers import Answer
from api.context import AtHand, OptionalKey, asked_by
from api.fields import Body, Code, Day, Instant, Reason, Whole
from api.problems import responses
from domain.contact_budget import MOST_CONTACTS, ContactPeriod

router = APIRouter(tags=["contacts"])
Limit = Annotated[Whole, Field(ge=1, le=MOST_CONTACTS)]


class LimitsAnswer(Answer):
    """Contacts a member has at most, over all plans."""

    day: int
    week: int = Field(description="From Monday.")
    month: int


class DatedLimitsAnswer(Answer):
    """Limits, and the day from which on they count, until the next."""

    from_on: date | None = Field(description="Null: where nothing was said, the trade's numbers count.")
    limits: LimitsAnswer
    decided_at: datetime | None


class LimitsOfDayAnswer(Answer):
    """The limits of a day, and all that was said, in order."""

    day: date
    limits: LimitsAnswer
    said: list[DatedLimitsAnswer]


class NewLimits(Body):
    """Limits from a day on, and why; what is left out stays as it stands on that day."""

    from_on: Day | None = Field(default=None, description="Today, where left out; no day that is over.")
    day: Limit | None = None
    week: Limit | None = Field(default=None, description="From Monday; not below `day`.")
    month: Limit | None = Field(default=None, description="Not below `week`.")
    reason: Reason


class ContactsAnswer(Answer):
    """Contacts of a day by the same plan in the same way."""

    day: date
    plan: str | None = Field(description="Null: none of the plans you see.")
    kind: str = Field(
        description="The check-ins' channel, `message`, or `reserved`: on an open list, not tried."
    )
    contacts: int


class PeriodAnswer(Answer):
    """A day, week or month of the account."""

    period: ContactPeriod
    limit: int
    taken: int = Field(description="What happened and what is reserved; may be above the limit.")
    begins_anew: date


class ContactAccountAnswer(Answer):
    """A member's account over all plans, on the date where she is at home."""

    day: date
    left: int = Field(description="Contacts left today.")
    free_on: date = Field(description="The first day with one left, where nothing more happens until then.")
    periods: list[PeriodAnswer]
    contacts: list[ContactsAnswer]


@router.get("/contact-limits", operation_id="read_contact_limits", responses=responses())
async def limits(
    here: AtHand,
    on: Annotated[Day | None, Query(description="Of which day; today, where left out.")] = None,
    as_of: Annotated[Instant | None, Query(description="As they had been said by then.")] = None,
) -> LimitsOfDayAnswer:
    """How often members are contacted at most."""
    return LimitsOfDayAnswer.model_validate(
        await limits_of(here.ledger, here.clock(), day=on, known_at=as_of)
    )


@router.put("/contact-limits", operation_id="set_contact_limits", responses=responses(400, 415))
async def say(here: AtHand, body: NewLimits, key: OptionalKey = None) -> LimitsOfDayAnswer:
    """Say how often members are contacted at most from a day on; what was said of a later day stays."""
    said = await say_limits(here.ledger, asked_by(here, key), **body.model_dump())
    return LimitsOfDayAnswer.model_validate(said)


@router.get("/members/{member}/contacts", operation_id="read_contact_account", responses=responses(404))
async def account(here: AtHand, member: Code) -> ContactAccountAnswer:
    """What contacts a member in reach has had and has reserved this week and month, and when one comes free."""
    return ContactAccountAnswer.model_validate(await account_of(here.ledger, member, here.clock()))


@router.get(
    "/tasks/{task_id}/contacts", operation_id="read_contact_account_by_item", responses=responses(404)
)
async def account_by_item(here: AtHand, task_id: UUID) -> ContactAccountAnswer:
    """The same of the member an item is about: lists show no member's code."""
    return ContactAccountAnswer.model_validate(await account_of(here.ledger, task_id, here.clock()))
