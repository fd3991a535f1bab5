"""A guide's report of an item: once a key, whatever the line between phone and shop does.

The ordinary ones are taken before they come here (`api.gathered`), in two round trips for all that wait. Round trips to the
database here: the sign-on, then the two of `ledger.check_ins.check_in`; one more the first time a guide is named in this
process or the phone's clock is off, two more where the key had been used. What is late or out of order costs some thirty.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response
from pydantic import Field

from api.answers import TakenAnswer
from api.context import KEY, AtHand, Here
from api.fields import STORABLE, Body, Code, Day, Instant
from api.problems import responses
from api.replayed import REPLAYED, mark_replayed
from domain.check_in import Channel, CheckIn, Grade, Outcome
from domain.clock_skew import put_right, skew
from domain.errors import NotFound, Problem, Refused
from ledger.asking import Asker
from ledger.check_ins import check_in
from ledger.check_ins_before import taken_before
from ledger.publishing import list_published_at
from ledger.recorded import Recorded

SALT_BYTES = 16

router = APIRouter(prefix="/tasks", tags=["check-ins"])


class Told(Body):
    """What is told of an item."""

    performed_by: Code = Field(description="Code of the guide who did it and gets the credit.")
    occurred_at: Instant | None = Field(default=None, description="Now, where left out.")
    channel: Channel
    outcome: Outcome
    grade: Grade | None = None
    products: tuple[Annotated[str, Field(max_length=200), STORABLE], ...] = Field(
        default=(),
        max_length=50,
        description="Names of the brand's categories, or article numbers; they stay on the record, so no text of one's own.",
    )
    next_on: Day | None = None
    note: Annotated[str, Field(max_length=2000), STORABLE] | None = Field(
        default=None, description="Kept beside the ledger, where it can be erased."
    )
    evidence: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None,
        description="SHA-256 (hex) of what proves it, e.g. a screenshot; the same twice is a sign.",
    )


class Report(Told):
    """What a guide reports of an item."""

    device_at: Instant | None = Field(
        default=None,
        description="What the phone's clock shows while it sends this. More than two minutes off, `occurred_at` is put"
        " right by as much, between the publishing of the day's list and now.",
    )


RequiredKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=KEY,
        description="Your own name for this check-in; the same whenever it is sent again.",
    ),
]


@router.post(
    "/{task_id}/check-ins",
    operation_id="check_in",
    status_code=201,
    responses=responses(400, 404, 409, 413, 415)
    | {
        200: {
            "model": TakenAnswer,
            "description": "Taken before under this key",
            "headers": {REPLAYED: {"schema": {"const": "true"}, "required": True}},
        }
    },
)
async def report(
    here: AtHand, task_id: UUID, body: Report, key: RequiredKey, response: Response
) -> TakenAnswer:
    """Check in an item; sent twice with the same key it counts once."""
    at = here.clock()
    guide = await _performer(here, body.performed_by)
    occurred_at, skew_s = await _put_right(here, body, guide, at)
    command = command_of(
        here.who, body, task_id, guide, key=key, at=at, occurred_at=occurred_at, skew_s=skew_s
    )
    try:
        taken = await check_in(here.ledger, command, salt=secrets.token_bytes(SALT_BYTES))
    except Refused as error:
        if any(problem.code == "command_used_elsewhere" for problem in error.problems):
            raise used_otherwise(key) from error
        raise Refused([as_sent(problem, body.performed_by) for problem in error.problems]) from error
    return await answer_to(here, taken, command.asked, command.note, key, response)


def command_of(
    asker: Asker,
    body: Report,
    task_id: UUID,
    guide: UUID,
    *,
    key: str,
    at: datetime,
    occurred_at: datetime,
    skew_s: int = 0,
) -> CheckIn:
    """What a report asks for, once it is known who asks and when it occurred by our clock."""
    return CheckIn(
        command_id=f"check-in/{asker.account_id}/{key}",
        task_id=task_id,
        performed_by=guide,
        actor=asker.actor,
        occurred_at=occurred_at,
        known_at=at,
        channel=body.channel,
        outcome=body.outcome,
        grade=body.grade,
        products=body.products,
        next_on=body.next_on,
        note=body.note,
        asked=_digest(body, guide, body.occurred_at),
        device=asker.device_id,
        evidence=body.evidence or "",
        skew_s=skew_s,
    )


async def _put_right(here: Here, body: Report, guide: UUID, at: datetime) -> tuple[datetime, int]:
    """When it occurred by our clock, and by how many seconds the phone's is ahead; a read more where it is."""
    if body.occurred_at is None or body.device_at is None:
        return body.occurred_at or at, 0
    ahead = skew(body.device_at, at)
    if not ahead:
        return body.occurred_at, 0
    async with here.ledger.connection() as connection:
        published_at = await list_published_at(
            connection, here.ledger.tenant_id, guide, body.occurred_at - ahead
        )
    right = put_right(body.occurred_at, ahead, published_at=published_at, received_at=at)
    return right, round(ahead.total_seconds())


async def _performer(here: Here, code: str) -> UUID:
    """The guide of the field `performed_by`; a code nobody has is a wrong field."""
    try:
        return await here.guide_to_act_for(code)
    except NotFound as error:
        raise Refused([Problem("performed_by", code, error.problem.code)]) from error


def as_sent(problem: Problem, guide: str) -> Problem:
    """With the guide's code as it came: ids of guides are ours."""
    if problem.field != "performed_by":
        return problem
    return Problem(problem.field, guide, problem.code, problem.params)


async def answer_to(
    here: Here, taken: Recorded, asked: str, note: str | None, key: str, response: Response
) -> TakenAnswer:
    """What became of it; of a request sent again the answer of the first time, provided that it is the same.

    Raises:
        Refused: the key was used for something else.
    """
    if not taken.duplicate:
        return TakenAnswer.model_validate(taken)
    response.status_code = 200
    mark_replayed(response)
    # The key is the asker's own, whoever holds the item by now.
    async with here.ledger.for_upkeep().connection() as connection:
        before = await taken_before(
            connection, here.ledger.tenant_id, taken.task_id, taken.version, keys=here.ledger.keys
        )
    if before.asked != asked or not before.had_note(note):
        raise used_otherwise(key)
    return TakenAnswer(task_id=taken.task_id, version=taken.version, state=before.state, due_on=before.due_on)


def _digest(body: Report, guide: UUID, occurred_at: datetime | None) -> str:
    """Of what was asked, as asked. Without the note, which must be erasable, and with the guide's id for the code."""
    left_out = {"note", "performed_by", "occurred_at", "device_at"} | (
        {"evidence"} if body.evidence is None else set()
    )
    asked = body.model_dump(mode="json", exclude=left_out)
    asked |= {"guide": str(guide), "occurred_at": occurred_at and occurred_at.timestamp()}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def used_otherwise(key: str) -> Refused:
    """A key of the asker's that was sent with another content."""
    return Refused([Problem("Idempotency-Key", key, "key_used_otherwise")])
