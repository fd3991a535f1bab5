"""The benchmark of the years behind, on a small brand: what it writes is what is looked at, its figures those it names."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from bench.history.__main__ import drop, looking, make, ratios
from bench.history.brand import Shape
from bench.history.looks import LOOKS, Wanted
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import SqliteKeys

SMALL = Shape(plans=2, stores_a_plan=1, guides_a_store=2, items_a_day=2, days_a_cycle=25, cycles_a_plan=2)


async def test_what_people_look_at_is_measured_with_few_and_with_many_cycles_behind(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], tmp_path: Path
) -> None:
    url = postgres[1].url("postgres")
    keys = SqliteKeys(tmp_path / "keys.db", 1)
    try:
        made = await make(url, SMALL, keys, cycles=5)
        looks = looking(made, SMALL, keys)
        wanted = Wanted(passes=1, board_passes=1, restarts=1, guides_a_restart=2, boards_a_restart=1)
        await looks.cold(wanted, lambda: None)  # the server is not this test's to restart
        await looks.warm(wanted)
        figures = {one["figure"]: one["value"] for one in ratios(looks.times)}
        rows = {name: await _counts(url_of) for name, url_of in made.urls.items()}
    finally:
        keys.close()
        await drop(url)
    # 200 items a cycle; of the running one ten days' lists of 8, the last half done.
    assert rows == {"few": (200 + 200, 200 + 80, 200 + 76), "many": (1000 + 200, 1000 + 80, 1000 + 76)}
    assert all(figures[f"{what}_{how}_p95_ratio"] for what in LOOKS for how in ("cold", "warm"))
    assert figures["todays_list_warm_samples"] == SMALL.guides


async def _counts(url: str) -> tuple[int, ...]:
    connection = await asyncpg.connect(url)
    try:
        return tuple(
            await connection.fetchrow(
                "SELECT (SELECT count(*) FROM daogou.task), (SELECT count(*) FROM daogou.list_item),"
                " (SELECT count(*) FROM daogou.check_in)"
            )
        )
    finally:
        await connection.close()
