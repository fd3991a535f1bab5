"""How an item came about, in sentences."""

from __future__ import annotations

from datetime import date
from io import StringIO
from uuid import UUID

import pytest
from rich.console import Console

from cli.audit_why import _Screen
from domain.messages import PlanStep
from ledger.why import Why, why
from tests.brand import Brand, at
from tests.shared_database import brand, database, ledger, shared_database, shop
from wording.catalogue import Language, catalogue

__all__ = ["brand", "database", "ledger", "shared_database", "shop"]


async def a_sold_item(brand: Brand) -> Why:
    guide = UUID(str(await brand.value("SELECT guide_id FROM guide")))
    (member,) = await brand.due_on(2, "M1")
    await brand.start()
    await brand.morning(2, guide)
    task = await brand.task(member)
    await brand.reminders.nudge_guides(brand.day(2, 16, slot="16:00"))
    await brand.report(
        task, guide, at(2, 17), "interested", actor="account/8e3c0f52-0000-4000-8000-000000000001"
    )
    await brand.evening(2, guide)
    await brand.buy(member, at(4))
    await brand.review.check_cycle(PlanStep(plan_id="p1", cycle=1, at=at(12, 21), rehearsal=True))
    async with brand.ledger.connection() as connection:
        return await why(connection, brand.ledger.tenant_id, task, now=at(date(2026, 5, 1)))


def screen(told: Why, language: Language, width: int) -> str:
    console = Console(file=StringIO(), width=width, highlight=False, markup=False, emoji=False)
    for part in _Screen(catalogue(language), told).parts():
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_supervisor_reads_how_an_item_came_about_at_every_width(
    shop: Brand, language: Language
) -> None:
    told = await a_sold_item(shop)
    words = catalogue(language)
    for width in (60, 80, 120):
        text = screen(told, language, width)
        for heading in ("selected", "assigned", "days", "reports", "effect", "checks"):
            assert words(f"audit_why.{heading}") in text
        flat = "".join(text.split())
        assert "plan/p1#2" in flat
        assert "guide-day/G1/2026-03-02#1" in flat
        assert "account/8e3c0f52…" in flat
        assert words("audit_why.shares.provisional_succeeded").replace(" ", "") in flat
        assert max(Console(width=width).measure(line).maximum for line in text.splitlines() if line) <= width
        assert "Wang" not in text
        assert str(told.member) not in text


async def test_what_was_corrected_and_voided_is_said_in_words(shop: Brand) -> None:
    guide = UUID(str(await shop.value("SELECT guide_id FROM guide")))
    (member,) = await shop.due_on(2, "M1")
    await shop.start()
    await shop.morning(2, guide)
    task = await shop.task(member)
    await shop.report(task, guide, at(2, 10), "no_answer")
    await shop.correct(task, 2, at(2, 11), performed_by=guide, occurred_at=at(2, 10), outcome="refused")
    await shop.correct(task, 3, at(2, 12), why="wrong item")
    async with shop.ledger.connection() as connection:
        told = await why(connection, shop.ledger.tenant_id, task, now=at(2, 13))
    text = screen(told, "en", 200)
    assert "Corrects #2: 03-02 10:00, attempt 1, G1 by phone: refused (reached); the task is done" in text
    assert "Voids #3, as if it had not been reported; the task is open" in text
    assert "leaves_item" not in text
