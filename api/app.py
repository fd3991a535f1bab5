"""The application: built once from settings and a ledger, and passed down; nothing of it is global."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from fastapi import Depends, FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api import (
    accounts,
    as_of,
    audit,
    board_tables,
    boards,
    calendars,
    cases,
    check_ins,
    contacts,
    corrections,
    days,
    devices,
    evening,
    feeds,
    health,
    lists,
    members,
    metrics,
    oidc,
    oneself,
    outbox,
    pictures,
    plans,
    sessions,
    sheets,
    signs,
    staff,
    stores,
    timeline,
    tokens,
    wecom,
    why,
)
from api.context import Here, at_hand
from api.feed_bodies import feed_schemas
from api.figures import read_figures
from api.gathered import Gathered
from api.guard import Guard
from api.guide_codes import GuideCodes
from api.playbook_bodies import plan_schemas
from api.problems import install, problem_schemas
from api.remembered import Remembered
from api.rules import check_rules
from api.telling import Telling
from api.temporal_state import temporal_state
from infra.openid import OpenId
from infra.settings import Settings
from infra.wecom import WecomApp
from ledger.asking import standing_for_upkeep
from ledger.ledger import Ledger

TELL_FOR_S = 1.0
"""How long the end waits for workflows that are being told."""
FIGURES_KEPT_S = 5.0
TEMPORAL_KEPT_S = 5.0
PREFIX = "/v1"


def create_app(
    settings: Settings, ledger: Ledger, *, clock: Callable[[], datetime], enforcing: bool = True
) -> FastAPI:
    """Build the application.

    Args:
        settings: language and Temporal's address.
        ledger: the brand's, on the role `daogou_api`; opening and closing it is the caller's.
        clock: the present instant; `infra.clock.now` but in tests.
        enforcing: False only in tests of row-level security.

    Raises:
        ValueError: a route has no rule in `api/rules.py`.
    """
    telling = Telling(settings)
    upkeep = standing_for_upkeep(ledger)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await telling.drain(TELL_FOR_S)

    app = FastAPI(
        title="daogou",
        summary="From a retailer's member plans to each guide's list of the day, and what came of it.",
        version="1",
        lifespan=life,
        # Their pages load scripts from elsewhere; /openapi.json is all they show.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.here = Here(
        settings=settings,
        ledger=ledger,
        clock=clock,
        telling=telling,
        guides=GuideCodes(),
        temporal=Remembered(lambda: temporal_state(settings), seconds=TEMPORAL_KEPT_S),
        figures=Remembered(lambda: read_figures(upkeep, clock()), seconds=FIGURES_KEPT_S),
        enforcing=enforcing,
    )
    app.state.openid = OpenId(settings.oidc) if settings.oidc else None
    app.state.wecom = WecomApp(settings.wecom) if settings.wecom else None
    parts = (
        plans,
        boards,
        board_tables,
        days,
        lists,
        check_ins,
        contacts,
        corrections,
        sheets,
        pictures,
        cases,
        timeline,
        audit,
        why,
        as_of,
        members,
        outbox,
        accounts,
        tokens,
        sessions,
        oneself,
        devices,
        evening,
        oidc,
        wecom,
        staff,
        calendars,
        stores,
        feeds,
        signs,
    )
    beside = (health, metrics)
    check_rules(part.router for part in (*parts, *beside))
    for part in parts:
        # Asked of the router, so that no route can forget it; FastAPI runs it once a request.
        app.include_router(part.router, prefix=PREFIX, dependencies=[Depends(at_hand)])
    for part in beside:
        app.include_router(part.router, dependencies=[Depends(at_hand)])
    install(app)
    app.add_middleware(Gathered)
    app.add_middleware(Guard, edge=settings.edge)
    if settings.edge.trusted_proxies:
        # The outermost: whatever asks for the client's address or the scheme sees what the proxy saw.
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.edge.trusted_proxies))
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI document what FastAPI cannot know: bodies that are read by hand, and problems."""
    made = app.openapi

    def described() -> dict[str, Any]:
        document = made()
        document.setdefault("components", {}).setdefault("schemas", {}).update(
            {**plan_schemas(), **feed_schemas(), **problem_schemas()}
        )
        return document

    app.openapi = described  # type: ignore[method-assign] # as FastAPI's manual says
