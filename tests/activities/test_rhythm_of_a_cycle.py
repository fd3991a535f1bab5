"""Where enough members bought again, a cycle's items are reckoned with their rhythm, and can be told why."""

from __future__ import annotations

from datetime import date, timedelta
from io import StringIO
from uuid import UUID

from rich.console import Console

from activities.assignment import draw_cycle
from cli.audit_why import _Screen
from domain.rhythm import MINIMUM_CASES
from ledger.cycles import read_cycle
from ledger.folding.comparing import differences
from ledger.why import why
from tests.brand import Brand, at, plan
from tests.shared_database import brand, database, ledger, shared_database, shop
from wording.catalogue import catalogue

__all__ = ["brand", "database", "ledger", "shared_database", "shop"]

BY_RHYTHM = plan(means=[{"name": "Reminder", "script": "Hello"}])
LAST = date(2026, 2, 14)
"""A tin every twenty days, the last on this day: run out on 6 March, due on the 1st, so on Monday the 2nd."""


async def regulars(shop: Brand) -> list[UUID]:
    members = await shop.join(*(f"M{n}" for n in range(MINIMUM_CASES)))
    for member in members:
        for back in (60, 40, 20, 0):
            await shop.buy(member, at(LAST - timedelta(days=back), 10), 1)
    return members


async def differing(shop: Brand) -> list[tuple[str, tuple[str, ...]]]:
    async with shop.ledger.connection() as connection, connection.transaction(isolation="repeatable_read"):
        return [(one.table, one.columns) async for one in differences(connection, 1)]


async def test_items_say_what_they_rest_on_and_a_later_one_rests_on_the_same(shop: Brand) -> None:
    members = await regulars(shop)
    await shop.start(BY_RHYTHM)
    category = shop.categories["TIN"]
    async with shop.ledger.connection() as connection:
        cycle = await read_cycle(connection, 1, "p1", 1)
    assert cycle is not None
    rhythm = cycle.rhythms[category]
    assert (rhythm.intervals, set(rhythm.lasts)) == (3 * MINIMUM_CASES, {20 * 10_000})
    told = await shop.rows(
        "SELECT DISTINCT payload->>'run_out_on', payload->>'due_on', payload->>'expected_on', payload->>'basis',"
        " payload->'own_intervals' FROM event WHERE type = 'task_created'"
    )
    assert told == [("2026-03-06", "2026-03-02", "2026-03-06", "member", 3)]
    # What the segment does meanwhile changes nothing for items of this cycle.
    for member in members[1:]:
        await shop.buy(member, at(2, 12), 1)
    async with shop.ledger.connection() as connection:
        one = await why(connection, 1, await shop.task(members[0]), now=at(5))
    assert one.basis.agrees
    assert one.basis.run_out is not None
    assert one.basis.run_out.own_intervals == 3
    for language in ("zh", "en"):
        words = catalogue(language)
        console = Console(file=(file := StringIO()), width=200, highlight=False, markup=False, emoji=False)
        for part in _Screen(words, one).parts():
            console.print(part)
        flat = "".join(file.getvalue().split())
        for sentence in (words("audit_why.rhythm", own=3), words("audit_why.expected", on="03-06")):
            assert "".join(sentence.split()) in flat


async def test_what_becomes_known_later_changes_no_rhythm(shop: Brand) -> None:
    members = await regulars(shop)
    async with shop.ledger.connection() as connection:
        before = await draw_cycle(connection, 1, BY_RHYTHM, 1, at(2, 8, 30))
    for member in members:
        await shop.buy(member, at(date(2026, 2, 20), 10), 9, known_at=at(2, 9))
    async with shop.ledger.connection() as connection:
        after = await draw_cycle(connection, 1, BY_RHYTHM, 1, at(2, 8, 30))
        later = await draw_cycle(connection, 1, BY_RHYTHM, 1, at(2, 9))
    assert before.started.rhythms == after.started.rhythms != later.started.rhythms
    assert before.tasks == after.tasks


async def test_rhythms_are_told_by_the_events_alone(shop: Brand) -> None:
    await regulars(shop)
    await shop.start(BY_RHYTHM)
    assert await differing(shop) == []
    await shop.execute("UPDATE plan_cycle SET rhythms = '{}'")
    assert await differing(shop) == [("plan_cycle", ("rhythms",))]
