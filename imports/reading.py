"""Files to frames: CSV, XLSX and Parquet, every row with the line it stands on.

A text cell stays text; Parquet columns keep their types. Nothing is judged here but the file itself:
one that cannot be read at all is refused with one problem.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import fastexcel
import polars as pl

from domain.errors import Problem, Refused
from imports.columns import Headings, speaks_chinese, understand
from imports.report import BadRow, Kind

_BYTE_ORDER_MARKS_OF_16_BITS = (b"\xff\xfe", b"\xfe\xff")
LINE = "line"


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file under our column names, `line` (UInt32) beside them.

    `misshapen` are the rows that have more fields than the header; they are not in `frame`. `headers` are the file's own,
    by our names.
    """

    frame: pl.DataFrame
    ignored: tuple[str, ...]
    misshapen: tuple[BadRow, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def read_table(path: Path, kind: Kind) -> Table:
    """Read a file; its ending says what it is.

    Raises:
        Refused: unknown ending, no such file, unreadable, empty, or a required column is missing.
    """
    ending = path.suffix.lower()
    if not path.is_file():
        raise _refused(path, "import.no_file")
    if path.stat().st_size == 0:
        raise _refused(path, "import.empty_file")
    if ending in {".csv", ".tsv", ".txt"}:
        return _read_csv(path, kind)
    if ending in {".xlsx", ".xlsm"}:
        return _read_sheet(path, kind)
    if ending in {".parquet", ".pq"}:
        return _read_parquet(path, kind)
    raise _refused(path, "import.unknown_format", found=ending or path.name)


def table_of(frame: pl.DataFrame, kind: Kind) -> Table:
    """A frame as if it had been read from a file; its first row is line 1.

    Raises:
        Refused: a required column is missing.
    """
    return _named(frame, understand(kind, frame.columns), first_line=1)


def _named(frame: pl.DataFrame, headings: Headings, *, first_line: int) -> Table:
    named = frame.select(pl.col(header).alias(name) for header, name in headings.renames.items())
    named = named.with_row_index(LINE, offset=first_line)
    if any(dtype == pl.String for dtype in named.dtypes):
        # Empty lines of a text file are no rows; their line numbers stay used.
        named = named.filter(~pl.all_horizontal(pl.exclude(LINE).is_null()))
    return Table(named, headings.ignored, headers=headings.headers)


def _read_parquet(path: Path, kind: Kind) -> Table:
    try:
        headers = list(pl.read_parquet_schema(path))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _refused(path, "import.not_parquet") from error
    headings = understand(kind, headers)
    try:
        frame = pl.read_parquet(path, columns=list(headings.renames))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _refused(path, "import.not_parquet") from error
    return _named(frame, headings, first_line=1)


def _read_sheet(path: Path, kind: Kind) -> Table:
    """The first sheet of a workbook; every cell as the text it shows."""
    try:
        frame = fastexcel.read_excel(path).load_sheet(0, dtypes="string").to_polars()
    except fastexcel.FastExcelError as error:
        raise _refused(path, "import.not_xlsx") from error
    return _named(frame, understand(kind, frame.columns), first_line=2)


def _read_csv(path: Path, kind: Kind) -> Table:
    text = _decoded(path)
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    lines = text.count("\n") + (not text.endswith("\n"))
    try:
        frame = pl.read_csv(io.BytesIO(text.encode()), separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError:
        frame = None  # more fields than headers somewhere: the slow way says where
    if frame is None or frame.height + 1 != lines:
        return _read_csv_by_line(text, separator, kind, path)
    return _named(frame, understand(kind, frame.columns), first_line=2)


def _read_csv_by_line(text: str, separator: str, kind: Kind, path: Path) -> Table:
    """The exact way, for files with line breaks inside quotes or rows of different lengths."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        headers = next(reader)
        rows: list[tuple[str | None, ...]] = []
        numbers: list[int] = []
        misshapen: list[BadRow] = []
        start = reader.line_num + 1
        for fields in reader:
            if len(fields) > len(headers):
                extra = separator.join(fields[len(headers) :])
                params = {"expected": len(headers), "found": len(fields)}
                misshapen.append(BadRow(start, headers[-1], extra, "import.too_many_fields", params))
            elif any(fields):
                padded = [*fields, *[""] * (len(headers) - len(fields))]
                rows.append(tuple(cell or None for cell in padded))
                numbers.append(start)
            start = reader.line_num + 1
    except (csv.Error, StopIteration) as error:
        raise _refused(path, "import.not_csv") from error
    headings = understand(kind, headers)
    at = {header: index for index, header in enumerate(headers)}
    columns: dict[str, list[str | None]] = {
        name: [row[at[header]] for row in rows] for header, name in headings.renames.items()
    }
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    frame = frame.insert_column(0, pl.Series(LINE, numbers, dtype=pl.UInt32))
    return Table(frame, headings.ignored, tuple(misshapen), headings.headers)


def _decoded(path: Path) -> str:
    """The text of a CSV: UTF-8, or the GB 18030 of a Chinese Excel if the headers then read as ours.

    Any bytes decode as *something* in most encodings, so nothing else is guessed.
    """
    raw = path.read_bytes()
    if not raw.startswith(_BYTE_ORDER_MARKS_OF_16_BITS) and b"\0" not in raw[:4096]:
        try:
            return raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
        try:
            text = raw.decode("gb18030")
        except UnicodeDecodeError:
            pass
        else:
            first = text.partition("\n")[0].strip()
            if speaks_chinese(first.replace(";", ",").replace("\t", ",").replace('"', "").split(",")):
                return text
    raise _refused(path, "import.wrong_encoding")


def _refused(path: Path, code: str, **params: str) -> Refused:
    return Refused([Problem(field="FILE", value=str(path), code=code, params={"file": path.name, **params})])
