"""The day's lists while it runs: pool, claim, putting off, absence; the coming days; what is asked of a guide a day."""

from __future__ import annotations

import secrets
from datetime import date, datetime, time
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from activities.absence import tell_absent
from activities.asked import Asked
from activities.claiming import claim, store_pool
from activities.forecasting import DAYS_AHEAD, MOST_DAYS, forecast_plan
from api.answers import Answer, ForecastAnswer
from api.context import AtHand, Here, OptionalKey, asked_by
from api.fields import STORABLE, Body, Code, Day, PlanId, Reason, Whole
from api.problems import responses
from api.replayed import mark_replayed
from domain.day_norm import MOST_A_DAY
from domain.errors import NotFound, Problem, Refused
from domain.events import DayNormSet
from domain.snooze import SnoozeReason
from ledger.day_norms import read_day_norm, set_day_norm
from ledger.guides import acts_for_guide, manages_guide, unknown_guide
from ledger.ledger import Command
from ledger.snoozing import snooze
from ledger.stores import store_in_reach

router = APIRouter(tags=["days"])
ByTheClock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), STORABLE]
Number = Annotated[Whole, Field(ge=0, le=MOST_A_DAY)]


class PooledAnswer(Answer):
    """An item that can be claimed; `assigned_to` gets it at the cut-off."""

    task_id: UUID
    plan_id: str
    member: str = Field(description="Masked.")
    category: str
    due_on: date
    run_out_on: date
    invitation: bool
    assigned_to: str


class PoolAnswer(Answer):
    """A store's pool."""

    store: str
    day: date
    until: datetime | None = Field(
        description="The next cut-off, at which what is unclaimed is pushed; null: nothing is claimed now."
    )
    items: list[PooledAnswer]


class Claim(Body):
    """Who claims."""

    guide: Code


class ClaimAnswer(Answer):
    """The item is on the guide's list of the day."""

    task_id: UUID
    guide: str
    day: date
    rank: int
    duplicate: bool = Field(description="It was there already; nothing was changed now.")


class Snooze(Body):
    """Until when, one of the two, and why."""

    guide: Code
    until: ByTheClock | None = Field(default=None, description="HH:MM today, in the store's own time.")
    until_on: Day | None = Field(default=None, description="A later day within the cycle.")
    reason: SnoozeReason


class SnoozeAnswer(Answer):
    """The item is put off; no attempt was counted."""

    task_id: UUID
    until: datetime
    snoozes: int = Field(description="How often it has been put off.")
    duplicate: bool


class AbsenceAnswer(Answer):
    """The guide is absent today: how many items went to whom, and how many stay hers and come another day."""

    guide: str
    day: date
    to: dict[str, int]
    stays: int
    duplicate: bool


class NormAnswer(Answer):
    """What is asked of a guide a day; capacity is the same where a plan says nothing else."""

    calls: int
    invitations: int
    invitations_a_visit: int = Field(
        description="So many a booked visit takes off; others of the store take them on."
    )


class NewNorm(Body):
    """What is asked of a guide a day, and why; what is left out stays."""

    calls: Number | None = None
    invitations: Number | None = None
    invitations_a_visit: Number | None = None
    reason: Reason


@router.get("/stores/{store}/pool", operation_id="read_pool", responses=responses(404))
async def pool(here: AtHand, store: Code) -> PoolAnswer:
    """What a store's guides can claim now."""
    await _store_in_reach(here, store)
    # The pool is the store's: its items are assigned to guides of whom the asker sees nothing else.
    found = await store_pool(here.ledger.for_upkeep(), store, here.clock())
    return PoolAnswer.model_validate(found)


async def _store_in_reach(here: Here, code: str) -> None:
    async with here.ledger.connection() as connection:
        seen = await store_in_reach(connection, here.ledger.tenant_id, code)
    if not seen:
        raise NotFound(Problem("store", code, "unknown_store", {"nearest": "—"}))


@router.post("/tasks/{task_id}/claim", operation_id="claim_task", responses=responses(400, 404, 409, 415))
async def take(here: AtHand, task_id: UUID, body: Claim, response: Response) -> ClaimAnswer:
    """Claim an item of the pool: exactly one guide gets it; again by the same one changes nothing."""
    await _worked_for(here, await _guide(here, body.guide), body.guide)
    done = await claim(here.ledger.for_upkeep(), body.guide, task_id, asked_by(here, None))
    if done.duplicate:
        mark_replayed(response)
    return ClaimAnswer.model_validate(done)


@router.post("/tasks/{task_id}/snooze", operation_id="snooze_task", responses=responses(400, 404, 409, 415))
async def put_off(
    here: AtHand, task_id: UUID, body: Snooze, response: Response, key: OptionalKey = None
) -> SnoozeAnswer:
    """Put an item off to later today or to a later day of the cycle; nobody is reminded of it before."""
    guide = await _guide(here, body.guide)
    if (body.until is None) == (body.until_on is None):
        raise Refused([Problem("until", body.until or "", "snooze_until_one")])
    until = body.until_on or time.fromisoformat(body.until or "")
    asked = asked_by(here, key)
    command = Command(
        f"snooze/{asked.key or secrets.token_hex(8)}", asked.at, asked.at, asked.actor, str(guide)
    )
    done = await snooze(here.ledger, command, task_id, guide, until, body.reason)
    if done.duplicate:
        mark_replayed(response)
    return SnoozeAnswer.model_validate(done)


async def _worked_for(here: Here, guide: UUID, code: str) -> None:
    """What follows is done for upkeep, for it touches others' lists: the database itself says whether it may be asked for."""
    async with here.ledger.connection() as connection:
        if not await acts_for_guide(connection, guide, here.clock().date()):
            raise unknown_guide(code)


async def _guide(here: Here, code: str) -> UUID:
    try:
        return await here.guide_to_act_for(code)
    except NotFound as error:
        raise Refused([Problem("guide", code, error.problem.code, error.problem.params)]) from error


@router.post("/guides/{guide}/absence", operation_id="tell_absence", responses=responses(404, 409))
async def absence(here: AtHand, guide: Code, response: Response) -> AbsenceAnswer:
    """A guide is not there today: what is open on her list goes to others of the store with room; the rest carries over."""
    guide_id = await here.guide_to_act_for(guide)
    async with here.ledger.connection() as connection:
        if not await manages_guide(connection, here.ledger.tenant_id, guide_id):
            raise unknown_guide(guide)
    told = await tell_absent(here.ledger.for_upkeep(), guide, asked_by(here, None))
    if told.duplicate:
        mark_replayed(response)
    return AbsenceAnswer.model_validate(told)


@router.get("/plans/{plan}/forecast", operation_id="read_forecast", responses=responses(404))
async def forecast(
    here: AtHand,
    plan: PlanId,
    days: Annotated[int, Query(ge=1, le=MOST_DAYS, description="How many working days.")] = DAYS_AHEAD,
) -> ForecastAnswer:
    """What the coming working days bring each guide, from all plans, as far as you reach."""
    found = await forecast_plan(here.ledger, plan, at=here.clock(), days=days)
    return ForecastAnswer.model_validate(found)


@router.get("/day-norm", operation_id="read_day_norm", responses=responses())
async def norm(here: AtHand) -> NormAnswer:
    """What is asked of a guide a day."""
    async with here.ledger.connection() as connection:
        return NormAnswer.model_validate(await read_day_norm(connection, here.ledger.tenant_id))


@router.put("/day-norm", operation_id="set_day_norm", responses=responses(400, 415))
async def ask(here: AtHand, body: NewNorm, key: OptionalKey = None) -> NormAnswer:
    """Ask something else of guides, from the next cut on."""
    asked = asked_by(here, key)
    if not body.reason.strip():
        raise Refused([Problem("reason", body.reason, "reason_missing")])
    async with here.ledger.transaction() as connection:
        standing = await read_day_norm(connection, here.ledger.tenant_id)
        new = _norm(body, standing.calls, standing.invitations, standing.invitations_a_visit)
        await set_day_norm(connection, here.ledger.tenant_id, _command(asked), new)
        return NormAnswer.model_validate(await read_day_norm(connection, here.ledger.tenant_id))


def _norm(body: NewNorm, calls: int, invitations: int, a_visit: int) -> DayNormSet:
    told = (body.calls, body.invitations, body.invitations_a_visit)
    values = [
        new if new is not None else old for new, old in zip(told, (calls, invitations, a_visit), strict=True)
    ]
    return DayNormSet(
        calls=values[0], invitations=values[1], invitations_a_visit=values[2], reason=body.reason
    )


def _command(asked: Asked) -> Command:
    return Command(f"day-norm/{asked.key or secrets.token_hex(8)}", asked.at, asked.at, asked.actor)
