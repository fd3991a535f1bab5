"""The coming days on the screen: all guides together, and those who come to have more than they can do."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType

from activities.forecasting import Forecast
from cli.layout import heading, number, table
from cli.session import Session
from domain.contact_budget import ContactPeriod, span

MOST_NAMED = 20


def forecast(session: Session, found: Forecast) -> Iterator[RenderableType]:
    """A table a kind of item, then who is over capacity from which day on."""
    words = session.words
    yield heading(words("forecast.title"))
    if not found.totals:
        yield words("forecast.nothing")
        return
    for kind, days in found.totals.items():
        made = table(
            words.code("item_kinds", kind), words("forecast.due"), words("forecast.load"), words("forecast.capacity"),
            words("forecast.left"), right=(1, 2, 3, 4),
        )  # fmt: skip
        for one in days:
            made.add_row(
                f"{one.day}", number(one.due), number(one.load), number(one.capacity), number(one.left)
            )
        yield made
    yield from _contacts(session, found)
    if not found.over:
        yield words("forecast.fits")
        return
    yield words("forecast.over", guides=number(found.over))
    for guide in [guide for guide in found.guides if guide.over_from][:MOST_NAMED]:
        most = max(guide.days, key=lambda load: load.load - load.capacity)
        yield words(
            "forecast.guide_over",
            guide=guide.guide,
            store=guide.store,
            kind=words.code("item_kinds", guide.kind),
            day=guide.over_from,
            load=number(most.load),
            capacity=number(most.capacity),
            most=most.day,
        )


def _contacts(session: Session, found: Forecast) -> Iterator[RenderableType]:
    told = found.contacts
    if told is None:
        return
    of = number(told.members)
    if told.none_this_month:
        members = number(told.none_this_month)
        yield session.words("forecast.no_contact_month", members=members, of=of, month=f"{told.day:%Y-%m}")
    if told.none_this_week:
        members = number(told.none_this_week)
        monday = span(ContactPeriod.WEEK, told.day)[0]
        yield session.words("forecast.no_contact_week", members=members, of=of, monday=monday)
