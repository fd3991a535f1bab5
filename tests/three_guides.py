"""Three guides of one store and what is on whose list: for tests of what changes lists within the day."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from activities.asked import Asked
from ledger.folding.comparing import differences
from tests.brand import Brand

BY_TURNS: dict[str, Any] = {"strategies": [{"strategy": "round_robin"}]}


def hq(when: Any) -> Asked:
    """HQ asks."""
    return Asked(None, when, "hq")


async def guides(brand: Brand) -> list[UUID]:
    """Ids by code."""
    return [row[0] for row in await brand.rows("SELECT guide_id FROM guide ORDER BY code")]


async def lists(brand: Brand, day: int = 2) -> dict[UUID, list[UUID]]:
    """By guide, the items on her list of a day of March 2026, in order."""
    rows = await brand.rows(
        "SELECT guide_id, task_id FROM list_item WHERE business_date = $1 ORDER BY guide_id, rank",
        date(2026, 3, day),
    )
    found: dict[UUID, list[UUID]] = {}
    for guide, task in rows:
        found.setdefault(guide, []).append(task)
    return found


async def folds_agree(brand: Brand) -> list[Any]:
    """What the projections hold otherwise than the events tell: nothing."""
    async with brand.ledger.connection() as connection, connection.transaction(isolation="repeatable_read"):
        return [one async for one in differences(connection, 1)]
