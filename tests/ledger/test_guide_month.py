"""A guide's month: closed days as stored, today's as it stands, and nothing of other days."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from domain.errors import NotFound
from ledger.guide_month import GuideMonth, read_guide_month
from ledger.recounting import count_days
from tests.brand import Brand, at


async def month(brand: Brand, *, of: date | None = None, when: int = 4) -> GuideMonth:
    async with brand.ledger.connection() as connection:
        return await read_guide_month(connection, 1, "G1", of, at=at(when, 12))


async def worked(shop: Brand) -> tuple[UUID, list[UUID]]:
    """Three items on Monday, of which one reached and one not; closed. Then those left and one more on Tuesday."""
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    members = await shop.due_on(2, "M1", "M2", "M3")
    await shop.due_on(3, "M4")
    await shop.start()
    await shop.morning(2, guide)
    tasks = [await shop.task(member) for member in members]
    await shop.report(tasks[0], guide, at(2, 10), "interested")
    await shop.report(tasks[1], guide, at(2, 10), "no_answer")
    await shop.evening(2, guide)
    await shop.morning(3, guide)
    return guide, tasks


async def test_a_closed_day_is_as_its_close_stored_it_and_today_as_it_stands(shop: Brand) -> None:
    guide, tasks = await worked(shop)
    await shop.report(tasks[2], guide, at(3, 10), "interested")
    found = await month(shop, when=3)
    monday, tuesday = found.days
    assert (monday.day, monday.state, monday.figures_version, monday.carried) == (
        date(2026, 3, 2),
        "closed",
        1,
        1,
    )
    assert (monday.counts.due, monday.counts.attempted, monday.counts.followed_up) == (3, 2, 1)
    assert (tuesday.state, tuesday.figures_version, tuesday.carried) == ("published", None, None)
    assert (tuesday.counts.attempted, tuesday.counts.followed_up) == (1, 1)
    assert tuesday.counts.due == len(await shop.listed(3, guide))
    total = found.total
    assert (total.due, total.attempted, total.followed_up) == (3 + tuesday.counts.due, 3, 2)
    assert str(monday.counts.completion_rate) == "33.3 % (1/3)"
    assert str(monday.counts.attempt_rate) == "66.7 % (2/3)"


async def test_what_is_counted_now_is_what_the_close_then_stores(shop: Brand) -> None:
    guide, tasks = await worked(shop)
    await shop.report(tasks[2], guide, at(3, 10), "refused")
    before = (await month(shop, when=3)).days[1].counts
    await shop.evening(3, guide)
    assert (await month(shop)).days[1].counts == before


async def test_a_late_fact_gives_a_closed_day_its_next_version(shop: Brand) -> None:
    guide, tasks = await worked(shop)
    late = shop.report_command(tasks[2], guide, at(2, 15), "interested", known_at=at(3, 11))
    await shop.report(tasks[2], guide, late.occurred_at, "interested", known_at=late.known_at)
    monday = (await month(shop)).days[0]
    assert (monday.figures_version, monday.counts.late, monday.counts.attempted) == (2, 1, 3)
    async with shop.ledger.connection() as connection:
        (recounted,) = (await count_days(connection, 1, [(guide, date(2026, 3, 2))])).values()
    assert (
        monday.counts.due,
        monday.counts.attempted,
        monday.counts.followed_up,
        monday.counts.late,
    ) == tuple(recounted[name] for name in ("listed", "done", "reached", "late"))


async def test_days_of_other_months_are_not_in_it(shop: Brand) -> None:
    await worked(shop)
    assert (await month(shop, of=date(2026, 2, 15))).days == ()
    assert [day.day for day in (await month(shop, of=date(2026, 3, 31))).days] == [
        date(2026, 3, 2),
        date(2026, 3, 3),
    ]


async def test_a_code_that_no_guide_has_is_refused(shop: Brand) -> None:
    async with shop.ledger.connection() as connection:
        with pytest.raises(NotFound):
            await read_guide_month(connection, 1, "G9", None, at=at(2))
