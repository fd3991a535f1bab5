"""A table that loses nothing on a narrow screen: the columns that do not fit stand below their row, each with its name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.style import StyleType
from rich.table import Column, Table
from rich.text import Text

LEAST_FOLDED = 14
"""A column that may wrap gets at least so many columns of the screen, where it has so much to say."""
LONGEST_WHOLE = 24
"""Words up to this length are not broken: longer ones, as addresses, would push everything else below the row."""
_LATIN = re.compile(r"[!-~]+")
INDENT = 2
GAP = 2
"""What rich puts between columns of ours."""


class FittingTable(Table):
    """Rich's table where everything has room; else as many of its first columns as fit, the others below each row."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it for the width at hand."""
        widths = [_width(console, options, column) for column in self.columns]
        needed = [
            width if column.no_wrap else max(min(width, LEAST_FOLDED), _longest_word(column))
            for width, column in zip(widths, self.columns, strict=True)
        ]
        # Where something wraps, rich would share the width by its own rule, and break words.
        if sum(widths) + GAP * (len(widths) - 1) <= options.max_width or not self.rows:
            yield from super().__rich_console__(console, options)
            return
        count = _first_that_fit(needed, options.max_width)
        shown = needed[:count]
        left = options.max_width - sum(shown) - GAP * (count - 1)
        for at in range(
            count
        ):  # what is left over goes to those that wrap; a first column that is too wide wraps, too
            more = min(left, widths[at] - shown[at])
            shown[at], left = shown[at] + more, left - more
        yield from self._wrapped(console, shown)

    def _wrapped(self, console: Console, widths: Sequence[int]) -> Iterator[RenderableType]:
        columns = self.columns[: len(widths)]
        if self.title:
            yield Text(str(self.title), style="bold")
        yield _line(columns, widths, [column.header for column in columns], "bold")
        yield Text("─" * (sum(widths) + GAP * (len(widths) - 1)))
        cells = [list(column.cells) for column in self.columns]
        for number, row in enumerate(self.rows):
            told = [of_column[number] for of_column in cells]
            yield _line(columns, widths, told[: len(widths)], row.style or "")
            rest = self._rest(console, told, len(widths), row.style or "")
            if rest.plain:
                yield Padding(rest, (0, 0, 0, INDENT))
        if self.caption:
            yield self.caption if isinstance(self.caption, Text) else Text(str(self.caption), style="dim")

    def _rest(self, console: Console, told: Sequence[RenderableType], shown: int, style: StyleType) -> Text:
        """Name and value of what found no room, one after the other; empty cells are left out."""
        rest = Text(overflow="fold")
        for column, cell in zip(self.columns[shown:], told[shown:], strict=True):
            value = cell if isinstance(cell, Text) else Text(console.render_str(str(cell)).plain)
            if not value.plain:
                continue
            rest.append(" · " if rest.plain else "")
            rest.append(f"{column.header} ", style="dim")
            rest.append_text(value)
        rest.stylize_before(style)
        return rest


def _width(console: Console, options: ConsoleOptions, column: Column) -> int:
    """What a column takes to stand on one line."""
    wide = options.update(max_width=1_000)
    every = (column.header, *column.cells)
    return max(Measurement.get(console, wide, cell).maximum for cell in every)


def _longest_word(column: Column) -> int:
    """The longest word in Latin letters, such as a right or a login: it is not broken while the screen has room for it."""
    cells = (cell.plain if isinstance(cell, Text) else str(cell) for cell in column.cells)
    words = (word for cell in cells for word in _LATIN.findall(cell))
    return min(max(map(len, words), default=0), LONGEST_WHOLE)


def _first_that_fit(needed: Sequence[int], width: int) -> int:
    """How many of the first columns fit together; the first one always."""
    count, taken = 1, needed[0]
    while count < len(needed) and taken + GAP + needed[count] <= width:
        taken += GAP + needed[count]
        count += 1
    return count


def _line(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[RenderableType], style: StyleType
) -> Table:
    line = Table.grid(padding=(0, GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        line.add_column(width=width, justify=column.justify, overflow="fold")
    line.add_row(*cells, style=style)
    return line
