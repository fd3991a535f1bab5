from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from domain.identifiers import personal_id
from imports.facts import recompute_root
from imports.report import BadRow, Kind
from ledger.database import driver_connection
from tests.imports.brand import KNOWN_AT, SECRET, Brand

HEADER = "member,store,occurred_at,basket,product,category,quantity,value,guide,return_of\n"
GOOD = HEADER + (
    "M1,S1,2026-01-02 10:30,B1,P1,formula,2,199.50,G1,\n"
    "M2,S2,2026-01-02 10:30:00,B2,P1,formula,1.5,10,,\n"
    "M3,S1,2026-01-03T08:00:00+01:00,B3,P2,diapers,0,0,,\n"
)
ROWS = """SELECT p.basket, p.product, p.is_return, p.member_id, s.code, c.name, p.guide_id IS NOT NULL, p.occurred_at,
    p.known_at, p.quantity, p.value_minor, p.return_of FROM purchase p JOIN store s USING (tenant_id, store_id)
    JOIN category c USING (tenant_id, category_id) ORDER BY p.basket, p.product, p.is_return"""


def reasons(bad: tuple[BadRow, ...]) -> list[tuple[int, str, str, str]]:
    return [(row.line, row.column, row.value, row.code) for row in bad]


async def test_rows_become_facts_with_derived_ids_and_instants_in_the_zone_of_the_store(brand: Brand) -> None:
    report = await brand.purchases(GOOD)
    member = {code: personal_id(SECRET, "member", code) for code in ("M1", "M2", "M3")}
    assert (report.rows_read, report.rows_new, report.rows_same, report.rows_bad) == (3, 3, 0, 0)
    assert await brand.fetch(ROWS) == [
        ("B1", "P1", False, member["M1"], "S1", "formula", True, datetime(2026, 1, 2, 2, 30, tzinfo=UTC), KNOWN_AT,
         Decimal("2.000"), 19950, None),
        ("B2", "P1", False, member["M2"], "S2", "formula", False, datetime(2026, 1, 2, 15, 30, tzinfo=UTC), KNOWN_AT,
         Decimal("1.500"), 1000, None),
        ("B3", "P2", False, member["M3"], "S1", "diapers", False, datetime(2026, 1, 3, 7, tzinfo=UTC), KNOWN_AT,
         Decimal("0.000"), 0, None),
    ]  # fmt: skip


async def test_a_quantity_of_zero_is_kept_as_a_fact(brand: Brand) -> None:
    await brand.purchases(HEADER + "M1,S1,2026-01-02,B1,P1,formula,0,0,,\n")
    assert await brand.fetch("SELECT quantity, value_minor, is_return FROM purchase") == [(0, 0, False)]


async def test_a_return_is_a_negative_quantity_and_may_name_its_basket_again(brand: Brand) -> None:
    report = await brand.purchases(GOOD + "M1,S1,2026-01-09 10:00,B1,P1,formula,-2,-199.50,,B1\n")
    assert report.rows_new == 4
    returned = "SELECT basket, quantity, value_minor, return_of FROM purchase WHERE is_return"
    assert await brand.fetch(returned) == [("B1", -2, -19950, "B1")]


async def test_categories_are_numbered_in_the_order_of_their_names_and_never_renumbered(brand: Brand) -> None:
    await brand.purchases(GOOD)
    await brand.purchases(
        HEADER + "M1,S1,2026-01-02,B9,P1,beauty,1,1,,\nM1,S1,2026-01-02,B9,P2,formula,1,1,,\n"
    )
    names = await brand.fetch("SELECT category_id, name FROM category ORDER BY 1")
    assert names == [(1, "diapers"), (2, "formula"), (3, "beauty")]


async def test_one_bad_row_keeps_every_row_out(brand: Brand) -> None:
    before = await brand.traces()
    report = await brand.purchases(GOOD + "M1,S9,2026-01-02,B4,P1,formula,1,1,,\n")
    assert report.refused
    assert (report.rows_new, report.rows_bad, report.batch_id) == (0, 1, None)
    assert reasons(report.bad) == [(5, "store", "S9", "import.unknown_store")]
    assert await brand.traces() == before


async def test_skip_bad_takes_the_good_rows(brand: Brand) -> None:
    report = await brand.purchases(GOOD + "M1,S9,2026-01-02,B4,P1,formula,1,1,,\n", skip_bad=True)
    assert not report.refused
    assert (report.rows_read, report.rows_new, report.rows_bad) == (4, 3, 1)
    assert await brand.value("SELECT count(*) FROM purchase") == 3
    assert await brand.fetch(
        "SELECT rows_read, rows_new, rows_bad FROM import_batch WHERE kind = 'purchases'"
    ) == [(4, 3, 1)]


@pytest.mark.parametrize(
    ("row", "column", "value", "code"),
    [
        (",S1,2026-01-02,B1,P1,formula,1,1,,", "member", "", "import.required"),
        ("M9,S1,2026-01-02,B1,P1,formula,1,1,,", "member", "M9", "import.unknown_member"),
        ("M1,S1,2026-01-02,B1,P1,formula,1,1,G9,", "guide", "G9", "import.unknown_guide"),
        ("M1,S1,02.01.2026,B1,P1,formula,1,1,,", "occurred_at", "02.01.2026", "import.not_a_time"),
        (
            "M1,S2,2025-03-09 02:30,B1,P1,formula,1,1,,",
            "occurred_at",
            "2025-03-09 02:30",
            "import.skipped_hour",
        ),
        ("M1,S1,2026-03-02,B1,P1,formula,1,1,,", "occurred_at", "2026-03-02", "import.in_future"),
        ("M1,S1,2026-01-02,,P1,formula,1,1,,", "basket", "", "import.required"),
        ("M1,S1,2026-01-02,B\x071,P1,formula,1,1,,", "basket", "B\x071", "import.control_character"),
        (f"M1,S1,2026-01-02,{'B' * 201},P1,formula,1,1,,", "basket", "B" * 201, "import.too_long"),
        ("M1,S1,2026-01-02,B1,P1,formula,two,1,,", "quantity", "two", "import.not_a_number"),
        ("M1,S1,2026-01-02,B1,P1,formula,0.0001,1,,", "quantity", "0.0001", "import.too_many_decimals"),
        ("M1,S1,2026-01-02,B1,P1,formula,1000000000,1,,", "quantity", "1000000000", "import.too_large"),
        ("M1,S1,2026-01-02,B1,P1,formula,1,NaN,,", "value", "NaN", "import.not_a_number"),
        ("M1,S1,2026-01-02,B1,P1,formula,1,0.005,,", "value", "0.005", "import.too_many_decimals"),
        ("M1,S1,2026-01-02,B1,P1,formula,-1,5,,", "value", "5", "import.return_with_revenue"),
        ("M1,S1,2026-01-02,B1,P1,formula,1,1,,,x", "return_of", "x", "import.too_many_fields"),
    ],
)
async def test_a_bad_row_is_listed_with_line_column_value_and_reason(
    brand: Brand, row: str, column: str, value: str, code: str
) -> None:
    first = "M1,S1,2026-01-02,B0,P1,formula,1,1,,\n"
    report = await brand.purchases(f"{HEADER}{first}{row}\n")
    assert reasons(report.bad) == [(3, column, value, code)]


async def test_floats_that_are_no_amounts_are_refused(brand: Brand) -> None:
    frame = pl.DataFrame({
        "member": "M1", "store": "S1", "occurred_at": datetime(2026, 1, 2), "basket": ["1", "2", "3", "4"],  # noqa: DTZ001 - files have such times
        "product": "P", "category": "c", "quantity": [1.0, 1.0, float("inf"), 1.0],
        "value": [float("nan"), 0.29, 1.0, 1.001],
    })  # fmt: skip
    report = await brand.load(Kind.PURCHASES, frame)
    assert [(row.line, row.column, row.code) for row in report.bad] == [
        (1, "value", "import.not_a_number"),
        (3, "quantity", "import.not_a_number"),
        (4, "value", "import.too_many_decimals"),
    ]


async def test_a_row_with_several_problems_is_one_bad_row_and_lists_them_all(brand: Brand) -> None:
    report = await brand.purchases(HEADER + "M9,S9,2026-01-02,B1,P1,formula,x,1,,\n")
    assert (report.rows_bad, report.problems) == (1, 3)
    assert [row.column for row in report.bad] == ["member", "quantity", "store"]


async def test_bad_rows_are_all_counted_and_the_first_thousand_listed(brand: Brand) -> None:
    rows = "".join(f"M9,S1,2026-01-02,B{n},P1,formula,1,1,,\n" for n in range(1_200))
    report = await brand.purchases(HEADER + rows)
    assert (report.rows_bad, report.problems, len(report.bad)) == (1_200, 1_200, 1_000)
    assert report.bad[-1].line == 1_001


async def test_the_same_file_twice_changes_nothing(brand: Brand) -> None:
    first = await brand.purchases(GOOD)
    before = await brand.traces()
    again = await brand.purchases(GOOD, known_at=datetime(2026, 3, 2, tzinfo=UTC))
    assert again.already_imported
    assert (again.rows_new, again.rows_same) == (0, 3)
    assert (again.batch_id, again.root) == (first.batch_id, first.root)
    assert await brand.traces() == before


async def test_the_same_rows_in_another_order_are_the_same_file(brand: Brand) -> None:
    first = await brand.purchases(GOOD)
    head, *rows = GOOD.splitlines(keepends=True)
    again = await brand.purchases(head + "".join(reversed(rows)))
    assert again.already_imported
    assert again.root == first.root


async def test_an_overlapping_file_adds_only_what_is_new(brand: Brand) -> None:
    await brand.purchases(GOOD)
    fresh = "M1,S1,2026-01-05,B5,P1,toys,1,1,,\n"
    report = await brand.purchases(GOOD + fresh)
    assert (report.rows_new, report.rows_same) == (1, 3)
    assert await brand.value("SELECT count(*) FROM purchase") == 4
    async with driver_connection(brand.engine) as connection:
        assert report.batch_id is not None
        assert await recompute_root(connection, 1, report.batch_id) == report.root
    again = await brand.purchases(GOOD + fresh)
    assert again.already_imported
    assert (again.rows_new, again.rows_same) == (0, 4)


async def test_a_row_that_contradicts_an_earlier_import_is_bad(brand: Brand) -> None:
    await brand.purchases(GOOD)
    before = await brand.traces()
    report = await brand.purchases(GOOD.replace("199.50", "200"))
    assert reasons(report.bad) == [(2, "basket", "B1 / P1", "import.differs_from_before")]
    assert await brand.traces() == before
    skipped = await brand.purchases(GOOD.replace("199.50", "200"), skip_bad=True)
    assert (skipped.rows_new, skipped.rows_same, skipped.rows_bad) == (0, 2, 1)
    assert await brand.traces() == before


async def test_a_line_repeated_in_the_file_counts_once_and_a_contradicted_one_not_at_all(
    brand: Brand,
) -> None:
    repeated = "M1,S1,2026-01-02 10:30,B1,P1,formula,2,199.50,G1,\n"
    report = await brand.purchases(GOOD + repeated)
    assert (report.rows_read, report.rows_new, report.rows_same) == (4, 3, 1)
    twice = HEADER + "M1,S1,2026-01-02,B7,P1,formula,1,1,,\nM1,S1,2026-01-02,B7,P1,formula,2,1,,\n"
    refused = await brand.purchases(twice)
    assert reasons(refused.bad) == [
        (2, "basket", "B7 / P1", "import.twice_in_file"),
        (3, "basket", "B7 / P1", "import.twice_in_file"),
    ]
    assert [row.params["other_line"] for row in refused.bad] == [3, 2]


async def test_in_a_rehearsal_a_purchase_is_known_when_it_occurred(brand: Brand) -> None:
    later = HEADER + "M1,S1,2026-05-02 10:30,B1,P1,formula,2,199.50,,\n"
    report = await brand.purchases(later, known_as_occurred=True)
    assert report.rows_new == 1
    assert await brand.value("SELECT known_at = occurred_at FROM purchase")


async def test_times_without_a_zone_are_read_in_the_zone_that_is_given(brand: Brand) -> None:
    await brand.purchases(GOOD, naive_zone="UTC")
    moment = await brand.value("SELECT occurred_at FROM purchase WHERE basket = 'B2'")
    assert moment == datetime(2026, 1, 2, 10, 30, tzinfo=UTC)


async def test_progress_is_told_to_the_last_row(brand: Brand) -> None:
    seen: list[tuple[str, int, int]] = []
    await brand.purchases(GOOD, on_progress=lambda *step: seen.append(step))
    assert [step for step in seen if step[1] == step[2]] == [
        ("check", 3, 3),
        ("stage", 3, 3),
        ("insert", 3, 3),
    ]
