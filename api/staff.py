"""Staff: hire, transfer, leave, close a store; today, a few days back or dated ahead."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from activities.staff import NewGuide, close_store, hire, leave, transfer
from activities.staff_answers import StaffChanged
from api.answers import Answer, UnassignedAnswer
from api.context import AtHand, OptionalKey, asked_by
from api.fields import STORABLE, Body, Code, Day
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from api.replayed import mark_replayed
from ledger.staff import list_closings, list_staff

PHONE = r"^\+?[\d\s()-]{5,24}$"
"""As an import takes it."""

router = APIRouter(prefix="/staff", tags=["staff"])
DryRun = Annotated[bool, Query(description="Tell what would move; change nothing.")]


class NewHire(Body):
    """A guide who begins. Name and phone are kept beside the ledger, in no event."""

    guide: Code
    name: Annotated[str, Field(min_length=1, max_length=200), STORABLE]
    phone: Annotated[str, Field(pattern=PHONE), STORABLE] | None = None
    store: Code
    from_on: Day | None = Field(default=None, description="First day; today in the store where left out.")


class NewTransfer(Body):
    """A guide who goes to another store."""

    guide: Code
    store: Code
    from_on: Day | None = Field(default=None, description="First day there; today where left out.")


class NewLeave(Body):
    """A guide who leaves."""

    guide: Code
    last_on: Day | None = Field(default=None, description="Last day; today where left out.")
    replacement: Code | None = Field(
        default=None, description="Who takes over; nobody: the plans' own rule decides."
    )


class NewClosing(Body):
    """A store that closes."""

    store: Code
    last_on: Day | None = Field(default=None, description="Last day; today where left out.")
    to: Code | None = Field(default=None, description="The store its members and guides go to.")


class MovedAnswer(Answer):
    """What moves in a plan: members, open items, how many items go to whom, and whom nobody can take."""

    plan: str
    members: int
    tasks: int
    to: dict[str, int] = Field(description="Items by the code of the guide who gets them.")
    unassigned: list[UUID] = Field(description="Members nobody can take; their open items expire.")
    unassigned_reasons: list[UnassignedAnswer]


class StaffAnswer(Answer):
    """A change of staff as it was decided."""

    first_on: date = Field(description="First day on which it holds.")
    in_force: bool = Field(description="False: it comes into force when that day begins in the store.")
    dry_run: bool
    duplicate: bool = Field(description="This request had been done before; nothing was changed now.")
    moves: list[MovedAnswer] = Field(
        description="What moved; where it is dated ahead: will, as things stood when it was decided. A key that comes again"
        " is told the same (`duplicate`)."
    )
    guides: list[str] = Field(description="Of a closing: who is transferred with it.")
    keeps_roles: list[str] = Field(description="Of a leave: what the guide's account may still do.")


class StaffLine(Answer):
    """A guide, and the next change decided on her; without `next_store` she leaves on that day."""

    guide: str
    name: str
    store: str
    active: bool
    next_on: date | None
    next_store: str | None


class ClosingLine(Answer):
    """A store that closes or has closed."""

    store: str
    last_on: date
    to: str | None
    members: int


@router.get("", operation_id="list_staff", responses=responses())
async def staff(
    here: AtHand,
    store: Annotated[Code | None, Query(description="Only this store's.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[StaffLine]:
    """Guides by code, as far as you reach."""
    place = read_cursor(after, str)
    async with here.ledger.connection() as connection:
        rows = await list_staff(
            connection,
            here.ledger.tenant_id,
            store=store,
            after=None if place is None else str(place[0]),
            limit=limit + 1,
        )
    return page_of(rows, limit, StaffLine.model_validate, lambda row: (row.guide,))


@router.get("/closings", operation_id="list_closings", responses=responses())
async def closings(here: AtHand) -> list[ClosingLine]:
    """Stores that close or have closed, newest first."""
    async with here.ledger.connection() as connection:
        rows = await list_closings(connection, here.ledger.tenant_id)
    return [ClosingLine.model_validate(row) for row in rows]


@router.post("/hire", operation_id="hire_guide", responses=responses(400, 409, 415))
async def begin(
    here: AtHand, body: NewHire, response: Response, key: OptionalKey = None, dry_run: DryRun = False
) -> StaffAnswer:
    """A guide begins; until her first day she gets no members and cannot act."""
    new = NewGuide(body.guide, body.name, body.store, phone=body.phone, from_on=body.from_on)
    told = await hire(here.ledger, new, asked_by(here, key), dry_run=dry_run)
    return _answer(told, response, dry_run=dry_run)


@router.post("/transfer", operation_id="transfer_guide", responses=responses(400, 409, 415))
async def move(
    here: AtHand, body: NewTransfer, response: Response, key: OptionalKey = None, dry_run: DryRun = False
) -> StaffAnswer:
    """A guide goes to another store; members at home in the one she comes from stay with it."""
    told = await transfer(
        here.ledger, body.guide, body.store, body.from_on, asked_by(here, key), dry_run=dry_run
    )
    return _answer(told, response, dry_run=dry_run)


@router.post("/leave", operation_id="leave_guide", responses=responses(400, 409, 415))
async def go(
    here: AtHand, body: NewLeave, response: Response, key: OptionalKey = None, dry_run: DryRun = False
) -> StaffAnswer:
    """A guide leaves: after her last day she is signed in no more, and what she holds goes to others."""
    told = await leave(
        here.ledger, body.guide, body.last_on, body.replacement, asked_by(here, key), dry_run=dry_run
    )
    return _answer(told, response, dry_run=dry_run)


@router.post("/close-store", operation_id="close_store", responses=responses(400, 409, 415))
async def close(
    here: AtHand, body: NewClosing, response: Response, key: OptionalKey = None, dry_run: DryRun = False
) -> StaffAnswer:
    """A store closes; refused while guides would stay behind, unless you say where they go."""
    told = await close_store(
        here.ledger, body.store, body.last_on, body.to, asked_by(here, key), dry_run=dry_run
    )
    return _answer(told, response, dry_run=dry_run)


def _answer(told: StaffChanged, response: Response, *, dry_run: bool) -> StaffAnswer:
    if told.duplicate:
        mark_replayed(response)
    return StaffAnswer(
        first_on=told.first_on,
        in_force=told.in_force,
        dry_run=dry_run,
        duplicate=told.duplicate,
        moves=[
            MovedAnswer(
                plan=one.plan_id,
                members=one.members,
                tasks=one.tasks,
                to=dict(one.to),
                unassigned=list(one.unassigned),
                unassigned_reasons=[UnassignedAnswer.model_validate(reason) for reason in one.reasons],
            )
            for one in told.moves
        ],
        guides=list(told.guides),
        keeps_roles=list(told.keeps_roles),
    )
