"""How a plan, a guide's day, a member or an item stood: as far as whoever asks sees it and its history now."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from activities.looking_back import plan_then
from api.answers import Answer, ListAnswer
from api.context import AtHand, Here
from api.fields import Code, Day, Instant, PlanId
from api.problems import responses
from domain.errors import NotFound, Problem
from ledger.as_of import AsOf, resolve
from ledger.cases import State
from ledger.door import Driver
from ledger.looking_back import guide_then, member_then, task_then

router = APIRouter(prefix="/audit/as-of", tags=["as of"])

Position = Annotated[
    int | None,
    Query(
        ge=1,
        lt=2**63,
        description="Events up to this position of the ledger; for those who see the whole of it.",
    ),
]
At = Annotated[
    Instant | None,
    Query(description="What was known by then; with `position`, only purchases go by it."),
]


class Then(Answer):
    """The moment that was looked back to."""

    at: datetime
    position: int | None = Field(
        description="Of the last event that counted, of the subject where an instant was asked for; null: not seen."
    )


class CycleThenAnswer(Answer):
    """A cycle as it stood."""

    cycle: int
    starts_on: date
    ends_on: date
    state: str
    members: int
    assigned: int
    items: dict[str, int] = Field(description="How many items were in which state.")
    figures: dict[str, Any] | None = Field(
        description="As a Check of that moment counts them, guides and stores by id; null: for those who see everything."
    )


class CheckThenAnswer(Answer):
    """A Check that was stored by then."""

    cycle: int
    kind: str
    as_of: datetime
    position: int


class PlanThenAnswer(Then):
    """A plan as it stood."""

    plan: str
    status: str
    launched_at: datetime
    version: int
    canary: list[str]
    spec: dict[str, Any]
    cycle: CycleThenAnswer | None
    checks: list[CheckThenAnswer]


class DayThenAnswer(Answer):
    """A guide's day as it stood."""

    list: ListAnswer
    listed: int
    done: int
    reached: int
    carried: int | None
    published_at: datetime | None
    clocked_in_at: datetime | None
    closed_at: datetime | None


class GuideThenAnswer(Then):
    """A guide as she stood; `day` null: she had no list yet."""

    guide: str
    store: str
    open_items: int
    day: DayThenAnswer | None


class ReportThenAnswer(Answer):
    """A report of an item."""

    guide: str
    occurred_at: datetime
    business_date: date
    channel: str
    outcome: str
    reached: bool
    grade: str | None
    next_on: date | None


class ItemThenAnswer(Answer):
    """An item as it stood."""

    task_id: UUID
    plan: str
    cycle: int
    category: str
    guide: str
    state: str
    reason: str | None
    due_on: date
    first_due_on: date
    attempts: int
    check_ins: list[ReportThenAnswer]


class OnListAnswer(Answer):
    """A list that an item had been on."""

    guide: str
    day: date
    rank: int
    state: str


class TaskThenAnswer(Then):
    """An item as it stood, with the lists it had been on."""

    item: ItemThenAnswer
    lists: list[OnListAnswer]


class PlaceThenAnswer(Answer):
    """A member's place in a cycle as it stood."""

    plan: str
    cycle: int
    status: str
    guide: str | None
    strategy: str | None
    why: str
    quadrant: str
    grade: str | None
    dial_days: int
    last_dial_on: date | None
    last_reached_at: datetime | None


class ComplaintThenAnswer(Answer):
    """A complaint as it stood."""

    case_id: UUID
    task_id: UUID
    opened_at: datetime
    deadline_at: datetime
    state: State
    answered_at: datetime | None
    ended_at: datetime | None
    resolution: str | None


class MemberThenAnswer(Then):
    """A member as they stood."""

    member: str
    opted_out_at: datetime | None
    erased_at: datetime | None
    plans: list[PlaceThenAnswer]
    items: list[ItemThenAnswer]
    complaints: list[ComplaintThenAnswer]


@asynccontextmanager
async def _back(here: Here, position: int | None, at: datetime | None) -> AsyncIterator[tuple[Driver, AsOf]]:
    """The request's connection in a snapshot of its own, and the moment that is looked back to."""
    async with (
        here.ledger.connection() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        yield (
            connection,
            await resolve(
                connection,
                here.ledger.tenant_id,
                position=position,
                at=at,
                now=here.clock(),
                placed=here.who.sees_all,
            ),
        )


@router.get("/plans/{plan}", operation_id="read_plan_as_of", responses=responses(404))
async def plan_as_of(
    here: AtHand,
    plan: PlanId,
    position: Position = None,
    at: At = None,
    cycle: Annotated[int | None, Query(ge=1, le=520, description="The newest then where left out.")] = None,
) -> PlanThenAnswer:
    """A plan with a cycle and its figures, counted again: at a stored Check's position they are the stored ones."""
    if here.enforcing and not (here.who.sees_all or plan in here.who.plans):
        raise NotFound(Problem("plan", plan, "unknown_plan"))
    async with _back(here, position, at) as (connection, as_of):
        then = await plan_then(
            connection, here.ledger.tenant_id, as_of, plan, cycle=cycle, counted=here.who.sees_all
        )
    return PlanThenAnswer.model_validate(then)


@router.get("/guides/{guide}", operation_id="read_guide_as_of", responses=responses(404))
async def guide_as_of(
    here: AtHand,
    guide: Code,
    position: Position = None,
    at: At = None,
    day: Annotated[Day | None, Query(alias="date", description="The newest then where left out.")] = None,
) -> GuideThenAnswer:
    """A guide's day in its order, each item as it stood, members masked."""
    async with _back(here, position, at) as (connection, as_of):
        then = await guide_then(
            connection, here.ledger.tenant_id, as_of, guide, day=day, keys=here.ledger.keys
        )
    return GuideThenAnswer.model_validate(then)


@router.get("/members/{member}", operation_id="read_member_as_of", responses=responses(404))
async def member_as_of(
    here: AtHand, member: Code, position: Position = None, at: At = None
) -> MemberThenAnswer:
    """A member's cycles and items as they stood, and whether they could be contacted."""
    async with _back(here, position, at) as (connection, as_of):
        then = await member_then(connection, here.ledger.tenant_id, as_of, member)
    return MemberThenAnswer.model_validate(then)


@router.get("/tasks/{task_id}", operation_id="read_task_as_of", responses=responses(404))
async def task_as_of(here: AtHand, task_id: UUID, position: Position = None, at: At = None) -> TaskThenAnswer:
    """An item as it stood."""
    async with _back(here, position, at) as (connection, as_of):
        then = await task_then(connection, here.ledger.tenant_id, as_of, task_id)
    return TaskThenAnswer.model_validate(then)
