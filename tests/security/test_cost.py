"""The benchmark of row-level security runs, and says what it measured."""

from __future__ import annotations

from pathlib import Path

from bench.rows import Size, measure, results
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress


async def test_the_cost_of_row_level_security_is_measured(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], tmp_path: Path
) -> None:
    _, address = postgres
    measured = await measure(
        address.url("postgres"), Size(pairs=1, items=4), home=tmp_path, name="bench_rows_smoke"
    )
    told = {str(one["figure"]): one["value"] for one in results(measured)}
    assert {
        "check_in_rows_ratio",
        "check_in_rows_ratio_unflushed",
        "todays_list_rows_ratio",
        "sign_on_guide_us",
        "sign_on_hq_us",
    } <= set(told)
    assert all(isinstance(value, int | float) and value > 0 for value in told.values())
