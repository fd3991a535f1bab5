"""A nudge slot of all guides at once, everything on their lists open: before PostgreSQL knows anything of the day, and after."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from time import perf_counter

from sqlalchemy.engine import make_url

from activities.context import Context
from activities.reminders import ReminderActivities
from bench.administering import administer
from bench.day.brand import RELEASE, Shape
from bench.day.cutting import UNVACUUMED, opened, ours_urls
from bench.ledger.dispatch import Place
from domain.messages import DayStep
from ledger.endpoints import add_endpoint


@dataclass(frozen=True, slots=True)
class Nudged:
    """Seconds of a slot."""

    not_analysed: float
    analysed: float


async def measure_nudges(place: Place, shape: Shape) -> Nudged:
    """Two slots of the day that `bench.day.cutting` left published.

    Raises:
        SystemExit: somebody was not nudged.
    """
    urls = await ours_urls(place)
    async with opened(urls, place) as ledger:
        await add_endpoint(
            ledger, scope="brand", code="", kind="webhook", address="json://127.0.0.1/", per_minute=60
        )
        spent = []
        for hour in (12, 17):
            reminders = ReminderActivities(Context(ledger, partial(shape.at, hour)))
            step = DayStep(
                day=shape.day,
                time_zone=shape.time_zone,
                release=RELEASE,
                at=shape.at(hour),
                slot=f"{hour}:00",
                rehearsal=True,
            )
            began = perf_counter()
            nudged = await reminders.nudge_guides(step)
            spent.append(perf_counter() - began)
            if nudged.guides != shape.guides:
                raise SystemExit(
                    f"{nudged.guides} of {shape.guides} guides nudged: nothing would be measured"
                )
            await administer(make_url(urls.admin), *(f"ANALYZE daogou.{table}" for table in UNVACUUMED))
    return Nudged(*spent)
