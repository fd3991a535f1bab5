"""Calendars of stores and guides: day by day, and why an instant is not permitted, as far as one reaches."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from api.answers import Answer
from api.context import AtHand, Here
from api.fields import Code, Day, Instant
from api.problems import responses
from domain.calendar import business_date
from domain.calendar_view import view_days
from domain.errors import Problem, Refused
from domain.layers import Layers
from domain.permitted import Purpose, next_permitted
from ledger.calendars import calendar_named

LONGEST = 400
USUAL = timedelta(days=13)

router = APIRouter(prefix="/calendars", tags=["calendars"])


class DayAnswer(Answer):
    """A day, and which layer's fact says whether it is worked."""

    day: date
    worked: bool
    hours: tuple[str, ...] = Field(description="Of the store, HH:MM-HH:MM in its own time.")
    shifts: tuple[str, ...] | None = Field(
        description="Of the guide; null: nothing is said, the store's hours count."
    )
    on_leave: bool
    code: str = Field(description="opened, closed, weekday_off, store_gone or usual.")
    layer: str
    subject: str
    name: str


class CalendarAnswer(Answer):
    """The days of a store or a guide."""

    time_zone: str
    quiet_hours: str | None = Field(description="Of the members: nothing reaches them then.")
    unknown_years: dict[str, tuple[int, ...]] = Field(
        description="By country: years whose public holidays are not announced yet; their days count as usual."
    )
    days: tuple[DayAnswer, ...]


class MoveAnswer(Answer):
    """A fact that stands in the way, and up to when."""

    code: str
    layer: str
    subject: str
    day: date
    fact: str
    until: datetime


class PermittedAnswer(Answer):
    """Whether an instant is permitted, and the earliest one that is."""

    at: datetime
    permitted: bool
    next: datetime
    moves: tuple[MoveAnswer, ...]


First = Annotated[Day | None, Query(description="From this day on; today where left out.")]
Last = Annotated[
    Day | None, Query(description="Up to this day, at most 400 later; two weeks where left out.")
]
At = Annotated[Instant | None, Query(description="Which instant; now where left out.")]
For = Annotated[Purpose, Query(alias="for", description="A guide's work, contact with a member, or both.")]


@router.get("/stores/{store}", operation_id="read_store_calendar", responses=responses(404))
async def store_calendar(here: AtHand, store: Code, first: First = None, last: Last = None) -> CalendarAnswer:
    """A store's days and hours."""
    return _days(here, await _layers(here, store, guide=False), first, last)


@router.get("/guides/{guide}", operation_id="read_guide_calendar", responses=responses(404))
async def guide_calendar(here: AtHand, guide: Code, first: First = None, last: Last = None) -> CalendarAnswer:
    """A guide's days, shifts and leave."""
    return _days(here, await _layers(here, guide, guide=True), first, last)


@router.get("/stores/{store}/permitted", operation_id="explain_store_calendar", responses=responses(404))
async def store_permitted(
    here: AtHand, store: Code, at: At = None, purpose: For = Purpose.WORK
) -> PermittedAnswer:
    """Why something may not happen in a store at an instant, and when it may."""
    return _permitted(here, await _layers(here, store, guide=False), at, purpose)


@router.get("/guides/{guide}/permitted", operation_id="explain_guide_calendar", responses=responses(404))
async def guide_permitted(
    here: AtHand, guide: Code, at: At = None, purpose: For = Purpose.WORK
) -> PermittedAnswer:
    """Why something may not happen at an instant with a guide, and when it may."""
    return _permitted(here, await _layers(here, guide, guide=True), at, purpose)


async def _layers(here: Here, code: str, *, guide: bool) -> Layers:
    async with here.ledger.connection() as connection:
        return await calendar_named(connection, here.ledger.tenant_id, code, guide=guide)


def _days(here: Here, layers: Layers, first: date | None, last: date | None) -> CalendarAnswer:
    begin = first or business_date(here.clock(), layers.zone)
    end = last or begin + USUAL
    if not 0 <= (end - begin).days <= LONGEST:
        limit = (begin + timedelta(days=LONGEST)).isoformat()
        raise Refused([Problem("last", end.isoformat(), "too_large", {"limit": limit})])
    return CalendarAnswer(
        time_zone=layers.zone,
        quiet_hours=None if layers.quiet is None else str(layers.quiet),
        unknown_years=layers.days.unknown_years(begin, end),
        days=tuple(DayAnswer.model_validate(one) for one in view_days(layers, begin, end)),
    )


def _permitted(here: Here, layers: Layers, at: datetime | None, purpose: Purpose) -> PermittedAnswer:
    asked = at or here.clock()
    found = next_permitted(asked, layers, purpose)
    return PermittedAnswer(
        at=asked,
        permitted=found.reason is None,
        next=found.instant,
        moves=tuple(MoveAnswer(**move.reason.model_dump(), until=move.until) for move in found.moves),
    )
