"""Rights of the member: consents per purpose, everything about them, erasure; and a number shown to be called, each time recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Query, Response
from pydantic import Field

from activities.asked import Asked
from activities.members import consents_of, erase_member, export_member, set_consent
from api.answers import Answer
from api.context import AtHand, Here, OptionalKey, asked_by
from api.fields import STORABLE, Body, Code, Instant, Reason
from api.problems import responses
from api.replayed import mark_replayed
from domain.consent import Purpose, Source
from ledger.consents import Heard
from ledger.member_export import with_headings
from ledger.reveals import reveal_phone
from wording.catalogue import Language, catalogue

router = APIRouter(tags=["members"])

HeardSource = Literal["in_store", "phone", "wecom", "mini_program", "form", "manager"]
MOST_FREE_TEXT = 500


class Said(Body):
    """What a member agreed to, or took back."""

    purpose: Purpose
    given: bool
    source: HeardSource = Field(description="How it was heard; `manager`: a manager decides, with a reason.")
    occurred_at: Instant | None = Field(default=None, description="Now, where left out.")
    reason: Annotated[str, Field(max_length=MOST_FREE_TEXT), STORABLE] = Field(
        default="", description="Kept beside the ledger and erased with the member."
    )


class ConsentAnswer(Answer):
    """One thing the member said of one purpose."""

    purpose: Purpose
    given: bool
    source: Source
    reason: str
    occurred_at: datetime
    known_at: datetime


class ConsentsAnswer(Answer):
    """All of it, the newest first; the first of a purpose is what holds."""

    consents: list[ConsentAnswer]


class ConsentSetAnswer(ConsentsAnswer):
    """With how many open items left their lists."""

    items: int


class Erasure(Body):
    """Why a member is erased."""

    reason: Reason = Field(min_length=1, max_length=MOST_FREE_TEXT)


class ErasedAnswer(Answer):
    """A member that was erased; the id is what figures still rest on."""

    member_id: UUID
    erased_at: datetime
    items: int = Field(description="Open items that left their lists.")
    copies_missed: int = Field(
        description="Copies of the key store that were not reached: the next backup to each destroys the key there."
    )


class PhoneAnswer(Answer):
    """A number, to be called now and not to be kept."""

    phone: str


@router.get("/members/{member}/consents", operation_id="list_consents", responses=responses(404))
async def list_consents(here: AtHand, member: Code) -> ConsentsAnswer:
    """What a member in reach agreed to and took back."""
    consents = await consents_of(here.ledger, member)
    return ConsentsAnswer(consents=[ConsentAnswer.model_validate(one) for one in consents])


@router.post(
    "/members/{member}/consents",
    operation_id="set_consent",
    status_code=201,
    responses=responses(400, 404, 409, 413, 415)
    | {
        200: {
            "model": ConsentSetAnswer,
            "description": "Recorded before under this key, or just that was said last",
        }
    },
)
async def say(
    here: AtHand, member: Code, body: Said, response: Response, key: OptionalKey = None
) -> ConsentSetAnswer:
    """Record what a member said. Taken back for `contact`, open items leave their lists at once."""
    return await _say(here, member, body, response, key)


@router.post(
    "/tasks/{task_id}/consents",
    operation_id="set_consent_by_item",
    status_code=201,
    responses=responses(400, 404, 409, 413, 415)
    | {
        200: {
            "model": ConsentSetAnswer,
            "description": "Recorded before under this key, or just that was said last",
        }
    },
)
async def say_by_item(
    here: AtHand, task_id: UUID, body: Said, response: Response, key: OptionalKey = None
) -> ConsentSetAnswer:
    """Record what the member of an item said: lists show no member's code. Who may is as for the member's own address."""
    return await _say(here, task_id, body, response, key)


async def _say(
    here: Here, who: str | UUID, body: Said, response: Response, key: str | None
) -> ConsentSetAnswer:
    heard = Heard(body.purpose, body.given, Source(body.source), body.reason)
    done = await set_consent(here.ledger, who, heard, asked_by(here, key), occurred_at=body.occurred_at)
    if done.duplicate:
        response.status_code = 200
        mark_replayed(response)
    return ConsentSetAnswer(
        consents=[ConsentAnswer.model_validate(one) for one in done.consents], items=done.items
    )


@router.post("/members/{member}/export", operation_id="export_member", responses=responses(404))
async def export(
    here: AtHand,
    member: Code,
    response: Response,
    headings: Annotated[
        Language | None,
        Query(description="Keys in words, for people; left out: as a program reads them."),
    ] = None,
) -> dict[str, Any]:
    """Everything there is about a member; that it was handed out is recorded, so it is no GET."""
    response.headers["cache-control"] = "no-store"
    document = await export_member(here.ledger, member, Asked(None, here.clock(), here.actor))
    if headings is None:
        return document
    words = catalogue(headings)
    return dict(with_headings(document, words.group("member.headings"), words.code))


@router.post(
    "/members/{member}/erase", operation_id="erase_member", responses=responses(400, 404, 409, 413, 415)
)
async def erase(here: AtHand, member: Code, body: Erasure) -> ErasedAnswer:
    """Erase what is personal of a member for good, backups included; figures stay. Again changes nothing."""
    erased = await erase_member(here.ledger, member, body.reason, Asked(None, here.clock(), here.actor))
    return ErasedAnswer.model_validate(erased)


@router.post("/tasks/{task_id}/phone", operation_id="reveal_phone", responses=responses(404, 409))
async def reveal(here: AtHand, task_id: UUID, response: Response) -> PhoneAnswer:
    """The member's number of an open item on today's list, to be called now; each time it is asked for is recorded."""
    phone = await reveal_phone(
        here.ledger, here.who.account_id, task_id, command_id=f"reveal/{uuid4()}", at=here.clock()
    )
    response.headers["cache-control"] = "no-store"
    return PhoneAnswer(phone=phone)
