"""A board as an Excel workbook: typed cells, frozen headings, set up to be printed on A4.

Text is written as text: nothing anybody typed is ever a formula, a link or a number, whatever it begins with. The same
board gives the same bytes.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from xlsxwriter import Workbook

from domain.board import Board, Cell, Column
from domain.rate import Rate
from sheets.written import NUMBERS, basis_lines, cell, counts, heading, local, notes, title
from wording.catalogue import Catalogue

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
A4 = 9
NARROWEST, WIDEST = 6, 44
LONGEST_NAME = 31
_NO_NAME = re.compile(r"[\[\]:*?/\\']")
"""What Excel takes in no sheet's name."""
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_FORMATS = {
    "count": "#,##0",
    "number": "0",
    "money": "#,##0.00",
    "rate": "0.0%",
    "date": "yyyy-mm-dd",
    "instant": "yyyy-mm-dd hh:mm",
}


def workbook(words: Catalogue, board: Board) -> bytes:
    """The workbook's bytes: title, basis, headings, rows, the total, notes."""
    out = io.BytesIO()
    book = Workbook(out, _OPTIONS)
    made = board.basis.at.astimezone(UTC).replace(tzinfo=None)
    book.set_properties({"title": title(words, board), "created": made})
    _Sheet(words, board, book).write()
    book.close()
    return out.getvalue()


class _Sheet:
    """One sheet of a workbook while it is written."""

    def __init__(self, words: Catalogue, board: Board, book: Any) -> None:
        self._words, self._board, self._book = words, board, book
        self._sheet = book.add_worksheet(_NO_NAME.sub(" ", title(words, board))[:LONGEST_NAME])
        line = {"border": 1, "border_color": "#BFBFBF", "valign": "top"}
        self._text = book.add_format({**line, "num_format": "@", "text_wrap": True})
        self._typed = {kind: book.add_format({**line, "num_format": form}) for kind, form in _FORMATS.items()}
        self._sums = {
            kind: book.add_format({**line, "num_format": form, "bold": True})
            for kind, form in _FORMATS.items()
        }
        self._head = book.add_format({**line, "bold": True, "text_wrap": True, "bg_color": "#F2F2F2"})
        self._bold = book.add_format({**line, "bold": True, "num_format": "@"})
        self._plain = book.add_format({"num_format": "@"})
        self._title = book.add_format({"bold": True, "font_size": 14, "num_format": "@"})

    def write(self) -> None:
        """Everything."""
        words, board, sheet = self._words, self._board, self._sheet
        sheet.write_string(0, 0, title(words, board), self._title)
        row = 1
        for line in basis_lines(words, board):
            sheet.write_string(row, 0, line, self._plain)
            row += 1
        head = row
        for at, (name, _) in enumerate(self._columns()):
            sheet.write_string(head, at, name, self._head)
        for cells in board.rows:
            row += 1
            self._row(row, cells, self._typed, self._text)
        if board.total is not None:
            row += 1
            total = (words("boards.total"), *board.total[1:])
            self._row(row, total, self._sums, self._bold)
        last = row
        for note in notes(words, board):
            row += 1
            sheet.write_string(row + 1, 0, note, self._plain)
        self._set_up(head, last)

    def _columns(self) -> list[tuple[str, Column]]:
        """A rate has a column of its counts beside it: they are what it can be traced by."""
        columns: list[tuple[str, Column]] = []
        for column in self._board.columns:
            name = heading(self._words, column)
            columns.append((name, column))
            if column.kind == "rate":
                columns.append((self._words("boards.of", heading=name), Column(column.name, "text")))
        return columns

    def _row(self, row: int, cells: Sequence[Cell], typed: dict[str, Any], text: Any) -> None:
        at = 0
        for column, value in zip(self._board.columns, cells, strict=True):
            self._cell(row, at, column, value, typed, text)
            at += 1
            if column.kind == "rate":
                told = counts(value) if isinstance(value, Rate) else ""
                self._sheet.write_string(row, at, told, text)
                at += 1

    def _cell(self, row: int, at: int, column: Column, value: Cell, typed: dict[str, Any], text: Any) -> None:
        sheet = self._sheet
        match value:
            case Rate() if value.denominator:
                sheet.write_number(row, at, value.numerator / value.denominator, typed["rate"])
            case bool() | None | str() | Rate():
                sheet.write_string(row, at, cell(self._words, self._board, column, value), text)
            case datetime():
                sheet.write_datetime(
                    row, at, local(self._board, value).replace(tzinfo=None), typed["instant"]
                )
            case date():
                sheet.write_datetime(row, at, datetime.combine(value, datetime.min.time()), typed["date"])
            case int():
                number = value / 100 if column.kind == "money" else value
                sheet.write_number(row, at, number, typed[column.kind])

    def _set_up(self, head: int, last: int) -> None:
        """Frozen headings, widths by content, a filter, and how it is printed."""
        sheet, columns = self._sheet, self._columns()
        sheet.freeze_panes(head + 1, 0)
        sheet.autofilter(head, 0, max(last, head + 1), len(columns) - 1)
        for at, width in enumerate(self._widths()):
            sheet.set_column(at, at, width)
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(head)
        sheet.set_footer(f"&C{self._words('boards.page')}")

    def _widths(self) -> list[int]:
        widths: list[int] = []
        for index, column in enumerate(self._board.columns):
            cells = [_columns_wide(heading(self._words, column)) // (2 if column.kind in NUMBERS else 1)]
            extra = [6]
            for row in self._board.rows:
                value = row[index]
                if isinstance(value, Rate):
                    cells.append(7)
                    extra.append(_columns_wide(counts(value)))
                else:
                    cells.append(_columns_wide(cell(self._words, self._board, column, value)))
            widths.append(_within(max(cells) + 2))
            if column.kind == "rate":
                widths.append(_within(max(extra) + 2))
        return widths


def _within(width: int) -> int:
    return max(NARROWEST, min(width, WIDEST))


def _columns_wide(text: str) -> int:
    """Chinese characters take two columns."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
