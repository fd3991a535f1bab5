"""A board as a page to print: HTML for A4, with headings that come again on every page. It loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape

from domain.board import Board, Cell
from domain.rate import Rate
from sheets.written import NUMBERS, basis_lines, cell, heading, notes, title
from wording.catalogue import Catalogue

MEDIA_TYPE = "text/html"
STYLE = """
@page { size: A4 landscape; margin: 12mm 10mm 14mm; @bottom-center { content: counter(page) " / " counter(pages); font-size: 8pt; } }
* { box-sizing: border-box; }
body { margin: 0; font: 9.5pt/1.35 "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Zen Hei", sans-serif; color: #111; }
h1 { font-size: 14pt; margin: 0 0 2mm; }
p { margin: 0 0 0.6mm; color: #333; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; margin: 3mm 0; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
th, td { border: 0.25mm solid #999; padding: 0.8mm 1.4mm; text-align: left; vertical-align: top; overflow-wrap: break-word; }
th { background: #eee; print-color-adjust: exact; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { white-space: nowrap; }
.wide { font-size: 7.5pt; }
.wide th, .wide td { padding: 0.5mm 0.8mm; }
.none { color: #777; }
tfoot td { font-weight: bold; }
tfoot { display: table-row-group; }
ul { margin: 0; padding-left: 4mm; color: #333; }
"""
WIDE = 11
"""Columns from which a table is set smaller, so that it stays as wide as the paper."""
_WIDE = ' class="wide"'
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'"
"""Of the page: its own style and nothing else."""


def printed(words: Catalogue, board: Board) -> str:
    """The page."""
    return "".join(_parts(words, board))


def _parts(words: Catalogue, board: Board) -> Iterator[str]:
    language = "zh-CN" if words.language == "zh" else "en"
    name = escape(title(words, board))
    yield f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{name}</title>'
    yield f"<style>{STYLE}</style></head>\n<body><h1>{name}</h1>\n"
    for line in basis_lines(words, board):
        yield f"<p>{escape(line)}</p>\n"
    yield f"<table{_WIDE if len(board.columns) > WIDE else ''}><thead><tr>"
    for column in board.columns:
        yield f"<th{_side(column.kind)}>{escape(heading(words, column))}</th>"
    yield "</tr></thead>\n<tbody>\n"
    for row in board.rows:
        yield _row(words, board, row)
    yield "</tbody>"
    if board.total is not None:
        yield f"<tfoot>{_row(words, board, (words('boards.total'), *board.total[1:]))}</tfoot>"
    yield "</table>\n"
    if not board.rows:
        yield f"<p>{escape(words('boards.none'))}</p>\n"
    yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes(words, board)) + "</ul>"
    yield "</body></html>\n"


def _side(kind: str) -> str:
    return ' class="n"' if kind in NUMBERS else ""


def _row(words: Catalogue, board: Board, row: Sequence[Cell]) -> str:
    told: list[str] = []
    for column, value in zip(board.columns, row, strict=True):
        side = ' class="none"' if value is None else _side(column.kind)
        text = escape(cell(words, board, column, value))
        # A rate's counts stand below it: two narrow lines leave room for the other columns.
        told.append(f"<td{side}>{text.replace(' (', '<br>(') if isinstance(value, Rate) else text}</td>")
    return f"<tr>{''.join(told)}</tr>\n"
