"""Files of systems of record: calls, friends, redemptions, visits and returns, and how far they are complete."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import pytest_asyncio

from domain.errors import Refused
from domain.identifiers import derived_id
from imports.facts import recompute_root
from imports.record_facts import recompute_record_root
from imports.report import ImportReport, Kind
from ledger.database import driver_connection
from ledger.feeds import create_feed
from ledger.ledger import Command, Ledger
from ledger.watermarks import complete_until
from tests.conftest import LedgerDatabase
from tests.imports.brand import KNOWN_AT, Brand
from tests.shared_database import database, ledger, shared_database
from tests.whole_database import tables_that_hold

__all__ = ["database", "ledger", "shared_database"]

PHONE = "138 0000 1234"


@pytest_asyncio.fixture
async def brand(ledger: Ledger, tmp_path: Path) -> AsyncIterator[Brand]:
    """Store S1 in Shanghai, guide G1 there, members M1 (with a number), M2 and M3 (who share one)."""
    brand = Brand(ledger.engine, tmp_path)
    await brand.load(Kind.STORES, pl.DataFrame({"code": ["S1"], "name": ["One"]}))
    await brand.load(Kind.GUIDES, pl.DataFrame({"code": ["G1"], "name": ["Li"], "store": ["S1"]}))
    numbers = [PHONE, "13900001111", "139-0000-1111"]
    await brand.load(Kind.MEMBERS, pl.DataFrame({"code": ["M1", "M2", "M3"], "phone": numbers}))
    yield brand
    brand.tenant.keys.close()  # type: ignore[attr-defined]


async def load(brand: Brand, kind: Kind, text: str, **options: Any) -> ImportReport:
    return await brand.load(kind, brand.write(f"{kind.value}.csv", text), **options)


async def valid(brand: Brand, *columns: str) -> list[tuple[Any, ...]]:
    return await brand.fetch(f"SELECT {', '.join(columns)} FROM valid_records($1) ORDER BY key", KNOWN_AT)


CALLS = (
    "话单号,工号,手机号,拨打时间,通话时长,是否接通\n"
    "c1,G1,+86 13800001234,2026-02-10 10:00,75,是\n"
    "c2,G1,13900001111,2026-02-10 10:05,0,否\n"
    "c3,G1,13700000000,2026-02-10 10:10,30,是\n"
)


async def test_calls_by_number_are_of_whoever_has_it_and_no_number_is_kept(
    brand: Brand, database: LedgerDatabase
) -> None:
    report = await load(brand, Kind.CALLS, CALLS)
    assert (report.rows_new, report.rows_outside, report.rows_bad) == (2, 1, 0)
    found = await valid(brand, "key", "occurred_at", "seconds", "answered", "cardinality(also)")
    assert found == [
        ("c1", datetime(2026, 2, 10, 2, 0, tzinfo=UTC), 75, True, 0),
        ("c2", datetime(2026, 2, 10, 2, 5, tzinfo=UTC), 0, False, 1),
    ]
    assert (
        await tables_that_hold(database.admin_url, "13800001234", PHONE, "13900001111", "13700000000") == []
    )
    async with driver_connection(brand.engine) as connection:
        assert await recompute_record_root(connection, 1, report.batch_id or 0) == report.root
    again = await load(brand, Kind.CALLS, CALLS)
    assert (again.rows_new, again.rows_same, again.rows_outside, again.already_imported) == (0, 2, 1, True)


async def test_a_file_is_the_same_when_its_numbers_have_more_members_since(brand: Brand) -> None:
    await load(brand, Kind.CALLS, CALLS)
    more = {"code": [f"N{n}" for n in range(8)], "phone": [PHONE] * 4 + ["13900001111"] * 4}
    await brand.load(Kind.MEMBERS, pl.DataFrame(more))
    again = await load(brand, Kind.CALLS, CALLS)
    assert (again.rows_new, again.rows_same, again.rows_bad) == (0, 2, 0)
    other = await load(brand, Kind.CALLS, CALLS.replace("c1,G1,+86 13800001234", "c1,G1,13900001111"))
    assert [(bad.line, bad.code) for bad in other.bad] == [(2, "import.record_differs")]


async def test_in_whatever_order_corrections_come_the_highest_revision_holds(brand: Brand) -> None:
    header = "key,guide,member,occurred_at,seconds,revision,voided\n"
    said = ("10,1,no", "20,2,no", "30,3,yes")
    for number, order in enumerate(permutations(said)):
        for row in order:
            text = f"{header}c{number},G1,M1,2026-02-10 10:00,{row}\n"
            assert (await load(brand, Kind.CALLS, text)).rows_new == 1
    assert await valid(brand, "key") == []
    assert await brand.value("SELECT count(*) FROM system_record") == 18
    differing = f"{header}c0,G1,M1,2026-02-10 10:00,11,1,no\n"
    report = await load(brand, Kind.CALLS, differing)
    assert report.refused
    assert [(bad.line, bad.code) for bad in report.bad] == [(2, "import.record_differs")]


async def test_every_problem_of_a_row_is_told(brand: Brand) -> None:
    text = (
        "key,guide,member,phone,occurred_at,seconds\n"
        "c1,G9,M1,,2026-02-10 10:00,1\n"
        "c2,G1,M9,,2026-02-10 10:00,1\n"
        "c3,G1,M1,13800001234,2026-02-10 10:00,1\n"
        "c4,G1,,,2026-02-10 10:00,1\n"
        "x13800001234,G1,,13800001234,2026-02-10 10:00,1\n"
        "c 6,G1,M1,,2026-02-10 10:00,-1\n"
        "c7,G1,M1,,2027-02-10 10:00,1\n"
    )
    report = await load(brand, Kind.CALLS, text)
    assert [(bad.line, bad.code) for bad in report.bad] == [
        (2, "import.unknown_guide"),
        (3, "import.unknown_member"),
        (4, "import.member_or_phone"),
        (5, "import.member_or_phone"),
        (6, "import.key_personal"),
        (7, "import.not_a_key"),
        (7, "import.below_zero"),
        (8, "import.in_future"),
    ]
    assert report.refused
    assert await brand.value("SELECT count(*) FROM system_record") == 0


async def test_a_friend_needs_no_key_and_a_removal_is_a_later_revision(brand: Brand) -> None:
    await load(brand, Kind.FRIENDS, "guide,member,added at,removed at\nG1,M1,2026-02-10 10:00,2026-02-12\n")
    late = await load(brand, Kind.FRIENDS, "guide,member,added at\nG1,M1,2026-02-10 10:00\n")
    assert late.rows_new == 1
    assert await valid(brand, "ended_at") == [(datetime(2026, 2, 11, 16, 0, tzinfo=UTC),)]


async def test_a_voucher_is_known_by_a_digest_of_its_code(brand: Brand, database: LedgerDatabase) -> None:
    text = "code,member,store,redeemed at,value\nGIFT-2026-77,M1,S1,2026-02-10 10:00,99.50\n"
    assert (await load(brand, Kind.REDEMPTIONS, text)).rows_new == 1
    assert await valid(brand, "length(code)", "value_minor", "store_id IS NOT NULL") == [(32, 9950, True)]
    assert await tables_that_hold(database.admin_url, "GIFT-2026-77") == []


async def test_a_visit_is_in_its_stores_time(brand: Brand) -> None:
    await load(brand, Kind.VISITS, "key,member,store,occurred_at\nv1,M1,S1,2026-02-10 10:00\n")
    assert await valid(brand, "occurred_at") == [(datetime(2026, 2, 10, 2, 0, tzinfo=UTC),)]


async def test_a_return_takes_who_and_where_from_the_purchase(brand: Brand) -> None:
    bought = "member,store,date,order,sku,category,qty,amount\nM1,S1,2026-02-01 10:00,b1,T,TIN,4,100\n"
    await load(brand, Kind.PURCHASES, bought)
    text = "原单号,货号,数量,退款金额,退货时间,退货单号\nb1,T,1,25,2026-02-10 10:00,r1\n"
    report = await load(brand, Kind.RETURNS, text)
    kept = await brand.fetch(
        "SELECT p.basket, p.quantity, p.value_minor, p.return_of, p.member_id = o.member_id FROM purchase p"
        " JOIN purchase o ON o.basket = p.return_of WHERE p.is_return"
    )
    assert kept == [("r1", -1, -2500, "b1", True)]
    async with driver_connection(brand.engine) as connection:
        assert await recompute_root(connection, 1, report.batch_id or 0) == report.root
    assert (await load(brand, Kind.RETURNS, text)).already_imported
    unknown = await load(brand, Kind.RETURNS, text.replace("b1,T,1", "b9,T,1").replace("r1", "r2"))
    assert [(bad.column, bad.code) for bad in unknown.bad] == [("return_of", "import.unknown_purchase")]


async def test_how_far_the_data_is_complete_is_said_and_never_guessed(brand: Brand) -> None:
    async def told() -> datetime | None:
        async with driver_connection(brand.engine) as connection:
            return (await complete_until(connection, 1, KNOWN_AT))["calls"]

    await load(brand, Kind.CALLS, CALLS)
    assert await told() is None
    for until, there in ((datetime(2026, 2, 11, tzinfo=UTC), 11), (datetime(2026, 2, 9, tzinfo=UTC), 11)):
        await load(brand, Kind.CALLS, CALLS, complete_until=until)  # nothing new is in it: that is told, too
        assert await told() == datetime(2026, 2, there, tzinfo=UTC)
    with pytest.raises(Refused) as refused:
        await load(brand, Kind.CALLS, CALLS, complete_until=KNOWN_AT + timedelta(hours=1))
    assert [problem.code for problem in refused.value.problems] == ["complete_in_future"]
    bad = CALLS + "c4,G9,13800001234,2026-02-10 10:00,75,是\n"
    await load(brand, Kind.CALLS, bad, complete_until=datetime(2026, 2, 12, tzinfo=UTC))
    assert await told() == datetime(2026, 2, 11, tzinfo=UTC)
    assert await brand.fetch("SELECT payload->>'kind' FROM event WHERE type = 'watermark_moved'") == [
        ("calls",)
    ]


async def test_a_file_returns_no_more_than_was_bought(brand: Brand) -> None:
    bought = (
        "member,store,basket,product,category,occurred_at,quantity,value,return_of\n"
        "M1,S1,b1,TIN,T,2026-02-10 10:00,4,100,\nM1,S1,b2,TIN,T,2026-02-10 10:00,4,100,\n"
    )
    over = bought + "M1,S1,b2,TIN,T,2026-02-11 10:00,-5,-1,\nM1,S1,r0,TIN,T,2026-02-11 10:00,-4,-1,b1\n"
    report = await load(brand, Kind.PURCHASES, over)
    assert [(bad.line, bad.column, bad.code) for bad in report.bad] == [
        (4, "quantity", "import.returned_more_than_bought")
    ]
    assert await brand.value("SELECT count(*) FROM purchase") == 0
    assert (await load(brand, Kind.PURCHASES, bought)).rows_new == 2
    header = "basket,return_of,product,occurred_at,quantity,value\n"
    first = header + "r1,b1,TIN,2026-02-12 10:00,3,0\n"
    assert (await load(brand, Kind.RETURNS, first)).rows_new == 1
    more = (
        first
        + "r2,b1,TIN,2026-02-12 10:00,0.5,0\nr3,b1,TIN,2026-02-12 10:00,0.6,0\nr4,b2,TIN,2026-02-12 10:00,4,0\n"
    )
    report = await load(brand, Kind.RETURNS, more)
    assert [(bad.line, bad.value, bad.params) for bad in report.bad] == [
        (3, "0.5", {"bought": "4", "returned": "3.6"}),
        (4, "0.6", {"bought": "4", "returned": "3.5"}),
    ]
    report = await load(brand, Kind.RETURNS, more, skip_bad=True)
    assert (report.rows_new, report.rows_same, report.rows_bad) == (1, 1, 2)
    async with driver_connection(brand.engine) as connection:
        assert await recompute_root(connection, 1, report.batch_id or 0) == report.root
    assert await brand.value("SELECT sum(quantity) FROM purchase") == 1


async def test_a_file_tells_only_what_its_source_may(brand: Brand) -> None:
    until = datetime(2026, 2, 10, 12, tzinfo=UTC)
    calls = "key,guide,member,occurred_at,seconds\nc1,G1,M1,2026-02-10 10:00,1\n"
    visits = "key,store,member,occurred_at\nv1,S1,M1,2026-02-10 10:00\n"
    # Of a source that does not send, HQ says what it tells.
    await load(brand, Kind.CALLS, calls, source="crm", complete_until=until)
    await load(brand, Kind.VISITS, visits, source="crm", complete_until=until)
    ledger = Ledger(brand.engine, 1, keys=brand.tenant.keys)
    await create_feed(ledger, Command("c", KNOWN_AT, KNOWN_AT, "hq"), "pbx", derived_id("secret", "1"))
    assert (await load(brand, Kind.CALLS, calls, source="pbx")).rows_new == 1
    with pytest.raises(Refused) as refused:
        await load(brand, Kind.VISITS, visits, source="pbx")
    assert [(one.field, one.value, one.code) for one in refused.value.problems] == [
        ("--source", "visits", "kind_not_of_source")
    ]
