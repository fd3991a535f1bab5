"""Stores, guides and members: from a file's cells to master rows."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from domain.identifiers import personal_id
from imports import cells
from imports.checking import Findings, Rule, amount_rules, sift, text_rules, without_duplicates
from imports.columns import required_columns
from imports.report import Kind, Tenant

_TEXTS: dict[Kind, tuple[str, ...]] = {
    Kind.STORES: ("code", "name", "region", "dealer", "time_zone"),
    Kind.GUIDES: ("code", "name", "phone", "store"),
    Kind.MEMBERS: ("code", "name", "phone", "store"),
}
_BASIS_POINTS = 100
_PHONE = r"^\+?[\d\s()-]{5,24}$"
_OPENS, _CLOSES = "09:00:00", "21:00:00"
_ID_KIND = {Kind.STORES: "store", Kind.GUIDES: "guide", Kind.MEMBERS: "member"}


def check_people(
    kind: Kind,
    table: pl.DataFrame,
    stores: pl.DataFrame,
    tenant: Tenant,
    findings: Findings,
    *,
    latest: datetime,
) -> tuple[pl.DataFrame, int]:
    """Tell the valid master rows from the others.

    Args:
        kind: stores, guides or members.
        table: the file's rows under our column names, with `line`.
        stores: columns store, store_id, zone of the stores that exist.
        tenant: whose secret the ids are keyed with.
        findings: takes what is wrong.
        latest: no opt-out may be later than this instant.

    Returns:
        Rows sorted by code with `line`, `id`, `code` and the stage's columns of what the file brings (see
        `imports.masters`), and how many rows repeated another exactly.
    """
    schema = table.schema
    texts = [name for name in _TEXTS[kind] if name in schema]
    prepared = table.with_columns(cells.text(name, schema[name]).alias(name) for name in texts)
    rules = text_rules(texts, required_columns(kind))
    if "phone" in schema:
        rules.append(Rule("phone", "import.not_a_phone", ~pl.col("phone").str.contains(_PHONE)))
    if kind is not Kind.STORES and "store" in schema:
        prepared = prepared.join(stores, on="store", how="left", maintain_order="left")
        unknown = pl.col("store").is_not_null() & pl.col("store_id").is_null()
        rules.append(Rule("store", "import.unknown_store", unknown))
    derive = {Kind.STORES: _stores, Kind.GUIDES: _guides, Kind.MEMBERS: _members}[kind]
    derived, more, kept = derive(prepared, latest)
    good = sift(derived, [*rules, *more], findings)
    rows, repeated = without_duplicates(good.select("line", "code", *kept), ("code",), findings)
    codes = rows["code"].to_list()
    ids = [str(personal_id(tenant.id_secret, _ID_KIND[kind], code)) for code in codes]
    return rows.insert_column(1, pl.Series("id", ids, dtype=pl.String)), repeated


DEFAULT_TIME_ZONE = "Asia/Shanghai"
"""A new store's where the file has no time zone; the table's default says the same."""

_Derived = tuple[pl.DataFrame, list[Rule], list[pl.Expr]]


def _stores(table: pl.DataFrame, _latest: datetime) -> _Derived:
    schema = table.schema
    rules: list[Rule] = []
    kept = [pl.col("name")]
    if "time_zone" in schema:
        known = cells.zones_known(table["time_zone"].drop_nulls().unique().to_list())
        strange = [name for name, there in known.items() if not there]
        rules.append(Rule("time_zone", "import.unknown_time_zone", pl.col("time_zone").is_in(strange)))
        kept.append(pl.col("time_zone").fill_null(DEFAULT_TIME_ZONE))
    kept += [pl.col(name).fill_null("") for name in ("region", "dealer") if name in schema]
    table, place_rules, places = _positions(table)
    hours = {"opens_at": _OPENS, "closes_at": _CLOSES}
    for name, default in hours.items():
        if name not in schema:
            table = table.with_columns(pl.lit(default).alias(f"_{name}"))
            continue
        table = table.with_columns(
            pl.when(cells.empty(name, schema[name]))
            .then(pl.lit(default))
            .otherwise(cells.clock_time(name, schema[name]))
            .alias(f"_{name}")
        )
        rules.append(Rule(name, "import.not_a_time_of_day", pl.col(f"_{name}").is_null()))
        kept.append(pl.col(f"_{name}").alias(name))
    last = "closes_at" if "closes_at" in schema else "opens_at"
    if last in schema:
        rules.append(Rule(last, "import.closes_before_opening", pl.col("_closes_at") <= pl.col("_opens_at")))
    return table, rules + place_rules, kept + places


def _guides(table: pl.DataFrame, _latest: datetime) -> _Derived:
    schema = table.schema
    rules: list[Rule] = []
    kept = [pl.col("name"), pl.col("store_id")]
    if "phone" in schema:
        kept.append(pl.col("phone"))
    if "skills" in schema:
        kept.append(cells.listed("skills").alias("skills"))
    if "performance" in schema:
        points = cells.amount("performance", schema["performance"], scale=_BASIS_POINTS)
        rules += amount_rules("performance", schema["performance"], points, decimals=2, below=10_001)
        rules.append(Rule("performance", "import.below_zero", points.scaled < 0))
        kept.append(points.scaled.fill_null(0).alias("performance"))
    if "active" in schema:
        active = cells.flag("active", schema["active"])
        rules.append(
            Rule(
                "active", "import.not_yes_or_no", ~cells.empty("active", schema["active"]) & active.is_null()
            )
        )
        kept.append(active.fill_null(value=True).alias("active"))
    leave = [name for name in ("on_leave_from", "on_leave_to") if name in schema]
    for name in leave:
        day = cells.date(name, schema[name])
        rules.append(Rule(name, "import.not_a_date", ~cells.empty(name, schema[name]) & day.is_null()))
        kept.append(day.cast(pl.String).alias(name))
    if len(leave) == 2:
        first, last = (cells.date(name, schema[name]) for name in leave)
        rules.append(Rule("on_leave_to", "import.leave_ends_before_it_starts", last < first))
    return table, rules, kept


def _members(table: pl.DataFrame, latest: datetime) -> _Derived:
    schema = table.schema
    kept = [pl.col(name) for name in ("name", "phone") if name in schema]
    if "store" in schema:
        kept.append(pl.col("store_id").alias("home_store_id"))
    if "tags" in schema:
        kept.append(cells.listed("tags").alias("tags"))
    table, rules, places = _positions(table)
    kept += places
    if "opted_out_at" not in schema:
        return table, rules, kept
    dtype = schema["opted_out_at"]
    if "zone" not in table.columns:
        table = table.with_columns(pl.lit(None, pl.String).alias("zone"))
    zones = table["zone"].drop_nulls().unique().sort().to_list()
    table = table.with_columns(
        cells.naive_moment("opted_out_at", dtype).alias("_naive"),
        cells.zoned_moment("opted_out_at", dtype).alias("_zoned"),
        cells.flag("opted_out_at", dtype).alias("opted_out"),
    ).with_columns(pl.coalesce("_zoned", cells.in_zone("_naive", "zone", zones)).alias("_out"))
    there = ~cells.empty("opted_out_at", dtype)
    readable = pl.any_horizontal(pl.col(name).is_not_null() for name in ("_naive", "_zoned", "opted_out"))
    homeless = pl.col("_naive").is_not_null() & pl.col("zone").is_null()
    skipped = pl.col("_naive").is_not_null() & pl.col("zone").is_not_null() & pl.col("_out").is_null()
    rules += [
        Rule("opted_out_at", "import.not_a_time", there & ~readable),
        Rule("opted_out_at", "import.no_time_zone", homeless),
        Rule("opted_out_at", "import.skipped_hour", skipped),
        Rule("opted_out_at", "import.in_future", pl.col("_out") > pl.lit(latest)),
    ]
    kept.append(pl.col("_out").dt.to_string("%Y-%m-%d %H:%M:%S%.6f+00").alias("opted_out_at"))
    kept.append(pl.col("opted_out").fill_null(value=False))
    return table, rules, kept


def _positions(table: pl.DataFrame) -> _Derived:
    rules: list[Rule] = []
    kept: list[pl.Expr] = []
    for name, most in (("latitude", 90), ("longitude", 180)):
        if name in table.columns:
            number = cells.degrees(name)
            there = ~cells.empty(name, table.schema[name])
            rules.append(Rule(name, "import.not_a_number", there & number.is_null()))
            rules.append(Rule(name, "import.not_on_earth", number.abs() > most, {"most": most}))
            kept.append(number.alias(name))
    return table, rules, kept
