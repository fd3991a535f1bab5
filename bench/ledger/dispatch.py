"""Dispatch in bulk: a cycle starts with 100,000 items, beside COPY of the same rows into the same tables.

Ours: from the decisions in memory (who looks after whom and why, which items) to the commit, as the worker's login, with
row-level security. COPY: the very rows ours left, as binary COPY data in memory, in the order ours wrote them, into the
same tables with the same indexes, by their owner, without row-level security, in one transaction; the order among waiting
events is the server's to give on both sides. Each side of each pair has a fresh database.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import perf_counter

from sqlalchemy.engine import make_url

from bench.administering import administer
from bench.brand import DAY, PLAN, BrandSize, at, guide_id, launch_plan
from bench.copying import Rows, copy_rows, owner_of, read_rows
from domain.events import CycleStarted, MemberAssigned, TaskCreated
from domain.identifiers import derived_id, personal_id
from infra.databases import ensure_months, ensure_tenant, provide_embedded
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import open_keys
from infra.settings import Settings
from ledger.cycles import start_cycle
from ledger.database import open_database
from ledger.ledger import Command, Ledger

GUIDES = 2_000
LAUNCH = f"plan/{PLAN}/launch"
WRITTEN = {
    "command": f"SELECT * FROM command WHERE command_id <> '{LAUNCH}'",
    "stream_head": f"SELECT * FROM stream_head WHERE stream <> 'plan/{PLAN}'",
    "event": f"SELECT * FROM event WHERE cause <> '{LAUNCH}'",
    "event_pending (tenant_id, stream, version, known_at)": f"SELECT tenant_id, stream, version, known_at FROM event_pending WHERE stream <> 'plan/{PLAN}' ORDER BY id",
    "plan_member": "SELECT * FROM plan_member",
    "task": "SELECT * FROM task",
    "plan_cycle": "SELECT * FROM plan_cycle",
}
"""By table, and columns where the server gives the rest, what the cycle's start wrote, as it lies there: in the order in which it was written."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """Seconds of one pair."""

    items: int
    ours: float
    copy: float

    @property
    def ratio(self) -> float:
        """Our speed as a share of COPY's."""
        return self.copy / self.ours


@dataclass(frozen=True, slots=True)
class Decided:
    """What a cycle starts with."""

    started: CycleStarted
    assigned: tuple[MemberAssigned, ...]
    tasks: tuple[TaskCreated, ...]


def decide(items: int) -> Decided:
    """A member with a guide and an item each."""
    guides = [guide_id(f"G{number}") for number in range(GUIDES)]
    members = [personal_id(b"bench", "member", f"M{number}") for number in range(items)]
    assigned = tuple(
        MemberAssigned(
            plan=PLAN,
            cycle=1,
            member=member,
            guide=guides[number % GUIDES],
            strategy="proximity",
            why="nearest guide with room",
            value_minor=number % 90_000,
            quadrant="regular_value",
            score=number % 300,
            runner_up=guides[(number + 1) % GUIDES],
            full=(guides[(number + 2) % GUIDES],),
        )
        for number, member in enumerate(members)
    )
    tasks = tuple(
        TaskCreated(
            task=derived_id("task", PLAN, "1", str(one.member)),
            plan=PLAN,
            cycle=1,
            member=one.member,
            guide=one.guide or guides[0],
            category=1 + number % 5,
            run_out_on=DAY + timedelta(days=5 + number % 5),
            due_on=DAY + timedelta(days=number % 5),
            basis="rhythm",
            days_per_unit="7.25",
            bought_at=at(12, days=-23),
        )
        for number, one in enumerate(assigned)
    )
    started = CycleStarted(
        cycle=1,
        starts_on=DAY,
        ends_on=DAY + timedelta(days=4),
        selected=items,
        assigned=items,
        unassigned=0,
        tasks=items,
        staffing_needed=GUIDES,
        guides=GUIDES,
        longest_reminder_months=3,
        time_zone="Asia/Shanghai",
        days_per_unit={"1": "7.25"},
    )
    return Decided(started, assigned, tasks)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the databases are made."""

    server: EmbeddedPostgres
    address: PostgresAddress
    home: Path
    name: str = "bench_dispatch"

    @property
    def empty(self) -> str:
        """A migrated database with a plan and nothing else, to be copied."""
        return f"{self.name}_empty"


async def measure_dispatch(place: Place, *, pairs: int, items: int = 100_000) -> list[Dispatched]:
    """Pairs of both, whoever goes first by turns, after a smaller one that only warms up."""
    found: list[Dispatched] = []
    try:
        await _make_empty(place)
        _, rows = await _ours(place, decide(max(1, items // 10)))
        await _copy(place, rows)
        decided = decide(items)
        for number in range(pairs):
            gc.collect()
            if number % 2 and found:
                copy = await _copy(place, rows)
                ours, rows = await _ours(place, decided)
            else:
                ours, rows = await _ours(place, decided)
                copy = await _copy(place, rows)
            found.append(Dispatched(items, ours, copy))
    finally:
        for name in (place.name, place.empty):
            await administer(
                make_url(place.address.url("postgres")), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
            )
    return found


async def _make_empty(place: Place) -> None:
    urls = await provide_embedded(place.server, place.address, place.empty, fresh=True)
    engine = open_database(urls.worker, tenant_id=1, pool_size=1)
    ledger = Ledger(engine, 1, keys=open_keys(Settings(home=place.home)))
    await ensure_tenant(ledger, b"bench")
    await ensure_months(ledger, DAY, DAY)
    await launch_plan(ledger, BrandSize(1, 1, 50))
    await engine.dispose()


async def _ours(place: Place, decided: Decided) -> tuple[float, Rows]:
    """Seconds from the decisions to the commit, and the rows that stand there then."""
    urls = await provide_embedded(place.server, place.address, place.name, fresh=True, template=place.empty)
    engine = open_database(urls.worker, tenant_id=1, pool_size=1)
    ledger = Ledger(engine, 1)
    try:
        async with ledger.connection():
            pass  # the pool is open before the clock starts, as in a running worker
        await administer(make_url(urls.admin), "CHECKPOINT")
        began = perf_counter()
        async with ledger.transaction() as connection:
            command = Command(f"plan/{PLAN}/cycle/1/start", at(8, 30), at(8, 30), "bench")
            await start_cycle(
                connection,
                1,
                command,
                plan_id=PLAN,
                started=decided.started,
                assigned=decided.assigned,
                tasks=decided.tasks,
            )
        spent = perf_counter() - began
        async with owner_of(urls.admin) as owner:
            rows = await read_rows(owner, WRITTEN)
    finally:
        await engine.dispose()
    return spent, rows


async def _copy(place: Place, rows: Rows) -> float:
    """Seconds of COPY, commit included."""
    urls = await provide_embedded(place.server, place.address, place.name, fresh=True, template=place.empty)
    async with owner_of(urls.admin) as owner:
        await administer(make_url(urls.admin), "CHECKPOINT")
        began = perf_counter()
        await copy_rows(owner, rows)
        return perf_counter() - began
