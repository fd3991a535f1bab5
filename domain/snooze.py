"""Putting an item off: later today or a later day of the cycle, so often and no oftener; it counts as no attempt.

Source: the guide's day in domain.md (*The day*, nudges); the bounds are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal, get_args
from uuid import UUID

from domain.calendar import local_instant
from domain.errors import Problem, Refused
from domain.events import TaskSnoozed

SnoozeReason = Literal["member_asked", "line_busy", "serving_in_store", "waits_for_goods", "other"]
REASONS: tuple[str, ...] = get_args(SnoozeReason)
MOST_SNOOZES = 3
"""So often an item is put off (ours)."""


@dataclass(frozen=True, slots=True)
class ItemToSnooze:
    """What the ledger knows of an item that a guide wants to put off."""

    task_id: UUID
    guide_id: UUID
    state: str
    snoozes: int
    attempted_today: bool
    listed: bool
    """Whether it is on the guide's list of the day, which is open."""
    cycle_ends_on: date
    day: date
    time_zone: str
    closes_at: datetime


def decide_snooze(
    item: ItemToSnooze, guide_id: UUID, until: time | date, reason: str, at: datetime
) -> TaskSnoozed:
    """Put `item` off until a time of the day or until a day.

    Raises:
        Refused: naming the field, its value, and what to do instead.
    """
    problem = _objection(item, guide_id, until, reason, at)
    if problem is not None:
        raise Refused([problem])
    return TaskSnoozed(guide=guide_id, business_date=item.day, until=_instant(item, until), reason=reason)


def _instant(item: ItemToSnooze, until: time | date) -> datetime:
    if isinstance(until, time):
        return local_instant(item.day, until, item.time_zone)
    return local_instant(until, time(0), item.time_zone)


def _objection(  # noqa: PLR0911 - one line a rule
    item: ItemToSnooze, guide_id: UUID, until: time | date, reason: str, at: datetime
) -> Problem | None:
    task = str(item.task_id)
    if reason not in REASONS:
        return Problem("reason", reason, "not_a_choice", {"expected": ", ".join(REASONS)})
    if item.guide_id != guide_id:
        return Problem("task_id", task, "not_your_task")
    if item.state != "open":
        return Problem("task_id", task, "task_closed", {"state": item.state})
    if not item.listed:
        return Problem("task_id", task, "not_on_open_list", {"date": item.day.isoformat()})
    if item.attempted_today:
        return Problem("task_id", task, "already_today", {"date": item.day.isoformat()})
    if item.snoozes >= MOST_SNOOZES:
        return Problem("task_id", task, "snoozed_too_often", {"most": MOST_SNOOZES})
    if isinstance(until, time):
        if not at < _instant(item, until) < item.closes_at:
            close = item.closes_at.isoformat()
            return Problem("until", f"{until:%H:%M}", "snooze_outside_day", {"close": close})
    elif not item.day < until <= item.cycle_ends_on:
        bounds = {"after": item.day.isoformat(), "last": item.cycle_ends_on.isoformat()}
        return Problem("until", until.isoformat(), "snooze_outside_cycle", bounds)
    return None
