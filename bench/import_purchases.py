"""Import of The Complete Journey against plain COPY of the same rows.

    python -m bench.import_purchases [--pairs 3] [--admin-url postgresql://…]

Without a server of yours it uses the embedded one of this checkout, in databases of its own.

Each pair has a database of its own, takes turns in who goes first, and a CHECKPOINT before each of the
two. Ours is timed from opening the Parquet files to commit; COPY is timed alone (imports/copy_speed.py).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import gettempdir
from time import perf_counter

import polars as pl
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import URL, make_url

from bench.administering import administer
from imports.complete_journey import NAIVE_ZONE, STORE_TIME_ZONE, households, purchases_frame, stores
from imports.copy_speed import CopySpeed, final_rows, measure_copy
from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.embedded_postgres import running_postgres
from infra.key_store import SqliteKeys
from infra.settings import read_settings
from ledger.database import driver_connection, open_database
from ledger.migrate import migrate

GOAL = 0.65
KNOWN_AT = datetime(2026, 1, 1, tzinfo=UTC)
RESULTS = Path(__file__).parent / "results" / "import.json"
_TENANT = Tenant(1, b"bench", SqliteKeys(Path(gettempdir()) / "daogou-bench" / "members.db", 1))


@dataclass(frozen=True, slots=True)
class Pair:
    """One import and one COPY of the same rows in the same database."""

    rows: int
    import_seconds: float
    copy: CopySpeed

    @property
    def ratio(self) -> float:
        """Our speed as a share of COPY's."""
        return self.rows / self.import_seconds / self.copy.rows_per_second


async def fresh_database(admin_url: URL, name: str) -> str:
    """Make a database with the demo's stores and members; answer its URL."""
    await administer(admin_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    url = admin_url.set(database=name)
    await migrate(url.render_as_string(hide_password=False))
    await administer(url, "INSERT INTO daogou.tenant (tenant_id, name) VALUES (1, 'bench')")
    engine = open_database(url.render_as_string(hide_password=False), tenant_id=1, pool_size=2)
    try:
        shops = pl.DataFrame({"code": stores()}).with_columns(name="code", time_zone=pl.lit(STORE_TIME_ZONE))
        for kind, frame in (
            (Kind.STORES, shops),
            (Kind.MEMBERS, pl.DataFrame({"code": households()})),
        ):
            await import_frame(engine, _TENANT, kind, frame, known_at=KNOWN_AT, actor="bench")
    finally:
        await engine.dispose()
    return url.render_as_string(hide_password=False)


async def time_import(url: str, rows: int | None = None) -> tuple[int, float]:
    """Import the purchases as `daogou_worker` would; answer rows and seconds, reading included."""
    engine = open_database(url, tenant_id=1, pool_size=2)
    try:
        async with driver_connection(engine):
            pass  # the pool is open before the clock starts, as in a running worker
        await administer(make_url(url), "CHECKPOINT")
        began = perf_counter()
        frame = await asyncio.to_thread(purchases_frame)
        if rows is not None:
            frame = frame.head(rows)
        report = await import_frame(
            engine, _TENANT, Kind.PURCHASES, frame, known_at=KNOWN_AT, actor="bench", naive_zone=NAIVE_ZONE
        )
        seconds = perf_counter() - began
    finally:
        await engine.dispose()
    if report.rows_bad or report.rows_new != report.rows_read:
        raise SystemExit(f"the import is not what it should be: {report}")
    return report.rows_new, seconds


async def measure(
    admin_url: str, *, pairs: int, rows: int | None = None, name: str = "bench_import"
) -> list[Pair]:
    """Measure `pairs` pairs after one that only warms up; `rows` limits the file (tests)."""
    admin = make_url(admin_url)
    url = await fresh_database(admin, name)
    await time_import(url, rows)
    data = await final_rows(url)
    measured: list[Pair] = []
    for number in range(pairs):
        url = await fresh_database(admin, name)
        gc.collect()
        ours: tuple[int, float] | None = None
        if number % 2 == 0:
            ours = await time_import(url, rows)
        await administer(make_url(url), "CHECKPOINT")
        copy = await measure_copy(url, data)
        count, seconds = ours or await time_import(url, rows)
        measured.append(Pair(count, seconds, copy))
    await administer(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    return measured


def results(pairs: list[Pair]) -> list[dict[str, object]]:
    """The figures: medians, and the worst pair's ratio, which is what the goal is held against."""
    worst = min(pair.ratio for pair in pairs)
    ours = median(pair.rows / pair.import_seconds for pair in pairs)
    copy = median(pair.copy.rows_per_second for pair in pairs)
    return [
        _figure("import_rows", pairs[0].rows, "rows"),
        _figure("import_rows_per_s", round(ours), "rows/s"),
        _figure("copy_rows_per_s", round(copy), "rows/s"),
        _figure("import_to_copy_median", round(median(pair.ratio for pair in pairs), 3), "ratio"),
        {"figure": "import_to_copy_worst", "value": round(worst, 3), "unit": "ratio", "goal": GOAL, "holds": worst >= GOAL},
    ]  # fmt: skip


def show(pairs: list[Pair], console: Console) -> None:
    """Print one table, a row a pair."""
    table = Table("pair", "rows", "import s", "import rows/s", "COPY s", "COPY rows/s", "ratio")
    for number, pair in enumerate(pairs, 1):
        table.add_row(
            str(number),
            f"{pair.rows:,}",
            f"{pair.import_seconds:.2f}",
            f"{pair.rows / pair.import_seconds:,.0f}",
            f"{pair.copy.seconds:.2f}",
            f"{pair.copy.rows_per_second:,.0f}",
            f"{pair.ratio:.3f}",
        )
    console.print(table)


def _figure(figure: str, value: float, unit: str) -> dict[str, object]:
    return {"figure": figure, "value": value, "unit": unit, "goal": None, "holds": None}


def main() -> None:
    """Measure, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--admin-url", help="a superuser's login; the embedded server where none is given")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        url = arguments.admin_url
        if url is None:
            _, address = stack.enter_context(running_postgres(read_settings().home))
            url = address.url("postgres")
        pairs = asyncio.run(measure(url, pairs=arguments.pairs))
    show(pairs, Console())
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(results(pairs), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
