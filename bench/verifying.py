"""What proving the ledger costs beside merely reading it.

    python -m bench.verifying [--events 1000000] [--pairs 5] [--admin-url postgresql://…]

Without a server of yours it uses the embedded one of this checkout, in a database of its own, fsync on.

A ratio is `ledger.verify.verify` ÷ reading the same rows, every column, in the order of the chains by a cursor, with one
SHA-256 over each row's bytes. `verify` does what `daogou audit verify` does with the events: chain, columns, jsonb, heads,
commands, positions, seals, an anchor for each, notes and days. What people read instead of the events is another matter
(`ledger/folding`, docs/performance.md), and the filled ledger has none of it. Both sides of a pair run one after the
other and take turns in who is first, so that whatever else the machine does falls on both. CPU seconds, client and
server together, stand beside the clock's: on a busy machine they say more.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import asyncpg
import psutil
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from bench.administering import administer
from bench.filled_ledger import EVENTS_AN_ITEM, fill
from infra.clock import now
from infra.databases import ensure_tenant
from infra.embedded_postgres import running_postgres
from infra.settings import read_settings
from ledger.anchors import Anchor
from ledger.database import driver_connection, open_database
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.seals import seal_new
from ledger.verify import verify
from ledger.verify_seals import read_seals

RESULTS = Path(__file__).parent / "results" / "verifying.json"
RATIO_GOAL = 1.5
INCREMENTAL_GOAL_S = 10.0
"""Seconds: of what came since a seal that leaves a twentieth of the events or more, 100,000 here."""
NAME = "bench_verifying"

_READ = """
SELECT stream, version, occurred_at, known_at, actor, performed_by, cause, type, schema_version, body, hash,
       payload::text AS payload FROM event WHERE tenant_id = 1 ORDER BY stream, version"""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock, and of both processors' time, client and server together."""

    clock: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One reading and one verification."""

    read: Spent
    verified: Spent

    @property
    def ratio(self) -> float:
        """Verifying ÷ reading."""
        return self.verified.clock / self.read.clock

    @property
    def cpu_ratio(self) -> float:
        """The same in CPU time."""
        return self.verified.cpu / self.read.cpu


@dataclass(frozen=True, slots=True)
class Measured:
    """Pairs over the whole ledger, and verifications since a late seal."""

    events: int
    pairs: list[Pair] = field(default_factory=list)
    since: list[Spent] = field(default_factory=list)
    events_since: int = 0


async def measure(admin_url: str, *, events: int = 1_000_000, pairs: int = 5) -> Measured:
    """Fill a database of its own and measure in it; it is dropped afterwards.

    Args:
        admin_url: a superuser's login; the server must be this machine's, for its processor time is read.
        events: how many, rounded up to whole items.
        pairs: after one that only warms up.
    """
    admin = make_url(admin_url)
    drop = f'DROP DATABASE IF EXISTS "{NAME}" WITH (FORCE)'
    await administer(admin, drop, f'CREATE DATABASE "{NAME}"')
    url = admin.set(database=NAME).render_as_string(hide_password=False)
    await migrate(url)
    engine = open_database(url, tenant_id=1, pool_size=2)
    try:
        ledger = Ledger(engine, 1)
        await ensure_tenant(ledger, b"bench")
        owner = await asyncpg.connect(url)
        try:
            await fill(owner, 1, -(-events // EVENTS_AN_ITEM))
        finally:
            await owner.close()
        await seal_new(ledger, now())
        await administer(make_url(url), "VACUUM ANALYZE", "CHECKPOINT")
        async with driver_connection(engine) as connection:
            return await _measure(connection, pairs)
    finally:
        await engine.dispose()
        await administer(admin, drop)


async def _measure(connection: Driver, pairs: int) -> Measured:
    await connection.execute("SET statement_timeout = 0")
    server = _Server(await connection.fetchval("SELECT pg_backend_pid()"))
    anchors = [Anchor.of(seal, "bench") for seal in await read_seals(connection, 1, after=0)]
    measured = Measured(await connection.fetchval("SELECT count(*) FROM event"))
    since, events_since = _recent(anchors, measured.events), 0

    async def read() -> None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for row in connection.cursor(_READ, prefetch=2_000):
                hashlib.sha256(row["body"]).digest()

    async def prove() -> None:
        result = await verify(connection, 1, anchors=anchors, projections=False)
        if not result.ok or result.events != measured.events or result.standing.unanchored:
            raise SystemExit(f"the ledger of the benchmark does not verify: {result.differences[:3]}")

    async def prove_since() -> None:
        nonlocal events_since
        result = await verify(connection, 1, since=since, anchors=anchors, projections=False)
        if not result.ok or result.since != since:
            raise SystemExit(f"the ledger of the benchmark does not verify: {result.differences[:3]}")
        events_since = result.events

    for number in range(pairs + 1):
        first, second = (read, prove) if number % 2 else (prove, read)
        spent = {first: await _timed(first, server), second: await _timed(second, server)}
        recently = await _timed(prove_since, server)
        if number > 0:  # the first only warms up
            measured.pairs.append(Pair(spent[read], spent[prove]))
            measured.since.append(recently)
    return Measured(measured.events, measured.pairs, measured.since, events_since)


def _recent(anchors: list[Anchor], events: int) -> int:
    """The last seal that leaves a twentieth of the events to verify; the beginning where there is none."""
    return max((one.position for one in anchors if one.position <= events * 19 // 20), default=0)


class _Server:
    """The processor time of a connection's backend and of the parallel workers that ended."""

    def __init__(self, pid: int) -> None:
        self._backend = psutil.Process(pid)
        postmaster = self._backend.parent()
        if postmaster is None:
            raise SystemExit("the server is not on this machine")
        self._postmaster = postmaster

    def seconds(self) -> float:
        own, ended = self._backend.cpu_times(), self._postmaster.cpu_times()
        return float(own.user + own.system + ended.children_user + ended.children_system)


async def _timed(work: Callable[[], Awaitable[None]], server: _Server) -> Spent:
    gc.collect()
    theirs, ours, clock = server.seconds(), process_time(), perf_counter()
    await work()
    clock = perf_counter() - clock
    return Spent(clock, process_time() - ours + server.seconds() - theirs)


def results(measured: Measured) -> list[dict[str, object]]:
    """The figures: medians of the pairs."""
    ratio = median(pair.ratio for pair in measured.pairs)
    incremental = median(spent.clock for spent in measured.since)
    return [
        _figure("verify_ratio", round(ratio, 3), "ratio", RATIO_GOAL),
        _figure(
            "verify_cpu_ratio", round(median(pair.cpu_ratio for pair in measured.pairs), 3), "ratio", None
        ),
        _figure("verify_incremental_s", round(incremental, 2), "s", INCREMENTAL_GOAL_S),
        _figure("verify_events", measured.events, "events", None),
        _figure("verify_incremental_events", measured.events_since, "events", None),
    ]


def _figure(figure: str, value: float, unit: str, goal: float | None) -> dict[str, object]:
    holds = None if goal is None else value <= goal
    return {"figure": figure, "value": value, "unit": unit, "goal": goal, "holds": holds}


def show(measured: Measured, console: Console) -> None:
    """Print one table, a row a pair."""
    table = Table("pair", "read", "verify", "ratio", "read, CPU", "verify, CPU", "ratio", "since a seal")
    for number, (pair, since) in enumerate(zip(measured.pairs, measured.since, strict=True), 1):
        table.add_row(
            str(number),
            f"{pair.read.clock:.1f} s", f"{pair.verified.clock:.1f} s", f"{pair.ratio:.2f}",
            f"{pair.read.cpu:.1f} s", f"{pair.verified.cpu:.1f} s", f"{pair.cpu_ratio:.2f}",
            f"{since.clock:.2f} s, {measured.events_since:,} events",
        )  # fmt: skip
    console.print(table)


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--admin-url", help="a superuser's login; the embedded server where none is given")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        url = arguments.admin_url
        if url is None:
            _, address = stack.enter_context(running_postgres(read_settings().home))
            url = address.url("postgres")
        measured = asyncio.run(measure(url, events=arguments.events, pairs=arguments.pairs))
    show(measured, Console())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results(measured), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
