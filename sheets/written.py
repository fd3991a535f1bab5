"""The words of a board: its title, headings and cells as text, in one language. Screens, workbooks and print share them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from domain.board import Board, Cell, Column
from domain.rate import Rate
from wording.catalogue import Catalogue

NUMBERS = frozenset({"count", "number", "money", "rate"})
"""Kinds that stand at the right of their column."""


def title(words: Catalogue, board: Board) -> str:
    """What the board is of."""
    gaps = {name: words.code(f"boards.{name}", told) for name, told in board.title.items()}
    return words(f"boards.titles.{board.name}", **gaps)


def heading(words: Catalogue, column: Column) -> str:
    """Of a column."""
    return words(column.heading or f"boards.columns.{column.name}")


def local(board: Board, instant: datetime) -> datetime:
    """The instant on the board's clock."""
    return instant.astimezone(ZoneInfo(board.basis.time_zone))


def cell(  # noqa: PLR0911 - one line a kind
    words: Catalogue, board: Board, column: Column, value: Cell
) -> str:
    """A cell as people read it; a rate with its counts."""
    match value:
        case None:
            return words("boards.not_recorded")
        case bool():
            return words("boards.flag_yes" if value else "boards.flag_no")
        case Rate():
            percent = value.percent()
            return "—" if percent is None else f"{percent} % ({counts(value)})"
        case datetime():
            return f"{local(board, value):%Y-%m-%d %H:%M}"
        case date():
            return value.isoformat()
        case int() if column.kind == "money":
            return f"{Decimal(value) / 100:,.2f}"
        case int():
            return f"{value:,}"
    return words.code(column.group, value) if column.kind == "code" else str(value)


def counts(rate: Rate) -> str:
    """The counts of a rate, as text."""
    return f"{rate.numerator:,}/{rate.denominator:,}"


def basis_lines(words: Catalogue, board: Board) -> Iterator[str]:
    """What every figure rests on: the days, the moment, up to when the data is complete, and how to ask again."""
    basis = board.basis
    at = local(board, basis.at)
    line = words(
        "boards.basis", since=basis.since, until=basis.until, at=f"{at:%Y-%m-%d %H:%M}", zone=basis.time_zone
    )
    if basis.position is not None:
        line += f" · {words('boards.position', position=f'{basis.position:,}')}"
    yield line if basis.whole else f"{line} · {words('boards.part')}"
    told = [
        words("complete.kind", kind=words.code("data", kind), at=f"{local(board, until):%Y-%m-%d %H:%M}")
        for kind, until in basis.complete_until.items()
        if until is not None
    ]
    untold = [words.code("data", kind) for kind, until in basis.complete_until.items() if until is None]
    if told:
        yield words("complete.until", zone=basis.time_zone, kinds=" · ".join(told))
    if untold:
        yield words("complete.untold", kinds=words("comma").join(untold))
    if basis.position is None:
        yield words("boards.again_at", at=basis.at.isoformat())
    else:
        yield words("boards.again", at=basis.at.isoformat(), position=basis.position)


def notes(words: Catalogue, board: Board) -> list[str]:
    """How the board is to be read."""
    return [words(f"boards.notes.{note}") for note in board.notes]
