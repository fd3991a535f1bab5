"""A board: one table with its basis, in codes and typed values; screens, JSON, workbooks and print all show this one.

A cell is what its column's kind says, or None: no fact of today can tell it ("not recorded"), which is never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from domain.rate import Rate

Kind = Literal["text", "code", "date", "instant", "count", "number", "money", "rate", "flag"]
"""`code`: a word of ours, worded by the column's group; `count`: how many, `number`: any other whole number, as a rank;
`money`: minor units; `instant`: shown on the board's own clock."""
Cell = str | int | bool | date | datetime | Rate | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name is a key of the wording, `boards.columns.<name>`."""

    name: str
    kind: Kind = "count"
    group: str = ""
    """Of a `code`: the group of its words, e.g. outcomes."""
    heading: str = ""
    """A key of the wording to be headed by, where it is not the name's own."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What every figure of a board rests on.

    Attributes:
        since: first business day.
        until: last business day, included.
        at: nothing that occurred or became known later counts.
        position: of the ledger; nothing placed after it counts. None: the board rests on the instant alone.
        time_zone: on whose clock instants are shown.
        complete_until: by kind, up to when its sources have told everything; None: none says so.
        whole: whether this is the whole brand or campaign; else it is of the stores in reach.
    """

    since: date
    until: date
    at: datetime
    position: int | None
    time_zone: str
    complete_until: Mapping[str, datetime | None] = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Board:
    """A table that can be traced: columns, rows in order, and the basis; notes are keys `boards.notes.<note>`.

    `title` fills the gaps of `boards.titles.<name>`.
    """

    name: str
    basis: Basis
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    total: tuple[Cell, ...] | None = None

    def __post_init__(self) -> None:
        for row in (*self.rows, *([] if self.total is None else [self.total])):
            if len(row) != len(self.columns):
                raise ValueError(f"rows: {row!r} does not fit {len(self.columns)} columns")

    def as_json(self) -> dict[str, Any]:
        """For programs: rows by the columns' names, codes as they are, instants with their offset, rates with their counts."""
        basis = self.basis
        return {
            "board": self.name,
            "title": dict(self.title),
            "since": basis.since,
            "until": basis.until,
            "at": basis.at,
            "position": basis.position,
            "time_zone": basis.time_zone,
            "complete_until": dict(basis.complete_until),
            "whole": basis.whole,
            "columns": [{"name": column.name, "kind": column.kind} for column in self.columns],
            "rows": [self._named(row) for row in self.rows],
            "total": None if self.total is None else self._named(self.total),
            "notes": list(self.notes),
        }

    def _named(self, row: Sequence[Cell]) -> dict[str, Any]:
        return {column.name: _plain(value) for column, value in zip(self.columns, row, strict=True)}


def _plain(value: Cell) -> Any:
    if isinstance(value, Rate):
        percent = value.percent()
        return {
            "percent": None if percent is None else float(percent),
            "numerator": value.numerator,
            "denominator": value.denominator,
        }
    return value.isoformat() if isinstance(value, date) else value
