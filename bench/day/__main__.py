"""The day of a big brand: 10,000 guides, 500,000 items due from five plans.

    python -m bench.day [--size 10000] [--pairs 3] [--out FILE]

Lists are cut and published beside COPY of the same rows, in pairs; the same with a tenth of guides and items; the guide-days
are started on Temporal's dev server; guides are nudged at two slots; and a day of a few guides tells what a guide-day costs in
history events. On a PostgreSQL and a Temporal of its own, as `daogou up` runs them, fsync on; all of it is removed at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console

from bench.day.brand import Shape
from bench.day.cutting import Pair, drop, measure_cut
from bench.day.events import Counted, count_events
from bench.day.nudging import Nudged, measure_nudges
from bench.day.starting import Starts, measure_starts
from bench.ledger.dispatch import Place
from bench.ledger.figures import Figure, limit, measured, show
from bench.ledger.updates import running_temporal
from infra.embedded_postgres import running_postgres, terminate_as_exit
from infra.service_user import locate
from infra.settings import read_settings

RESULTS = Path(__file__).resolve().parents[1] / "results" / "day.json"
GUIDES = 10_000
PAIRS = 3
TO_COPY_GOAL = 3
NUDGE_GOAL_S = 10
EVENTS_GOAL = 25
TENFOLD_GOAL = 12
TENTH = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is measured."""

    guides: int = GUIDES
    pairs: int = PAIRS
    patience: timedelta = timedelta(minutes=8)
    """The starts of all guide-days may take so long."""
    lasts: timedelta = timedelta(seconds=40)
    """The day whose events are counted."""


async def measure(place: Place, wanted: Wanted) -> list[Figure]:
    """Everything, the smaller brand first; drops what it made."""
    shape, few = Shape(wanted.guides), Shape(wanted.guides // TENTH)
    try:
        small = await measure_cut(place, few, pairs=wanted.pairs)
        whole = await measure_cut(place, shape, pairs=wanted.pairs)
        nudged = await measure_nudges(place, shape)
        async with running_temporal(place.home / "day") as address:
            counted = await count_events(place, address, shape, lasts=wanted.lasts)
            starts = await measure_starts(place, address, shape, patience=wanted.patience)
    finally:
        await drop(place)
    return [
        *_cut(shape, whole, small),
        *_nudged(nudged),
        *_started(starts),
        *_counted(counted, shape),
        Figure("guides", shape.guides, "guides"),
        Figure("items", shape.items, "items"),
        Figure("plans", shape.plans, "plans"),
    ]


def _cut(shape: Shape, whole: Sequence[Pair], small: Sequence[Pair]) -> list[Figure]:
    ratios = [pair.ours.clock / pair.copy.clock for pair in whole]
    tenfold = median(pair.ours.clock for pair in whole) / median(pair.ours.clock for pair in small)
    return [
        _at_most("lists_to_copy", ratios, TO_COPY_GOAL),
        measured("lists_cut_and_published", [pair.ours.clock for pair in whole], "s"),
        measured("lists_copied", [pair.copy.clock for pair in whole], "s"),
        measured("lists_cut_and_published_server", [pair.ours.server for pair in whole], "s of processor"),
        measured("lists_copied_server", [pair.copy.server for pair in whole], "s of processor"),
        measured("lists_items", [shape.items / pair.ours.clock for pair in whole], "items/s"),
        measured("lists_cut_and_published_tenth", [pair.ours.clock for pair in small], "s"),
        limit("lists_tenfold", tenfold, "ratio", TENFOLD_GOAL),
    ]


def _nudged(nudged: Nudged) -> list[Figure]:
    return [
        limit("nudge_slot_not_analysed", nudged.not_analysed, "s", NUDGE_GOAL_S),
        limit("nudge_slot", nudged.analysed, "s", NUDGE_GOAL_S),
    ]


def _started(starts: Starts) -> list[Figure]:
    percent = quantiles(starts.seconds, n=100, method="inclusive")
    return [
        Figure("guide_day_start_p50", round(percent[49] * 1e3, 1), "ms"),
        Figure("guide_day_start_p99", round(percent[98] * 1e3, 1), "ms"),
        Figure("guide_days_started", round(len(starts.seconds) / (starts.last - starts.first), 1), "1/s"),
    ]


def _counted(counted: Counted, shape: Shape) -> list[Figure]:
    return [
        limit("events_a_guide_day", counted.a_guide_day(shape.guides), "events", EVENTS_GOAL),
        Figure("events_a_guide_day_own", counted.own, "events"),
        Figure("events_a_day_shared", counted.shared, "events"),
    ]


def _at_most(name: str, pairs: Sequence[float], most: float) -> Figure:
    """The median of the pairs' ratios, which should not be larger than the goal."""
    value = median(pairs)
    return Figure(
        name, round(value, 3), "ratio", most, value <= most, (round(min(pairs), 3), round(max(pairs), 3))
    )


@contextmanager
def standing(home: Path) -> Iterator[Place]:
    """A place whose servers and data are gone afterwards, whatever happened."""
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    try:
        with running_postgres(home) as (server, address):
            yield Place(server, address, home)
    finally:
        shutil.rmtree(locate(home).data, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=GUIDES, help="guides; 50 items each are due")
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with terminate_as_exit(), standing(read_settings().home / "bench-day") as place:
        figures = asyncio.run(measure(place, Wanted(arguments.size, arguments.pairs)))
    show(figures, Console(width=120))
    told = [one.as_json() for one in figures]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
