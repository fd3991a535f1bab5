"""Asking whoever says who somebody is: bounded in time and size, no redirect followed, nothing of a URL told or logged.

WeCom wants its secret in the URL, so no error of the HTTP client may get further than this file.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog

from domain.errors import DaogouError, Unavailable
from infra.edge_settings import is_loopback
from infra.sign_in_settings import is_https

TIMEOUT = httpx.Timeout(5.0, connect=3.0)
ALL_S = 8.0
"""One question takes no longer, however slowly the answer drips."""
MOST_BYTES = 500_000
JSON = "application/json"

log = structlog.get_logger("api")


class ProviderAway(Unavailable):
    """The provider does not answer, or nothing that can be understood, or it refuses us: nobody can sign in there."""


class Unproven(DaogouError):
    """The provider answered, and it does not prove who somebody is; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Told:
    """A provider's answer: its status and its JSON object."""

    status: int
    body: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field that is a text; empty where it is missing or something else."""
        value = self.body.get(name)
        return value if isinstance(value, str) else ""


async def ask_provider(
    url: str,
    *,
    query: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
    login: tuple[str, str] | None = None,
) -> Told:
    """Ask for a JSON object; with `form` by POST.

    Args:
        url: https, or on this machine.
        query: parameters that go into the URL.
        form: fields of the body.
        login: of HTTP Basic.

    Raises:
        ProviderAway: no answer, too slow, too long, a redirect, a fault of the server, or no JSON object.
    """
    if not is_https(url):
        raise away(url, "not_https")
    try:
        async with (
            asyncio.timeout(ALL_S),
            httpx.AsyncClient(
                timeout=TIMEOUT,
                follow_redirects=False,
                trust_env=not is_loopback(urlsplit(url).hostname or ""),  # a proxy is on the way out only
            ) as http,
            http.stream(
                "GET" if form is None else "POST",
                url,
                params=query,
                data=form,
                auth=login,
                headers={"accept": JSON},
            ) as answer,
        ):
            body = await _bounded(answer, url)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, TimeoutError) as error:
        raise away(url, type(error).__name__) from None
    if answer.is_redirect or answer.is_server_error:
        raise away(url, f"status_{answer.status_code}")
    return Told(answer.status_code, _object(body, url))


def away(url: str, reason: str) -> ProviderAway:
    """Note that a provider failed us: host and reason, never the URL."""
    host = urlsplit(url).hostname or ""
    log.warning("provider_away", host=host, reason=reason)
    return ProviderAway(f"{host}: {reason}")


async def _bounded(answer: httpx.Response, url: str) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > MOST_BYTES:
            raise away(url, "too_long")
    return bytes(body)


def _object(body: bytes, url: str) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise away(url, "no_json") from None
    if not isinstance(told, dict):
        raise away(url, "no_object")
    return told
