from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from domain.errors import Refused
from imports.columns import COLUMNS
from imports.facts import recompute_root
from imports.report import Kind
from ledger.database import driver_connection
from tests.imports.brand import Brand
from tests.imports.test_import_purchases import GOOD, HEADER, ROWS

CHINESE = "会员号,门店,购买时间,小票号,商品,品类,数量,金额（元）,导购,退货原单\n"


def frame() -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(GOOD.encode()), infer_schema=False)


def workbook(path: Path, table: pl.DataFrame) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(table.columns)
    for row in table.iter_rows():
        sheet.append(row)
    book.save(path)
    return path


async def test_english_and_chinese_headers_give_the_same_rows(brand: Brand) -> None:
    english = await brand.purchases(GOOD)
    rows = await brand.fetch(ROWS)
    chinese = await brand.purchases(GOOD.replace(HEADER, CHINESE))
    assert len(rows) == 3
    assert chinese.already_imported
    assert chinese.root == english.root


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
async def test_a_csv_from_a_chinese_excel_reads_whatever_its_encoding(brand: Brand, encoding: str) -> None:
    text = GOOD.replace(HEADER, CHINESE).replace("formula", "奶粉")
    report = await brand.load(Kind.PURCHASES, brand.write("a.csv", text, encoding))
    assert report.rows_new == 3
    assert await brand.fetch("SELECT name FROM category ORDER BY 1") == [("diapers",), ("奶粉",)]


async def test_csv_xlsx_and_parquet_of_the_same_rows_are_the_same_file(brand: Brand) -> None:
    first = await brand.purchases(GOOD)
    parquet = brand.folder / "a.parquet"
    frame().write_parquet(parquet)
    for path in (workbook(brand.folder / "a.xlsx", frame()), parquet):
        report = await brand.load(Kind.PURCHASES, path)
        assert report.already_imported
        assert report.root == first.root


async def test_typed_cells_of_excel_and_parquet_read_like_their_text(brand: Brand) -> None:
    first = await brand.purchases(
        HEADER.replace(",guide,return_of", "") + "M1,S1,2026-01-02 10:30:00,1001,7,formula,2,199.5\n"
    )
    moment = datetime(2026, 1, 2, 10, 30)  # noqa: DTZ001 - Excel knows no zones
    typed = pl.DataFrame({
        "member": ["M1"], "store": ["S1"], "occurred_at": [moment], "basket": [1001.0], "product": [7],
        "category": ["formula"], "quantity": [2], "value": [199.5],
    })  # fmt: skip
    typed.write_parquet(brand.folder / "a.parquet")
    for path in (workbook(brand.folder / "a.xlsx", typed), brand.folder / "a.parquet"):
        assert (await brand.load(Kind.PURCHASES, path)).root == first.root


async def test_quoted_line_breaks_and_empty_lines_do_not_shift_line_numbers(brand: Brand) -> None:
    text = (
        HEADER
        + '\n"M1","S1","2026-01-02","B1","P1","two\nlines",1,1,,\nM9,S1,2026-01-02,B2,P1,"a ""b"", c",1,1,,\n'
    )
    report = await brand.purchases(text)
    assert [(row.line, row.column) for row in report.bad] == [(3, "category"), (5, "member")]


async def test_commas_and_quotes_in_codes_survive_and_the_root_still_verifies(brand: Brand) -> None:
    report = await brand.purchases(HEADER + 'M1,S1,2026-01-02,"B,1","P ""x""",formula,1,"1,234.50",,\\.\n')
    assert await brand.fetch("SELECT basket, product, value_minor, return_of FROM purchase") == [
        ("B,1", 'P "x"', 123450, "\\.")
    ]
    assert report.batch_id is not None
    async with driver_connection(brand.engine) as connection:
        assert await recompute_root(connection, 1, report.batch_id) == report.root


async def test_columns_nobody_asked_for_are_ignored_and_reported(brand: Brand) -> None:
    text = "会员号,门店,购买时间,小票号,商品,品类,数量,金额,收银员\nM1,S1,2026-01-02,B1,P1,formula,1,1,王\n"
    report = await brand.purchases(text)
    assert report.ignored == ("收银员",)
    assert report.rows_new == 1


async def test_a_missing_column_is_named_with_its_spellings_and_the_headers_found(brand: Brand) -> None:
    with pytest.raises(Refused) as refused:
        await brand.purchases("会员号,购买时间,小票号,商品,品类,数量,金额\nM1,2026-01-02,B1,P1,formula,1,1\n")
    (problem,) = refused.value.problems
    assert (problem.field, problem.code) == ("store", "import.missing_column")
    assert "门店" in str(problem.params["accepted"])
    assert problem.params["found"] == "会员号, 购买时间, 小票号, 商品, 品类, 数量, 金额"


async def test_two_headers_for_one_column_are_refused(brand: Brand) -> None:
    with pytest.raises(Refused) as refused:
        await brand.purchases(
            HEADER.replace("return_of", "会员号") + "M1,S1,2026-01-02,B1,P1,formula,1,1,,M2\n"
        )
    assert [problem.code for problem in refused.value.problems] == ["import.column_twice"]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", "import.empty_file"),
        ("a.parquet", GOOD.encode(), "import.not_parquet"),
        ("a.xlsx", b"PK\x03\x04" + b"\0" * 500, "import.not_xlsx"),
        ("a.csv", GOOD.encode("utf-16"), "import.wrong_encoding"),
        ("a.csv", GOOD.replace("formula", "crème").encode("latin-1"), "import.wrong_encoding"),
        ("a.pdf", b"%PDF", "import.unknown_format"),
    ],
)
async def test_a_broken_file_is_one_refusal_and_writes_nothing(
    brand: Brand, name: str, content: bytes, code: str
) -> None:
    path = brand.folder / name
    path.write_bytes(content)
    before = await brand.traces()
    with pytest.raises(Refused) as refused:
        await brand.load(Kind.PURCHASES, path)
    (problem,) = refused.value.problems
    assert (problem.field, problem.value, problem.code, problem.params["file"]) == (
        "FILE",
        str(path),
        code,
        name,
    )
    assert await brand.traces() == before


async def test_a_workbook_cut_short_is_refused(brand: Brand) -> None:
    whole = workbook(brand.folder / "a.xlsx", frame())
    whole.write_bytes(whole.read_bytes()[:-900])
    with pytest.raises(Refused) as refused:
        await brand.load(Kind.PURCHASES, whole)
    assert [problem.code for problem in refused.value.problems] == ["import.not_xlsx"]


async def test_a_parquet_file_cut_short_is_refused(brand: Brand) -> None:
    path = brand.folder / "a.parquet"
    frame().write_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(Refused) as refused:
        await brand.load(Kind.PURCHASES, path)
    assert [problem.code for problem in refused.value.problems] == ["import.not_parquet"]


async def test_a_file_that_is_not_there_is_refused(brand: Brand) -> None:
    with pytest.raises(Refused) as refused:
        await brand.load(Kind.PURCHASES, brand.folder / "none.csv")
    assert [problem.code for problem in refused.value.problems] == ["import.no_file"]


async def test_a_file_of_headers_only_imports_nothing_and_is_no_error(brand: Brand) -> None:
    before = await brand.traces()
    report = await brand.purchases(HEADER)
    assert (report.rows_read, report.batch_id, report.refused) == (0, None, False)
    assert await brand.traces() == before


async def test_an_unknown_zone_for_naive_times_is_refused(brand: Brand) -> None:
    with pytest.raises(Refused) as refused:
        await brand.purchases(GOOD, naive_zone="Mars/Olympus")
    assert [problem.code for problem in refused.value.problems] == ["import.unknown_time_zone"]


def test_every_header_that_is_understood_is_documented() -> None:
    told = (Path(__file__).resolve().parents[2] / "docs" / "imports.md").read_text(encoding="utf-8")
    missing = [s for columns in COLUMNS.values() for c in columns for s in c.spellings if s not in told]
    assert missing == []
