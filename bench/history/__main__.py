"""Whether years of history slow down what people look at every day.

    python -m bench.history [--cycles 100] [--restarts 40] [--out FILE]

One brand is made twice in a PostgreSQL of its own: once with one cycle behind it, once with a hundred; 100,000 items and
10,000,000. Its guides, the items on their lists of today, their month and the cycle that runs are the same rows in both.
What is looked at is read as the API reads it: signed on as the guide, or as HQ for the board, under row-level security, the
sign-on included. A figure is the 95th percentile with many items behind ÷ that with few.

Warm: everybody looked before; then all guides and plans in random order, turn by turn in both. Cold: PostgreSQL restarted
and the page cache of the machine emptied, then random guides and plans, each for the first time, turn by turn in both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from bench.administering import administer
from bench.history.brand import Shape, import_brand, issue_tokens, launch_plans
from bench.history.looks import FEW, LOOKS, MANY, Looking, Times, Tokens, Wanted, p95
from bench.history.past import write_past
from bench.history.stand import Stand, standing
from infra.key_store import SqliteKeys
from infra.settings import read_settings
from ledger.database import open_database
from ledger.ledger import Ledger
from ledger.member_keys import MemberKeys
from ledger.migrate import migrate

RESULTS = Path(__file__).parent.parent / "results" / "history.json"
SHAPE = Shape(plans=10, stores_a_plan=4, guides_a_store=5, items_a_day=20, days_a_cycle=25)
WANTED = Wanted(passes=2, board_passes=2, restarts=20, guides_a_restart=5, boards_a_restart=2)
RATIO_GOAL = 1.5
GENERATION_GOAL_S = 720
DISK_GOAL_GB = 25
PREFIX = "bench_history"


@dataclass(frozen=True, slots=True)
class Made:
    """The two databases, by name, and who looks."""

    urls: dict[str, str]
    tokens: Tokens
    seconds: float
    """Making the longer history took."""


async def make(admin_url: str, shape: Shape, keys: MemberKeys, *, cycles: int) -> Made:
    """Make the brand, and twice a past for it; `cycles` in the longer one, 1 in the other."""
    admin = make_url(admin_url)
    brand = f"{PREFIX}_brand"
    await drop(admin_url)
    await administer(admin, f'CREATE DATABASE "{brand}"')
    url = admin.set(database=brand).render_as_string(hide_password=False)
    await migrate(url)
    engine = open_database(url, tenant_id=1, pool_size=4)
    try:
        ledger = Ledger(engine, 1, keys=keys)
        await import_brand(ledger, shape)
        await launch_plans(ledger, shape)
        tokens = Tokens(*await issue_tokens(ledger, shape))
    finally:
        await engine.dispose()
    await administer(make_url(url), "VACUUM ANALYZE")
    urls: dict[str, str] = {}
    seconds = 0.0
    for name, past in ((FEW, 1), (MANY, cycles)):
        await administer(admin, f'CREATE DATABASE "{PREFIX}_{name}" TEMPLATE "{brand}" STRATEGY FILE_COPY')
        urls[name] = admin.set(database=f"{PREFIX}_{name}").render_as_string(hide_password=False)
        began = perf_counter()
        await write_past(urls[name], shape, past)
        seconds = perf_counter() - began
    await administer(admin, "CHECKPOINT")
    return Made(urls, tokens, seconds)


async def drop(admin_url: str) -> None:
    """Drop everything that `make` makes."""
    names = [f"{PREFIX}_{name}" for name in ("brand", FEW, MANY)]
    await administer(
        make_url(admin_url), *(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in names)
    )


def looking(made: Made, shape: Shape, keys: MemberKeys, *, seed: int = 7) -> Looking:
    """The two databases, ready to be looked at."""
    return Looking(made.urls, shape, made.tokens, keys, random.Random(seed))  # noqa: S311 - a benchmark repeats itself


def ratios(times: Times) -> list[dict[str, object]]:
    """Each look warm and cold: the ratio, and what it is made of, for orientation."""
    figures = []
    for cold in sorted({cold for _, _, cold in times}):
        for what in LOOKS:
            few, many = (times[what, name, cold] for name in (FEW, MANY))
            name = f"{what}_{'cold' if cold else 'warm'}"
            figures += [
                _figure(f"{name}_p95_ratio", round(p95(many) / p95(few), 3), "ratio", RATIO_GOAL),
                _figure(f"{name}_median_ratio", round(median(many) / median(few), 3), "ratio", None),
                _figure(f"{name}_few_p95_ms", round(p95(few) * 1e3, 1), "ms", None),
                _figure(f"{name}_many_p95_ms", round(p95(many) * 1e3, 1), "ms", None),
                _figure(f"{name}_samples", len(many), "looks", None),
            ]
    return figures


def _figure(figure: str, value: float, unit: str, goal: float | None) -> dict[str, object]:
    return {
        "figure": figure,
        "value": value,
        "unit": unit,
        "goal": goal,
        "holds": None if goal is None else value <= goal,
    }


async def measure(stand: Stand, *, cycles: int, restarts: int, console: Console) -> list[dict[str, object]]:
    """Everything; the stand runs for filling when it comes and as for people when it goes."""
    load_before = os.getloadavg()[0]
    keys = SqliteKeys(stand.home / "keys.db", 1)
    wanted = Wanted(
        WANTED.passes, WANTED.board_passes, restarts, WANTED.guides_a_restart, WANTED.boards_a_restart
    )
    try:
        made = await make(stand.url, SHAPE, keys, cycles=cycles)
        disk_gb = stand.disk_bytes() / 1e9
        console.print(f"written in {made.seconds:,.0f} s, {disk_gb:.1f} GB in all")
        stand.restart_cold()
        looks = looking(made, SHAPE, keys)
        await looks.cold(wanted, stand.restart_cold)
        await looks.warm(wanted)
        await drop(stand.url)
    finally:
        keys.close()
    if not stand.emptied:
        console.print("the page cache could not be emptied: cold is only PostgreSQL restarted")
    items = SHAPE.items_a_cycle
    return [
        *ratios(looks.times),
        _figure("items_few", items, "items", None),
        _figure("items_many", items * cycles, "items", None),
        _figure("generation_s", round(made.seconds), "s", GENERATION_GOAL_S),
        _figure("disk_gb", round(disk_gb, 1), "GB", DISK_GOAL_GB),
        _figure("page_cache_emptied", int(stand.emptied), "yes/no", None),
        _figure("load_before", round(load_before, 1), "load", None),
        _figure("load_after", round(os.getloadavg()[0], 1), "load", None),
    ]


def show(figures: list[dict[str, object]], console: Console) -> None:
    """Print one table."""
    table = Table("figure", "value", "goal", "holds")
    for one in figures:
        table.add_row(
            str(one["figure"]),
            f"{one['value']:,} {one['unit']}",
            str(one["goal"] or ""),
            "" if one["holds"] is None else str(one["holds"]),
        )
    console.print(table)


def main() -> None:
    """Make, measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cycles", type=int, default=100, help="behind the longer history; 100,000 items each"
    )
    parser.add_argument("--restarts", type=int, default=WANTED.restarts)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    console = Console(width=120)
    with standing(read_settings().home / "bench-history") as stand:
        figures = asyncio.run(
            measure(stand, cycles=arguments.cycles, restarts=arguments.restarts, console=console)
        )
    show(figures, console)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
