"""Check-ins from a sheet go through the door of every other check-in."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from imports.check_ins import SheetTerms, import_check_ins
from imports.report import ImportReport, Tenant
from tests.brand import SECRET, Brand, at
from tests.shared_database import brand, database, ledger, shared_database, shop

__all__ = ["brand", "database", "ledger", "shared_database", "shop"]

SHEET = (
    "编号,工号,会员号,联系时间,结果,意向,备注\n"
    "1,G1,M1,2026-03-02 10:00,感兴趣,A,喜欢新品\n"
    "2,G1,M2,2026-03-02 10:20,no_answer,,\n"
)


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    """G1, with items of M1 to M3 on Monday's list."""
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.due_on(2, "M1", "M2", "M3")
    await shop.start()
    await shop.morning(2, guide)
    return guide


async def enter(shop: Brand, folder: Path, text: str, *, skip_bad: bool = False) -> ImportReport:
    path = folder / "sheet.csv"
    path.write_text(text)
    terms = SheetTerms(at(3, 20), "manager:1", skip_bad=skip_bad, words={"感兴趣": "interested"})
    tenant = Tenant(1, SECRET, shop.ledger.keys)
    return await import_check_ins(shop.ledger, tenant, path, terms, lambda _stage, _done, _all: None)


async def check_ins(shop: Brand) -> list[tuple[object, ...]]:
    return await shop.rows("SELECT guide_id, actor, outcome, occurred_at FROM check_in ORDER BY occurred_at")


async def test_the_credit_is_the_guides_and_the_entry_the_managers(
    shop: Brand, guide: UUID, tmp_path: Path
) -> None:
    report = await enter(shop, tmp_path, SHEET)
    assert (report.rows_new, report.rows_same, report.rows_bad) == (2, 0, 0)
    assert await check_ins(shop) == [
        (guide, "manager:1", "interested", at(2, 10)),
        (guide, "manager:1", "no_answer", at(2, 10, 20)),
    ]
    assert [note for note, _ in await shop.notes()] == ["喜欢新品"]


async def test_the_same_sheet_twice_counts_once_and_a_changed_row_is_told(
    shop: Brand, guide: UUID, tmp_path: Path
) -> None:
    await enter(shop, tmp_path, SHEET)
    before = await shop.everything()
    again = await enter(shop, tmp_path, SHEET)
    assert (again.rows_new, again.rows_same, again.already_imported) == (0, 2, True)
    changed = await enter(shop, tmp_path, SHEET.replace("no_answer", "refused"))
    assert [(bad.line, bad.code) for bad in changed.bad] == [(3, "import.differs_from_before")]
    assert await shop.everything() == before


async def test_what_the_door_refuses_is_told_by_row_and_the_others_stand(
    shop: Brand, guide: UUID, tmp_path: Path
) -> None:
    await shop.hire("G2")
    more = (
        "3,G2,M3,2026-03-02 11:00,感兴趣,,\n"
        "4,G1,M1,2026-03-02 11:30,bought,,\n"
        "5,G1,M3,2026-03-02 07:00,bought,,\n"
    )
    report = await enter(shop, tmp_path, SHEET + more)
    assert report.rows_new == 2
    assert [(bad.line, bad.column, bad.code) for bad in report.bad] == [
        (4, "member", "import.no_item"),
        (5, "member", "already_today"),
        (6, "member", "import.no_item"),
    ]


@pytest.mark.parametrize("skip_bad", [False, True])
async def test_a_row_that_cannot_be_read_keeps_everything_out_unless_skipped(
    shop: Brand, guide: UUID, tmp_path: Path, *, skip_bad: bool
) -> None:
    report = await enter(
        shop,
        tmp_path,
        SHEET + "3,G1,M9,2026-03-02 10:00,interested,,\n4,G1,M3,,whatever,E,\n",
        skip_bad=skip_bad,
    )
    assert [(bad.line, bad.code) for bad in report.bad] == [
        (4, "import.unknown_member"),
        (5, "import.not_a_choice"),
        (5, "import.required"),
        (5, "import.not_a_choice"),
    ]
    assert len(await check_ins(shop)) == report.rows_new == (2 if skip_bad else 0)


async def test_of_several_items_the_sheet_has_to_say_which(shop: Brand, guide: UUID, tmp_path: Path) -> None:
    await shop.category("SOAP")
    await shop.execute(
        "INSERT INTO task (tenant_id, task_id, plan_id, cycle, member_id, category_id, guide_id, run_out_on, due_on,"
        " first_due_on, bought_at, state, known_at) SELECT 1, gen_random_uuid(), plan_id, cycle, member_id, 2, guide_id,"
        " run_out_on, due_on, first_due_on, bought_at, 'open', known_at FROM task"
    )
    text = "key,guide,member,occurred_at,outcome,category\n1,G1,M1,2026-03-03 10:00,interested,"
    unsaid = await enter(shop, tmp_path, text)
    assert [(bad.column, bad.code) for bad in unsaid.bad] == [("member", "import.several_items")]
    assert (await enter(shop, tmp_path, f"{text}TIN")).rows_new == 1
