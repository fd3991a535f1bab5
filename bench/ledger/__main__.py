"""The engine's hot paths beside the bare thing.

    python -m bench.ledger [--pairs 5] [--only check_ins,dispatch]

Everything runs on the embedded server of this checkout, fsync on, in databases of its own that are dropped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.brand import BrandSize
from bench.ledger.apis import running_apis
from bench.ledger.check_ins import measure_check_ins, percentile, warm
from bench.ledger.dispatch import Place, measure_dispatch
from bench.ledger.figures import Figure, limit, measured, ratio, show
from bench.ledger.stand import standing
from bench.ledger.storm import storm
from infra.embedded_postgres import running_postgres, terminate_as_exit
from infra.settings import read_settings

RESULTS = Path(__file__).resolve().parents[1] / "results" / "ledger.json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How much is measured."""

    pairs: int
    check_ins: int
    """Of each side of a pair."""
    items: int
    """Dispatched at once."""
    clients: int = 200
    rounds: int = 3
    """Items each pair of clients reports at once, one after the other."""


async def check_ins(place: Place, wanted: Wanted) -> list[Figure]:
    """Over HTTP beside bare statements."""
    items = 2 * wanted.pairs * wanted.check_ins + 600
    size = BrandSize(10, 5, -(-items // 50))
    async with (
        standing(place.server, place.address, place.home, size, name="bench_check_ins") as stand,
        running_apis(stand.urls, place.home) as port,
    ):
        await warm(stand, port)
        pairs = await measure_check_ins(stand, port, pairs=wanted.pairs, each=wanted.check_ins)
    return [
        ratio("check_in_http_to_bare", [pair.ratio for pair in pairs], 0.45),
        measured("check_ins_http", [pair.http.per_second for pair in pairs], "1/s"),
        measured("check_ins_bare", [pair.bare.per_second for pair in pairs], "1/s"),
        measured("check_in_http_p50", [percentile(pair.http, 0.5) for pair in pairs], "ms"),
        measured("check_in_http_p99", [percentile(pair.http, 0.99) for pair in pairs], "ms"),
    ]


async def dispatch(place: Place, wanted: Wanted) -> list[Figure]:
    """In bulk beside COPY."""
    pairs = await measure_dispatch(place, pairs=wanted.pairs, items=wanted.items)
    return [
        ratio("dispatch_to_copy", [pair.ratio for pair in pairs], 0.7),
        measured("dispatch", [pair.items / pair.ours for pair in pairs], "items/s"),
        measured("dispatch_copy", [pair.items / pair.copy for pair in pairs], "items/s"),
    ]


async def clients(place: Place, wanted: Wanted) -> list[Figure]:
    """Many at once, two to an item, while days close."""
    size = BrandSize(10, 5, -(-wanted.clients * wanted.rounds // 2 // 50))
    async with (
        standing(place.server, place.address, place.home, size, name="bench_clients") as stand,
        running_apis(stand.urls, place.home) as port,
    ):
        stormed = await storm(stand, port, clients=wanted.clients, rounds=wanted.rounds)
    return [
        Figure("clients_at_once", wanted.clients, "clients"),
        Figure("clients_items_reported_by_two", stormed.items, "items"),
        Figure("clients_check_ins_after_their_day_closed", stormed.late, "check-ins"),
        limit("clients_faults", len(stormed.faults), "faults", 0),
    ]


PARTS: dict[str, Callable[[Place, Wanted], Awaitable[list[Figure]]]] = {
    "check_ins": check_ins,
    "dispatch": dispatch,
    "clients": clients,
}


async def run(place: Place, wanted: Wanted, parts: list[str]) -> list[Figure]:
    """Measure part by part."""
    figures: list[Figure] = []
    for part in parts:
        figures += await PARTS[part](place, wanted)
    return figures


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--check-ins", type=int, default=2_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--only", default=",".join(PARTS), help="parts by name, with commas")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    parts = arguments.only.split(",")
    home = read_settings().home
    with terminate_as_exit(), running_postgres(home) as (server, address):
        place = Place(server, address, home)
        wanted = Wanted(arguments.pairs, arguments.check_ins, arguments.items)
        figures = asyncio.run(run(place, wanted, parts))
    show(figures, Console())
    if parts == list(PARTS):
        arguments.out.write_text(
            json.dumps([figure.as_json() for figure in figures], indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
