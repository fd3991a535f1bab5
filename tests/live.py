"""A day that is going on right now, in real time: a zone where it is late morning, a plan that released at ten.

The live code takes the present from the clock, so the day is laid around the present instead of the other way
round: of the fixed zones one always shows eleven o'clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from domain.plan import Plan
from infra.clock import now
from tests.brand import Brand, plan

T = TypeVar("T")
STOCK = timedelta(days=23)
"""Four tins of seven days, less five lead days: bought so long ago, the item is due today."""


def late_morning(present: datetime) -> str:
    """A fixed zone whose clocks show eleven."""
    hours = (11 - present.hour) % 24
    hours = hours - 24 if hours > 14 else hours
    return f"Etc/GMT{'-' if hours >= 0 else '+'}{abs(hours)}"  # the sign of these names runs the other way


def local(present: datetime, zone: str) -> datetime:
    """The present as clocks in the zone show it."""
    return present.astimezone(ZoneInfo(zone))


def day_plan(zone: str, *, lasts: timedelta, name: str = "p1", **changes: Any) -> Plan:
    """One working day, released at ten; it closes `lasts` from now."""
    there = local(now(), zone)
    day = {
        "release": "10:00",
        "nudges": [],
        "close": (there + lasts).time().replace(microsecond=0).isoformat(),
        **changes.pop("day", {}),
    }
    today = there.date().isoformat()
    return plan(
        plan=name,
        period={"start": today, "working_days": 1},
        goal={"measure": "completion_rate", "target": 80, "by": today},
        day=day,
        check={"attribution_days": 1},
        **changes,
    )


async def brand_today(brand: Brand, zone: str, *, guides: int = 2, items: int = 3) -> date:
    """One store, its guides, and members whose items are due today, each served by one of them; returns today."""
    present = now()
    await brand.open_store(zone=zone)
    hired = [await brand.hire(f"G{number}") for number in range(1, guides + 1)]
    for number, guide in enumerate(hired, 1):
        codes = [f"M{number}-{item}" for item in range(1, items + 1)]
        for member in await brand.join(*codes):
            await brand.buy(member, present - STOCK, guide=guide)
    return local(present, zone).date()


async def until(look: Callable[[], Awaitable[T]], what: str, *, within: float = 30.0) -> T:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + within
    while not (seen := await look()):
        assert time.monotonic() < deadline, f"{what}: not within {within} s"
        await asyncio.sleep(0.05)
    return seen
