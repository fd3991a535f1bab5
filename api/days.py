"""A guide's day: the list, and coming to work."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from activities.opening import clock_in
from api.answers import AtWorkAnswer, ListAnswer
from api.context import AtHand
from api.fields import Code, Day
from api.problems import responses
from ledger.today import read_todays_list

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
