"""Who asks, found out before every route: by a session's cookie or a token, held against the rule of the operation."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from starlette.requests import Request

from activities.sessions import digest
from api.problems import Declined
from api.rules import RULES, Open
from domain.errors import Problem
from domain.events import AccessRefused, RequestRefused
from domain.policy import Right
from ledger.asking import Asker, Standing, standing, standing_for_upkeep
from ledger.ledger import Command, Ledger, account_stream, record
from ledger.sign_in import refuse_unknown

SESSION = "daogou_session"
"""Cookie of a session: HttpOnly, SameSite=Lax."""
CSRF = "X-CSRF-Token"
"""Header in which a session's changing requests repeat what signing in answered."""
_READING = ("GET", "HEAD", "OPTIONS")
LONGEST_SECRET = 200


def cookie_name(request: Request, name: str) -> str:
    """A cookie's name on the line: by https browsers keep `__Host-` from every other host and from plain http."""
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name


def shown_by(request: Request) -> tuple[str, bool] | None:
    """The secret a request shows and whether it is a token's; a token goes before a cookie."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token.strip():
        return token.strip()[:LONGEST_SECRET], True
    cookie = request.cookies.get(cookie_name(request, SESSION))
    return (cookie[:LONGEST_SECRET], False) if cookie else None


@asynccontextmanager
async def signed_on(
    request: Request, ledger: Ledger, at: datetime, *, enforcing: bool
) -> AsyncIterator[tuple[Asker | None, Ledger]]:
    """Who asks, and the ledger as far as they reach.

    Raises:
        Declined: 401 nobody is signed in, 403 it is not theirs to do, the CSRF token is missing or the password must
            be changed first.
    """
    rule = RULES[request.scope["route"].operation_id]
    if rule in {Open.ANYBODY, Open.SIGNATURE}:
        yield None, standing_for_upkeep(ledger)
        return
    shown = shown_by(request)
    if shown is None:
        raise Declined(401, Problem("Authorization", "", "not_signed_in"))
    async with _recognised(ledger, shown, at) as stood:
        asker = stood.asker
        if not asker.by_token and request.method not in _READING and not repeats_csrf(request, asker):
            await stood.let_go()
            await _note_mismatch(ledger, asker, request.scope["route"].operation_id, at)
            raise Declined(403, Problem(CSRF, "", "csrf_mismatch"))
        if enforcing and isinstance(rule, Right):
            if asker.must_change:
                raise Declined(403, Problem("password", "", "password_must_change"))
            if rule not in asker.rights:
                await stood.let_go()
                await _note_refusal(ledger, asker, request.scope["route"].operation_id, rule, at)
                code = "token_not_allowed" if rule in asker.withheld else "not_allowed"
                raise Declined(403, Problem("account", "", code, {"right": rule.value}))
        yield asker, stood.bound()


@asynccontextmanager
async def _recognised(ledger: Ledger, shown: tuple[str, bool], at: datetime) -> AsyncIterator[Standing]:
    async with standing(ledger, digest(shown[0]), at) as stood:
        if stood is not None and stood.asker.by_token is shown[1]:
            yield stood
            return
    if shown[1]:  # a session that nobody knows any more is every browser's, the morning after
        async with standing_for_upkeep(ledger).transaction() as connection:
            await refuse_unknown(connection, ledger.tenant_id, "token", at)
    raise Declined(401, Problem("Authorization", "", "signed_out"))


def repeats_csrf(request: Request, asker: Asker) -> bool:
    """Whether a request of a session repeats its CSRF token."""
    told = request.headers.get(CSRF, "")[:LONGEST_SECRET]
    return asker.csrf is not None and hmac.compare_digest(digest(told), asker.csrf)


async def _note_mismatch(ledger: Ledger, asker: Asker, operation: str, at: datetime) -> None:
    """Once a minute and operation, as below."""
    command = Command(f"account/{asker.account_id}/mismatch/{operation}/{at:%Y%m%d%H%M}", at, at, asker.actor)
    event = RequestRefused(operation=operation, why="csrf")
    async with standing_for_upkeep(ledger).transaction() as connection:
        await record(connection, ledger.tenant_id, command, [(account_stream(asker.account_id), event)])


async def _note_refusal(ledger: Ledger, asker: Asker, operation: str, right: Right, at: datetime) -> None:
    """Once a minute and operation: a client that asks in a loop must not fill the ledger."""
    command = Command(f"account/{asker.account_id}/refused/{operation}/{at:%Y%m%d%H%M}", at, at, asker.actor)
    event = AccessRefused(operation=operation, right=right.value)
    async with standing_for_upkeep(ledger).transaction() as connection:
        await record(connection, ledger.tenant_id, command, [(account_stream(asker.account_id), event)])
