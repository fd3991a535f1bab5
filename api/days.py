"""A guide's day: the list, and coming to work."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Query

from activities.opening import clock_in
from api.answers import AtWorkAnswer, ListAnswer, UrgedAnswer
from api.context import AtHand, OptionalKey, asked_by
from api.fields import Code, Day
from api.problems import responses
from ledger.ledger import Command
from ledger.today import read_todays_list
from ledger.urging import urge

router = APIRouter(prefix="/guides", tags=["days"])


@router.get("/{guide}/today", operation_id="read_todays_list", responses=responses(404))
async def today(
    here: AtHand,
    guide: Code,
    day: Annotated[Day | None, Query(alias="date", description="The newest there is where left out.")] = None,
) -> ListAnswer:
    """A guide's list of a day, members masked."""
    await here.guide_in_reach(guide)
    async with here.ledger.connection() as connection:
        listed = await read_todays_list(connection, here.ledger.tenant_id, guide, day, keys=here.ledger.keys)
    return ListAnswer.model_validate(listed)


@router.post("/{guide}/clock-in", operation_id="clock_in", responses=responses(404, 409))
async def come_to_work(here: AtHand, guide: Code) -> AtWorkAnswer:
    """Clock in: the list is there, whatever else is away; again the same day changes nothing."""
    await here.guide_to_act_for(guide)
    at_work = await clock_in(here.ledger, guide, at=here.clock(), actor=here.actor)
    return AtWorkAnswer(guide=guide, day=at_work.day, published=at_work.published, listed=at_work.listed)


@router.post("/{guide}/urge", operation_id="urge_guide", responses=responses(400, 404, 409))
async def urge_to_go_on(here: AtHand, guide: Code, key: OptionalKey = None) -> UrgedAnswer:
    """Urge a guide about what is open on her list: it goes on top, and she is told. Three times in 24 hours at most."""
    guide_id = await here.guide_in_reach(guide)
    asked = asked_by(here, key)
    command_id = f"urge/{asked.key or uuid4()}"
    urged = await urge(
        here.ledger,
        Command(command_id, asked.at, asked.at, asked.actor),
        guide_id=guide_id,
        guide_code=guide,
    )
    return UrgedAnswer(
        guide=guide,
        day=urged.day,
        urged_at=urged.urged_at,
        open_items=urged.open_items,
        told=urged.told,
        duplicate=urged.duplicate,
    )
