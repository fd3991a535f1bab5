"""Which members a plan is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from domain.plan import Segment


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """What is known of a member when the segment is drawn.

    `last_bought` gives, per category name, the last day on which more was bought than returned.
    """

    member_id: str
    home_store: str | None
    tags: frozenset[str] = frozenset()
    opted_out: bool = False
    declined: bool = False
    """Graded D in this plan before."""
    last_bought: Mapping[str, date] = field(default_factory=dict)


def select(segment: Segment, members: Iterable[MemberFacts], *, today: date) -> list[str]:
    """The ids of the members in `segment`, sorted.

    A purchase counts from the day `within_days` before `today` up to yesterday: today is not over yet.
    """
    return sorted(member.member_id for member in members if _belongs(segment, member, today))


def _belongs(segment: Segment, member: MemberFacts, today: date) -> bool:
    if member.opted_out or member.declined:
        return False
    if segment.stores and member.home_store not in segment.stores:
        return False
    if not member.tags.issuperset(segment.with_tags) or member.tags.intersection(segment.without_tags):
        return False
    since = today - timedelta(days=segment.within_days)
    return any(
        since <= bought < today
        for category in segment.bought_categories
        if (bought := member.last_bought.get(category)) is not None
    )
