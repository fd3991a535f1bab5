"""An answer that is dear to find out, kept for a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """What `find` found, for `seconds`; askers meanwhile share one search. Errors are not kept."""

    def __init__(self, find: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._find = find
        self._seconds = seconds
        self._searching = asyncio.Lock()
        self._found: tuple[float, T] | None = None

    async def get(self) -> T:
        """The answer, at most so old."""
        async with self._searching:
            if self._found is None or time.monotonic() - self._found[0] >= self._seconds:
                self._found = (time.monotonic(), await self._find())
            return self._found[1]
