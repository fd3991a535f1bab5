"""Lists cut and published, beside COPY of the same rows into the same tables.

Ours: from the release hour to the last list that is published, by the activities of the day's workflow, as the worker's login.
COPY: `bench.copying`. Each side of each pair has a fresh database with the brand in it, analysed as it is overnight; the day's
own tables are empty, as they are for that day, and no autovacuum comes between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import asyncpg
import psutil
from sqlalchemy.engine import make_url

from activities.context import Context
from activities.dispatch import DispatchActivities
from bench.administering import administer
from bench.copying import Rows, copy_rows, owner_of, read_rows
from bench.day.brand import RELEASE, Shape, write_brand, write_cycles
from bench.ledger.dispatch import Place
from domain.messages import DayStep
from infra.databases import DatabaseUrls, provide_embedded
from infra.key_store import close_keys, open_keys
from infra.settings import Settings
from ledger.database import open_database
from ledger.ledger import Ledger

DATABASE = "bench_day"
WRITTEN = {
    "zone_day": "SELECT * FROM zone_day",
    "guide_day": "SELECT * FROM guide_day",
    "list_item": "SELECT * FROM list_item",
    "command": "SELECT * FROM command WHERE command_id LIKE 'publish/%'",
    "stream_head": "SELECT * FROM stream_head WHERE stream LIKE 'guide-day/%'",
    "event": "SELECT * FROM event WHERE type = 'list_published'",
    "event_pending (tenant_id, stream, version, known_at)": "SELECT tenant_id, stream, version, known_at FROM event_pending WHERE stream LIKE 'guide-day/%' ORDER BY id",
}
"""By table, and columns where the server gives the rest, what cutting and publishing write, as it lies there."""


UNVACUUMED = ("guide_day", "list_item", "task", "plan_member", "member", "outbox", "stream_head", "command")
"""Tables that no autovacuum analyses while the day is measured."""


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds by the clock, and of processor time in the server."""

    clock: float
    server: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, one after the other."""

    ours: Used
    copy: Used


async def make_brand(place: Place, shape: Shape) -> None:
    """The brand in a database of its own, to be copied."""
    urls = await migrated(place, "brand")
    async with opened(urls, place) as ledger:
        await write_brand(ledger, urls.admin, shape)
    await write_cycles(urls.admin, shape)
    await administer(
        make_url(urls.admin),
        *(f"ALTER TABLE daogou.{table} SET (autovacuum_enabled = off)" for table in UNVACUUMED),
        "VACUUM ANALYZE",
    )


async def migrated(place: Place, name: str) -> DatabaseUrls:
    """A database of this name with nothing in it; migrated once for all of them."""
    empty = f"{DATABASE}_empty"
    await provide_embedded(place.server, place.address, empty)
    return await provide_embedded(
        place.server, place.address, f"{DATABASE}_{name}", fresh=True, template=empty
    )


async def measure_cut(place: Place, shape: Shape, *, pairs: int) -> list[Pair]:
    """Pairs of both, whoever goes first by turns; what ours did last is left in the database `bench_day_ours`."""
    await make_brand(place, shape)
    found: list[Pair] = []
    rows: Rows = {}
    for number in range(pairs):
        if number % 2:
            copy = await _copy(place, rows)
            ours, rows = await _ours(place, shape)
        else:
            ours, rows = await _ours(place, shape)
            copy = await _copy(place, rows)
        found.append(Pair(ours, copy))
    return found


async def drop(place: Place) -> None:
    """Drop what was made."""
    names = [f"{DATABASE}_{name}" for name in ("empty", "brand", "ours", "copy", "events")]
    await administer(
        make_url(place.address.url("postgres")),
        *(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)' for name in names),
    )


@asynccontextmanager
async def opened(urls: DatabaseUrls, place: Place) -> AsyncIterator[Ledger]:
    """The brand's ledger as a worker has it."""
    keys = open_keys(Settings(home=place.home))
    engine = open_database(urls.worker, tenant_id=1, pool_size=10)
    try:
        yield Ledger(engine, 1, keys=keys)
    finally:
        await engine.dispose()
        await close_keys(keys)


async def ours_urls(place: Place) -> DatabaseUrls:
    """Of what `measure_cut` left."""
    return await provide_embedded(place.server, place.address, f"{DATABASE}_ours", create=False)


async def _ours(place: Place, shape: Shape) -> tuple[Used, Rows]:
    urls = await _fresh(place, "ours")
    step = DayStep(day=shape.day, time_zone=shape.time_zone, release=RELEASE, at=shape.at(9), rehearsal=True)
    async with opened(urls, place) as ledger:
        dispatch = DispatchActivities(Context(ledger, lambda: shape.at(9)))
        async with (
            ledger.connection() as connection
        ):  # the pool has one before the clock starts, as in a running worker
            server = await _server(connection)
        began, before = perf_counter(), _processor(server)
        cut = await dispatch.cut_lists(step)
        published = await dispatch.publish_lists(step)
        used = Used(perf_counter() - began, _processor(server) - before)
    async with owner_of(urls.admin) as owner:
        listed = await owner.fetchval("SELECT count(*) FROM list_item")
        if (cut.lists, published, listed) != (shape.guides, shape.guides, shape.items):
            raise SystemExit(f"{listed} items on {published} lists: nothing would be measured")
        return used, await read_rows(owner, WRITTEN)


async def _copy(place: Place, rows: Rows) -> Used:
    urls = await _fresh(place, "copy")
    async with owner_of(urls.admin) as owner:
        server = await _server(owner)
        began, before = perf_counter(), _processor(server)
        await copy_rows(owner, rows)
        return Used(perf_counter() - began, _processor(server) - before)


async def _fresh(place: Place, name: str) -> DatabaseUrls:
    urls = await provide_embedded(
        place.server, place.address, f"{DATABASE}_{name}", fresh=True, template=f"{DATABASE}_brand"
    )
    await administer(make_url(urls.admin), "CHECKPOINT")
    return urls


async def _server(connection: asyncpg.Connection) -> psutil.Process:
    backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
    postmaster = backend.parent()
    if postmaster is None:
        raise SystemExit("the server has just ended: nothing would be measured")
    return postmaster


def _processor(server: psutil.Process) -> float:
    """Seconds of all its processes, those that have ended too."""
    own = server.cpu_times()
    running = [one.cpu_times() for one in server.children()]
    ended = own.children_user + own.children_system
    return float(ended + sum(one.user + one.system for one in running))
