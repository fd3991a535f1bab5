"""Pictures that prove something: of a check-in, or of a day's sheet; kept sealed beside the ledger."""

from __future__ import annotations

import base64
import binascii
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.answers import Answer
from api.context import AtHand, Here
from api.fields import STORABLE, Body, Code, Day
from api.problems import responses
from api.replayed import mark_replayed
from domain.errors import NotFound, Problem, Refused
from domain.pictures import MOST_PICTURE_BYTES, Kind
from ledger.pictures import Kept, NewPicture, keep_picture, list_pictures, read_picture
from ledger.report_days import day_of

router = APIRouter(tags=["pictures"])

MOST_TEXT = (MOST_PICTURE_BYTES + 2) // 3 * 4
Content = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MOST_TEXT,
        description=f"JPEG, PNG or WebP in Base64, at most {MOST_PICTURE_BYTES} bytes: scaled down before it is sent.",
    ),
    STORABLE,
]


class EvidenceTold(Body):
    """What proves a check-in of an item."""

    performed_by: Code = Field(description="Code of the guide whose check-in it proves.")
    content: Content


class SheetPhotographed(Body):
    """A photographed sheet of a guide's day."""

    content: Content


class PictureKeptAnswer(Answer):
    """A picture is kept; `sha256` is what a check-in names as its evidence."""

    picture_id: UUID
    sha256: str
    media_type: str
    size: int
    duplicate: bool = Field(description="It had been kept before; nothing was changed now.")


class PictureAnswer(Answer):
    """A picture that was kept."""

    picture_id: UUID
    kind: Kind
    sha256: str
    media_type: str
    size: int
    guide: str
    business_date: date
    task_id: UUID | None
    kept_at: datetime
    erased_at: datetime | None = Field(description="Its content is gone with a member who was on it.")


class PicturesAnswer(Answer):
    """The pictures of a guide's day."""

    pictures: list[PictureAnswer]


@router.post(
    "/tasks/{task_id}/pictures",
    operation_id="keep_evidence",
    status_code=201,
    responses=responses(400, 404, 413, 415),
)
async def evidence(here: AtHand, task_id: UUID, body: EvidenceTold, response: Response) -> PictureKeptAnswer:
    """Keep what proves a check-in, sealed under the member's key; then name its `sha256` as the check-in's `evidence`."""
    try:
        guide = await here.guide_to_act_for(body.performed_by)
    except NotFound as error:
        raise Refused([Problem("performed_by", body.performed_by, error.problem.code)]) from error
    async with here.ledger.connection() as connection:
        day = await day_of(connection, here.ledger.tenant_id, guide, here.clock())
    if day is None:
        raise Refused([Problem("performed_by", body.performed_by, "unknown_guide")])
    new = NewPicture(_content(body.content), guide, body.performed_by, day, task_id)
    return await _keep(here, new, response)


@router.post(
    "/guides/{guide}/days/{day}/pictures",
    operation_id="keep_sheet",
    status_code=201,
    responses=responses(400, 404, 413, 415),
)
async def sheet(
    here: AtHand, guide: Code, day: Day, body: SheetPhotographed, response: Response
) -> PictureKeptAnswer:
    """Keep a photographed sheet of a guide's day, sealed under a key of its own."""
    guide_id = await here.guide_to_act_for(guide)
    return await _keep(here, NewPicture(_content(body.content), guide_id, guide, day), response)


@router.get("/guides/{guide}/pictures", operation_id="list_pictures", responses=responses(404))
async def pictures(
    here: AtHand, guide: Code, day: Annotated[Day, Query(alias="date", description="The business date.")]
) -> PicturesAnswer:
    """The pictures of a guide's day."""
    guide_id = await here.guide_in_reach(guide)
    async with here.ledger.connection() as connection:
        found = await list_pictures(connection, here.ledger.tenant_id, guide_id, day)
    return PicturesAnswer(pictures=[PictureAnswer.model_validate(one) for one in found])


@router.get(
    "/pictures/{picture_id}",
    operation_id="read_picture",
    response_class=Response,
    responses={
        **responses(404),
        200: {
            "description": "The picture",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/jpeg", "image/png", "image/webp")
            },
        },
    },
)
async def picture(here: AtHand, picture_id: UUID) -> Response:
    """A picture, as it was sent."""
    found, content = await read_picture(here.ledger, picture_id)
    return Response(content, media_type=found.media_type, headers={"Content-Disposition": "attachment"})


def _content(told: str) -> bytes:
    try:
        return base64.b64decode(told, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refused([Problem("content", told[:20], "not_base64")]) from error


async def _keep(here: Here, new: NewPicture, response: Response) -> PictureKeptAnswer:
    kept: Kept = await keep_picture(here.ledger, new, at=here.clock(), actor=here.actor)
    if kept.duplicate:
        mark_replayed(response)
    return PictureKeptAnswer.model_validate(kept)
