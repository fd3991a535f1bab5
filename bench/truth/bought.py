"""Purchases to predict from: the year of the demo, or another retailer's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import polars as pl

from domain.replenishment import Purchase
from imports.complete_journey import (
    NAIVE_ZONE,
    STORE_TIME_ZONE,
    UNKNOWN_CATEGORY,
    departments,
    purchases_frame,
)
from imports.reading import read_table
from imports.report import Kind

SHELF_DEPARTMENTS = ("GROCERY", "DRUG GM")
"""Departments of the demo's catalogue whose goods keep: no produce, meat, deli, pastry, flowers, fuel."""

Histories = Mapping[str, Sequence[Purchase]]
"""Member to what was bought of one category, a line a day, in order of days; members in order of their codes."""


@dataclass(frozen=True)
class Bought:
    """What members bought: columns category, member, day, quantity (net of the day), sorted by them."""

    lines: pl.DataFrame

    @cached_property
    def first(self) -> date:
        """The first day."""
        return _day(self.lines["day"].min())

    @cached_property
    def last(self) -> date:
        """The last day."""
        return _day(self.lines["day"].max())

    def of(self, categories: Sequence[str]) -> Bought:
        """These categories only."""
        return Bought(self.lines.filter(pl.col("category").is_in(list(categories))))

    def before(self, day: date) -> Bought:
        """What was bought before `day`: all that may be known on its morning."""
        return Bought(self.lines.filter(pl.col("day") < day))

    def histories(self) -> Iterator[tuple[str, Histories]]:
        """Category by category."""
        for (category,), lines in self.lines.group_by("category", maintain_order=True):
            members: dict[str, list[Purchase]] = {}
            for member, day, quantity in lines.select("member", "day", "quantity").iter_rows():
                members.setdefault(member, []).append(Purchase(day, Decimal(str(quantity))))
            yield str(category), members


def of_the_demo() -> Bought:
    """The Complete Journey's shelf goods, in the local days of its stores."""
    shelf = departments().filter(pl.col("department").is_in(SHELF_DEPARTMENTS)).select("product")
    frame = purchases_frame().join(shelf, on="product", how="semi")
    local = pl.col("occurred_at").dt.replace_time_zone(NAIVE_ZONE).dt.convert_time_zone(STORE_TIME_ZONE)
    return netted(frame.filter(pl.col("category") != UNKNOWN_CATEGORY).with_columns(day=local.dt.date()))


def of_file(path: Path, zone: str | None) -> Bought:
    """A file of purchases as `daogou import purchases` takes it; times without a zone are local already."""
    frame = read_table(path, Kind.PURCHASES).frame
    at, kind = pl.col("occurred_at"), frame.schema["occurred_at"]
    if kind == pl.String:
        day = at.str.strip_chars().str.slice(0, 10).str.replace_all("/", "-").str.to_date()
    elif isinstance(kind, pl.Datetime) and kind.time_zone is not None and zone is not None:
        day = at.dt.convert_time_zone(zone).dt.date()
    else:
        day = at.cast(pl.Date)
    return netted(frame.with_columns(day=day, quantity=pl.col("quantity").cast(pl.Float64)))


def netted(frame: pl.DataFrame) -> Bought:
    """Lines of member, category, day and quantity, netted per day; days on which nothing remains are gone."""
    lines = frame.group_by("category", pl.col("member").cast(pl.String), "day").agg(pl.col("quantity").sum())
    return Bought(lines.filter(pl.col("quantity") != 0).sort("category", "member", "day"))


def sampled(bought: Bought, members: int) -> Bought:
    """The purchases of so many members only (tests)."""
    kept = bought.lines["member"].unique().sort().head(members)
    return Bought(bought.lines.filter(pl.col("member").is_in(kept.implode())))


def half(bought: Bought) -> date:
    """The first day of the second half: categories are named and choices made on what lies before it."""
    return bought.first + timedelta(days=((bought.last - bought.first).days + 2) // 2)


def _day(value: object) -> date:
    if not isinstance(value, date):
        raise SystemExit("there are no purchases: nothing would be measured")
    return value
