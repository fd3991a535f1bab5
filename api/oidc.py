"""Signing in at an OpenID provider: there with PKCE, state and nonce, and back with a code."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request, Response

from api.begun_sign_ins import (
    callback_url,
    come_back,
    let_in,
    new_sign_in,
    not_configured,
    provider_away,
    refused,
    send_away,
)
from api.context import AtHand, Here
from api.problems import responses
from api.sessions import SignedIn
from domain.errors import Problem
from infra.openid import OpenId
from infra.provider_calls import ProviderAway, Unproven
from infra.sign_in_settings import Oidc

router = APIRouter(prefix="/sign-in/oidc", tags=["signing in"])
Told = Annotated[str, Query(max_length=2048)]

log = structlog.get_logger("api")


@router.get(
    "",
    operation_id="begin_oidc",
    status_code=302,
    response_class=Response,
    responses=responses(404) | {302: {"description": "To the provider."}},
)
async def begin(here: AtHand, request: Request) -> Response:
    """Go to the provider to sign in; this browser comes back within ten minutes."""
    client, openid = _configured(here, request)
    begun = new_sign_in("oidc")
    try:
        url = await openid.authorize_url(
            redirect_uri=callback_url(here, "oidc"),
            state=begun.state,
            nonce=begun.nonce,
            verifier=begun.verifier,
        )
    except ProviderAway as error:
        raise provider_away("oidc") from error
    return send_away(request, url, begun, client.client_secret, here.clock())


@router.get("/callback", operation_id="finish_oidc", responses=responses(404, 429))
async def finish(
    here: AtHand,
    request: Request,
    response: Response,
    state: Told = "",
    code: Told = "",
    error: Told = "",
    iss: Told = "",
) -> SignedIn:
    """Come back from the provider; what it says is proven with the provider itself before a session begins."""
    client, openid = _configured(here, request)
    failed = error or ("" if code else "no_code")
    begun = await come_back(here, request, "oidc", client.client_secret, state, failed)
    try:
        identity = await openid.subject(
            code=code,
            issuer=iss,
            verifier=begun.verifier,
            nonce=begun.nonce,
            redirect_uri=callback_url(here, "oidc"),
            at=here.clock(),
        )
    except ProviderAway as lost:
        raise provider_away("oidc") from lost
    except Unproven as unproven:
        log.warning("identity_unproven", way="oidc", reason=unproven.reason)
        raise await refused(here, "oidc", Problem("code", "", "identity_unproven")) from unproven
    return await let_in(here, request, response, "oidc", identity)


def _configured(here: Here, request: Request) -> tuple[Oidc, OpenId]:
    client, openid = here.settings.oidc, request.app.state.openid
    if client is None or openid is None:
        raise not_configured("oidc")
    return client, openid
