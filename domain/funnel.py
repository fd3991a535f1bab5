"""The funnel of a plan (顾客跟进表): how far the members of a cycle have come, stage by stage.

Source: domain.md, *Boards*. A stage is a set of distinct members. The stages do not lie inside each other: who comes
without joining the group first is in the later one only, so a share of the stage before may be more than the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from domain.rate import Rate

Stage = Literal[
    "due",
    "contacted",
    "joined",
    "took_part",
    "gift_received",
    "left_contact",
    "booked",
    "came",
    "bought",
    "followed_again",
    "needs_recorded",
]
Source = Literal["lists", "check_ins", "purchases"]

SOURCES: Mapping[Stage, Source | None] = {
    "due": "lists",
    "contacted": "check_ins",
    "joined": "check_ins",
    "took_part": None,
    "gift_received": None,
    "left_contact": "check_ins",
    "booked": "check_ins",
    "came": "check_ins",
    "bought": "purchases",
    "followed_again": "check_ins",
    "needs_recorded": "check_ins",
}
"""Which facts tell a stage; None: none of today does, so it is not recorded, which is not 0."""

OUTCOMES: Mapping[str, Stage] = {
    "joined_group": "joined",
    "left_contact": "left_contact",
    "booked_visit": "booked",
    "came": "came",
    "followed_again": "followed_again",
}
"""Stages that are the outcome of a check-in."""


@dataclass(frozen=True, slots=True)
class StageCount:
    """A stage with its share of the last stage before that is recorded, and of the due; all None: not recorded."""

    stage: Stage
    source: Source | None
    members: int | None
    of_before: Rate | None
    of_due: Rate | None


def funnel(members: Mapping[Stage, Collection[object]]) -> list[StageCount]:
    """Every stage in order; one that some fact tells and nobody reached counts 0."""
    due = len(members.get("due", ()))
    before = due
    told: list[StageCount] = []
    for stage, source in SOURCES.items():
        if source is None:
            told.append(StageCount(stage, None, None, None, None))
            continue
        count = len(members.get(stage, ()))
        told.append(StageCount(stage, source, count, Rate(count, before), Rate(count, due)))
        before = count
    return told
