"""What stands before every route: our names only, nobody else's pages, nothing in the clear, bounded bodies, no error
unanswered.

A page of another site in a browser could reach this server by a name of its own that resolves here (so Host must be a
loopback name or the public one), or by a plain form (so a browser's Origin must be the one it was asked by). Sessions are
SameSite and repeat a CSRF token besides (`api.signing`).
"""  # noqa: D205 - the summary is one sentence

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Declined, answered
from domain.errors import Problem
from infra.edge_settings import Edge, is_loopback

MOST_BYTES = 1_000_000
"""Of a request's body."""
HSTS = "max-age=63072000"
"""Two years; of this host alone, for its siblings are not ours to bind."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer, unless its route says otherwise: it is data for one asker, to be kept and framed by nobody."""
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_READING = ("GET", "HEAD", "OPTIONS")
_PROBES = ("/health/live", "/health/ready")
"""Whoever starts containers asks these in the clear, and shows nobody's secret."""


class Guard:
    """ASGI middleware, the outermost but for the server's own."""

    def __init__(self, app: ASGIApp, edge: Edge) -> None:
        self._app = app
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                _add_headers(message, scope)
            await send(message)

        try:
            _decline_foreign(request, self._edge)
            _decline_plain(request, self._edge)
            await self._app(scope, _bounded(request, receive), noting)
        except Exception as error:
            if begun:
                raise  # half an answer is out: only closing the connection tells the asker
            await answered(request, error)(scope, receive, noting)


def _add_headers(message: MutableMapping[str, Any], scope: Scope) -> None:
    told = message.setdefault("headers", [])
    there = {name.lower() for name, _ in told}
    told.extend(one for one in _HEADERS if one[0] not in there)
    if scope["scheme"] == "https":
        MutableHeaders(scope=message)["Strict-Transport-Security"] = HSTS


def _decline_foreign(request: Request, edge: Edge) -> None:
    host = request.headers.get("host", "")
    name = _without_port(host)
    if not (is_loopback(name) or _is_public(name, edge)):
        raise Declined(421, Problem("Host", host[:200], "foreign_host"))
    origin = request.headers.get("origin")
    if origin is not None and request.method not in _READING and not _is_own(origin, name, edge):
        raise Declined(403, Problem("Origin", origin[:200], "foreign_origin"))


def _is_public(name: str, edge: Edge) -> bool:
    return edge.public_name is not None and name.strip("[]").lower() == edge.public_name


def _is_own(origin: str, name: str, edge: Edge) -> bool:
    """Whether a page of the server that was asked asks: under its public name from exactly that address."""
    if not is_loopback(name):
        return origin == edge.public_origin
    try:
        return is_loopback(urlsplit(origin).hostname or "")
    except ValueError:
        return False


def _decline_plain(request: Request, edge: Edge) -> None:
    """Turn away what came in the clear from, or under the name for, another machine: it may hold a password."""
    if request.scope["scheme"] == "https" or edge.allow_plain_http or request.scope["path"] in _PROBES:
        return
    client = request.client
    name = _without_port(request.headers.get("host", ""))
    if client is None or not is_loopback(client.host) or not is_loopback(name):
        raise Declined(403, Problem("address", "http", "https_required"))


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host


def _bounded(request: Request, receive: Receive) -> Receive:
    """`receive` that stops at a body which is too large, whatever its Content-Length says."""
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > MOST_BYTES:
        raise _too_large(told)
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES:
            raise _too_large(f"> {MOST_BYTES}")
        return message

    return bounded


def _too_large(told: str) -> Declined:
    return Declined(413, Problem("body", told[:20], "body_too_large", {"most": MOST_BYTES}))
