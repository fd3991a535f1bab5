"""A guides file imported again, and changes of staff that were decided by command."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from activities.asked import Asked
from activities.handing_over import settle_staff_changes
from activities.staff import NewGuide, close_store, hire, leave, transfer
from imports.report import Kind
from ledger.ledger import Ledger
from tests.brand import at
from tests.imports.brand import Brand

OLD = "code,name,store,active\nG1,Li,S1,yes\n"


def asked(when: datetime) -> Asked:
    return Asked(None, when, "hq")


async def stands(brand: Brand) -> list[tuple[str, bool]]:
    return await brand.fetch(
        "SELECT s.code, g.active FROM guide g JOIN store s USING (tenant_id, store_id) WHERE g.code = 'G1'"
    )  # type: ignore[return-value]


async def problems(brand: Brand, text: str) -> list[tuple[int, str, str]]:
    report = await brand.load(Kind.GUIDES, brand.write("g.csv", text))
    return [(bad.line, bad.column, bad.code) for bad in report.bad]


@pytest.fixture
def ledger(brand: Brand) -> Ledger:
    return Ledger(brand.engine, 1)


async def test_an_old_file_does_not_take_a_transfer_back(brand: Brand, ledger: Ledger) -> None:
    await transfer(ledger, "G1", "S2", date(2026, 3, 2), asked(at(2, 23)))
    assert await stands(brand) == [("S2", True)]
    assert await problems(brand, OLD) == [(2, "store", "import.undoes_decision")]
    assert await stands(brand) == [("S2", True)]
    assert await problems(brand, OLD.replace("S1", "S2")) == []


async def test_skipping_bad_rows_brings_the_others_and_keeps_the_decision(
    brand: Brand, ledger: Ledger
) -> None:
    await transfer(ledger, "G1", "S2", date(2026, 3, 2), asked(at(2, 23)))
    text = OLD + "G7,Han,S1,yes\n"
    report = await brand.load(Kind.GUIDES, brand.write("g.csv", text), skip_bad=True)
    assert (report.rows_new, report.rows_bad) == (1, 1)
    assert await stands(brand) == [("S2", True)]


async def test_a_file_that_says_something_new_goes_in(brand: Brand, ledger: Ledger) -> None:
    await brand.load(Kind.STORES, brand.write("s.csv", "code,name\nS3,Three\n"))
    await transfer(ledger, "G1", "S2", date(2026, 3, 2), asked(at(2, 23)))
    assert await problems(brand, OLD.replace("S1", "S3")) == []
    assert await stands(brand) == [("S3", True)]


async def test_an_old_file_does_not_bring_back_who_left_nor_send_away_who_was_hired(
    brand: Brand, ledger: Ledger
) -> None:
    await leave(ledger, "G1", date(2026, 3, 1), None, asked(at(2)))
    assert await problems(brand, OLD) == [(2, "active", "import.undoes_decision")]
    assert await problems(brand, "code,name,store\nG1,Li Na,S1\n") == [], "it does not say that she works"
    assert await stands(brand) == [("S1", False)]
    await hire(ledger, NewGuide("G1", "Li", "S1"), asked(at(2)))
    assert await problems(brand, OLD.replace("yes", "no")) == [(2, "active", "import.undoes_decision")]


async def test_a_change_dated_ahead_is_neither_anticipated_nor_lost(brand: Brand, ledger: Ledger) -> None:
    await transfer(ledger, "G1", "S2", date(2026, 3, 20), asked(at(2)))
    assert await problems(brand, OLD.replace("S1", "S2")) == [(2, "store", "import.decided_ahead")]
    assert await problems(brand, OLD.replace("Li", "Li Na")) == [], "it says what holds today"
    await settle_staff_changes(ledger, at(20, 23))
    assert await stands(brand) == [("S2", True)]


async def test_a_closed_store_gets_no_guides_and_its_members_go_to_the_successor(
    brand: Brand, ledger: Ledger
) -> None:
    await close_store(ledger, "S1", date(2026, 3, 1), "S2", asked(at(2)))
    await settle_staff_changes(ledger, at(2, 23))
    assert await problems(brand, "code,name,store\nG7,Han,S1\n") == [(2, "store", "import.store_closed")]
    await brand.load(Kind.MEMBERS, brand.write("m.csv", "code,store\nM1,S1\nM9,S1\n"))
    homes = await brand.fetch(
        "SELECT s.code, count(*) FROM member JOIN store s ON store_id = home_store_id GROUP BY 1"
    )
    assert homes == [("S2", 3)]
