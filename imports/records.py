"""What systems of record say, from a file's cells: calls, friends, redemptions, visits.

A member is named by code or by phone number; a number is looked up before the rows are checked, and dropped with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from imports import cells
from imports.checking import Findings, Rule, amount_rules, sift, text_rules, without_duplicates
from imports.columns import required_columns
from imports.moments import moment_rules, with_moment
from imports.reading import LINE
from imports.report import Kind

RECORDS = (Kind.CALLS, Kind.FRIENDS, Kind.REDEMPTIONS, Kind.VISITS)
KEY = ("key", "revision")
STAGED = (
    "key",
    "revision",
    "voided",
    "guide_id",
    "member_id",
    "also",
    "store_id",
    "occurred_us",
    "ended_us",
    "seconds",
    "answered",
    "code",
    "value_minor",
)
"""Columns of the stage, in the order of the bytes that a batch's root is taken over."""
NAMED = ("number", "named")
"""How a number named the member; both null where a code did. In no stage and under no root."""
_TEXTS = ("key", "guide", "member", "phone", "store", "code")
_PHONE = r"^\+?[\d\s()-]{5,24}$"
_KEY = r"^[\x21-\x7e]+$"
_TAIL = 6
"""Last digits of a number, which no key may hold."""
_SECONDS_BELOW = 10**6
_VALUE_BELOW = 10**15
_REVISION_BELOW = 2**53


@dataclass(frozen=True, slots=True)
class RecordCodes:
    """What a file may name; all String.

    `members` has columns member, member_id; `phones` phone, of_phone (a member's id), also (the others of the number, as
    text of an array), number (its digits), named (what a record keeps of it, in hex: `ledger.naming`); `stores` store, store_id, zone; `guides` guide, guide_id, guide_zone. `digest` makes the digest of
    a voucher's code, in hex.
    """

    members: pl.DataFrame
    phones: pl.DataFrame
    stores: pl.DataFrame
    guides: pl.DataFrame
    digest: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class CheckedRecords:
    """Valid rows sorted by `KEY`, with `line`, `STAGED` and `NAMED`; rows that repeat another, and rows of nobody's numbers."""

    rows: pl.DataFrame
    repeated: int
    outside: int


def check_records(
    kind: Kind,
    table: pl.DataFrame,
    codes: RecordCodes,
    findings: Findings,
    *,
    latest: datetime,
    naive_zone: str | None,
) -> CheckedRecords:
    """Tell the valid rows from the others.

    Args:
        kind: one of `RECORDS`.
        table: the file's rows under our column names, with `line`.
        codes: who and what exists.
        findings: takes what is wrong.
        latest: nothing may have occurred later than this instant.
        naive_zone: IANA zone of times without one; None for the zone of the row's store, or of its guide's.
    """
    schema = table.schema
    texts = [name for name in _TEXTS if name in schema]
    prepared = table.with_columns(
        *(cells.text(name, schema[name]).alias(name) for name in texts),
        *(pl.lit(None, pl.String).alias(name) for name in _TEXTS if name not in schema),
    )
    prepared = (
        prepared.join(codes.members, on="member", how="left", maintain_order="left")
        .join(codes.phones, on="phone", how="left", maintain_order="left")
        .join(codes.stores, on="store", how="left", maintain_order="left")
        .join(codes.guides, on="guide", how="left", maintain_order="left")
        .with_columns(pl.coalesce("zone", "guide_zone").alias("zone"))
    )
    prepared = with_moment(prepared, "occurred_at", naive_zone=naive_zone)
    rules = [
        *text_rules(texts, required_columns(kind)),
        *_names(prepared),
        *moment_rules("occurred_at", schema["occurred_at"], latest=latest, required=("occurred_at",)),
    ]
    prepared, more = _content(kind, prepared, codes, latest=latest, naive_zone=naive_zone)
    good = sift(prepared, [*rules, *more], findings)
    inside = good.filter(pl.col("_member").is_not_null())
    rows = inside.select(
        LINE,
        _key(kind),
        pl.coalesce("_revision", "_recorded", "ended_us", pl.lit(0)).alias("revision"),
        pl.col("_voided").alias("voided"),
        "guide_id",
        pl.col("_member").alias("member_id"),
        pl.col("also").fill_null("{}"),
        "store_id",
        pl.col("_at_occurred_at").dt.epoch("us").alias("occurred_us"),
        "ended_us",
        pl.col("_seconds").alias("seconds"),
        pl.col("_answered").alias("answered"),
        pl.col("_code").alias("code"),
        "value_minor",
        *NAMED,
    )
    once, repeated = without_duplicates(rows, KEY, findings)
    return CheckedRecords(once, repeated, good.height - inside.height)


def _key(kind: Kind) -> pl.Expr:
    """The key of the system, or what names the thing as well: a friend by both and when, a redemption by its code."""
    told = pl.col("key")
    if kind is Kind.FRIENDS:
        made = pl.concat_str(
            "guide_id", pl.col("_member"), pl.col("_at_occurred_at").dt.epoch("us"), separator=":"
        )
        return pl.coalesce(told, made).alias("key")
    if kind is Kind.REDEMPTIONS:
        return pl.coalesce(told, pl.lit("code:") + pl.col("_code").str.slice(2, 32)).alias("key")
    return told


def _names(frame: pl.DataFrame) -> list[Rule]:
    member, phone = pl.col("member"), pl.col("phone")
    which = "member" if "member" in frame.columns else "phone"
    tail = phone.str.replace_all(r"\D", "").str.slice(-_TAIL)
    return [
        Rule("member", "import.unknown_member", member.is_not_null() & pl.col("member_id").is_null()),
        Rule("guide", "import.unknown_guide", pl.col("guide").is_not_null() & pl.col("guide_id").is_null()),
        Rule("store", "import.unknown_store", pl.col("store").is_not_null() & pl.col("store_id").is_null()),
        Rule(which, "import.member_or_phone", member.is_null() == phone.is_null()),
        Rule("phone", "import.not_a_phone", ~phone.str.contains(_PHONE)),
        Rule("key", "import.not_a_key", ~pl.col("key").str.contains(_KEY)),
        Rule(
            "key",
            "import.key_personal",
            # A number is one however it is broken up.
            (tail.str.len_chars() > 0)
            & pl.col("key").str.replace_all(r"\D", "").str.contains(tail, literal=True),
        ),
    ]


def _content(
    kind: Kind, frame: pl.DataFrame, codes: RecordCodes, *, latest: datetime, naive_zone: str | None
) -> tuple[pl.DataFrame, list[Rule]]:
    """What the kind says, and the revision; columns that a kind has not are null."""
    schema = frame.schema
    rules: list[Rule] = []
    columns: list[pl.Expr] = [pl.coalesce("member_id", "of_phone").alias("_member")]

    def whole(name: str, *, below: int) -> pl.Expr:
        if name not in schema:
            return pl.lit(None, pl.Int64)
        number = cells.amount(name, schema[name], scale=1)
        rules.extend(amount_rules(name, schema[name], number, decimals=0, below=below))
        rules.append(Rule(name, "import.below_zero", number.scaled < 0))
        return number.scaled

    def flag(name: str) -> pl.Expr:
        if name not in schema:
            return pl.lit(None, pl.Boolean)
        read = cells.flag(name, schema[name])
        rules.append(Rule(name, "import.not_yes_or_no", ~cells.empty(name, schema[name]) & read.is_null()))
        return read

    def moment(name: str) -> pl.Expr:
        nonlocal frame
        if name not in schema:
            return pl.lit(None, pl.Int64)
        frame = with_moment(frame, name, naive_zone=naive_zone)
        rules.extend(moment_rules(name, schema[name], latest=latest, required=()))
        return pl.col(f"_at_{name}").dt.epoch("us")

    columns += [
        whole("revision", below=_REVISION_BELOW).alias("_revision"),
        moment("recorded_at").alias("_recorded"),
        flag("voided").fill_null(value=False).alias("_voided"),
        (moment("removed_at") if kind is Kind.FRIENDS else pl.lit(None, pl.Int64)).alias("ended_us"),
    ]
    if kind is Kind.CALLS:
        seconds = whole("seconds", below=_SECONDS_BELOW)
        rules.append(Rule("seconds", "import.required", cells.empty("seconds", schema["seconds"])))
        columns += [seconds.alias("_seconds"), pl.coalesce(flag("answered"), seconds > 0).alias("_answered")]
    else:
        columns += [pl.lit(None, pl.Int64).alias("_seconds"), pl.lit(None, pl.Boolean).alias("_answered")]
    if kind is Kind.REDEMPTIONS:
        rules.append(Rule("key", "import.key_or_code", pl.col("key").is_null() & pl.col("code").is_null()))
        told = frame["code"].drop_nulls().unique().to_list()
        digests = {code: f"\\x{codes.digest(code)}" for code in told}
        columns.append(
            pl.col("code").replace_strict(digests, default=None, return_dtype=pl.String).alias("_code")
        )
    else:
        columns.append(pl.lit(None, pl.String).alias("_code"))
    if "value" in schema:
        value = cells.amount("value", schema["value"], scale=100)
        rules += amount_rules("value", schema["value"], value, decimals=2, below=_VALUE_BELOW)
        rules.append(Rule("value", "import.below_zero", value.scaled < 0))
        columns.append(value.scaled.alias("value_minor"))
    else:
        columns.append(pl.lit(None, pl.Int64).alias("value_minor"))
    return frame.with_columns(*columns), rules
