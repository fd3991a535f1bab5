"""The evening: from when a store's day may be closed, and what each stage of a guide's day comes to against its target.

Source: domain.md, *The day*, 4. The stages of a day are counted in **items** of the guide's list, each once a stage:

- **calls**, **invitations**: items of that kind with a check-in of hers that day; asked for by the day's norm (`domain.day_norm`),
  as it was in force when the list was cut, booked visits traded against invitations.
- **reached**: items with a check-in that reached the member, refusal included.
- **success**: items with a check-in by which the member agreed to visit or join, or did, or bought (`SUCCESSES`).

A brand asks for reached items and successes if it likes; nothing is asked where it says nothing. **Points** are a measure of
the day and no wages: a stage that reaches its target earns its points, one that does not its share of them, rounded
down; a stage below a threshold costs a penalty, where the brand sets one. The **weak stage** is that with the lowest share
of its target, the earlier one in the order above where two are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from fractions import Fraction
from typing import Literal, get_args

from domain.errors import Problem, Refused
from domain.rate import Rate

Stage = Literal["calls", "invitations", "reached", "success"]
STAGES: Sequence[Stage] = get_args(Stage)
"""In the order of the day, which decides between stages of the same share."""
SUCCESSES = ("booked_visit", "joined_group", "came", "bought")
"""Outcomes that are a success of the day: agreed to visit or join, or did."""

CLOSE_FROM = time(18)
"""From then on a store manager may close her store's day, where neither store nor brand says otherwise (ours)."""
MOST_POINTS = 1_000
MOST_ASKED = 1_000
POINTS: Mapping[Stage, int] = {"calls": 50, "invitations": 30, "reached": 10, "success": 10}
"""What a stage earns that reaches its target (ours)."""


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """How days are scored.

    Attributes:
        reached: items to be reached a day; 0: not asked for.
        success: successes a day; 0: not asked for.
        points: what a stage earns that reaches its target.
        penalty_below: percent of its target below which a stage costs a penalty; 0: none does.
        penalty: the points that costs.
    """

    reached: int = 0
    success: int = 0
    points: Mapping[Stage, int] = field(default_factory=lambda: dict(POINTS))
    penalty_below: int = 0
    penalty: int = 0


@dataclass(frozen=True, slots=True)
class StageScore:
    """A stage of a day: how many items, against what was asked for (None: nothing), and the points of it."""

    stage: Stage
    count: int
    target: int | None = None
    points: int = 0
    most: int = 0
    """Points of the stage when it reaches its target."""

    @property
    def share(self) -> Rate | None:
        """Count ÷ target; above 100 % where more was done than asked. None: nothing was asked for."""
        return None if self.target is None else Rate(self.count, self.target)


@dataclass(frozen=True, slots=True)
class ScoreSheet:
    """The stages of a day in their order."""

    stages: tuple[StageScore, ...]

    @property
    def points(self) -> int:
        """Of all stages together; below zero where penalties are more than what was earned."""
        return sum(one.points for one in self.stages)

    @property
    def most(self) -> int:
        """What reaching every target would have given."""
        return sum(one.most for one in self.stages)

    @property
    def weak_stage(self) -> Stage | None:
        """The stage with the lowest share of its target; None where none had one."""
        asked = [(Fraction(one.count, one.target), one.stage) for one in self.stages if one.target]
        return min(asked, key=lambda one: (one[0], STAGES.index(one[1])))[1] if asked else None


def score(
    counts: Mapping[Stage, int], *, calls: int | None, invitations: int | None, rule: ScoreRule
) -> ScoreSheet:
    """The score sheet of a guide's day.

    Args:
        counts: items by stage.
        calls: the target of the day; None or 0: nothing was asked for.
        invitations: the same.
        rule: as in force that day.
    """
    targets: Mapping[Stage, int | None] = {
        "calls": calls,
        "invitations": invitations,
        "reached": rule.reached,
        "success": rule.success,
    }
    return ScoreSheet(tuple(_scored(one, counts.get(one, 0), targets[one], rule) for one in STAGES))


def unasked(counts: Mapping[Stage, int]) -> ScoreSheet:
    """The score sheet of a day on which nothing was asked of the guide: she was absent."""
    return ScoreSheet(tuple(StageScore(one, counts.get(one, 0)) for one in STAGES))


def _scored(stage: Stage, count: int, target: int | None, rule: ScoreRule) -> StageScore:
    if not target:
        return StageScore(stage, count)
    most = rule.points.get(stage, 0)
    earned = most * min(count, target) // target
    if count * 100 < target * rule.penalty_below:
        earned -= rule.penalty
    return StageScore(stage, count, target, earned, most)


def add_sheets(sheets: Iterable[ScoreSheet]) -> ScoreSheet:
    """A store's: counts, targets and points added up.

    What a guide did in a stage in which nothing was asked of her stands against the others' targets: the store's is theirs together.
    """
    added: dict[Stage, StageScore] = {one: StageScore(one, 0) for one in STAGES}
    for sheet in sheets:
        for one in sheet.stages:
            known = added[one.stage]
            target = (
                None
                if one.target is None and known.target is None
                else (one.target or 0) + (known.target or 0)
            )
            added[one.stage] = StageScore(
                one.stage, known.count + one.count, target, known.points + one.points, known.most + one.most
            )
    return ScoreSheet(tuple(added.values()))


def check_rule(rule: ScoreRule, from_on: date, today: date) -> None:
    """Refuse a rule that cannot be, or that would change how a day was scored that is over or under way.

    Raises:
        Refused: everything that is wrong with it.
    """
    problems = not_before(from_on, today + timedelta(days=1))
    numbers = {"reached": (rule.reached, MOST_ASKED), "success": (rule.success, MOST_ASKED)}
    numbers |= {f"points.{one}": (rule.points.get(one, 0), MOST_POINTS) for one in STAGES}
    numbers |= {"penalty_below": (rule.penalty_below, 100), "penalty": (rule.penalty, MOST_POINTS)}
    problems += [
        Problem(name, str(value), "not_between", {"least": 0, "most": most})
        for name, (value, most) in numbers.items()
        if not 0 <= value <= most
    ]
    if problems:
        raise Refused(problems)


def not_before(from_on: date, least: date) -> list[Problem]:
    """What is wrong with a day from which something is to hold: nothing, or that it comes too early."""
    if from_on >= least:
        return []
    return [Problem("from_on", from_on.isoformat(), "rule_of_the_past", {"least": least.isoformat()})]


def may_close(at: time, close_from: time, store: str) -> None:
    """Refuse to close a store's day before its hour.

    Raises:
        Refused: with the hour from which it may be closed.
    """
    if at < close_from:
        raise Refused([Problem("store", store, "close_too_early", {"from": f"{close_from:%H:%M}"})])
