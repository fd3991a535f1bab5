"""Signing in and out, and where one is signed in."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from activities.password_rules import MOST_TYPED
from activities.signing_in import Welcome, command_of, sign_in_by_password, sign_in_by_pin
from api.answers import Answer
from api.attempts import count_attempt_of
from api.context import AtHand, Here
from api.fields import STORABLE, Body, Code
from api.problems import Declined, responses
from api.session_cookies import DEVICE, clear_session, cookie_of, set_session
from api.signing import SESSION
from domain.errors import Problem
from domain.policy import Right, Role
from ledger.own_sessions import end_own_session, list_sessions

router = APIRouter(prefix="/sessions", tags=["signing in"])

Typed = Annotated[str, Field(max_length=MOST_TYPED), STORABLE]
"""A password or PIN as typed; what is wrong with it is said without repeating it."""


class PasswordShown(Body):
    """Who one is, and the proof."""

    login: Annotated[str, Field(min_length=1, max_length=200), STORABLE]
    password: Typed


class PinShown(Body):
    """A guide on a bound phone."""

    guide: Code
    pin: Typed


class RoleHeld(Answer):
    """A role, and where it holds."""

    role: Role
    place: str = Field(description="Region, dealer, store code or plan; empty: the brand, or oneself.")


class SignedIn(Answer):
    """A session has begun; it is in the cookie `daogou_session`."""

    account: UUID
    name: str
    roles: list[RoleHeld]
    rights: list[Right]
    csrf: str = Field(
        description="Repeat it in X-CSRF-Token with every request that changes something; told once, and in the"
        " cookie `daogou_csrf`."
    )
    expires_at: datetime
    must_change: bool = Field(description="The password or PIN was given by somebody else: change it first.")


class SessionLine(Answer):
    """A session that is open."""

    session: UUID
    since: datetime
    expires_at: datetime
    on_phone: bool = Field(description="On a bound phone, by PIN.")
    current: bool


class SessionList(Answer):
    """Where one is signed in."""

    items: list[SessionLine]


class SessionsEnded(Answer):
    """How many sessions were ended."""

    ended: int


@router.post("", operation_id="sign_in", status_code=201, responses=responses(400, 413, 415, 429))
async def sign_in(here: AtHand, request: Request, response: Response, body: PasswordShown) -> SignedIn:
    """Sign in with a password."""
    await count_attempt_of(here, request, "password")
    welcome = await sign_in_by_password(
        here.ledger, body.login, body.password, here.clock(), shown=cookie_of(request, SESSION)
    )
    return _begun(request, response, welcome)


@router.post("/pin", operation_id="sign_in_by_pin", status_code=201, responses=responses(400, 413, 415, 429))
async def sign_in_pin(here: AtHand, request: Request, response: Response, body: PinShown) -> SignedIn:
    """Sign in as a guide, with a PIN, on a phone that is bound to the guide's store."""
    phone = cookie_of(request, DEVICE)
    await count_attempt_of(here, request, "pin", phone=phone)
    if phone is None:
        raise Declined(401, Problem(DEVICE, "", "phone_not_bound"))
    welcome = await sign_in_by_pin(
        here.ledger, phone, body.guide, body.pin, here.clock(), shown=cookie_of(request, SESSION)
    )
    return _begun(request, response, welcome)


@router.get("", operation_id="list_sessions", responses=responses())
async def sessions(here: AtHand) -> SessionList:
    """Where one is signed in, newest first."""
    async with here.ledger.connection() as connection:
        found = await list_sessions(connection, here.ledger.tenant_id, here.who.account_id, here.clock())
    return SessionList(
        items=[
            SessionLine(
                session=one.credential_id,
                since=one.created_at,
                expires_at=one.expires_at,
                on_phone=one.on_phone,
                current=one.credential_id == here.who.credential_id,
            )
            for one in found
        ]
    )


@router.delete("/current", operation_id="sign_out", status_code=204, responses=responses())
async def sign_out(here: AtHand, request: Request, response: Response) -> None:
    """Sign out: this session opens nothing any more."""
    in_session(here)
    await _end(here, here.who.credential_id, "signed_out")
    clear_session(request, response)


@router.delete("/{session}", operation_id="end_session", status_code=204, responses=responses(404))
async def end_session(here: AtHand, session: UUID) -> None:
    """End one of one's own sessions."""
    in_session(here)
    await _end(here, session, "ended_by_owner")


@router.post("/end-others", operation_id="end_other_sessions", responses=responses())
async def end_others(here: AtHand) -> SessionsEnded:
    """End all of one's sessions but this one."""
    in_session(here)
    who, at = here.who, here.clock()
    async with here.ledger.transaction() as connection:
        found = await list_sessions(connection, here.ledger.tenant_id, who.account_id, at, limit=None)
        others = [one.credential_id for one in found if one.credential_id != who.credential_id]
        for other in others:
            command = command_of(who, "end-session", at, thing=other)
            await end_own_session(
                connection, here.ledger.tenant_id, command, who.account_id, other, why="ended_by_owner"
            )
    return SessionsEnded(ended=len(others))


def in_session(here: Here) -> None:
    """Let nobody through who shows a token: a machine has no sessions and changes no password.

    Raises:
        Declined: 403.
    """
    if here.who.by_token:
        raise Declined(403, Problem("Authorization", "", "not_by_token"))


async def _end(here: Here, session: UUID, why: str) -> None:
    who = here.who
    command = command_of(who, "end-session", here.clock(), thing=session)
    async with here.ledger.transaction() as connection:
        await end_own_session(connection, here.ledger.tenant_id, command, who.account_id, session, why=why)


def _begun(request: Request, response: Response, welcome: Welcome | None) -> SignedIn:
    if welcome is None:
        raise Declined(401, Problem("login", "", "wrong_login"))
    return welcomed(request, response, welcome)


def welcomed(request: Request, response: Response, welcome: Welcome) -> SignedIn:
    """Answer a session that has begun, whatever proved who it is."""
    set_session(request, response, welcome.session)
    return SignedIn(
        account=welcome.who.account_id,
        name=welcome.who.name,
        roles=[RoleHeld.model_validate(held) for held in welcome.who.roles],
        rights=sorted(welcome.who.rights),
        csrf=welcome.session.csrf,
        expires_at=welcome.session.expires_at,
        must_change=welcome.must_change,
    )
