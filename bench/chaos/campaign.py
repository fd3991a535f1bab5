"""Both days of a campaign, and what is said of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

from bench.chaos import faults
from bench.chaos.day import Day, Lived
from bench.chaos.engine import Engine, Layer, remove_home
from bench.chaos.kills import Kills
from bench.chaos.receiver import Receiver, receiving
from bench.chaos.script import Pace, written
from infra.processes import free_port

CALM = Pace(release=30, first=20, second=15, close=15)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a campaign is asked for."""

    seed: int
    kills: int
    pace: Pace
    rate: float = 0.1
    """Chance that what a process committed is reported as timed out."""
    haste: float = 1.0
    """Lives between kills are so much longer or shorter."""
    together: bool = False
    """Both days at once: half the time, twice the load."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Both days."""

    wanted: Wanted
    calm: Lived
    rough: Lived
    kills: Kills
    faults: Counter[str]
    """Blocks that committed and were reported as timed out, by path."""
    reads: int
    calm_receiver: Receiver
    rough_receiver: Receiver
    ups: list[int]
    """How each `up` of the rough day ended that was not asked to."""
    said: tuple[str, ...]
    """Their last words."""


def late_morning(present: datetime) -> str:
    """A fixed zone whose clocks show eleven."""
    hours = (11 - present.hour) % 24
    hours = hours - 24 if hours > 14 else hours
    return f"Etc/GMT{'-' if hours >= 0 else '+'}{abs(hours)}"  # the sign of these names runs the other way


async def run(
    wanted: Wanted, present: datetime, say: Callable[[str], None], *, keep: bool = False
) -> Campaign:
    """Live both days, on homes of their own that are removed afterwards.

    Raises:
        TooSlowError: the machine could not keep up; the homes are kept.
    """
    zone = late_morning(present)
    script = written(wanted.seed)
    homes = [Path(mkdtemp(prefix=f"daogou-chaos-{name}-")) for name in ("calm", "rough")]
    say(f"homes: {homes[0]} {homes[1]}")
    layer = Layer(homes[1] / "faults", wanted.seed, wanted.rate)
    layer.folder.mkdir()
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving()) for _ in homes]
        calm_engine = Engine(homes[0], workers=1, apis=1, port=free_port())
        rough_engine = Engine(homes[1], workers=2, apis=2, port=free_port(), layer=layer)
        kills = Kills(wanted.seed, rough_engine, wanted.haste)
        pace = wanted.pace if wanted.together else CALM
        calm_day = Day(calm_engine, receivers[0], script, zone, pace, lambda text: say(f"calm: {text}"))
        rough_day = Day(
            rough_engine,
            receivers[1],
            script,
            zone,
            wanted.pace,
            lambda text: say(f"rough: {text} ({kills.total} kills)"),
            kills,
            wanted.kills,
        )
        # One after the other: alembic migrates once at a time in a process.
        await calm_day.open_brand()
        await rough_day.open_brand()
        if wanted.together:
            calm, rough = await asyncio.gather(calm_day.live(), rough_day.live())
        else:
            calm, rough = await calm_day.live(), await rough_day.live()
    hits, reads = _faults(layer.folder / faults.LOG)
    campaign = Campaign(
        wanted,
        calm,
        rough,
        kills,
        hits,
        reads,
        receivers[0],
        receivers[1],
        rough_engine.ended,
        rough_engine.said(),
    )
    if not keep:
        for home in homes:
            remove_home(home)
    return campaign


def _faults(log: Path) -> tuple[Counter[str], int]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    told = [line.split("\t") for line in lines]
    return Counter(path for kind, path, _ in told if kind == "write"), sum(
        kind == "read" for kind, *_ in told
    )
