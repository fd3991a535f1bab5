"""A board on the screen, and as a file beside it: the same table as in JSON, workbook and print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import RenderableType
from rich.text import Text

from cli.layout import heading as screen_heading
from cli.layout import number, table
from cli.session import Session
from domain.board import Board
from domain.errors import Problem, Refused
from sheets.printed import printed
from sheets.workbook import workbook
from sheets.written import NUMBERS, basis_lines, cell, heading, notes, title

_Command = TypeVar("_Command", bound=Callable[..., Any])

OUTPUTS = (
    click.option(
        "--xlsx",
        type=click.Path(path_type=Path, dir_okay=False),
        help="另存为 Excel 工作簿 / write an Excel workbook, too.",
    ),
    click.option(
        "--print",
        "page",
        type=click.Path(path_type=Path, dir_okay=False),
        help="另存为 A4 打印页（HTML）/ write a page to print on A4 (HTML), too.",
    ),
)


def output_options(command: _Command) -> _Command:
    """`--xlsx FILE` and `--print FILE`."""
    for option in reversed(OUTPUTS):
        command = option(command)
    return command


def show(session: Session, board: Board, xlsx: Path | None, page: Path | None, *, after: str = "") -> None:
    """Write the files that are asked for, and print the board; `after`: there is more, from there on.

    Raises:
        Refused: a file cannot be written.
    """
    words = session.words
    written: list[RenderableType] = []
    if xlsx is not None:
        _write(xlsx, workbook(words, board))
        written.append(words("boards.written", file=xlsx, rows=number(len(board.rows))))
    if page is not None:
        _write(page, printed(words, board).encode())
        written.append(words("boards.written", file=page, rows=number(len(board.rows))))
    more = [words("boards.more", after=after)] if after else []
    session.show(board.as_json() | {"next": after or None}, *screen(session, board), *more, *written)


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Refused([Problem("FILE", str(path), "board_unwritable", {"why": why})]) from error


def screen(session: Session, board: Board) -> Iterator[RenderableType]:
    """Title, basis, table, notes."""
    words = session.words
    yield screen_heading(title(words, board))
    for line in basis_lines(words, board):
        yield Text(line, style="dim")
    if board.rows:
        right = [at for at, column in enumerate(board.columns) if column.kind in NUMBERS]
        made = table(*(heading(words, column) for column in board.columns), right=right)
        for row in board.rows:
            made.add_row(
                *(cell(words, board, column, value) for column, value in zip(board.columns, row, strict=True))
            )
        if board.total is not None:
            sums = [
                cell(words, board, column, value)
                for column, value in zip(board.columns, board.total, strict=True)
            ]
            made.add_row(words("boards.total"), *sums[1:], style="bold")
        yield made
    else:
        yield words("boards.none")
    for note in notes(words, board):
        yield Text(f"· {note}", style="dim")
