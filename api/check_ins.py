"""A guide's report of an item: once a key, whatever the line between phone and shop does.

Round trips to the database: the sign-on, then the two of `ledger.check_ins.check_in`; one more the first time a guide
is named in this process, two more where the key had been used.
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
from domain.errors import NotFound, Problem, Refused
from ledger.check_ins import Recorded, check_in
from ledger.check_ins_before import taken_before

SALT_BYTES = 16

router = APIRouter(prefix="/tasks", tags=["check-ins"])


class Report(Body):
    """What a guide reports of an item."""

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
    command = CheckIn(
        command_id=f"check-in/{here.who.account_id}/{key}",
        task_id=task_id,
        performed_by=guide,
        actor=here.actor,
        occurred_at=body.occurred_at or at,
        known_at=at,
        channel=body.channel,
        outcome=body.outcome,
        grade=body.grade,
        products=body.products,
        next_on=body.next_on,
        note=body.note,
        asked=_digest(body, guide, body.occurred_at),
        device=here.who.device_id,
        evidence=body.evidence or "",
    )
    try:
        taken = await check_in(here.ledger, command, salt=secrets.token_bytes(SALT_BYTES))
    except Refused as error:
        if any(problem.code == "command_used_elsewhere" for problem in error.problems):
            raise _used_otherwise(key) from error
        raise Refused([_as_sent(problem, body) for problem in error.problems]) from error
    if taken.duplicate:
        response.status_code = 200
        mark_replayed(response)
        return await _as_answered(here, taken, command, key)
    return TakenAnswer.model_validate(taken)


async def _performer(here: Here, code: str) -> UUID:
    """The guide of the field `performed_by`; a code nobody has is a wrong field."""
    try:
        return await here.guide_to_act_for(code)
    except NotFound as error:
        raise Refused([Problem("performed_by", code, error.problem.code)]) from error


def _as_sent(problem: Problem, body: Report) -> Problem:
    """With the guide's code as it came: ids of guides are ours."""
    if problem.field != "performed_by":
        return problem
    return Problem(problem.field, body.performed_by, problem.code, problem.params)


async def _as_answered(here: Here, taken: Recorded, command: CheckIn, key: str) -> TakenAnswer:
    """The answer as it was given the first time, provided that the request is the same."""
    async with here.ledger.connection() as connection:
        before = await taken_before(
            connection, here.ledger.tenant_id, taken.task_id, taken.version, keys=here.ledger.keys
        )
    if before.asked != command.asked or not before.had_note(command.note):
        raise _used_otherwise(key)
    return TakenAnswer(task_id=taken.task_id, version=taken.version, state=before.state, due_on=before.due_on)


def _digest(body: Report, guide: UUID, occurred_at: datetime | None) -> str:
    """Of what was asked, as asked. Without the note, which must be erasable, and with the guide's id for the code."""
    left_out = {"note", "performed_by", "occurred_at"} | ({"evidence"} if body.evidence is None else set())
    asked = body.model_dump(mode="json", exclude=left_out)
    asked |= {"guide": str(guide), "occurred_at": occurred_at and occurred_at.timestamp()}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


def _used_otherwise(key: str) -> Refused:
    return Refused([Problem("Idempotency-Key", key, "key_used_otherwise")])
