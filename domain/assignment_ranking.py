"""Who would be best for a member? One ranking of guides for each strategy of an assignment (分配).

Source: domain.md, *Assignment*, the table of strategies. This module ranks and knows nothing of room or of
fallbacks: domain/assignment.py walks the rankings and fills the guides. Distances are reckoned between every
member and every position of guides, which is right for a store's or a region's thousand members; the index
for a brand's million comes apart.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import asin, cos, radians, sin, sqrt
from typing import Literal

Strategy = Literal["proximity", "reception", "capability", "round_robin", "manual"]
Position = tuple[float, float]
"""Latitude and longitude in degrees (WGS 84)."""

METRES_A_SCORE = 100
_EARTH_RADIUS_METRES = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Served:
    """A guide served the member `times` times, the last time on the local day `last_on`."""

    guide_id: str
    times: int
    last_on: date


@dataclass(frozen=True, slots=True)
class MemberToAssign:
    """A member who needs a guide.

    Attributes:
        member_id: the member.
        position: where the member lives, if known.
        home_store_id: the member's home store.
        value: net 90-day spend in minor units.
        required_skills: skills the guide must have.
        served_by: who served the member before.
        manual_guide: the guide a manager named, for the manual strategy.
    """

    member_id: str
    position: Position | None
    home_store_id: str
    value: int
    required_skills: tuple[str, ...] = ()
    served_by: tuple[Served, ...] = ()
    manual_guide: str | None = None


@dataclass(frozen=True, slots=True)
class GuideOnDuty:
    """A guide who may be given members.

    Attributes:
        guide_id: the guide.
        store_id: the guide's store.
        position: the store's position, if known.
        capacity: members the guide can have in this plan.
        already: members of this plan the guide has *besides* those being assigned or reassigned.
        skills: what the guide can do.
        performance: e.g. success rate in basis points; higher is better.
        on_leave: a guide on leave gets nobody.
    """

    guide_id: str
    store_id: str
    position: Position | None
    capacity: int
    already: int = 0
    skills: tuple[str, ...] = ()
    performance: int = 0
    on_leave: bool = False


@dataclass(frozen=True, slots=True)
class StrategyRule:
    """One strategy of the ordered fallbacks, with its parameters.

    Attributes:
        strategy: which.
        max_km: proximity: guides farther away are not considered; None: no limit.
        prefer: reception: the guide who served last, or most often.
        home_store_only: only guides of the member's home store are considered.
    """

    strategy: Strategy
    max_km: int | Decimal | None = None
    prefer: Literal["last", "most"] = "last"
    home_store_only: bool = False


@dataclass(frozen=True, slots=True)
class Ranking:
    """The guides a strategy would give a member to, best first, before asking who has room.

    Attributes:
        urgency: sorts the members of one strategy, smallest first: who is served before whom.
        guides: guide id and score, best first.
        taken_why: code of the reason if the member is taken.
        refused_why: code of the reason if none of `guides` can take the member.
    """

    urgency: tuple[int, ...]
    guides: tuple[tuple[str, int | None], ...]
    taken_why: str
    refused_why: str


class Roster:
    """The guides by id, and which of them may serve whom: never one on leave, never one without the skills."""

    def __init__(self, guides: Iterable[GuideOnDuty]) -> None:
        everyone = sorted(guides, key=lambda guide: guide.guide_id)
        self.everyone = {guide.guide_id: guide for guide in everyone}
        if len(self.everyone) != len(everyone):
            raise ValueError("guides: a guide is listed twice; list each guide_id once")
        self.on_duty = [guide for guide in everyone if not guide.on_leave]
        self._suitable: dict[tuple[str | None, tuple[str, ...]], tuple[list[GuideOnDuty], str]] = {}
        self._metres: dict[tuple[Position, Position], int] = {}

    def suitable(self, rule: StrategyRule, member: MemberToAssign) -> tuple[list[GuideOnDuty], str]:
        """Guides on duty whom store and skills allow, in id order; if none, the code of the reason."""
        store = member.home_store_id if rule.home_store_only else None
        key = (store, tuple(sorted(member.required_skills)))
        if key not in self._suitable:
            self._suitable[key] = self._select(store, frozenset(member.required_skills))
        return self._suitable[key]

    def _select(self, store: str | None, skills: frozenset[str]) -> tuple[list[GuideOnDuty], str]:
        if not self.on_duty:
            return [], "no_guide_on_duty"
        near = [guide for guide in self.on_duty if store in (None, guide.store_id)]
        if not near:
            return [], "no_guide_in_home_store"
        return [guide for guide in near if skills.issubset(guide.skills)], "no_guide_with_skills"

    def metres(self, one: Position, other: Position) -> int:
        """Distance in whole metres; guides of one store share the reckoning."""
        if (one, other) not in self._metres:
            self._metres[one, other] = distance_metres(one, other)
        return self._metres[one, other]


def distance_metres(one: Position, other: Position) -> int:
    """Great-circle distance (haversine, mean earth radius) in whole metres.

    Raises:
        ValueError: a latitude beyond ±90 or a longitude beyond ±180 degrees.
    """
    for latitude, longitude in (one, other):
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise ValueError(f"position: {(latitude, longitude)} is not on earth; pass (latitude, longitude)")
    (lat_a, lon_a), (lat_b, lon_b) = [(radians(lat), radians(lon)) for lat, lon in (one, other)]
    half_chord = sin((lat_b - lat_a) / 2) ** 2 + cos(lat_a) * cos(lat_b) * sin((lon_b - lon_a) / 2) ** 2
    return round(2 * _EARTH_RADIUS_METRES * asin(sqrt(min(1.0, half_chord))))


def rank(rule: StrategyRule, member: MemberToAssign, roster: Roster) -> Ranking:
    """The ranking of `rule` for `member`. Round-robin depends on the counts of the moment and is not here."""
    if rule.strategy == "manual":
        return _by_name(member, roster)
    suitable, nobody = roster.suitable(rule, member)
    if not suitable:
        return Ranking((), (), "", nobody)
    if rule.strategy == "proximity":
        return _by_distance(rule, member, suitable, roster)
    if rule.strategy == "reception":
        return _by_service(rule, member, suitable, roster)
    if rule.strategy == "capability":
        best = sorted(suitable, key=lambda guide: (-guide.performance, guide.guide_id))
        scored = tuple((guide.guide_id, guide.performance) for guide in best)
        return Ranking((-member.value,), scored, "best_performer_with_skills", "all_full")
    return Ranking((), tuple((guide.guide_id, None) for guide in suitable), "fewest_members", "all_full")


def _by_distance(
    rule: StrategyRule, member: MemberToAssign, suitable: Sequence[GuideOnDuty], roster: Roster
) -> Ranking:
    if member.position is None:
        return Ranking((), (), "", "member_without_position")
    reached = sorted(
        (roster.metres(member.position, guide.position), guide.guide_id)
        for guide in suitable
        if guide.position is not None
    )
    if not reached:
        return Ranking((), (), "", "no_guide_with_position")
    if rule.max_km is not None:
        reached = [(metres, guide_id) for metres, guide_id in reached if metres <= rule.max_km * 1000]
    if not reached:
        return Ranking((), (), "", "none_within_max_km")
    half = METRES_A_SCORE // 2
    scored = tuple((guide_id, (metres + half) // METRES_A_SCORE) for metres, guide_id in reached)
    return Ranking((reached[0][0],), scored, "nearest_with_room", "all_full")


def _by_service(
    rule: StrategyRule, member: MemberToAssign, suitable: Sequence[GuideOnDuty], roster: Roster
) -> Ranking:
    """Only *the* guide who served the member counts: whoever came second is not the member's guide."""
    total: dict[str, tuple[int, int]] = {}
    for served in member.served_by:
        times, last = total.get(served.guide_id, (0, 0))
        total[served.guide_id] = (times + served.times, max(last, served.last_on.toordinal()))
    if not total:
        return Ranking((), (), "", "never_served")

    def preference(guide_id: str) -> tuple[int, int]:
        times, last = total[guide_id]
        return (-last, -times) if rule.prefer == "last" else (-times, -last)

    guide_id = min(total, key=lambda candidate: (preference(candidate), candidate))
    absent = _absence(guide_id, roster)
    if absent is None and all(guide.guide_id != guide_id for guide in suitable):
        absent = "guide_not_suitable"
    if absent is not None:
        return Ranking((), (), "", absent)
    scored = ((guide_id, total[guide_id][0]),)
    return Ranking(preference(guide_id), scored, f"served_{rule.prefer}", "guide_full")


def _by_name(member: MemberToAssign, roster: Roster) -> Ranking:
    """A manager who names a guide answers for the skills; leave and capacity bind even the manager."""
    if member.manual_guide is None:
        return Ranking((), (), "", "no_guide_named")
    absent = _absence(member.manual_guide, roster)
    if absent is not None:
        return Ranking((), (), "", absent)
    return Ranking((), ((member.manual_guide, None),), "named_by_manager", "guide_full")


def _absence(guide_id: str, roster: Roster) -> str | None:
    guide = roster.everyone.get(guide_id)
    if guide is None:
        return "guide_gone"
    return "guide_on_leave" if guide.on_leave else None
