"""Complaints: what a check-in and its corrections do to a case, and who may do what to one when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, get_args

from domain.errors import Problem

COMPLAINT = "complaint"
"""The outcome of a check-in that opens a case."""
ANSWER_HOURS = 24
"""So many hours after the complaint it should have been answered, where the plan says nothing else (ours)."""

Resolution = Literal[
    "explained", "apologised", "exchanged", "refunded", "compensated", "passed_on", "unfounded", "not_reached"
]
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
"""How a case may end; what more there is to say is a note."""
Step = Literal["open", "move", "withdraw"]


def deadline(occurred_at: datetime, answer_hours: int) -> datetime:
    """By when a complaint of that instant should be answered: hours by the clock, whatever the shop's."""
    return occurred_at + timedelta(hours=answer_hours)


def step_of(*, before: bool, after: bool) -> Step | None:
    """What a check-in, a correction or a void does to the case of it.

    Args:
        before: the check-in that it takes the place of told of a complaint.
        after: what holds now does.
    """
    if after:
        return "move" if before else "open"
    return "withdraw" if before else None


def objection(case: str, state: str, *, closes: bool) -> Problem | None:
    """The rule that stands against answering (or closing) a case in this state."""
    if state in ("closed", "withdrawn") or (state == "answered" and not closes):
        return Problem("case", case, "case_over", {"state": state})
    return None
