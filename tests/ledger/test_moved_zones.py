"""A guide who goes to a store of another time zone: each of her days stays in the zone in which she worked on it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from activities.asked import Asked
from activities.staff import transfer
from domain.calendar import local_instant
from domain.confirmation import Standing
from ledger.publishing import list_published_at
from ledger.staff import apply_staff_changes
from tests.brand import ZONE, Brand, at
from tests.ledger.test_replay import counted_otherwise
from tests.records import Records

WEST = "America/Los_Angeles"
DAYS = "SELECT business_date, done, reached, corrected, figures_version FROM guide_day ORDER BY business_date"
SECOND, THIRD = date(2026, 3, 2), date(2026, 3, 3)


@pytest_asyncio.fixture
async def guide(shop: Brand) -> UUID:
    """G1 with members M1 and M2, the list of Monday published; a store in the west to go to."""
    await shop.due_on(2, "M1", "M2")
    await shop.start()
    await shop.open_store("W1", zone=WEST)
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide WHERE code = 'G1'")))
    await shop.morning(2, guide)
    return guide


@pytest_asyncio.fixture
async def tasks(shop: Brand, guide: UUID) -> list[UUID]:
    return [await shop.task(member) for member in await shop.listed(2, guide)]


async def move(shop: Brand, to: str, on: date, when: datetime) -> None:
    """Decide a transfer, and let two days pass."""
    await transfer(shop.ledger, "G1", to, on, Asked(f"transfer/{to}", when, "hq"))
    async with shop.ledger.connection() as connection:
        await apply_staff_changes(connection, when + timedelta(days=2))


async def day_at(shop: Brand, guide: UUID, when: datetime) -> tuple[date, str]:
    ((day, zone),) = await shop.rows("SELECT on_day, time_zone FROM day_at($1, $2)", guide, when)
    return day, zone


async def test_a_correction_counts_the_day_anew_that_the_guide_worked_in_her_old_zone(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    done = await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    await move(shop, "W1", THIRD, at(2, 22))
    again = await shop.correct(
        tasks[0], done.version, at(5), why="w", performed_by=guide, occurred_at=at(2, 9, 30), outcome="came"
    )
    assert await shop.rows("SELECT business_date FROM check_in") == [(SECOND,)]
    assert await shop.rows(DAYS) == [(SECOND, 1, 1, 1, 2)]
    await shop.correct(tasks[0], again.version, at(5, 10), why="never made")
    assert await shop.rows(DAYS) == [(SECOND, 0, 0, 0, 3)]
    voided = (
        "SELECT payload->>'business_date', payload->>'closed_day' FROM event WHERE type = 'check_in_voided'"
    )
    assert await shop.rows(voided) == [("2026-03-02", "true")]
    assert await counted_otherwise(shop.ledger) == []


async def test_a_report_that_was_kept_under_a_day_stays_under_it_whatever_its_time_would_say(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    done = await shop.report(tasks[0], guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    # As a version before may have kept it: in the zone where she stood later.
    await shop.execute("UPDATE store SET time_zone = $1", WEST)
    await shop.execute("UPDATE guide_day SET time_zone = $1", WEST)
    await shop.correct(
        tasks[0], done.version, at(5), why="w", performed_by=guide, occurred_at=at(2, 10), outcome="came"
    )
    assert await shop.rows(DAYS) == [(SECOND, 1, 1, 1, 2)]


async def test_a_late_report_belongs_to_the_day_in_the_zone_where_she_stood(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    await shop.evening(2, guide)
    await move(shop, "W1", THIRD, at(2, 22))
    await shop.report(tasks[0], guide, at(2, 10), "came", known_at=at(3, 20))
    assert await shop.rows("SELECT business_date, late FROM check_in") == [(SECOND, True)]
    assert await shop.rows(DAYS) == [(SECOND, 1, 1, 0, 2)]
    async with shop.ledger.connection() as connection:
        assert await list_published_at(connection, 1, guide, at(2, 10)) == at(2, 9)


async def test_who_was_sent_west_in_the_middle_of_her_day_ends_it_where_she_began_it(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    # In force at once, for in the west it is still Sunday; her items have not moved yet.
    await shop.execute("UPDATE guide SET store_id = (SELECT store_id FROM store WHERE code = 'W1')")
    await shop.report(tasks[0], guide, at(2, 11), "came")
    assert await shop.rows("SELECT business_date, late FROM check_in") == [(SECOND, False)]
    await shop.evening(2, guide)
    assert await shop.rows(DAYS) == [(SECOND, 1, 1, 0, 1)]
    assert await counted_otherwise(shop.ledger) == []


@pytest.mark.parametrize("decided", [at(1), at(2, 22)])
async def test_a_day_without_a_list_is_that_of_where_she_stood(
    shop: Brand, guide: UUID, decided: datetime
) -> None:
    assert await day_at(shop, guide, at(20, 10)) == (date(2026, 3, 20), ZONE)
    await move(shop, "W1", date(2026, 3, 10), decided)
    there = local_instant(date(2026, 3, 10), datetime.min.time(), WEST)
    moment = timedelta(microseconds=1)
    assert await day_at(shop, guide, there - moment) == (date(2026, 3, 10), ZONE)
    assert await day_at(shop, guide, there) == (date(2026, 3, 10), WEST)
    assert await day_at(shop, guide, at(2, 10)) == (SECOND, ZONE)
    assert await day_at(shop, guide, at(date(2026, 2, 20), 1)) == (date(2026, 2, 20), ZONE)
    assert await day_at(shop, UUID(int=0), there) == (None, None)


async def test_of_two_days_at_once_it_is_the_one_whose_list_is_open(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    # Sunday evening in the west is Monday morning here.
    await shop.execute(
        "INSERT INTO guide_day (tenant_id, guide_id, business_date, time_zone, state, listed, opens_at, closes_at)"
        " VALUES (1, $1, '2026-03-01', $2, 'closed', 0, $3, $4)",
        guide, WEST, at(1, 9, zone=WEST), at(1, 16, zone=WEST),
    )  # fmt: skip
    assert tasks
    assert await day_at(shop, guide, at(2, 7)) == (date(2026, 3, 1), WEST)
    assert await day_at(shop, guide, at(2, 10)) == (SECOND, ZONE)
    assert await day_at(shop, guide, at(1, 23, zone=WEST)) == (SECOND, ZONE)


async def test_what_another_guide_did_after_a_close_in_the_west_leaves_the_closed_day_as_it_was(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    other = await shop.hire("W-G", "W1")
    await shop.evening(2, guide)
    assert await shop.value("SELECT carried FROM guide_day") == 2
    await shop.execute("UPDATE task SET guide_id = $1 WHERE task_id = $2", other, tasks[0])
    await shop.report(tasks[0], other, at(2, 12, zone=WEST), "came")
    assert await shop.rows("SELECT guide_id, business_date FROM check_in") == [(other, SECOND)]
    assert await counted_otherwise(shop.ledger) == []


async def test_a_claim_is_held_against_what_was_recorded_on_its_day_in_the_zone_of_then(
    shop: Brand, guide: UUID, tasks: list[UUID]
) -> None:
    records = Records(shop)
    await shop.report(tasks[0], guide, at(2, 13), "came", channel="in_store")
    # In the west, where she is to go, it was Sunday still.
    seen = await records.other("visits", (await shop.listed(2, guide))[0], at(2, 11))
    await move(shop, "W1", THIRD, at(2, 22))
    assert [(claim.standing, claim.records) for claim in await records.claims()] == [
        (Standing.CONFIRMED, (seen,))
    ]
