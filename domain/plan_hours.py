"""A plan's hours held against the calendars of the stores that take part: what is refused before launch, what is told.

Nothing is guessed: a year whose statutory holidays are not announced yet is named, and counts as usual days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time

from domain.calendar import local_instant
from domain.errors import Problem
from domain.layers import Layers, QuietHours
from domain.permitted import Purpose, blocked
from domain.plan import Plan, clock_text

NAMED = 3
"""Stores named in a problem; the rest is counted."""


def hours_problems(plan: Plan, stores: Mapping[str, Layers]) -> list[Problem]:
    """What no store's hours permit: a release at or after its closing, a slot that finds nobody at work anywhere.

    Args:
        plan: the plan.
        stores: the layers of every store that takes part, by its code.
    """
    days = plan.cycle_days(1)
    problems = []
    late = [code for code in sorted(stores) if not _ever_before_closing(plan, stores[code], days)]
    if late:
        told = {"stores": _named(late), "closes": str(_closing(stores[late[0]], days))}
        problems.append(Problem("day.release", clock_text(plan.day.release), "release_after_closing", told))
    if len(late) < len(stores):
        for place, slot in enumerate(plan.day.nudges):
            if not any(_permitted(plan, layers, days, slot) for layers in stores.values()):
                problems.append(Problem(f"day.nudges.{place}", clock_text(slot), "nudge_outside_hours"))
    quiet = _quiet_of(stores)
    if quiet is not None and _all_quiet(plan.day.release, plan.day.close, quiet):
        told = {"quiet": str(quiet)}
        problems.append(Problem("day.release", clock_text(plan.day.release), "day_in_quiet_hours", told))
    return problems


def step_problems(steps: Sequence[tuple[str, time]], quiet: QuietHours) -> list[Problem]:
    """The steps of a programme that would reach members in quiet hours.

    Args:
        steps: the field of each step and its local time.
        quiet: the members' quiet hours.
    """
    return [
        Problem(field, clock_text(at), "step_in_quiet_hours", {"quiet": str(quiet)})
        for field, at in steps
        if quiet.holds(at)
    ]


def hours_notes(plan: Plan, stores: Mapping[str, Layers]) -> list[Problem]:
    """What a planner should know and may launch with: years not announced, an evening that runs into quiet hours."""
    first, last = plan.period.start, plan.cycle_days(plan.period.cycles)[-1]
    unknown: dict[str, set[int]] = {}
    for layers in stores.values():
        for country, years in layers.days.unknown_years(first, last).items():
            unknown.setdefault(country, set()).update(years)
    notes = [
        Problem("period", str(year), "holidays_unknown", {"year": str(year), "country": country})
        for country in sorted(unknown)
        for year in sorted(unknown[country])
    ]
    quiet = _quiet_of(stores)
    if quiet is not None and quiet.holds(_minute_before(plan.day.close)):
        told = {"quiet": str(quiet)}
        notes.append(Problem("day.close", clock_text(plan.day.close), "close_in_quiet_hours", told))
    closed = [day for day in plan.cycle_days(1) if not _worked_anywhere(plan, stores, day)]
    if closed and stores:
        told = {"days": str(len(closed)), "first": closed[0].isoformat()}
        notes.append(Problem("calendar", closed[0].isoformat(), "closed_in_all_stores", told))
    return notes


def _ever_before_closing(plan: Plan, layers: Layers, days: Sequence[date]) -> bool:
    worked = [day for day in days if plan.working_calendar.within(layers.days).is_working(day)]
    if not worked or layers.store is None:
        return True
    for day in worked:
        at = local_instant(day, plan.day.release, layers.zone)
        if any(at < hours.on(day, layers.zone)[1] for hours in layers.store.on(day)):
            return True
    return False


def _permitted(plan: Plan, layers: Layers, days: Sequence[date], slot: time) -> bool:
    there = layers.model_copy(update={"days": plan.working_calendar.within(layers.days), "guide": None})
    return any(
        blocked(local_instant(day, slot, layers.zone), there, Purpose.WORK) is None
        for day in days
        if there.days.is_working(day)
    ) or not any(there.days.is_working(day) for day in days)


def _closing(layers: Layers, days: Sequence[date]) -> str:
    hours = layers.store.on(days[0]) if layers.store else ()
    return f"{max((one.closes for one in hours), default=time(0)):%H:%M}"


def _worked_anywhere(plan: Plan, stores: Mapping[str, Layers], day: date) -> bool:
    return any(plan.working_calendar.within(layers.days).is_working(day) for layers in stores.values())


def _quiet_of(stores: Mapping[str, Layers]) -> QuietHours | None:
    return next((layers.quiet for layers in stores.values() if layers.quiet is not None), None)


def _all_quiet(release: time, close: time, quiet: QuietHours) -> bool:
    minutes = range(release.hour * 60 + release.minute, close.hour * 60 + close.minute + 1)
    return all(quiet.holds(time(minute // 60, minute % 60)) for minute in minutes)


def _minute_before(at: time) -> time:
    minutes = (at.hour * 60 + at.minute - (0 if at.second else 1)) % 1440
    return time(minutes // 60, minutes % 60)


def _named(codes: Sequence[str]) -> str:
    return ", ".join(codes[:NAMED]) + (f" … ({len(codes)})" if len(codes) > NAMED else "")
