"""The engine's hot paths beside the bare thing.

    python -m bench.ledger [--pairs 5] [--only check_ins,dispatch]

Each figure of a part is written in its place in the results; those of parts that are left out stay as they were measured.

Everything runs on the embedded server of this checkout, fsync on, in databases of its own that are dropped at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from sqlalchemy.engine import make_url

from bench import verifying
from bench.administering import administer
from bench.brand import BrandSize
from bench.ledger.apis import running_apis
from bench.ledger.check_ins import WARM, Beside, Counts, measure_rounds, percentile, warm
from bench.ledger.disk import gigabytes_a_million, read_sizes
from bench.ledger.dispatch import Place, measure_dispatch
from bench.ledger.figures import Figure, limit, measured, ratio, show
from bench.ledger.rebuilding import measure_rebuild
from bench.ledger.stand import standing
from bench.ledger.storm import storm
from bench.ledger.updates import running_temporal
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
    others: int = 300
    """Temporal's updates and durable workflows a round."""
    verified: int = 1_000_000
    """Events proved."""
    rebuilt: int = 300_000
    """Events whose projections are built anew."""
    clients: int = 200
    rounds: int = 3
    """Items each pair of clients reports at once, one after the other."""


async def check_ins(place: Place, wanted: Wanted) -> list[Figure]:
    """Over HTTP beside bare statements, Temporal's updates and durable workflows."""
    warming = min(WARM, wanted.check_ins)
    counts = Counts(wanted.check_ins, wanted.others)
    items = counts.items(wanted.pairs) + warming
    size = BrandSize(10, 5, -(-items // 50))
    async with (
        standing(place.server, place.address, place.home, size, name="bench_check_ins") as stand,
        running_apis(stand.urls, place.home) as port,
        running_temporal(place.home / "bench") as temporal,
        _database(place, "bench_beside") as beside,
    ):
        await warm(stand, port, warming)
        before = await read_sizes(stand)
        rounds = await measure_rounds(
            stand, port, Beside(temporal, beside), rounds=wanted.pairs, counts=counts
        )
        disk = gigabytes_a_million(before, await read_sizes(stand))
    return [
        ratio("check_in_http_to_bare", [r.http.per_second / r.bare.per_second for r in rounds], 0.45),
        ratio(
            "check_in_http_to_bare_gathered",
            [r.http.per_second / r.gathered.per_second for r in rounds],
            0.45,
        ),
        ratio(
            "check_in_http_to_temporal_update", [r.http.per_second / r.updates.per_second for r in rounds], 8
        ),
        ratio(
            "check_in_http_to_temporal_update_regular",
            [r.http.per_second / r.regular.per_second for r in rounds],
        ),
        ratio(
            "check_in_http_to_dbos_workflow", [r.http.per_second / r.workflows.per_second for r in rounds], 4
        ),
        measured("check_ins_http", [r.http.per_second for r in rounds], "1/s"),
        measured("check_ins_bare", [r.bare.per_second for r in rounds], "1/s"),
        measured("check_ins_bare_gathered", [r.gathered.per_second for r in rounds], "1/s"),
        measured("temporal_updates_regular", [r.regular.per_second for r in rounds], "1/s"),
        measured("temporal_updates", [r.updates.per_second for r in rounds], "1/s"),
        measured("dbos_workflows", [r.workflows.per_second for r in rounds], "1/s"),
        measured("check_in_http_p50", [percentile(r.http, 0.5) for r in rounds], "ms"),
        measured("check_in_http_p99", [percentile(r.http, 0.99) for r in rounds], "ms"),
        Figure("disk_ledger_a_million_check_ins", round(disk["ledger"], 2), "GB"),
        Figure("disk_check_in_rows_a_million", round(disk["read"], 2), "GB"),
    ]


@asynccontextmanager
async def _database(place: Place, name: str) -> AsyncIterator[str]:
    """An empty database while the block runs; gives its address."""
    admin = make_url(place.address.url("postgres"))
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    await administer(admin, drop, f'CREATE DATABASE "{name}"')
    try:
        yield place.address.url(name)
    finally:
        await administer(admin, drop)


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


async def verification(place: Place, wanted: Wanted) -> list[Figure]:
    """Proving the ledger beside reading it: `bench.verifying`."""
    found = verifying.results(
        await verifying.measure(place.address.url("postgres"), events=wanted.verified, pairs=wanted.pairs)
    )
    return [Figure(**one) for one in found]  # type: ignore[arg-type] # the same fields


async def rebuilding(place: Place, wanted: Wanted) -> list[Figure]:
    """Projections from the events beside reading and copying."""
    pairs = await measure_rebuild(place.address.url("postgres"), events=wanted.rebuilt, pairs=wanted.pairs)
    return [
        ratio("rebuild_to_read_and_copy", [pair.ratio for pair in pairs], 0.4),
        measured("rebuild", [pair.events / pair.rebuilt for pair in pairs], "events/s"),
        Figure("rebuild_rows", pairs[0].rows, "rows"),
    ]


PARTS: dict[str, Callable[[Place, Wanted], Awaitable[list[Figure]]]] = {
    "check_ins": check_ins,
    "dispatch": dispatch,
    "clients": clients,
    "verification": verification,
    "rebuilding": rebuilding,
}


async def run(place: Place, wanted: Wanted, parts: list[str]) -> list[Figure]:
    """Measure part by part."""
    figures: list[Figure] = []
    for part in parts:
        figures += await PARTS[part](place, wanted)
    return figures


def renewed(results: Path, figures: list[Figure]) -> list[dict[str, object]]:
    """The results with these figures in their places; those of parts that were not measured now stay."""
    told: list[dict[str, object]] = (
        json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
    )
    found = {str(one["figure"]): one for one in told} | {one.figure: one.as_json() for one in figures}
    return list(found.values())


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
    arguments.out.write_text(json.dumps(renewed(arguments.out, figures), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
