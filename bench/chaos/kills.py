"""Kill -9 of whatever serves: each target has its own times, drawn from the seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from bench.chaos.engine import LOOK_S, Engine

LIVES_S: Mapping[str, float] = {
    "worker": 7.0,
    "api": 4.0,
    "temporal": 12.0,
    "postgresql": 14.0,
    "up": 120.0,
}
"""Mean seconds a target serves until it is killed again. A worker is given time to do something."""


@dataclass
class Kills:
    """What was killed, and how long it took until it served again."""

    seed: int
    engine: Engine
    pace: float = 1.0
    """Below 1: lives are shorter, kills come faster."""
    count: dict[str, int] = field(default_factory=dict)
    recovery: dict[str, list[float]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All kills so far."""
        return sum(self.count.values())

    def targets(self) -> list[str]:
        """Processes by name."""
        names = [f"worker-{number}" for number in range(1, self.engine.workers + 1)]
        names += [f"api-{number}" for number in range(1, self.engine.apis + 1)]
        return [*names, "temporal", "postgresql", "up"]

    async def go_on(self) -> None:
        """Kill until cancelled."""
        await asyncio.gather(*(self._one(name) for name in self.targets()))

    async def _one(self, name: str) -> None:
        draws = Random(f"{self.seed}/kills/{name}")  # noqa: S311 - a campaign replays
        kind = name.partition("-")[0]
        mean = LIVES_S[kind] * self.pace
        killed_at: float | None = None
        while True:
            while (part := self.engine.part(name)) is None:  # noqa: ASYNC110 - read from a file
                await asyncio.sleep(LOOK_S)
            if killed_at is not None:
                self.recovery.setdefault(kind, []).append(time.monotonic() - killed_at)
            # Between a third and five thirds of the mean: seldom at once, never for ever.
            await asyncio.sleep(mean * draws.uniform(1 / 3, 5 / 3))
            killed_at = None
            part = self.engine.part(name)  # it may be another by now: somebody else's kill took it along
            if part is not None and part.process is not None and self.engine.kill(part.process):
                killed_at = time.monotonic()
                self.count[kind] = self.count.get(kind, 0) + 1
                while self.engine.part(name) is not None:  # noqa: ASYNC110 - read from a file
                    await asyncio.sleep(LOOK_S)
