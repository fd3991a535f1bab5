"""Phones and managers: they send a request again, under the same key, until there is a final answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

ATTEMPT_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
HQ = "hq"
NOT_YET = frozenset({"conflict", "not_released_yet"})
"""Codes of a 409 that ask to be sent again."""


class TooSlowError(RuntimeError):
    """Something was not acknowledged in time: the day says nothing about the engine, but for its speed."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A final answer; `codes` are a refusal's."""

    status: int
    body: Any
    codes: frozenset[str]


ATTEMPT_WITHIN_S = 30.0


@dataclass
class Clients:
    """Sends requests; remembers how long each took to be acknowledged, and every answer on the way."""

    base: str
    http: httpx.AsyncClient
    tokens: Mapping[str, str]
    """By who asks: HQ and every guide."""
    seconds: list[float] = field(default_factory=list)
    """From the first attempt of a check-in to its acknowledgement."""
    answers: Counter[str] = field(default_factory=Counter)
    """Attempts by status, or by kind of lost connection."""
    bugs: list[str] = field(default_factory=list)
    """Answers 500: whatever dies, a client is told 503."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        by: float,
        who: str = HQ,
        key: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answered:
        """Send until there is a final answer.

        Args:
            method: GET or POST.
            path: with its leading slash.
            by: until when, by the monotonic clock.
            who: HQ, or a guide's code.
            key: Idempotency-Key, the same for every attempt.
            body: JSON.

        Raises:
            TooSlowError: there was none in time.
        """
        pause = FIRST_PAUSE_S
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        while True:
            answer = await self._once(method, path, headers, body)
            if answer is not None:
                return answer
            if time.monotonic() > by:
                raise TooSlowError(f"{method} {path} {key or ''}: not acknowledged in time")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _once(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Answered | None:
        try:
            # The pool's own loop was seen spinning for ever on a connection that had died under it.
            async with asyncio.timeout(ATTEMPT_WITHIN_S):
                got = await self.http.request(
                    method, self.base + path, headers={**headers, "Connection": "close"}, json=body
                )
            told = got.json() if got.content else None
        except (httpx.HTTPError, ValueError, TimeoutError) as error:
            self.answers[type(error).__name__] += 1
            return None
        self.answers[str(got.status_code)] += 1
        problems = told.get("problems", ()) if got.is_error and isinstance(told, dict) else ()
        codes = frozenset(str(problem["code"]) for problem in problems)
        if got.status_code >= 500 or codes & NOT_YET:
            if got.is_server_error and got.status_code != 503:
                self.bugs.append(f"{method} {path}: {got.status_code}")
            return None
        return Answered(got.status_code, told, codes)
