from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from domain.identifiers import personal_id
from imports.report import Kind
from ledger.people import Person
from tests.imports.brand import KNOWN_AT, SECRET, Brand

STORES = "门店编码,门店名称,区域,经销商,纬度,经度,时区,开门时间,关门时间\n"
GUIDES = "code,name,phone,store,skills,performance,active,on_leave_from,on_leave_to\n"
MEMBERS = "code,name,phone,store,latitude,longitude,tags,opted_out_at\n"


async def test_stores_come_with_place_hours_and_zone(brand: Brand) -> None:
    path = brand.write("s.csv", STORES + "S7,西湖店,华东,,30.25,120.16,Asia/Shanghai,8:30,20:00\n")
    report = await brand.load(Kind.STORES, path)
    assert report.rows_new == 1
    assert await brand.fetch("SELECT * FROM store WHERE code = 'S7'") == [
        (1, personal_id(SECRET, "store", "S7"), "S7", "西湖店", "华东", "", 30.25, 120.16, "Asia/Shanghai",
         time(8, 30), time(20, 0), report.batch_id)
    ]  # fmt: skip


async def test_guides_come_with_skills_performance_and_leave_and_their_name_apart(brand: Brand) -> None:
    row = "G7,王芳,138 0000 0000,S1,formula；皮肤、gifts,85.5%,是,2026-03-05,2026-03-06\n"
    report = await brand.load(Kind.GUIDES, brand.write("g.csv", GUIDES + row))
    assert report.rows_new == 1
    guide = personal_id(SECRET, "guide", "G7")
    assert await brand.fetch(
        "SELECT guide_id, store_id, skills, performance, active, on_leave_from, on_leave_to FROM guide WHERE code = 'G7'"
    ) == [
        (guide, personal_id(SECRET, "store", "S1"), ["formula", "皮肤", "gifts"], 8550, True, date(2026, 3, 5),
         date(2026, 3, 6))
    ]  # fmt: skip
    assert await brand.fetch("SELECT name, phone FROM guide_person WHERE guide_id = $1", guide) == [
        ("王芳", "138 0000 0000")
    ]


async def test_a_members_code_name_and_phone_are_in_the_person_table_only(brand: Brand) -> None:
    row = "M7,李雷,+86 13912345678,S1,30.1,120.1,gift; vip,\n"
    report = await brand.load(Kind.MEMBERS, brand.write("m.csv", MEMBERS + row))
    member = personal_id(SECRET, "member", "M7")
    assert await brand.fetch("SELECT * FROM member WHERE member_id = $1", member) == [
        (
            1,
            member,
            personal_id(SECRET, "store", "S1"),
            30.1,
            120.1,
            ["gift", "vip"],
            None,
            report.batch_id,
            None,
        )
    ]
    assert await brand.person(member) == Person("M7", "李雷", "+86 13912345678")
    assert await brand.fetch("SELECT code, name, phone FROM member_person WHERE member_id = $1", member) == [
        (None, None, None)
    ]


async def test_a_changed_row_is_updated_and_counted_and_the_others_are_the_same(brand: Brand) -> None:
    head = "code,name,store\n"
    await brand.load(Kind.GUIDES, brand.write("g.csv", head + "G7,Han,S1\nG8,Mei,S1\n"))
    report = await brand.load(Kind.GUIDES, brand.write("g.csv", head + "G7,Han,S2\nG8,Mei,S1\n"))
    assert (report.rows_new, report.rows_same) == (1, 1)
    assert (
        await brand.value("SELECT s.code FROM guide g JOIN store s USING (store_id) WHERE g.code = 'G7'")
        == "S2"
    )
    renamed = await brand.load(Kind.GUIDES, brand.write("g.csv", head + "G7,Han Mei,S2\n"))
    assert renamed.rows_new == 1


async def test_columns_a_file_does_not_bring_stay_as_they_are(brand: Brand) -> None:
    await brand.load(Kind.MEMBERS, brand.write("m.csv", "code,tags\nM1,vip\n"))
    assert await brand.fetch(
        "SELECT tags, home_store_id FROM member WHERE member_id = $1", personal_id(SECRET, "member", "M1")
    ) == [(["vip"], personal_id(SECRET, "store", "S1"))]


async def test_the_same_master_file_twice_changes_nothing_and_going_back_to_it_does(brand: Brand) -> None:
    old, new = "code,name,store\nG7,Han,S1\n", "code,name,store\nG7,Han,S2\n"
    first = await brand.load(Kind.GUIDES, brand.write("g.csv", old))
    before = await brand.traces()
    again = await brand.load(Kind.GUIDES, brand.write("g.csv", old))
    assert again.already_imported
    assert (again.rows_new, again.rows_same) == (0, 1)
    assert await brand.traces() == before
    await brand.load(Kind.GUIDES, brand.write("g.csv", new))
    back = await brand.load(Kind.GUIDES, brand.write("g.csv", old))
    assert back.rows_new == 1
    assert back.root != first.root
    assert (
        await brand.value("SELECT s.code FROM guide g JOIN store s USING (store_id) WHERE g.code = 'G7'")
        == "S1"
    )


async def test_an_opt_out_is_taken_once_and_never_lifted_by_a_file(brand: Brand) -> None:
    opted = "SELECT opted_out_at FROM member WHERE member_id = $1"
    member = personal_id(SECRET, "member", "M1")
    head = "会员号,退订\n"
    await brand.load(Kind.MEMBERS, brand.write("m.csv", head + "M1,是\n"))
    assert await brand.value(opted, member) == KNOWN_AT
    later = datetime(2026, 3, 9, tzinfo=UTC)
    again = await brand.load(Kind.MEMBERS, brand.write("m.csv", head + "M1,是\n"), known_at=later)
    lifted = await brand.load(Kind.MEMBERS, brand.write("m.csv", head + "M1,否\n"), known_at=later)
    assert (again.rows_new, lifted.rows_new) == (0, 0)
    assert await brand.value(opted, member) == KNOWN_AT
    await brand.load(
        Kind.MEMBERS, brand.write("m.csv", "会员号,门店,退订时间\nM1,S1,2026/2/1 8:00\n"), known_at=later
    )
    assert await brand.value(opted, member) == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "text", "column", "code"),
    [
        (Kind.STORES, STORES + "S7,n,,,,,Mars/X,,\n", "time_zone", "import.unknown_time_zone"),
        (Kind.STORES, STORES + "S7,n,,,99,1,UTC,,\n", "latitude", "import.not_on_earth"),
        (Kind.STORES, STORES + "S7,n,,,,,UTC,25:00,\n", "opens_at", "import.not_a_time_of_day"),
        (Kind.STORES, STORES + "S7,n,,,,,UTC,10:00,9:00\n", "closes_at", "import.closes_before_opening"),
        (Kind.GUIDES, GUIDES + "G7,n,,S9,,,,,\n", "store", "import.unknown_store"),
        (Kind.GUIDES, GUIDES + "G7,,,S1,,,,,\n", "name", "import.required"),
        (Kind.GUIDES, GUIDES + "G7,n,call me,S1,,,,,\n", "phone", "import.not_a_phone"),
        (Kind.GUIDES, GUIDES + "G7,n,,S1,,100.01,,,\n", "performance", "import.too_large"),
        (Kind.GUIDES, GUIDES + "G7,n,,S1,,-1,,,\n", "performance", "import.below_zero"),
        (Kind.GUIDES, GUIDES + "G7,n,,S1,,,perhaps,,\n", "active", "import.not_yes_or_no"),
        (Kind.GUIDES, GUIDES + "G7,n,,S1,,,,soon,\n", "on_leave_from", "import.not_a_date"),
        (Kind.GUIDES, GUIDES + "G7,n,,S1,,,,2026-03-02,2026-03-01\n", "on_leave_to", "import.leave_ends_before_it_starts"),
        (Kind.MEMBERS, MEMBERS + "M7,,,S9,,,,\n", "store", "import.unknown_store"),
        (Kind.MEMBERS, MEMBERS + "M7,,,,,,,whenever\n", "opted_out_at", "import.not_a_time"),
        (Kind.MEMBERS, MEMBERS + "M7,,,,,,,2026-01-01 10:00\n", "opted_out_at", "import.no_time_zone"),
        (Kind.MEMBERS, MEMBERS + "M7,,,S1,,,,2026-03-02\n", "opted_out_at", "import.in_future"),
        (Kind.MEMBERS, MEMBERS + "M7,,,,,,,\nM7,x,,,,,,\n", "code", "import.twice_in_file"),
    ],
)  # fmt: skip
async def test_a_bad_master_row_is_listed_and_keeps_the_file_out(
    brand: Brand, kind: Kind, text: str, column: str, code: str
) -> None:
    report = await brand.load(kind, brand.write("bad.csv", text))
    assert {(row.column, row.code) for row in report.bad} == {(column, code)}
    assert report.refused
    assert report.batch_id is None


async def test_stores_without_a_time_zone_column_are_in_china(brand: Brand) -> None:
    report = await brand.load(Kind.STORES, brand.write("s.csv", "门店编码,门店名称\nS8,八店\n"))
    assert report.rows_new == 1
    assert await brand.fetch("SELECT time_zone FROM store WHERE code = 'S8'") == [("Asia/Shanghai",)]
