"""What a transport saw of one attempt: the one place where HTTP and mail are watched.

apprise answers True or False, which says neither whether a message left nor what the other side said. So the
transports below it are watched: requests' `HTTPAdapter.send`, and the steps of `smtplib.SMTP`. Nothing is changed
for anybody who is not inside `watching()`.
"""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

MOST_OF_AN_ANSWER = 64 * 1024
"""Bytes; no answer of a robot is longer than a few hundred."""
WHOLE_ANSWER_WITHIN = 10.0
"""Seconds, however slowly it drips."""


@dataclass(slots=True)
class Facts:
    """What was seen. `failure` is the first exception of the transport, None where it had none."""

    status: int | None = None
    body: bytes = b""
    failure: BaseException | None = None
    mail: bool = False
    """A mail server was called."""
    data_begun: bool = False
    """The mail itself was being handed over."""
    accepted: bool = False
    """The mail server took it."""


_watched: ContextVar[Facts | None] = ContextVar("watched", default=None)


@contextmanager
def watching() -> Iterator[Facts]:
    """Watch what this thread's transports do in the block."""
    facts = Facts()
    token = _watched.set(facts)
    try:
        yield facts
    finally:
        _watched.reset(token)


def _watch_http() -> None:
    send = HTTPAdapter.send

    @wraps(send)
    def watched(self: HTTPAdapter, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        facts = _watched.get()
        if facts is None:
            return send(self, request, *args, **options)
        try:
            response = send(self, request, *args, **options)
        except Exception as error:
            facts.failure = facts.failure or error
            raise
        facts.status = response.status_code
        try:
            facts.body = _read(response)
        except Exception as error:  # noqa: BLE001 - whatever broke it, the answer did not come whole
            facts.failure = facts.failure or error
        finally:
            response.raw.close()
            response.raw = BytesIO(facts.body)  # what requests reads next
        return response

    HTTPAdapter.send = watched  # type: ignore[method-assign]


def _read(response: Response) -> bytes:
    read, until = b"", time.monotonic() + WHOLE_ANSWER_WITHIN
    while len(read) < MOST_OF_AN_ANSWER:
        piece = response.raw.read1(MOST_OF_AN_ANSWER - len(read), decode_content=True)
        if not piece:
            break
        read += piece
        if time.monotonic() > until:
            raise TimeoutError("the answer drips")
    return read


def _watch_mail(step: str, *, before: Callable[[Facts], None], after: Callable[[Facts], None]) -> None:
    method = getattr(smtplib.SMTP, step)

    @wraps(method)
    def watched(self: smtplib.SMTP, *args: Any, **options: Any) -> Any:
        facts = _watched.get()
        if facts is None:
            return method(self, *args, **options)
        before(facts)
        try:
            result = method(self, *args, **options)
        except Exception as error:
            facts.failure = facts.failure or error
            raise
        after(facts)
        return result

    setattr(smtplib.SMTP, step, watched)


def _nothing(_facts: Facts) -> None: ...


def _note_mail(facts: Facts) -> None:
    facts.mail = True


def _note_data(facts: Facts) -> None:
    facts.data_begun = True


def _note_accepted(facts: Facts) -> None:
    facts.accepted = True


_watch_http()
_watch_mail("connect", before=_note_mail, after=_nothing)
_watch_mail("starttls", before=_nothing, after=_nothing)
_watch_mail("login", before=_nothing, after=_nothing)
_watch_mail("data", before=_note_data, after=_nothing)
_watch_mail("sendmail", before=_nothing, after=_note_accepted)
