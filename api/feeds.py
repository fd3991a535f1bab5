"""Feeds of systems of record: a signature instead of a session, and nothing of a message before it is right."""

from __future__ import annotations

import hashlib
import math
import re

from fastapi import APIRouter, Request, Response
from pydantic import Field

from activities.feeds import take_message
from activities.signing_in import note_refusal
from api.answers import Answer
from api.attempts import count_attempt_of
from api.context import KEY, AtHand, Here
from api.feed_bodies import DESCRIBED, read_message
from api.problems import Declined, responses
from api.replayed import mark_replayed
from domain.errors import Problem
from domain.webhook_signature import is_signed, is_timely
from ledger.feeds import secrets_of
from ledger.sign_in import count_attempt

MOST_A_MINUTE = 600
"""Messages of a source (ours)."""
_SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")

router = APIRouter(prefix="/feeds", tags=["feeds"])


class TakenMessage(Answer):
    """What became of a message."""

    new: int = Field(description="Records that were not there.")
    same: int = Field(description="Records that stood there already.")
    outside: int = Field(description="Records of numbers that no member has; they are not kept.")
    erased: int = Field(description="Records of members who were erased; they are not kept.")
    complete_until: dict[str, str] = Field(description="Watermarks that moved on.")


@router.post(
    "/{source}",
    operation_id="receive_records",
    responses=responses(400, 409, 413, 415, 429),
    openapi_extra=DESCRIBED,
)
async def receive(here: AtHand, request: Request, response: Response, source: str) -> TakenMessage:
    """Take a signed message of a source: whole or not at all, and once, whatever order messages come in."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Declined(415, Problem("Content-Type", kind[:200], "not_sent_as_json"))
    raw = await request.body()
    message_id = await _proven(here, request, source, raw)
    await _within_rate(here, source)
    message = read_message(raw, source=source, message_id=message_id, digest=hashlib.sha256(raw).hexdigest())
    taken = await take_message(here.ledger, message, here.clock())
    if taken.duplicate:
        mark_replayed(response)
    return TakenMessage.model_validate(taken)


async def _proven(here: Here, request: Request, source: str, raw: bytes) -> str:
    """The message's id, where it is signed by the source and lately.

    Raises:
        Declined: 401, without saying whether there is such a source, nor by the time it takes; 429, too many wrong ones from this address.
    """
    message_id, timestamp, shown = (request.headers.get(name, "") for name in _SIGNED)
    secrets = await secrets_of(here.ledger, source, here.clock())
    well_formed = (
        re.fullmatch(KEY, message_id) is not None and re.fullmatch(r"\d{1,12}", timestamp) is not None
    )
    signed_at = int(timestamp) if well_formed else 0
    if not (well_formed and is_signed(secrets, message_id, signed_at, raw, shown)):
        await count_attempt_of(here, request, "feed")
        await note_refusal(here.ledger, "feed", "signature", here.clock())
        raise Declined(401, Problem("webhook-signature", "", "wrong_signature"))
    if not is_timely(signed_at, here.clock()):
        told = {"now": int(here.clock().timestamp())}
        raise Declined(401, Problem("webhook-timestamp", timestamp, "message_not_timely", told))
    return message_id


async def _within_rate(here: Here, source: str) -> None:
    async with here.ledger.connection() as connection:
        waited = await count_attempt(
            connection, here.ledger.tenant_id, f"feed/{source}", here.clock(), most=MOST_A_MINUTE
        )
    if waited:
        wait = math.ceil(waited.total_seconds())
        problem = Problem("source", source, "too_many_messages", {"seconds": wait, "most": MOST_A_MINUTE})
        raise Declined(429, problem, {"retry-after": str(wait)})
