"""A place in the supervisor for one child: whoever holds it is started again when it ends, or replaced."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from infra.supervised_process import SupervisedProcess
from infra.up_state import PartState

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
LONG_LIFE_S = 30.0
"""Whoever lived this long is started again without much of a pause."""
READY_S = 120.0
"""A start on a busy two-core machine with a cold disk."""
DRAIN_S = 10.0
TRIES = 3
"""Starts that may fail before it is said that this part does not start at all; later, it is tried for ever."""

Tell = Callable[..., None]
log = structlog.get_logger(__name__)


class PartFailed(RuntimeError):
    """A part that never got ready; `said` holds its last lines."""

    def __init__(self, part: str, how: str, said: str) -> None:
        super().__init__(f"{part}: {how}")
        self.part = part
        self.how = how
        self.said = said


@dataclass
class Pauses:
    """How long to wait before the next start: 0.2 s, doubled up to 5 s, from the beginning after a long life."""

    _next: float = FIRST_PAUSE_S

    def after(self, lived_s: float) -> float:
        """The pause after a life of `lived_s` seconds."""
        if lived_s >= LONG_LIFE_S:
            self._next = FIRST_PAUSE_S
        pause, self._next = self._next, min(2 * self._next, LONGEST_PAUSE_S)
        return pause


def how_ended(code: int) -> str:
    """`exit 1`, or the name of the signal that killed it."""
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


class Slot:
    """Keeps one child running. `launch` starts one with the addresses of the moment."""

    def __init__(
        self,
        name: str,
        launch: Callable[[], Awaitable[SupervisedProcess]],
        may_start: Callable[[], Awaitable[None]],
        tell: Tell,
    ) -> None:
        self.name = name
        self.child: SupervisedProcess | None = None
        self.restarts = 0
        self.once_ready = asyncio.Event()
        self._launch = launch
        self._may_start = may_start
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()

    def state(self) -> PartState:
        """What `status` shows of it."""
        child = self.child
        if child is None or not child.running:
            return PartState(name=self.name, restarts=self.restarts)
        return PartState(
            name=self.name,
            process=child.identity,
            since=child.since,
            restarts=self.restarts,
            ready=child.ready.is_set(),
        )

    async def keep(self) -> None:
        """Start it, and again whenever it ends; until cancelled.

        Raises:
            PartFailed: it ended several times before it was ever ready.
        """
        pauses, failed = Pauses(), 0
        while True:
            await self._may_start()
            began = time.monotonic()
            try:
                async with self._one_at_a_time:
                    child = self.child
                    if child is None or not child.running:
                        child = self.child = await self._launch()
            except OSError as error:  # no memory or no process left for the moment
                self._tell("part_not_started", part=self.name, why=str(error))
                await asyncio.sleep(pauses.after(0.0))
                continue
            told = child.ready.is_set()  # by its replacing
            if await child.ready_or_ended(READY_S):
                self.once_ready.set()
                if not told:
                    self._tell("part_ready", part=self.name, pid=child.pid)
            elif child.running:
                self._tell("part_not_ready", part=self.name, seconds=int(READY_S))
                await child.drain(DRAIN_S)
            code = await child.ended()
            if child is not self.child:
                continue  # replaced, and ended because of it
            failed = 0 if self.once_ready.is_set() else failed + 1
            if failed >= TRIES:
                raise PartFailed(self.name, how_ended(code), "\n".join(child.said))
            self.restarts += 1
            pause = pauses.after(time.monotonic() - began)
            self._tell("part_ended", part=self.name, pid=child.pid, how=how_ended(code))
            await asyncio.sleep(pause)

    async def replace(self) -> bool:
        """Start another one, wait until it is ready, then drain this one; False: it stays as it is."""
        await self._may_start()
        async with self._one_at_a_time:
            old = self.child
            try:
                new = await self._launch()
            except OSError as error:
                self._tell("part_not_started", part=self.name, why=str(error))
                return False
            if not await new.ready_or_ended(READY_S):
                self._tell("part_not_replaced", part=self.name)
                await new.drain(DRAIN_S)
                return False
            self.child = new
        self._tell("part_replaced", part=self.name, pid=new.pid)
        if old is not None and old.running:
            await self.drain(old)
        return True

    async def drain(self, child: SupervisedProcess) -> None:
        """SIGTERM, ten seconds, SIGKILL; each is told."""
        began = time.monotonic()
        if await child.drain(DRAIN_S):
            self._tell(
                "part_drained", part=self.name, pid=child.pid, seconds=f"{time.monotonic() - began:.1f}"
            )
        else:
            self._tell("part_killed", part=self.name, pid=child.pid, seconds=int(DRAIN_S))


__all__ = ["DRAIN_S", "PartFailed", "Pauses", "Slot", "Tell", "how_ended"]
