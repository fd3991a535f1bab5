"""Pieces every screen is laid out with: tables whose numbers line up, labelled lines, numbers as text."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich import box
from rich.table import Table
from rich.text import Text

from cli.fitting import FittingTable
from domain.rate import Rate

NOTHING = "—"


def number(value: int) -> str:
    """1,234."""
    return f"{value:,}"


def money(minor: int) -> str:
    """Minor units as 1,234.50."""
    return f"{Decimal(minor) / 100:,.2f}"


def percent(rate: Rate) -> str:
    """78.6 %; a dash where there is nothing to divide by."""
    value = rate.percent()
    return NOTHING if value is None else f"{value} %"


def counts(rate: Rate) -> str:
    """The counts behind a rate."""
    return f"{rate.numerator:,} / {rate.denominator:,}"


def table(*columns: str, right: Sequence[int] = (), title: str = "", fold: Sequence[int] = ()) -> Table:
    """A table without a frame; `right` names the columns of numbers, `fold` those that may wrap.

    Where the screen is too narrow the last columns go below their rows, so the most telling ones stand first.
    """
    made = FittingTable(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", title=title or None,
        title_justify="left", title_style="bold",
    )  # fmt: skip
    for at, name in enumerate(columns):
        made.add_column(
            name,
            justify="right" if at in right else "left",
            no_wrap=at not in fold,
            overflow="fold" if at in fold else "ellipsis",
        )
    return made


def labelled(*rows: tuple[str, str | Text]) -> Table:
    """Lines with a label before each; long ones wrap beside it."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, text if isinstance(text, Text) else Text(text))
    return grid


def heading(text: str) -> Text:
    """A heading of a part of a screen."""
    return Text(text, style="bold cyan")
