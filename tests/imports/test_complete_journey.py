from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from bench.import_purchases import measure, results
from imports.complete_journey import households, purchases_frame, stores
from tests.imports.brand import Database


def test_the_demo_holds_every_purchase_line_of_the_source_in_its_order() -> None:
    frame = purchases_frame()
    assert frame.height == 1_469_307
    assert frame["occurred_at"].is_sorted()
    assert frame.select((pl.col("quantity") == 0).sum(), (pl.col("value") == 0).sum().alias("v")).row(0) == (
        8_869,
        11_226,
    )
    assert frame["quantity"].max() == 89_638
    assert frame["category"].null_count() == 0
    assert frame.select(pl.struct("basket", "product").is_duplicated().any()).item() is False


def test_households_and_stores_are_told_in_numeric_order() -> None:
    assert (len(households()), households()[:3]) == (2_469, ("1", "2", "3"))
    assert len(stores()) == 457
    assert list(stores()) == sorted(stores(), key=int)


async def test_the_bench_measures_an_import_beside_copy(ledger_database: Database, tmp_path: Path) -> None:
    pairs = await measure(
        ledger_database.admin_url, pairs=1, rows=5_000, name=f"bench_{tmp_path.parent.name.replace('-', '_')}"
    )
    figures = {row["figure"]: row for row in json.loads(json.dumps(results(pairs)))}
    assert figures["import_rows"]["value"] == pairs[0].copy.rows == 5_000
    assert figures["import_to_copy_worst"]["goal"] == 0.65
