"""Assignment (分配): members to guides under capacity, leave and skills.

Source: domain.md, *Assignment*, and *Plan* for the staffing. Strategies are an ordered list of fallbacks: the
first strategy goes through all members, those it cannot place go to the second, and so on, so that a better
claim (served before, nearer) is never lost to a weaker one made earlier. Within a strategy members are
served in a stable order, which matters when room is short:

- proximity: by distance to the nearest guide, then member id: who has the shortest way keeps it;
- reception: the strongest bond first (latest or most often served), then member id;
- capability: the most valuable first, then member id;
- round-robin and manual: by member id.

Same input in any order, same result. Members nobody can take are listed with the reasons, never dropped.
For M members and G guides the time is in the order of M × G log G, right for a store or a region (1,000 × 50);
the index for a brand of a million comes apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.assignment_ranking import (
    GuideOnDuty,
    MemberToAssign,
    Position,
    Ranking,
    Roster,
    Served,
    Strategy,
    StrategyRule,
    distance_metres,
    rank,
)

__all__ = [
    "AssignmentResult",
    "GuideOnDuty",
    "MemberToAssign",
    "Position",
    "Served",
    "Strategy",
    "StrategyRule",
    "assign",
    "distance_metres",
    "reassign",
    "replace_guide",
    "staffing",
]


@dataclass(frozen=True, slots=True)
class AssignmentResult:
    """Who looks after a member, and why.

    Attributes:
        member_id: the member.
        guide_id: the guide; None if nobody can take the member.
        strategy: the strategy that placed the member; None if nobody, or if the member stayed or was
            inherited.
        score: proximity: distance in units of 100 m; reception: times served; capability: the guide's
            performance; round-robin: the guide's members, this one included; else None.
        runner_up: who would have been next.
        why: code of the reason, e.g. "nearest_with_room", "kept", "taken_over", "nobody_can_take".
        full: guides who were better placed and had no room, best first.
        tried: strategies that failed before, each with the code of the reason.
    """

    member_id: str
    guide_id: str | None
    strategy: Strategy | None = None
    score: int | None = None
    runner_up: str | None = None
    why: str = "nobody_can_take"
    full: tuple[str, ...] = ()
    tried: tuple[tuple[Strategy, str], ...] = ()


def assign(
    members: Iterable[MemberToAssign], guides: Iterable[GuideOnDuty], strategies: Sequence[StrategyRule]
) -> list[AssignmentResult]:
    """Give every member a guide, or the reasons why not; in order of member ids.

    Raises:
        ValueError: a member or a guide is listed twice.
    """
    return reassign({}, members, guides, strategies)


def reassign(
    current: Mapping[str, str],
    members: Iterable[MemberToAssign],
    guides: Iterable[GuideOnDuty],
    strategies: Sequence[StrategyRule],
) -> list[AssignmentResult]:
    """Move only what must move: members whose guide is gone, on leave or over capacity, and the new ones.

    Over capacity a guide keeps the most valuable members (then by member id) and gives up just the excess.

    Args:
        current: member id → guide id; members without an entry are new; entries of others are ignored.
        members: all members of the plan.
        guides: the guides now; `already` does not count any of `members`.
        strategies: how those who must move find a guide.

    Raises:
        ValueError: a member or a guide is listed twice.
    """
    return _settle(current, {}, members, guides, strategies)


def replace_guide(
    current: Mapping[str, str],
    leaving: str,
    replacement: str,
    members: Iterable[MemberToAssign],
    guides: Iterable[GuideOnDuty],
    strategies: Sequence[StrategyRule],
) -> list[AssignmentResult]:
    """Hand the members of `leaving` to `replacement` as far as there is room, the rest by the strategies.

    Nobody else moves on that account: the replacement's own members stay before any inherited one, and of
    those the most valuable come first. `leaving` gets nobody, whether still among `guides` or not.

    Raises:
        ValueError: `replacement` is `leaving`, not among `guides`, or on leave; a doubled member or guide.
    """
    staying = [guide for guide in guides if guide.guide_id != leaving]
    fit = [guide for guide in staying if guide.guide_id == replacement and not guide.on_leave]
    if not fit:
        raise ValueError(f"replacement: {replacement!r} cannot stand in; name another guide who is on duty")
    kept = {member_id: guide_id for member_id, guide_id in current.items() if guide_id != leaving}
    inherited = {member_id: replacement for member_id, guide_id in current.items() if guide_id == leaving}
    return _settle(kept, inherited, members, staying, strategies)


def staffing(touches_due: int, capacity_a_day: int, working_days: int) -> int:
    """Guides needed = ⌈touches due in the period ÷ (capacity a day × working days)⌉ (domain.md, *Plan*).

    Raises:
        ValueError: negative touches, or a capacity or number of days below one.
    """
    if touches_due < 0:
        raise ValueError(f"touches_due: {touches_due} is negative; count the touches of the period")
    if capacity_a_day < 1:
        raise ValueError(f"capacity_a_day: {capacity_a_day} is below 1; nobody can do the touches")
    if working_days < 1:
        raise ValueError(f"working_days: {working_days} is below 1; the period needs a working day")
    return -(-touches_due // (capacity_a_day * working_days))


def _settle(
    kept: Mapping[str, str],
    inherited: Mapping[str, str],
    members: Iterable[MemberToAssign],
    guides: Iterable[GuideOnDuty],
    strategies: Sequence[StrategyRule],
) -> list[AssignmentResult]:
    everyone = list(members)
    by_id = {member.member_id: member for member in everyone}
    if len(by_id) != len(everyone):
        raise ValueError("members: a member is listed twice; list each member_id once")
    desk = _Desk(Roster(guides))
    for before, why in ((kept, "kept"), (inherited, "taken_over")):
        # The most valuable first: over capacity it is the others who move.
        for member in sorted(everyone, key=lambda member: (-member.value, member.member_id)):
            desk.hold(member.member_id, before.get(member.member_id), why)
    for rule in strategies:
        desk.work_through(rule, [by_id[key] for key in sorted(by_id) if key not in desk.results])
    return [desk.result(member_id) for member_id in sorted(by_id)]


class _Desk:
    """Fills the guides: the room left, what was decided, and what was tried for those still waiting."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._count = {guide.guide_id: guide.already for guide in roster.on_duty}
        self._tried: dict[str, list[tuple[Strategy, str]]] = {}
        self._full: dict[str, list[str]] = {}
        self.results: dict[str, AssignmentResult] = {}

    def hold(self, member_id: str, guide_id: str | None, why: str) -> None:
        """Leave the member with the guide if the guide is on duty and has room."""
        if guide_id is not None and self._has_room(guide_id):
            self._count[guide_id] += 1
            self.results[member_id] = AssignmentResult(member_id, guide_id, why=why)

    def work_through(self, rule: StrategyRule, waiting: Sequence[MemberToAssign]) -> None:
        """Place by one strategy whom it can place, in the strategy's order (`waiting` is in id order)."""
        rankings = [(rank(rule, member, self._roster), member.member_id) for member in waiting]
        for ranking, member_id in sorted(rankings, key=lambda ranked: (ranked[0].urgency, ranked[1])):
            self._place(rule.strategy, member_id, ranking)

    def result(self, member_id: str) -> AssignmentResult:
        """What was decided; for a member nobody can take, the reasons."""
        if member_id in self.results:
            return self.results[member_id]
        full = tuple(self._full.get(member_id, ()))
        return AssignmentResult(member_id, None, full=full, tried=tuple(self._tried.get(member_id, ())))

    def _place(self, strategy: Strategy, member_id: str, ranking: Ranking) -> None:
        candidates = ranking.guides
        if strategy == "round_robin":
            # Counted at this moment: every placement changes who has the fewest.
            fewest = sorted((self._count[guide_id], guide_id) for guide_id, _ in candidates)
            candidates = tuple((guide_id, count + 1) for count, guide_id in fewest)
        with_room = [at for at, (guide_id, _) in enumerate(candidates) if self._has_room(guide_id)]
        better = candidates[: with_room[0]] if with_room else candidates
        full = self._full.setdefault(member_id, [])
        full.extend(guide_id for guide_id, _ in better if guide_id not in full)
        tried = self._tried.setdefault(member_id, [])
        if not with_room:
            tried.append((strategy, ranking.refused_why))
            return
        guide_id, score = candidates[with_room[0]]
        self._count[guide_id] += 1
        self.results[member_id] = AssignmentResult(
            member_id=member_id,
            guide_id=guide_id,
            strategy=strategy,
            score=score,
            runner_up=candidates[with_room[1]][0] if len(with_room) > 1 else None,
            why=ranking.taken_why,
            full=tuple(full),
            tried=tuple(tried),
        )

    def _has_room(self, guide_id: str) -> bool:
        return guide_id in self._count and self._count[guide_id] < self._roster.everyone[guide_id].capacity
