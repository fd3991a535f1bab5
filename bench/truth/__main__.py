"""The predicted next purchase against fixed 30 days and against the member's median interval.

    python -m bench.truth [--validate] [--purchases FILE [--zone ZONE] [--categories A,B]] [--rounds 1000]

On The Complete Journey, or on a file of purchases as `daogou import purchases` takes it. Categories are named on the first
half of the purchases (`bench/truth/categories.py`), draws follow in the second, 30 days apart; each is fitted on what was
bought before it. `--validate` does the same within the first half alone: choices of method are made on that, and the
second half is for the report.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console

from bench.truth.bought import Bought, half, of_file, of_the_demo
from bench.truth.categories import BESIDE, NAMED, named_by_rule
from bench.truth.judging import HORIZON_DAYS, Judged, judge
from bench.truth.predicting import after_purchases, at_the_draw, next_purchases
from bench.truth.report import Look, figures, show

RESULTS = Path(__file__).parent.parent / "results" / "truth.json"
STEP_DAYS = 30
"""From one draw to the next."""

ROUNDS = 1_000


@dataclass(frozen=True, slots=True)
class Split:
    """The days of the draws and how long each prediction is watched."""

    draws: tuple[date, ...]
    horizon: int


def split(first: date, last: date) -> Split:
    """Draws from `first` on, as long as a whole horizon is left of the days up to `last`; a short file has a shorter one."""
    days = (last - first).days + 1
    horizon = min(HORIZON_DAYS, max(1, days // 2))
    return Split(
        tuple(first + timedelta(days=place) for place in range(0, days - horizon + 1, STEP_DAYS)), horizon
    )


def look(bought: Bought, name: str, categories: Sequence[str], parts: Split) -> Look:
    """Predict and judge one look at these categories."""
    those = bought.of(categories)
    came = next_purchases(those)
    judged: list[Judged] = []
    unclamped: list[Judged] = []
    for cut in parts.draws:
        if name == "draw":
            made = list(at_the_draw(those, cut))
        else:
            # Whoever bought on the last of these days is watched for a whole horizon still.
            end = min(cut + timedelta(days=STEP_DAYS), those.last + timedelta(days=1 - parts.horizon))
            made = list(after_purchases(those, cut, end))
        judged += judge(made, came, horizon=parts.horizon)
        unclamped += judge(made, came, horizon=parts.horizon, clamped=False)
    return Look(name, tuple(categories), judged, unclamped)


def measure(bought: Bought, parts: Split, groups: Sequence[tuple[str, Sequence[str]]]) -> list[Look]:
    """Both looks at every group of categories; a group's name is put before the look's."""
    return [
        look(bought, name, categories, parts).named(group)
        for group, categories in groups
        for name in ("draw", "purchase")
    ]


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purchases", type=Path, help="another retailer's file")
    parser.add_argument("--zone", help="the stores' time zone, where the file's times carry another")
    parser.add_argument("--categories", help="categories named by yourself, with commas between")
    parser.add_argument("--validate", action="store_true", help="within the first half only")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the bootstrap")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    demo = arguments.purchases is None
    bought = of_the_demo() if demo else of_file(arguments.purchases, arguments.zone)
    middle = half(bought)
    named = NAMED if demo else named_by_rule(bought, middle)
    if arguments.categories:
        named = tuple(arguments.categories.split(","))
    if arguments.validate:
        bought = bought.before(middle)
        middle = half(bought)
    groups = [("", named), *([("beside_", BESIDE)] if demo else [])]
    looks = measure(bought, split(middle, bought.last), groups)
    told = figures(looks, rounds=arguments.rounds)
    show(looks, told, Console(width=150))
    out = arguments.out or (RESULTS if demo and not arguments.validate else None)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps([one.as_json() for one in told], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
