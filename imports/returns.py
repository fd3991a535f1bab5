"""Returns from a file: each takes back a purchase that is known, which says who, where, what and who served."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from imports import cells
from imports.checking import Findings, Rule, amount_rules, sift, text_rules, without_duplicates
from imports.columns import required_columns
from imports.moments import moment_rules, with_moment
from imports.purchases import KEY, CheckedPurchases
from imports.reading import LINE
from imports.report import Kind

_TEXTS = ("return_of", "product", "basket")
_SCALE = 1_000
_QUANTITY_BELOW = 10**12
_VALUE_BELOW = 10**15


def check_returns(
    table: pl.DataFrame,
    bought: pl.DataFrame,
    findings: Findings,
    *,
    latest: datetime | None,
    naive_zone: str | None,
) -> CheckedPurchases:
    """Tell the valid rows from the others, as rows of purchases with negative quantity and value.

    Args:
        table: the file's rows under our column names, with `line`; quantities and values of either sign.
        bought: columns return_of, product, member_id, store_id, zone, category, guide_id of the purchases they name.
        findings: takes what is wrong.
        latest: no return may be later than this instant; None in rehearsals.
        naive_zone: IANA zone of times without one; None for the zone of the purchase's store.
    """
    schema = table.schema
    prepared = table.with_columns(
        *(cells.text(name, schema[name]).alias(name) for name in _TEXTS if name in schema),
        *(pl.lit(None, pl.String).alias(name) for name in _TEXTS if name not in schema),
    ).join(bought, on=["return_of", "product"], how="left", maintain_order="left")
    quantity = cells.amount("quantity", schema["quantity"], scale=_SCALE)
    value = cells.amount("value", schema["value"], scale=100)
    prepared = with_moment(
        prepared.with_columns(
            (-quantity.scaled.abs()).alias("_milli"),
            quantity.precise.alias("_quantity_precise"),
            (-value.scaled.abs()).alias("value_minor"),
            value.precise.alias("_value_precise"),
        ),
        "occurred_at",
        naive_zone=naive_zone,
    )
    units = cells.Amount(pl.col("_milli"), pl.col("_quantity_precise"))
    paid = cells.Amount(pl.col("value_minor"), pl.col("_value_precise"))
    there = pl.col("return_of").is_not_null() & pl.col("product").is_not_null()
    rules = [
        *text_rules(_TEXTS, required_columns(Kind.RETURNS)),
        Rule("return_of", "import.unknown_purchase", there & pl.col("member_id").is_null()),
        Rule("quantity", "import.required", cells.empty("quantity", schema["quantity"])),
        Rule("value", "import.required", cells.empty("value", schema["value"])),
        *amount_rules("quantity", schema["quantity"], units, decimals=3, below=_QUANTITY_BELOW),
        *amount_rules("value", schema["value"], paid, decimals=2, below=_VALUE_BELOW),
        Rule("quantity", "import.nothing_returned", pl.col("_milli") == 0),
        *moment_rules("occurred_at", schema["occurred_at"], latest=latest, required=("occurred_at",)),
    ]
    good = sift(prepared, rules, findings)
    rows = good.select(
        LINE,
        pl.coalesce("basket", "return_of").alias("basket"),
        "product",
        pl.lit(value=True).alias("is_return"),
        "member_id",
        "store_id",
        "category",
        "guide_id",
        pl.col("_at_occurred_at").dt.epoch("us").alias("occurred_us"),
        (pl.col("_milli").cast(pl.Decimal(18, 3)) / _SCALE).cast(pl.Decimal(12, 3)).alias("quantity"),
        "value_minor",
        "return_of",
    )
    return CheckedPurchases(*without_duplicates(rows, KEY, findings))
