"""The chaos campaign.

    python -m bench.chaos [--seed N] [--kills 200] [--minutes M]

A scripted business day is lived twice: undisturbed, and under kills -9 of worker, API, Temporal, PostgreSQL and `up`
itself, with a layer that commits and then reports a timeout. Both must end the same. The same seed gives the same
day, the same times between kills of each target, and the same faults in the n-th process of a kind.
"""

from __future__ import annotations

import argparse
import json
import secrets
from pathlib import Path

from rich.console import Console

from bench.chaos.campaign import Wanted, run
from bench.chaos.clients import TooSlowError
from bench.chaos.judgement import judge
from bench.chaos.report import results, show
from bench.chaos.script import Pace
from infra.clock import now
from infra.processes import run_until_terminated

WIDTH = 130
RESULTS = Path(__file__).resolve().parents[1] / "results" / "chaos.json"


def pace_of(minutes: float) -> Pace:
    """A day of so many minutes from launch to close."""
    share = round(minutes * 60 / 9)
    return Pace(release=2 * share, first=3 * share, second=2 * share, close=2 * share)


def main() -> None:
    """Run, print, write the results; exit 1 where something does not hold, 2 where the machine was too slow."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed where not given")
    parser.add_argument("--kills", type=int, default=200, help="at least so many")
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="of the disturbed day, from launch to close"
    )
    parser.add_argument("--rate", type=float, default=0.1, help="chance of a fault after a commit")
    parser.add_argument("--haste", type=float, default=1.0, help="factor on the lives between kills")
    parser.add_argument("--together", action="store_true", help="live both days at once")
    parser.add_argument("--keep", action="store_true", help="keep the homes, for a look at logs and ledgers")
    parser.add_argument("--out", type=Path, default=RESULTS)
    told = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if told.seed is None else told.seed
    console = Console(highlight=False, markup=False, width=WIDTH)
    console.print(
        f"seed {seed}: python -m bench.chaos --seed {seed} --kills {told.kills} --minutes {told.minutes}"
    )

    def say(text: str) -> None:
        console.print(f"{now():%H:%M:%S} {text}")

    wanted = Wanted(seed, told.kills, pace_of(told.minutes), told.rate, told.haste, told.together)
    try:
        campaign = run_until_terminated(run(wanted, now(), say, keep=told.keep))
    except TooSlowError as error:
        console.print(f"too slow, nothing is known: {error}")
        raise SystemExit(2) from error
    judged = judge(campaign)
    show(campaign, judged, console)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    told.out.write_text(json.dumps(results(campaign, judged), indent=2) + "\n", encoding="utf-8")
    if not all(one.holds for one in judged):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
