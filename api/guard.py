"""What stands before every route: loopback names only, nobody else's pages, bounded bodies, and no error unanswered.

There is no sign-in yet. A page of another site in a browser on this machine could reach a server on the loopback,
by a name of its own that resolves here (so Host must be a loopback name) or by a plain form (so a browser's Origin
must be one too).
"""

from __future__ import annotations

from ipaddress import ip_address

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Declined, answered
from domain.errors import Problem

MOST_BYTES = 1_000_000
"""Of a request's body."""
_READING = ("GET", "HEAD", "OPTIONS")


def is_loopback(name: str) -> bool:
    """Whether a host is a loopback address or `localhost`; brackets of IPv6 may be there."""
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware, the outermost but for the server's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
            await send(message)

        try:
            _decline_foreign(request)
            await self._app(scope, _bounded(request, receive), noting)
        except Exception as error:
            if begun:
                raise  # half an answer is out: only closing the connection tells the asker
            await answered(request, error)(scope, receive, send)


def _decline_foreign(request: Request) -> None:
    host = request.headers.get("host", "")
    if not is_loopback(_without_port(host)):
        raise Declined(421, Problem("Host", host[:200], "foreign_host"))
    origin = request.headers.get("origin")
    if origin is not None and request.method not in _READING:
        _, _, where = origin.partition("://")
        if not is_loopback(_without_port(where)):
            raise Declined(403, Problem("Origin", origin[:200], "foreign_origin"))


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
