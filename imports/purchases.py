"""Purchases: from a file's cells to rows of the fact table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from imports import cells
from imports.checking import Findings, Rule, amount_rules, sift, text_rules, without_duplicates
from imports.columns import required_columns
from imports.reading import LINE
from imports.report import Kind

KEY = ("basket", "product", "is_return")
STAGED = (
    "basket",
    "product",
    "member_id",
    "store_id",
    "category_id",
    "guide_id",
    "occurred_us",
    "quantity",
    "value_minor",
    "return_of",
)
"""Columns of the stage, in the order of the bytes that a batch's root is taken over."""

_TEXTS = ("member", "store", "basket", "product", "category", "guide", "return_of")
_OPTIONAL = ("guide", "return_of")
_QUANTITY_SCALE = 1_000  # numeric(12, 3)
_QUANTITY_BELOW = 10**12
_VALUE_SCALE = 100
_VALUE_BELOW = 10**15


@dataclass(frozen=True, slots=True)
class KnownCodes:
    """The codes a file may name.

    `members` has columns member, member_id; `stores` store, store_id, zone (IANA); `guides` guide, guide_id;
    all String.
    """

    members: pl.DataFrame
    stores: pl.DataFrame
    guides: pl.DataFrame


@dataclass(frozen=True, slots=True)
class CheckedPurchases:
    """Valid rows sorted by `KEY`: `line`, is_return, category (name) and every column of `STAGED` but category_id.

    `repeated` counts rows of the file that say exactly what another one says.
    """

    rows: pl.DataFrame
    repeated: int


EARLIEST_YEAR, LATEST_YEAR = 1970, 2100
"""A till that shows another year is set wrong; one such row would break every estimate made of it."""


def check_purchases(
    table: pl.DataFrame,
    codes: KnownCodes,
    findings: Findings,
    *,
    latest: datetime | None,
    naive_zone: str | None,
) -> CheckedPurchases:
    """Tell the valid rows from the others.

    Args:
        table: the file's rows under our column names, with `line`.
        codes: members, stores and guides that exist.
        findings: takes what is wrong.
        latest: no purchase may be later than this instant; None in rehearsals, where all is history.
        naive_zone: IANA zone of times without one; None for the zone of the row's store.
    """
    missing = [pl.lit(None, pl.String).alias(name) for name in _OPTIONAL if name not in table.columns]
    schema = table.schema
    prepared = table.with_columns(
        *(cells.text(name, schema[name]).alias(name) for name in _TEXTS if name in schema), *missing
    )
    prepared = (
        prepared.join(codes.members, on="member", how="left", maintain_order="left")
        .join(codes.stores, on="store", how="left", maintain_order="left")
        .join(codes.guides, on="guide", how="left", maintain_order="left")
    )
    quantity = cells.amount("quantity", schema["quantity"], scale=_QUANTITY_SCALE)
    value = cells.amount("value", schema["value"], scale=_VALUE_SCALE)
    prepared = prepared.with_columns(
        quantity.scaled.alias("_milli"),
        value.scaled.alias("value_minor"),
        quantity.precise.alias("_quantity_precise"),
        value.precise.alias("_value_precise"),
        cells.naive_moment("occurred_at", schema["occurred_at"]).alias("_naive"),
        cells.zoned_moment("occurred_at", schema["occurred_at"]).alias("_zoned"),
        *([] if naive_zone is None else [pl.lit(naive_zone).alias("zone")]),
    )
    zones = [naive_zone] if naive_zone else codes.stores["zone"].unique().sort().to_list()
    local = cells.in_zone("_naive", "zone", zones)
    prepared = prepared.with_columns(pl.coalesce("_zoned", local).alias("_occurred"))
    good = sift(prepared, _rules(schema, latest), findings)
    rows = good.select(
        LINE,
        "basket",
        "product",
        (pl.col("_milli") < 0).alias("is_return"),
        "member_id",
        "store_id",
        "category",
        "guide_id",
        pl.col("_occurred").dt.epoch("us").alias("occurred_us"),
        (pl.col("_milli").cast(pl.Decimal(18, 3)) / _QUANTITY_SCALE)
        .cast(pl.Decimal(12, 3))
        .alias("quantity"),
        "value_minor",
        "return_of",
    )
    return CheckedPurchases(*without_duplicates(rows, KEY, findings))


def _rules(schema: pl.Schema, latest: datetime | None) -> list[Rule]:
    quantity = cells.Amount(pl.col("_milli"), pl.col("_quantity_precise"))
    value = cells.Amount(pl.col("value_minor"), pl.col("_value_precise"))
    empty_time = cells.empty("occurred_at", schema["occurred_at"])
    readable = pl.col("_naive").is_not_null() | pl.col("_zoned").is_not_null()
    in_known_zone = pl.col("zone").is_not_null()
    rules = [
        *text_rules(_TEXTS, required_columns(Kind.PURCHASES)),
        Rule(
            "member", "import.unknown_member", pl.col("member").is_not_null() & pl.col("member_id").is_null()
        ),
        Rule("store", "import.unknown_store", pl.col("store").is_not_null() & pl.col("store_id").is_null()),
        Rule("guide", "import.unknown_guide", pl.col("guide").is_not_null() & pl.col("guide_id").is_null()),
        Rule("quantity", "import.required", cells.empty("quantity", schema["quantity"])),
        Rule("value", "import.required", cells.empty("value", schema["value"])),
        *amount_rules("quantity", schema["quantity"], quantity, decimals=3, below=_QUANTITY_BELOW),
        *amount_rules("value", schema["value"], value, decimals=2, below=_VALUE_BELOW),
        Rule("value", "import.return_with_revenue", (pl.col("_milli") < 0) & (pl.col("value_minor") > 0)),
        Rule("occurred_at", "import.required", empty_time),
        Rule("occurred_at", "import.not_a_time", ~empty_time & ~readable),
        Rule("occurred_at", "import.skipped_hour", readable & in_known_zone & pl.col("_occurred").is_null()),
    ]
    plausible = pl.col("_occurred").dt.year().is_between(EARLIEST_YEAR, LATEST_YEAR)
    rules.append(
        Rule("occurred_at", "import.implausible_time", pl.col("_occurred").is_not_null() & ~plausible)
    )
    if latest is not None:
        rules.append(Rule("occurred_at", "import.in_future", pl.col("_occurred") > pl.lit(latest)))
    return rules
