"""What holds a sign-in elsewhere together: a sealed cookie of ten minutes, and a state that works once.

The cookie is sealed under a key made from the client's secret, which every API process has: none of them remembers
anything of a sign-in that has only begun, so nobody can fill a table by beginning many.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from activities.linked_sign_in import sign_in_linked, spend_state
from activities.signing_in import note_refusal
from api.attempts import count_attempt_of
from api.context import Here
from api.problems import Declined
from api.session_cookies import cookie_of
from api.sessions import SignedIn, welcomed
from api.signing import SESSION, cookie_name
from domain.errors import Problem
from ledger.linked_identities import Way

COOKIE = "daogou_sign_in"
FOR = timedelta(minutes=10)
LONGEST_COOKIE = 2000
PATH = "/v1/sign-in"


class BegunSignIn(BaseModel):
    """A sign-in that this browser has begun; what comes back must fit it."""

    model_config = ConfigDict(frozen=True)

    way: Way
    state: str
    """Letters and digits only, as WeCom wants it."""
    nonce: str
    verifier: str
    """Of PKCE: 43 characters at least."""


def new_sign_in(way: Way) -> BegunSignIn:
    """256 random bits for each of its secrets."""
    return BegunSignIn(
        way=way, state=secrets.token_hex(32), nonce=secrets.token_hex(32), verifier=secrets.token_urlsafe(48)
    )


def callback_url(here: Here, way: Way) -> str:
    """Where the provider sends the browser back: it is registered there, so it is never taken from a request."""
    return f"{here.settings.edge.public_url or ''}{PATH}/{way}/callback"


def send_away(request: Request, url: str, begun: BegunSignIn, secret: SecretStr, at: datetime) -> Response:
    """Send the browser to the provider, with the cookie that will let it come back."""
    answer = RedirectResponse(url, status_code=302)
    sealed = _fernet(begun.way, secret).encrypt_at_time(begun.model_dump_json().encode(), int(at.timestamp()))
    answer.set_cookie(
        cookie_name(request, COOKIE),
        sealed.decode(),
        max_age=int(FOR.total_seconds()),
        path="/",  # as the prefix of its name by https wants it
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",  # the way back begins on the provider's page
    )
    return answer


async def come_back(
    here: Here, request: Request, way: Way, secret: SecretStr, state: str, error: str
) -> BegunSignIn:
    """The sign-in that comes back; from here on it has been used.

    Raises:
        Declined: 403, it was not begun in this browser, is too old, was used, or the provider says no; 429, there were
            too many from this address.
    """
    await count_attempt_of(here, request, way)
    begun = _opened(request, way, secret, here.clock())
    if begun is None or not hmac.compare_digest(begun.state.encode(), state.encode()):
        raise await refused(here, way, Problem("state", "", "sign_in_lost"))
    if not await spend_state(here.ledger, begun.state, here.clock()):
        raise await refused(here, way, Problem("state", "", "sign_in_used"))
    if error:
        told = "".join(sign for sign in error[:40] if sign.isalnum() or sign == "_")
        raise await refused(here, way, Problem("error", told, "sign_in_declined"))
    return begun


async def let_in(here: Here, request: Request, response: Response, way: Way, identity: str) -> SignedIn:
    """Begin the session of the account linked to a proven identity.

    Raises:
        Declined: 403, no open account is linked to it.
    """
    shown = cookie_of(request, SESSION)
    welcome = await sign_in_linked(here.ledger, way, identity, here.clock(), shown=shown)
    if welcome is None:
        raise Declined(403, Problem("account", "", "identity_not_linked"))
    secure = request.url.scheme == "https"
    response.delete_cookie(
        cookie_name(request, COOKIE), path="/", secure=secure, httponly=True, samesite="lax"
    )
    return welcomed(request, response, welcome)


async def refused(here: Here, way: Way, problem: Problem) -> Declined:
    """The answer to a sign-in that proved nobody; the event has the problem's code, once a minute, and nothing else."""
    await note_refusal(here.ledger, way, problem.code, here.clock())
    return Declined(403, problem)


def not_configured(way: Way) -> Declined:
    """The answer where nobody has set a provider."""
    return Declined(404, Problem("sign-in", way, "not_configured"))


def provider_away(way: Way) -> Declined:
    """The answer where the provider cannot be asked; the log says why."""
    return Declined(503, Problem("sign-in", way, "provider_away"))


def _opened(request: Request, way: Way, secret: SecretStr, at: datetime) -> BegunSignIn | None:
    sealed = request.cookies.get(cookie_name(request, COOKIE), "")[:LONGEST_COOKIE]
    try:
        text = _fernet(way, secret).decrypt_at_time(
            sealed.encode(), ttl=int(FOR.total_seconds()), current_time=int(at.timestamp())
        )
        begun = BegunSignIn.model_validate_json(text)
    except (InvalidToken, ValidationError):
        return None
    return begun if begun.way == way else None


def _fernet(way: Way, secret: SecretStr) -> Fernet:
    key = hmac.digest(secret.get_secret_value().encode(), f"daogou/sign-in/{way}".encode(), "sha256")
    return Fernet(base64.urlsafe_b64encode(key))
