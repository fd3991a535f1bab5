"""Instants of a file: with their offset, or by the clocks of a zone that stands in the column `zone`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from imports import cells
from imports.checking import Rule
from imports.purchases import EARLIEST_YEAR, LATEST_YEAR


def with_moment(frame: pl.DataFrame, column: str, *, naive_zone: str | None) -> pl.DataFrame:
    """The frame with `_at_<column>` (Datetime us UTC), null where there is none, and what `moment_rules` looks at.

    Args:
        frame: with the column `zone` (IANA) where `naive_zone` is None.
        column: of instants.
        naive_zone: zone of times that name none; None: the row's `zone`.
    """
    dtype = frame.schema[column]
    zone = pl.col("zone") if naive_zone is None else pl.lit(naive_zone)
    made = frame.with_columns(
        cells.naive_moment(column, dtype).alias(f"_naive_{column}"),
        cells.zoned_moment(column, dtype).alias(f"_zoned_{column}"),
        zone.alias("_zone"),
    )
    zones = made["_zone"].drop_nulls().unique().sort().to_list()
    local = cells.in_zone(f"_naive_{column}", "_zone", zones)
    return made.with_columns(pl.coalesce(f"_zoned_{column}", local).alias(f"_at_{column}"))


def moment_rules(
    column: str, dtype: pl.DataType, *, latest: datetime | None, required: Sequence[str]
) -> list[Rule]:
    """Rules for a column of instants: there where required, readable, plausible, not in the future."""
    empty = cells.empty(column, dtype)
    readable = pl.col(f"_naive_{column}").is_not_null() | pl.col(f"_zoned_{column}").is_not_null()
    at = pl.col(f"_at_{column}")
    rules = [Rule(column, "import.required", empty)] if column in required else []
    rules += [
        Rule(column, "import.not_a_time", ~empty & ~readable),
        Rule(column, "import.skipped_hour", readable & pl.col("_zone").is_not_null() & at.is_null()),
        Rule(
            column,
            "import.implausible_time",
            at.is_not_null() & ~at.dt.year().is_between(EARLIEST_YEAR, LATEST_YEAR),
        ),
    ]
    if latest is not None:
        rules.append(Rule(column, "import.in_future", at > pl.lit(latest)))
    return rules
