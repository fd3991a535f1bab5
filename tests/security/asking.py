"""Asking the application: as somebody, in a language, with and without its own checks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from api.app import create_app
from api.signing import CSRF, SESSION
from infra.settings import Settings
from ledger.door import Driver
from tests.security.calls import Case
from tests.security.conftest import Stage
from tests.security.world import NOW, Shown


@asynccontextmanager
async def _nobody_lends() -> AsyncIterator[Driver]:
    raise AssertionError("a connection was taken on which nobody stands: whoever was on it last would ask")
    yield


@dataclass(frozen=True)
class Operation:
    """An operation of the OpenAPI document."""

    method: str
    path: str


@dataclass
class Asking:
    """A client of an application over the stage."""

    http: httpx.AsyncClient
    operations: Mapping[str, Operation]
    keys: int = 0

    async def ask(self, case: Case, shown: Shown | None, *, language: str = "zh") -> httpx.Response:
        """Send the request of a case."""
        how, asked = case.how, case.asked
        operation = self.operations[case.call.partition(":")[0]]
        given = asked.thing.guide if asked.thing and asked.thing.guide else asked.own_guide
        filled = {"name": asked.name, "task": str(asked.world.tasks.get(given, ""))}
        path = operation.path
        for parameter in _parameters(operation.path):
            path = path.replace("{" + parameter + "}", how.path.get(parameter, "{name}").format(**filled))
        self.keys += 1
        headers = {"Accept-Language": language}
        if shown is not None:
            headers |= credentials(shown)
        if how.key:
            headers["Idempotency-Key"] = f"k{self.keys}"
        body: Any = how.body(asked) if how.body else None
        query = {name: value.format(**filled) for name, value in how.query.items()}
        return await self.http.request(operation.method, path, json=body, headers=headers, params=query)


@asynccontextmanager
async def asking(stage: Stage, *, enforcing: bool = True) -> AsyncIterator[Asking]:
    """The application over the stage at ten o'clock; no part of it may use a connection on which nobody stands."""
    served = replace(stage.served, lend=_nobody_lends)
    app = create_app(Settings(home=Path("nowhere")), served, clock=lambda: NOW, enforcing=enforcing)
    operations = {
        told["operationId"]: Operation(method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method, told in methods.items()
    }
    # What fails is to be seen as the asker sees it.
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Asking(http, operations)


def credentials(shown: Shown) -> dict[str, str]:
    """The headers by which somebody signs on."""
    if shown.token:
        return {"Authorization": f"Bearer {shown.token}"}
    return {"Cookie": f"{SESSION}={shown.session}", CSRF: shown.csrf}


def told(answer: httpx.Response, name: str) -> tuple[int, dict[str, str], bytes]:
    """All of an answer but the name that was asked for."""
    headers = {key: value for key, value in answer.headers.items() if key != "content-length"}
    return answer.status_code, headers, answer.content.replace(name.encode(), b"?")


def _parameters(path: str) -> list[str]:
    return [part.partition("}")[0] for part in path.split("{")[1:]]
