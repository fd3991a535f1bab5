"""Events of every old version tell the same rows as the newest would: a test for each."""

from __future__ import annotations

import pytest

from ledger.folding.rebuilding import owner
from ledger.folding.upcasting import OLD
from tests.brand import Brand
from tests.conftest import LedgerDatabase
from tests.ledger.test_rebuild import found, lived, rebuilt

__all__ = ["found", "rebuilt"]

CLOSED_AS_CUT = [("morning", 11, 0), ("report", 0, 1), ("report", 1, 0), ("report", 2, 0), ("evening", 0, 0)]
TWO_CYCLES = [
    *CLOSED_AS_CUT, ("next_day", 0, 0), ("morning", 0, 0), ("report", 0, 4), ("report", 3, 0), ("evening", 0, 0),
    ("check", 1, 0), ("morning", 0, 0), ("report", 2, 0),
]  # fmt: skip
"""The first day's lists are closed without being published but for one guide's; members bring grades along."""


async def as_version_1(database: LedgerDatabase, kind: str, *added: str) -> int:
    """Write the events of a type as version 1 had them; bytes and hashes are not what a fold reads."""
    async with owner(database.admin_url) as forger:
        await forger.execute("RESET ROLE; SET session_replication_role = replica")
        done = await forger.execute(
            "UPDATE event SET schema_version = 1, payload = payload - $2::text[] WHERE type = $1",
            kind,
            list(added),
        )
    return int(done.removeprefix("UPDATE "))


@pytest.fixture
async def brand(shared_database: LedgerDatabase) -> Brand:
    return (await lived(shared_database, TWO_CYCLES)).brand


DAY = ("time_zone", "opens_at", "closes_at")
BROUGHT = ("grade", "dial_days", "last_dial_on", "last_reached_at")


async def test_list_published_1_takes_what_is_kept_for_whose_clocks_the_day_went_by(
    shared_database: LedgerDatabase, brand: Brand
) -> None:
    assert await as_version_1(shared_database, "list_published", *DAY)
    assert await found(brand.ledger) == []
    await brand.execute("UPDATE guide_day SET published_at = now() WHERE published_at IS NOT NULL")
    assert {one.kind for one in await found(brand.ledger)} == {
        "guide's day differs from its events: published_at"
    }
    async with owner(shared_database.admin_url) as forger:
        await forger.execute("DELETE FROM guide_day WHERE published_at IS NOT NULL")
    await rebuilt(shared_database)
    assert await found(brand.ledger) == []
    days = await brand.rows("SELECT time_zone, opens_at = published_at, closes_at IS NULL FROM guide_day"
                            " WHERE published_at IS NOT NULL")  # fmt: skip
    assert set(days) == {("Asia/Shanghai", True, False)}


async def test_day_closed_1_keeps_the_items_of_a_list_that_was_never_published(
    shared_database: LedgerDatabase, brand: Brand
) -> None:
    unpublished = "SELECT count(*) FROM list_item JOIN guide_day USING (guide_id, business_date) WHERE published_at IS NULL"
    before = await brand.value(unpublished)
    assert before > 0
    assert await as_version_1(shared_database, "day_closed", "tasks", *DAY)
    assert await found(brand.ledger) == []
    await rebuilt(shared_database)
    assert await brand.value(unpublished) == before


async def test_member_assigned_1_counts_again_what_the_member_brings_along(
    shared_database: LedgerDatabase, brand: Brand
) -> None:
    brings = "SELECT count(*) FROM plan_member WHERE cycle = 2 AND grade IS NOT NULL AND dial_days > 0"
    assert await brand.value(brings) > 0
    assert await as_version_1(shared_database, "member_assigned", *BROUGHT)
    assert await found(brand.ledger) == []
    await brand.execute("UPDATE plan_member SET grade = 'A', dial_days = 0 WHERE cycle = 2")
    assert {one.table for one in await found(brand.ledger)} == {"plan_member"}


def test_every_old_version_has_its_test() -> None:
    tested = {name.split("_takes_")[0].split("_keeps_")[0].split("_counts_")[0] for name in globals()}
    assert {f"test_{kind}_{version}" for kind, version in OLD} <= tested
