"""Check-ins at the pace of the database: the ordinary ones go past the framework and together (`ledger.gathering`).

This stands before the routes. It reads a report as its route does, and where it is an ordinary one, has it taken; whatever
is not answers nobody here but goes on to its route (`api.check_ins`), which finds it as it came. So every refusal, and
every word of one, is the route's, and what is here can only do what the route would have done: it holds the asker against
the same rule, and the report against the same model.

Cost: the framework's routing, dependencies and serialisation took two thirds of an API process's time a check-in.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from uuid import UUID

import orjson
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from activities.sessions import digest
from api.check_ins import SALT_BYTES, Report, command_of
from api.context import KEY, Here
from api.rules import RULES
from api.signing import repeats_csrf, shown_by
from domain.check_in import CheckIn
from domain.clock_skew import skew
from domain.policy import Right
from ledger.asking import Asker
from ledger.gathering import Gathering, Told
from ledger.recorded import Recorded

_PATH = re.compile(
    r"/v1/tasks/([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})/check-ins"
)
_KEY = re.compile(KEY)
_RULE = RULES["check_in"]
MOST_BYTES = 20_000
"""Of a body that is read here."""


class Gathered:
    """ASGI middleware before the routes; the application's context has to be there once it is asked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._gathering: Gathering | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an ordinary check-in; pass everything else on."""
        found = (
            _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        )
        if found is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        length = request.headers.get("content-length", "")
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if not (length.isdigit() and int(length) <= MOST_BYTES and kind == "application/json"):
            await self._app(scope, receive, send)
            return
        body, whole = b"", False
        while not whole:
            message = await receive()
            if message["type"] != "http.request":
                break  # who asked is gone: the route hears of it as well
            body += message.get("body", b"")
            whole = not message.get("more_body", False)
        here: Here = scope["app"].state.here
        told = _told(request, here, UUID(found[1]), body) if whole else None
        if told is None:
            await self._app(scope, _again(body, receive, whole=whole), send)
            return
        # Who is gone before its turn is left out of it: it asks again by the same key, if it still wants to.
        taking = asyncio.create_task(self._gathering_of(here).take(told))
        gone = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({taking, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not taking.done():
                taking.cancel()
        if not taking.done():
            return
        taken = taking.result()
        if taken is None:
            await self._app(scope, _again(body, receive, whole=whole), send)
        else:
            await _answer(taken, send)

    def _gathering_of(self, here: Here) -> Gathering:
        if self._gathering is None:
            self._gathering = Gathering(here.ledger)
        return self._gathering


def _told(request: Request, here: Here, task_id: UUID, body: bytes) -> Told | None:
    """A report that may be an ordinary one; None: its route has to look at it."""
    keys = request.headers.getlist("idempotency-key")
    shown = shown_by(request)
    if shown is None or len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        return None
    try:
        report = Report.model_validate(orjson.loads(body))
    except (orjson.JSONDecodeError, ValidationError):
        return None
    at = here.clock()
    guide = here.guides.known(report.performed_by)
    if guide is None or (report.occurred_at and report.device_at and skew(report.device_at, at)):
        return None
    occurred_at = report.occurred_at or at

    def admitted(asker: Asker) -> CheckIn | None:
        if asker.by_token is not shown[1] or not (asker.by_token or repeats_csrf(request, asker)):
            return None
        if here.enforcing and not _may(asker, guide):
            return None
        return command_of(asker, report, task_id, guide, key=keys[0], at=at, occurred_at=occurred_at)

    return Told(
        shown=digest(shown[0]),
        key=keys[0],
        task_id=task_id,
        at=at,
        occurred_at=occurred_at,
        products=report.products,
        admitted=admitted,
        salt=secrets.token_bytes(SALT_BYTES) if report.note is not None else b"",
    )


def _may(asker: Asker, guide: UUID) -> bool:
    """Whether the rule of the operation lets this asker report this guide's work."""
    return (
        isinstance(_RULE, Right)
        and _RULE in asker.rights
        and not asker.must_change
        and asker.may_act_for(guide)
    )


def _again(body: bytes, receive: Receive, *, whole: bool) -> Receive:
    """`receive` as if nothing had been read yet."""
    told = False

    async def received() -> Message:
        nonlocal told
        if told or not whole:
            return await receive() if whole else {"type": "http.disconnect"}
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


async def _answer(taken: Recorded, send: Send) -> None:
    """What `api.check_ins.report` answers."""
    content = orjson.dumps(
        {
            "task_id": taken.task_id,
            "version": taken.version,
            "state": taken.state,
            "due_on": taken.due_on,
        }
    )
    await send(
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [
                (b"content-length", str(len(content)).encode()),
                (b"content-type", b"application/json"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})
