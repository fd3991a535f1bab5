"""Screens of the `day` commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from rich.console import RenderableType

from activities.opening import OpenedDay, ZoneRelease
from cli.layout import heading, number, table
from cli.session import Session
from infra.plan_workflows import Told
from ledger.store_days import StoreDay

STATES = ("cut", "published", "closed")


@dataclass(frozen=True, slots=True)
class Opened:
    """One release hour that was opened, and what came of starting its workflow."""

    release: ZoneRelease
    opened: OpenedDay
    told: Told


def opened(session: Session, releases: Sequence[Opened]) -> Iterator[RenderableType]:
    """A line a release hour, and once what came of Temporal."""
    words = session.words
    for one in releases:
        key = "day.opened" if one.opened.cut else "day.opened_before"
        if not one.opened.lists:
            key = "day.opened_empty"
        where = {"day": one.release.day, "zone": one.release.time_zone, "release": one.release.release}
        yield words(key, **where, lists=number(one.opened.lists))
    told = [one.told for one in releases]
    for one_told, key in (
        (Told.UNREACHABLE, "day.temporal_away"),
        (Told.NOT_SET, "day.temporal_not_set"),
    ):
        if one_told in told:
            yield words(key, command=session.command("clock-in", "G1"))


def standing(session: Session, stores: Sequence[StoreDay]) -> Iterator[RenderableType]:
    """A table a day and zone: every store with its lists."""
    words = session.words
    for day, zone in dict.fromkeys((one.day, one.time_zone) for one in stores):
        yield heading(words("day.title", day=day, zone=zone))
        made = table(
            words("day.store"), words("day.guides"), words("day.clocked_in"), words("day.listed"), words("day.done"),
            words("day.state"), words("day.closes"), right=(1, 2, 3, 4),
        )  # fmt: skip
        here = [one for one in stores if (one.day, one.time_zone) == (day, zone)]
        for one in here:
            made.add_row(
                f"{one.store} {one.name}",
                number(one.guides),
                number(one.clocked_in),
                number(one.listed),
                number(one.done),
                _state(session, one),
                f"{one.closes_at.astimezone(ZoneInfo(zone)):%H:%M}",
            )
        if len(here) > 1:
            made.add_row(
                words("day.total"),
                *(
                    number(sum(getattr(one, key) for one in here))
                    for key in ("guides", "clocked_in", "listed", "done")
                ),
                style="bold",
            )
        yield made


def _state(session: Session, one: StoreDay) -> str:
    """`published`, or `published 1 · closed 1` where a store's lists do not stand alike."""
    counts = {state: getattr(one, state) for state in STATES if getattr(one, state)}
    worded = {state: session.words.code("list_states", state) for state in counts}
    if len(counts) == 1:
        return next(iter(worded.values()))
    return " · ".join(f"{worded[state]} {count}" for state, count in counts.items())
