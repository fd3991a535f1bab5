"""Which categories are measured: named beforehand, by a rule that sees the first half of the purchases and no prediction.

The rule: of the goods that keep (`SHELF_DEPARTMENTS`; a file without departments tells by the next condition alone), those
whose members typically buy again after at least two weeks, and of these the ten with the most repeat purchases. Two
weeks: the reminder comes five days before, so for what is bought every week there is nothing to remind of.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from bench.truth.bought import Bought

COUNT = 10
SHORTEST_INTERVAL = 14

NAMED = (
    "EGGS",
    "COLD CEREAL",
    "FRZN MEAT/MEAT DINNERS",
    "FROZEN PIZZA",
    "VEGETABLES - SHELF STABLE",
    "CRACKERS/MISC BKD FD",
    "SOUP",
    "ICE CREAM/MILK/SHERBTS",
    "MILK BY-PRODUCTS",
    "CONDIMENTS/SAUCES",
)
"""What the rule names in The Complete Journey, most repeat purchases first (a test holds the two together)."""

BESIDE = (
    "INFANT FORMULA",
    "DIAPERS & DISPOSABLES",
    "BABY FOODS",
    "COFFEE",
    "BATH TISSUES",
    "PAPER TOWELS",
    "DOG FOODS",
    "CAT FOOD",
    "LAUNDRY DETERGENTS",
    "FD WRAPS/BAGS/TRSH BG",
)
"""Measured beside, without a goal: the demo's playbook and six refills of a household, which a chain would remind of."""


def named_by_rule(bought: Bought, until: date) -> tuple[str, ...]:
    """The ten categories by what was bought before `until`."""
    gaps = (
        bought.before(until)
        .lines.filter(pl.col("quantity") > 0)
        .with_columns(gap=pl.col("day").diff().dt.total_days().over("category", "member"))
        .drop_nulls("gap")
    )
    told = gaps.group_by("category").agg(pl.len().alias("repeats"), pl.col("gap").median().alias("typical"))
    able = told.filter(pl.col("typical") >= SHORTEST_INTERVAL)
    return tuple(able.sort("repeats", "category", descending=[True, False])["category"].head(COUNT))
