"""Signing in through WeCom, inside its browser: nothing is typed (`snsapi_base`)."""

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
from infra.provider_calls import ProviderAway, Unproven
from infra.sign_in_settings import Wecom
from infra.wecom import NotAMember, WecomApp

router = APIRouter(prefix="/sign-in/wecom", tags=["signing in"])

log = structlog.get_logger("api")


@router.get(
    "",
    operation_id="begin_wecom",
    status_code=302,
    response_class=Response,
    responses=responses(404) | {302: {"description": "To WeCom."}},
)
async def begin(here: AtHand, request: Request) -> Response:
    """Go to WeCom to sign in; this browser comes back within ten minutes."""
    settings, app = _configured(here, request)
    begun = new_sign_in("wecom")
    url = app.authorize_url(redirect_uri=callback_url(here, "wecom"), state=begun.state)
    return send_away(request, url, begun, settings.secret, here.clock())


@router.get("/callback", operation_id="finish_wecom", responses=responses(404, 429))
async def finish(
    here: AtHand,
    request: Request,
    response: Response,
    state: Annotated[str, Query(max_length=128)] = "",
    code: Annotated[str, Query(max_length=512)] = "",
) -> SignedIn:
    """Come back from WeCom; WeCom is asked who the code is before a session begins."""
    settings, app = _configured(here, request)
    await come_back(here, request, "wecom", settings.secret, state, "" if code else "no_code")
    try:
        user = await app.user(code)
    except ProviderAway as lost:
        raise provider_away("wecom") from lost
    except Unproven as unproven:
        log.warning("identity_unproven", way="wecom", reason=unproven.reason)
        raise await refused(here, "wecom", Problem("code", "", "identity_unproven")) from unproven
    except NotAMember as stranger:
        raise await refused(here, "wecom", Problem("account", "", "identity_not_a_member")) from stranger
    return await let_in(here, request, response, "wecom", user)


def _configured(here: Here, request: Request) -> tuple[Wecom, WecomApp]:
    settings, app = here.settings.wecom, request.app.state.wecom
    if settings is None or app is None:
        raise not_configured("wecom")
    return settings, app
