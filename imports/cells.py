"""Cells to values, a column at a time: text, amounts, flags, dates, times, instants.

Each function takes a column and answers expressions; null where a cell is empty or cannot be read, so
that the caller tells the two apart by the text beside it. Types in comments are polars'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

_NUMBER = r"^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?$"
_OFFSET = r"(Z|z|[+-]\d{2}:?\d{2})$"
_MOMENT = pl.Datetime("us")
_YES = ("yes", "y", "true", "1", "是", "在职", "启用", "退订")
_NO = ("no", "n", "false", "0", "否", "离职", "停用")


@dataclass(frozen=True, slots=True)
class Amount:
    """A column of amounts: `scaled` (Int64, amount × scale, null if unreadable) and `precise` (Boolean).

    `precise` is false where the amount has more decimals than the scale holds.
    """

    scaled: pl.Expr
    precise: pl.Expr


def text(column: str, dtype: pl.DataType) -> pl.Expr:
    """Trimmed text (String), null where empty; a whole float such as Excel's 123.0 reads as `123`."""
    raw = pl.col(column)
    if dtype == pl.String:
        trimmed = raw.str.strip_chars()
        return pl.when(trimmed != "").then(trimmed)
    if dtype.is_float():
        whole = raw.cast(pl.Int64, strict=False)
        return pl.when(raw == whole).then(whole.cast(pl.String)).otherwise(raw.cast(pl.String))
    return raw.cast(pl.String)


def empty(column: str, dtype: pl.DataType) -> pl.Expr:
    """Whether a cell is empty (Boolean); cheaper than `text` for columns that are not text."""
    return text(column, dtype).is_null() if dtype == pl.String else pl.col(column).is_null()


def amount(column: str, dtype: pl.DataType, *, scale: int) -> Amount:
    """Amounts as whole numbers of 1/scale (100 for money, 1,000 for quantities).

    Text may carry a currency sign, a percent sign and commas between thousands. NaN, infinities and
    what is beyond 2**53 / scale are unreadable.
    """
    if dtype.is_integer():
        whole = pl.col(column).cast(pl.Int64, strict=False)
        small = whole.abs() <= 2**53 // scale
        return Amount(pl.when(small).then(whole * scale), pl.lit(value=True))
    if dtype == pl.String:
        plain = pl.col(column).str.strip_chars().str.strip_prefix("¥").str.strip_prefix("￥")
        plain = plain.str.strip_suffix("%").str.strip_suffix("％").str.strip_chars()
        digits = pl.when(plain.str.contains(_NUMBER)).then(plain.str.replace_all(",", "", literal=True))
        number = digits.cast(pl.Float64, strict=False)
    else:
        number = pl.col(column).cast(pl.Float64, strict=False)
    times = number * scale
    nearest = times.round(0)
    readable = times.is_finite() & (times.abs() <= 2**53)
    # A double nearest to a decimal is off by at most half a unit in its last place, 1.1e-16 of it.
    near = (times - nearest).abs() <= pl.max_horizontal(times.abs() * 1e-14, pl.lit(1e-7))
    return Amount(pl.when(readable).then(nearest).cast(pl.Int64, strict=False), near)


def degrees(column: str) -> pl.Expr:
    """Latitude or longitude (Float64), null if unreadable or not finite."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def flag(column: str, dtype: pl.DataType) -> pl.Expr:
    """Yes or no (Boolean) in English, Chinese or digits; null if neither."""
    if dtype == pl.Boolean:
        return pl.col(column)
    word = text(column, dtype).str.to_lowercase()
    return pl.when(word.is_in(_YES)).then(pl.lit(value=True)).when(word.is_in(_NO)).then(pl.lit(value=False))


def listed(column: str) -> pl.Expr:
    """Names separated by ; , 、 or their full-width forms, as the text of a PostgreSQL array (String)."""
    one = pl.col(column).cast(pl.String).fill_null("").str.replace_all(r"[；，、,]", ";").str.split(";")
    name = pl.element().str.strip_chars()
    escaped = name.str.replace_all("\\", "\\\\", literal=True).str.replace_all('"', '\\"', literal=True)
    quoted = one.list.eval(pl.format('"{}"', escaped).filter(name != ""))
    return pl.lit("{") + quoted.list.join(",") + pl.lit("}")


def clock_time(column: str, dtype: pl.DataType) -> pl.Expr:
    """Time of day (String, HH:MM:SS); Excel puts a date before it."""
    if dtype == pl.Time:
        return pl.col(column).dt.to_string("%H:%M:%S")
    parts = text(column, dtype).str.extract_groups(
        r"^(?:\d{4}-\d{1,2}-\d{1,2}[ T])?(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.0+)?$"
    )
    hour, minute, second = (parts.struct.field(str(n)).cast(pl.Int64) for n in (1, 2, 3))
    second = second.fill_null(0)
    valid = (hour < 24) & (minute < 60) & (second < 60)
    return pl.when(valid).then(pl.time(hour, minute, second).dt.to_string("%H:%M:%S"))


def naive_moment(column: str, dtype: pl.DataType) -> pl.Expr:
    """Date and time without a zone (Datetime us), null where there is one or it cannot be read."""
    if isinstance(dtype, pl.Datetime):
        return pl.col(column).cast(_MOMENT) if dtype.time_zone is None else pl.lit(None, _MOMENT)
    if dtype == pl.Date:
        return pl.col(column).cast(_MOMENT)
    plain = _plain_moment(column, dtype)
    return pl.coalesce(
        plain.str.to_datetime(pattern, strict=False, time_unit="us")
        for pattern in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
    )


def zoned_moment(column: str, dtype: pl.DataType) -> pl.Expr:
    """Instant of a cell that says its own offset (Datetime us UTC), null elsewhere."""
    utc = pl.Datetime("us", "UTC")
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return pl.col(column).dt.convert_time_zone("UTC").cast(utc)
    if dtype != pl.String:
        return pl.lit(None, utc)
    plain = _plain_moment(column, dtype).str.replace(r"[Zz]$", "+00:00")
    has_offset = plain.str.contains(r"\d:\d{2}.*" + _OFFSET)
    moments = pl.coalesce(
        plain.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
        for pattern in ("%Y-%m-%d %H:%M:%S%.f%z", "%Y-%m-%d %H:%M%z")
    )
    return pl.when(has_offset).then(moments)


def in_zone(naive: str, zone: str, zones: Sequence[str]) -> pl.Expr:
    """The instants (Datetime us UTC) of local times in column `naive`, by the zone named in column `zone`.

    A time the clock shows twice is its first; one it skips is null.
    """
    none = pl.lit(None, pl.Datetime("us", "UTC"))
    if not zones:
        return none
    return pl.coalesce(
        pl.when(pl.col(zone) == name).then(
            pl.col(naive)
            .dt.replace_time_zone(name, ambiguous="earliest", non_existent="null")
            .dt.convert_time_zone("UTC")
        )
        for name in zones
    )


def date(column: str, dtype: pl.DataType) -> pl.Expr:
    """Calendar date (Date); a time after it is dropped."""
    return naive_moment(column, dtype).dt.date()


def zones_known(names: Sequence[str]) -> Mapping[str, bool]:
    """Which of the names are IANA time zones here."""
    known: dict[str, bool] = {}
    probe = pl.Series([0]).cast(_MOMENT)
    for name in names:
        try:
            probe.dt.replace_time_zone(name)
        except pl.exceptions.PolarsError:
            known[name] = False
        else:
            known[name] = True
    return known


def _plain_moment(column: str, dtype: pl.DataType) -> pl.Expr:
    plain = (
        text(column, dtype).str.replace_all("/", "-", literal=True).str.replace(r"^([\d-]{8,10})[Tt]", "$1 ")
    )
    return plain.str.replace(r"\s+([+-]\d{2}:?\d{2}|[Zz])$", "$1")
