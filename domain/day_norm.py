"""What a guide is asked for in a day: target and capacity, which are two things, and how a store shares its invitations.

Source: domain.md, *The day*, 1. The *target* (基本考核指标) is scored in the evening; the *capacity* cuts the list and is
the target where a plan says nothing else. Booked store visits take invitations off a guide, others of her store take
them on, and the store's total stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from domain.plan import Plan

Guide = TypeVar("Guide", str, UUID)

CALLS, INVITATIONS, INVITATIONS_A_VISIT = 50, 30, 5
"""The trade's target a guide a day; the trade-off is ours."""
MOST_A_DAY = 1_000


@dataclass(frozen=True, slots=True)
class DayNorm:
    """A brand's target a guide a day, and how many invitations a booked visit takes off."""

    calls: int = CALLS
    invitations: int = INVITATIONS
    invitations_a_visit: int = INVITATIONS_A_VISIT


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many items of each kind a guide's list of a day holds at most."""

    calls: int
    invitations: int


def invites(plan: Plan) -> bool:
    """Whether the plan's items are invitations into groups; else they are calls."""
    return plan.means[0].item == "invitation"


def capacity_of(plan: Plan, norm: DayNorm) -> int:
    """How many of the plan's items a guide can do in a day: the plan's own number, else the brand's."""
    if invites(plan):
        return plan.care.invitations_per_day or norm.invitations
    return plan.care.items_per_day or norm.calls


def day_capacity(plans: Iterable[Plan], norm: DayNorm) -> Capacity:
    """What a list holds on which items of all these plans may come: the largest capacity of each kind."""
    everyone = list(plans)
    calls = [capacity_of(plan, norm) for plan in everyone if not invites(plan)]
    invitations = [capacity_of(plan, norm) for plan in everyone if invites(plan)]
    return Capacity(max(calls, default=norm.calls), max(invitations, default=norm.invitations))


def share_invitations(each: int, visits: Mapping[Guide, int], a_visit: int) -> dict[Guide, int]:
    """Each guide's invitations of a day in one store, whose total stays `each` × guides.

    A visit more than the guide with the fewest has takes `a_visit` off, down to none; those with the fewest take them on
    in equal parts, what cannot be divided one each in the order of their ids.

    Args:
        each: invitations a guide without any trade-off.
        visits: booked visits of the day by guide, of every guide of the store who is at work.
        a_visit: invitations a visit takes off.

    Raises:
        ValueError: a number is negative.
    """
    if each < 0 or a_visit < 0 or any(count < 0 for count in visits.values()):
        raise ValueError("each, a_visit, visits: none may be negative")
    fewest = min(visits.values(), default=0)
    off = {guide: min(each, a_visit * (visits[guide] - fewest)) for guide in sorted(visits)}
    takers = [guide for guide in off if visits[guide] == fewest]
    more, left = divmod(sum(off.values()), len(takers)) if takers else (0, 0)
    taken = {guide: more + (place < left) for place, guide in enumerate(takers)}
    return {guide: each - less + taken.get(guide, 0) for guide, less in off.items()}
