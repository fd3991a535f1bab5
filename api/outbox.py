"""Messages on their way out: what was sent and what was not, the one switch, and once more by hand."""

from __future__ import annotations

import secrets
from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.answers import Answer
from api.context import AtHand, Here, OptionalKey
from api.fields import STORABLE, Body, Reason, Whole
from api.pages import After, Limit, Page, page_of, read_cursor
from api.problems import responses
from api.replayed import mark_replayed
from ledger.ledger import Command
from ledger.outbox import (
    Message,
    Place,
    State,
    Switch,
    count_messages,
    list_messages,
    read_switch,
    resume_messages,
    retry_message,
    stop_messages,
)

router = APIRouter(prefix="/outbox", tags=["outbox"])

SETTLED_SINCE = timedelta(days=1)
"""Years of settled messages are not counted whenever somebody looks."""


class MessageAnswer(Answer):
    """A message to an endpoint, and where it stands; never its address."""

    purpose: str
    endpoint_id: int = Field(description="0: no endpoint serves the guide.")
    kind: str
    guide_code: str | None
    day: date | None
    slot: str | None
    state: State
    why: str | None
    attempts: int
    created_at: datetime
    expires_at: datetime
    not_before: datetime | None
    claimed_at: datetime | None
    ended_at: datetime | None
    channel: str | None
    scope: str | None
    code: str | None


class SwitchAnswer(Answer):
    """The one switch for everything that leaves the house."""

    stopped: bool
    reason: str
    changed_at: datetime | None


class StateAnswer(Answer):
    """How many messages stand in a state, and when the oldest of them was made."""

    messages: int
    oldest: datetime | None


class Summary(Answer):
    """The switch, and messages by state."""

    switch: SwitchAnswer
    states: dict[State, StateAnswer]


class ThrownAnswer(Answer):
    """The switch as it stands now, and whether this request changed it."""

    switch: SwitchAnswer
    changed: bool


class Throw(Body):
    """Why."""

    reason: Reason


class Retry(Body):
    """Which message."""

    purpose: Annotated[str, Field(min_length=1, max_length=300), STORABLE]
    endpoint_id: Annotated[Whole, Field(ge=0, lt=2**31)]


@router.get("", operation_id="list_messages", responses=responses())
async def messages(
    here: AtHand,
    state: Annotated[State | None, Query(description="Only these.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[MessageAnswer]:
    """Messages, newest first."""
    place = read_cursor(after, datetime, str, int)
    async with here.ledger.connection() as connection:
        found = await list_messages(
            connection,
            here.ledger.tenant_id,
            state=state,
            after=Place(*place) if place else None,
            limit=limit + 1,
        )
    return page_of(found, limit, MessageAnswer.model_validate, _place)


def _place(message: Message) -> Place:
    return message.place


@router.get("/summary", operation_id="summarise_messages", responses=responses())
async def summary(here: AtHand) -> Summary:
    """Messages by state, and whether they are stopped; what is settled (sent, expired, unrouted) is of the last day."""
    tenant = here.ledger.tenant_id
    async with here.ledger.connection() as connection:
        switch = await read_switch(connection, tenant)
        counts = await count_messages(connection, tenant, since=here.clock() - SETTLED_SINCE)
    return Summary.model_validate({"switch": switch, "states": counts})


@router.post("/stop", operation_id="stop_messages", responses=responses(400, 415))
async def stop(here: AtHand, body: Throw, response: Response, key: OptionalKey = None) -> ThrownAnswer:
    """Stop all messages; works while Temporal is away. What is on its way arrives."""
    thrown = await stop_messages(here.ledger, _command(here, key, "stop"), body.reason)
    return _thrown(thrown.switch, changed=thrown.changed, response=response)


@router.post("/start", operation_id="start_messages", responses=responses(400, 415))
async def start(here: AtHand, body: Throw, response: Response, key: OptionalKey = None) -> ThrownAnswer:
    """Send again; what expired meanwhile stays unsent."""
    thrown = await resume_messages(here.ledger, _command(here, key, "start"), body.reason)
    return _thrown(thrown.switch, changed=thrown.changed, response=response)


@router.post("/retry", operation_id="retry_message", responses=responses(400, 404, 409, 415))
async def retry(here: AtHand, body: Retry, key: OptionalKey = None) -> MessageAnswer:
    """Send a message once more whose end is unknown or that was refused for good: a person says it did not arrive."""
    what = f"retry/{body.purpose}/{body.endpoint_id}"
    message = await retry_message(here.ledger, _command(here, key, what), body.purpose, body.endpoint_id)
    return MessageAnswer.model_validate(message)


def _command(here: Here, key: str | None, what: str) -> Command:
    # Without a key every request is one of its own; the switch and the message themselves refuse a second.
    told = f"key/{here.who.account_id}/{key}" if key else secrets.token_hex(8)
    at = here.clock()
    return Command(f"messages/{told}/{what}", at, at, here.actor)


def _thrown(switch: Switch, *, changed: bool, response: Response) -> ThrownAnswer:
    if not changed:
        mark_replayed(response)
    return ThrownAnswer(switch=SwitchAnswer.model_validate(switch), changed=changed)
