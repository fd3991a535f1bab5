"""What row-level security costs where it is hot: the check-in, the sign-on and the list of the day.

    python -m bench.rows [--pairs 7] [--admin-url postgresql://…]

Without a server of yours it uses the embedded one of this checkout, in a database of its own.

Two connections do the same on like guides: one as `daogou_worker`, whose rows are bound by the tenant alone, and one as
`daogou_api`, on which a guide is signed on. Within a pair they take turns item by item, and in who goes first, so that
whatever else the machine does falls on both. A ratio is the API's time ÷ the worker's.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import UUID

from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from activities.sessions import digest
from bench.administering import administer
from bench.brand import (
    DAY,
    BrandSize,
    at,
    guide_id,
    import_brand,
    issue_guide_token,
    launch_plan,
    open_the_day,
)
from bench.identity import issue_identity
from domain.check_in import CheckIn
from domain.policy import Role
from infra.embedded_postgres import running_postgres
from infra.key_store import open_keys
from infra.settings import Settings, read_settings
from ledger.account_places import Grant
from ledger.asking import sign_on
from ledger.check_ins import check_in
from ledger.database import API, driver_connection, open_database
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.today import read_todays_list

RESULTS = Path(__file__).parent / "results" / "rows.json"
GUIDES_A_STORE = 5
SIGN_ONS = 200
LOOKS = 20
"""Lists read a pair and side."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is: two guides a pair report all their items."""

    pairs: int
    items: int
    """Items of a guide."""

    @property
    def stores(self) -> int:
        """Enough for two guides of different stores a pair, and one to warm up with."""
        return 2 * (self.pairs + 1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Seconds a request, on both sides."""

    worker: float
    api: float

    @property
    def ratio(self) -> float:
        """The API's time as a multiple of the worker's."""
        return self.api / self.worker


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that was measured."""

    check_in: list[Pair]
    check_in_unflushed: list[Pair]
    """Without waiting for the disk, which takes the same time on both sides and hides the difference."""
    todays_list: list[Pair]
    sign_on_us: dict[str, float]
    """By role: median, in microseconds."""


@dataclass(frozen=True, slots=True)
class Side:
    """A connection, and the ledger that always lends it."""

    connection: Driver
    ledger: Ledger


async def measure(admin_url: str, size: Size, *, home: Path, name: str = "bench_rows") -> Measured:
    """Make a brand, measure, drop it."""
    admin = make_url(admin_url)
    await administer(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    url = admin.set(database=name).render_as_string(hide_password=False)
    await migrate(url)
    worker, api = (
        open_database(url, tenant_id=1, pool_size=2),
        open_database(url, tenant_id=1, pool_size=2, role=API),
    )
    try:
        ledger = Ledger(worker, 1, keys=open_keys(Settings(home=home)))
        guides, tokens = await _brand(ledger, size)
        await administer(make_url(url), "VACUUM ANALYZE")
        async with _held(ledger) as ours, _held(replace(ledger, engine=api)) as theirs:
            return await _measure(ours, theirs, guides, tokens, size)
    finally:
        await worker.dispose()
        await api.dispose()
        await administer(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _measure(
    ours: Side, theirs: Side, guides: list[UUID], tokens: dict[str, bytes], size: Size
) -> Measured:
    flushed: list[Pair] = []
    unflushed: list[Pair] = []
    lists: list[Pair] = []
    gc.collect()
    gc.disable()
    try:
        for number in range(size.pairs + 1):
            first, second = guides[2 * number], guides[2 * number + 1]
            asker = await sign_on(theirs.connection, tokens[str(second)], at(10))
            if asker is None:
                raise SystemExit("nobody was signed on: nothing would be measured")
            codes = [f"G{guides.index(guide) * GUIDES_A_STORE}" for guide in (first, second)]
            looked = await _in_turns(
                [partial(_look, ours, codes[0])] * LOOKS, [partial(_look, theirs, codes[1])] * LOOKS, number
            )
            halves = [
                await _items(ours.connection, first),
                await _items(theirs.connection, second),
            ]
            for found, synchronous, part in ((flushed, "on", 0), (unflushed, "off", 1)):
                for side in (ours, theirs):
                    await side.connection.execute(f"SET synchronous_commit = {synchronous}")
                pair = await _in_turns(
                    [_reporting(ours, first, task, f"account/{first}") for task in halves[0][part::2]],
                    [_reporting(theirs, second, task, asker.actor) for task in halves[1][part::2]],
                    number,
                )
                if number > 0:  # the first only warms up
                    found.append(pair)
            if number > 0:
                lists.append(looked)
        signed_on = {
            role: await _sign_ons(theirs, shown) for role, shown in tokens.items() if "-" not in role
        }
    finally:
        gc.enable()
    return Measured(flushed, unflushed, lists, signed_on)


Work = Callable[[], Awaitable[object]]


async def _in_turns(ours: list[Work], theirs: list[Work], number: int) -> Pair:
    """Both sides' work, one after the other; who goes first changes with every item and pair."""
    spent = [0.0, 0.0]
    for turn, both in enumerate(zip(ours, theirs, strict=True), number):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            began = perf_counter()
            await both[side]()
            spent[side] += perf_counter() - began
    return Pair(spent[0] / len(ours), spent[1] / len(theirs))


def _reporting(side: Side, guide: UUID, task: UUID, actor: str) -> Work:
    told = CheckIn(
        command_id=f"check-in/{actor.removeprefix('account/')}/{task}",
        task_id=task,
        performed_by=guide,
        actor=actor,
        occurred_at=at(10),
        known_at=at(10),
        channel="phone",
        outcome="interested",
    )
    return lambda: check_in(side.ledger, told)


async def _look(side: Side, code: str) -> None:
    listed = await read_todays_list(side.connection, 1, code, DAY, keys=side.ledger.keys)
    if not listed.items:
        raise SystemExit(f"the list of {code} is empty: nothing would be measured")


async def _items(connection: Driver, guide: UUID) -> list[UUID]:
    rows = await connection.fetch(
        "SELECT task_id FROM list_item WHERE tenant_id = 1 AND guide_id = $1 ORDER BY rank", guide
    )
    return [UUID(str(row["task_id"])) for row in rows]


async def _sign_ons(side: Side, shown: bytes) -> float:
    times = []
    for _ in range(SIGN_ONS):
        began = perf_counter()
        if await sign_on(side.connection, shown, at(10)) is None:
            raise SystemExit("nobody was signed on: nothing would be measured")
        times.append(perf_counter() - began)
    return median(times) * 1e6


@asynccontextmanager
async def _held(ledger: Ledger) -> AsyncIterator[Side]:
    """One connection for all, so that the pool's own round trips are not measured."""
    async with driver_connection(ledger.engine) as connection:

        @asynccontextmanager
        async def lend() -> AsyncIterator[Driver]:
            yield connection

        yield Side(connection, replace(ledger, lend=lend))


async def _brand(ledger: Ledger, size: Size) -> tuple[list[UUID], dict[str, bytes]]:
    """Stores of five guides with a full list each; gives a guide a store, and by guide or role what is shown."""
    brand = BrandSize(size.stores, GUIDES_A_STORE, size.items)
    reporting = brand.guide_codes[::GUIDES_A_STORE]
    await import_brand(ledger, brand)
    await launch_plan(ledger, brand)
    await open_the_day(ledger, reporting)
    measured = [guide_id(code) for code in reporting]
    tokens = {
        str(guide): digest(await issue_guide_token(ledger, code))
        for guide, code in zip(measured, reporting, strict=True)
    }
    for role, place in ((Role.STORE_MANAGER, "S0"), (Role.SUPERVISOR, "R"), (Role.HQ, "")):
        token = await issue_identity(ledger, f"bench.{role}", Grant(role, place), at=at(1))
        tokens[role.value] = digest(token)
    tokens[Role.GUIDE.value] = tokens[str(measured[0])]
    return measured, tokens


def results(measured: Measured) -> list[dict[str, object]]:
    """The figures: medians of the pairs; the issue asks that the cost is stated, so no goal is set."""
    figures = [
        _ratio("check_in_rows_ratio", measured.check_in),
        _ratio("check_in_rows_ratio_unflushed", measured.check_in_unflushed),
        _ratio("todays_list_rows_ratio", measured.todays_list),
        _figure("check_in_worker_us", median(p.worker for p in measured.check_in_unflushed) * 1e6, "us"),
        _figure("check_in_api_us", median(p.api for p in measured.check_in_unflushed) * 1e6, "us"),
        _figure("todays_list_worker_us", median(p.worker for p in measured.todays_list) * 1e6, "us"),
        _figure("todays_list_api_us", median(p.api for p in measured.todays_list) * 1e6, "us"),
    ]
    return figures + [
        _figure(f"sign_on_{role}_us", spent, "us") for role, spent in sorted(measured.sign_on_us.items())
    ]


def _ratio(figure: str, pairs: list[Pair]) -> dict[str, object]:
    return {**_figure(figure, 0, "ratio"), "value": round(median(pair.ratio for pair in pairs), 3)}


def _figure(figure: str, value: float, unit: str) -> dict[str, object]:
    return {"figure": figure, "value": round(value), "unit": unit, "goal": None, "holds": None}


def show(measured: Measured, console: Console) -> None:
    """Print one table, a row a pair."""
    table = Table("pair", "check-in", "check-in, unflushed", "list of the day")
    rows = zip(measured.check_in, measured.check_in_unflushed, measured.todays_list, strict=True)
    for number, pairs in enumerate(rows, 1):
        table.add_row(
            str(number), *(f"{p.worker * 1e6:,.0f} → {p.api * 1e6:,.0f} µs, {p.ratio:.2f}" for p in pairs)
        )
    console.print(table)
    for role, spent in sorted(measured.sign_on_us.items()):
        console.print(f"sign-on of {role}: {spent:,.0f} µs")


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--admin-url", help="a superuser's login; the embedded server where none is given")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    home = read_settings().home
    with ExitStack() as stack:
        url = arguments.admin_url
        if url is None:
            _, address = stack.enter_context(running_postgres(home))
            url = address.url("postgres")
        measured = asyncio.run(measure(url, Size(arguments.pairs, arguments.items), home=home))
    show(measured, Console())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results(measured), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
