"""Telling workflows of what the ledger has taken, behind the asker's back: no answer waits for Temporal.

What is lost here, because Temporal is away or this process ends, the worker's reconciler tells within a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from infra.plan_workflows import start_plan, tell_changed
from infra.settings import Settings

MOST_AT_ONCE = 50
"""Beyond so many under way, Temporal is slow or away: more would only wait with them."""

log = structlog.get_logger("api")


class Telling:
    """Tasks in the background, held until they are done."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._under_way: set[asyncio.Task[Any]] = set()

    def launched(self, plan_id: str) -> None:
        """Start the workflow of a plan."""
        self._in_background(start_plan(self._settings, plan_id))

    def changed(self, plan_id: str) -> None:
        """Have the workflow of a plan read it again."""
        self._in_background(tell_changed(self._settings, plan_id))

    async def drain(self, seconds: float) -> None:
        """Wait for what is under way, so long at most, and end the rest."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)
        for task in list(self._under_way):
            task.cancel()

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        if len(self._under_way) >= MOST_AT_ONCE:
            work.close()
            log.warning("workflow_left_to_reconciler", under_way=len(self._under_way))
            return
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("workflow_not_told", reason=f"{type(error).__name__}: {error}")
