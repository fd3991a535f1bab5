"""Oneself: who one is, and one's own password and PIN."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from activities import signing_in
from api.answers import Answer
from api.attempts import count_attempt_of
from api.context import AtHand
from api.fields import Body
from api.problems import responses
from api.session_cookies import DEVICE, cookie_of
from api.sessions import RoleHeld, Typed, in_session
from domain.policy import Right
from ledger.sign_in import read_who

router = APIRouter(prefix="/me", tags=["signing in"])


class Me(Answer):
    """Who asks, as things stand at this moment."""

    account: UUID
    login: str
    name: str
    guide: str | None = Field(description="Code of the guide one is.")
    roles: list[RoleHeld]
    rights: list[Right] = Field(description="By a token: no more than the token's.")
    must_change: bool = Field(description="The password or PIN was given by somebody else: change it first.")
    by_token: bool


class SecretChange(Body):
    """The present password or PIN, and the one to be."""

    old: Typed
    new: Typed


@router.get("", operation_id="read_me", responses=responses())
async def read_me(here: AtHand) -> Me:
    """Who one is, and what one may do."""
    asker = here.who
    async with here.ledger.connection() as connection:
        who = await read_who(
            connection,
            here.ledger.tenant_id,
            asker.account_id,
            here.clock(),
            on_phone=asker.device_id is not None,
        )
    return Me(
        account=who.account_id,
        login=who.login,
        name=who.name,
        guide=who.guide,
        roles=[RoleHeld.model_validate(held) for held in who.roles],
        rights=sorted(asker.rights),
        must_change=asker.must_change,
        by_token=asker.by_token,
    )


@router.post(
    "/password", operation_id="change_password", status_code=204, responses=responses(400, 413, 415, 429)
)
async def change_password(here: AtHand, request: Request, body: SecretChange) -> None:
    """Change one's password; every other session ends."""
    in_session(here)
    await count_attempt_of(here, request, "password")
    await signing_in.change_password(here.ledger, here.who, body.old, body.new, here.clock())


@router.post("/pin", operation_id="change_pin", status_code=204, responses=responses(400, 413, 415, 429))
async def change_pin(here: AtHand, request: Request, body: SecretChange) -> None:
    """Change one's PIN; every other session ends."""
    in_session(here)
    await count_attempt_of(here, request, "pin", phone=cookie_of(request, DEVICE))
    await signing_in.change_pin(here.ledger, here.who, body.old, body.new, here.clock())
