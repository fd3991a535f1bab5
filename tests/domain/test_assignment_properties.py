from collections import Counter
from dataclasses import replace
from datetime import date
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.assignment import (
    AssignmentResult,
    GuideOnDuty,
    MemberToAssign,
    Served,
    StrategyRule,
    assign,
    distance_metres,
    reassign,
    replace_guide,
)

# No deadline: a busy machine is no defect.
QUICKLY = settings(max_examples=60, deadline=None)
GUIDE_IDS = [f"g{at}" for at in range(5)]
PLACES = st.tuples(st.integers(-2, 2), st.integers(-2, 2)).map(lambda at: (at[0] / 50, at[1] / 50))
SKILLS = st.lists(st.sampled_from(["skin", "wine"]), unique=True).map(tuple)
STORES = st.sampled_from(["s1", "s2"])
SERVED = st.builds(
    Served, st.sampled_from(GUIDE_IDS), st.integers(1, 3), st.dates(date(2026, 1, 1), date(2026, 1, 5))
)


@st.composite
def rosters(draw: st.DrawFn) -> list[GuideOnDuty]:
    return [
        GuideOnDuty(
            guide_id=guide_id,
            store_id=draw(STORES),
            position=draw(st.none() | PLACES),
            capacity=draw(st.integers(0, 4)),
            already=draw(st.integers(0, 2)),
            skills=draw(SKILLS),
            performance=draw(st.integers(0, 3)),
            on_leave=draw(st.booleans()),
        )
        for guide_id in draw(st.lists(st.sampled_from(GUIDE_IDS), unique=True))
    ]


@st.composite
def memberships(draw: st.DrawFn) -> list[MemberToAssign]:
    return [
        MemberToAssign(
            member_id=f"m{at}",
            position=draw(st.none() | PLACES),
            home_store_id=draw(STORES),
            value=draw(st.integers(0, 3)),
            required_skills=draw(SKILLS),
            served_by=tuple(draw(st.lists(SERVED, max_size=3))),
            manual_guide=draw(st.none() | st.sampled_from(GUIDE_IDS)),
        )
        for at in range(draw(st.integers(0, 9)))
    ]


RULES = st.lists(
    st.builds(
        StrategyRule,
        st.sampled_from(["proximity", "reception", "capability", "round_robin", "manual"]),
        max_km=st.none() | st.integers(0, 6),
        prefer=st.sampled_from(["last", "most"]),
        home_store_only=st.booleans(),
    ),
    max_size=4,
)
CURRENT = st.dictionaries(st.sampled_from([f"m{at}" for at in range(9)]), st.sampled_from(GUIDE_IDS))


def counts(results: list[AssignmentResult], roster: list[GuideOnDuty]) -> dict[str, int]:
    new = Counter(result.guide_id for result in results)
    return {guide.guide_id: guide.already + new[guide.guide_id] for guide in roster}


def simple(members: list[MemberToAssign]) -> list[MemberToAssign]:
    return [replace(member, required_skills=()) for member in members]


@QUICKLY
@given(CURRENT, memberships(), rosters(), RULES, st.randoms(use_true_random=False))
def test_the_same_input_in_any_order_gives_the_same_result(
    current: dict[str, str],
    members: list[MemberToAssign],
    roster: list[GuideOnDuty],
    rules: list[StrategyRule],
    shuffler: Random,
) -> None:
    def shuffled(items: list[MemberToAssign]) -> list[MemberToAssign]:
        turned = [
            replace(item, served_by=item.served_by[::-1], required_skills=item.required_skills[::-1])
            for item in items
        ]
        shuffler.shuffle(turned)
        return turned

    other_current = dict(sorted(current.items(), reverse=True))
    expected = reassign(current, members, roster, rules)
    assert reassign(other_current, shuffled(members), roster[::-1], rules) == expected


@QUICKLY
@given(CURRENT, memberships(), rosters(), RULES)
def test_capacity_is_never_exceeded_leave_is_kept_and_nobody_is_dropped(
    current: dict[str, str],
    members: list[MemberToAssign],
    roster: list[GuideOnDuty],
    rules: list[StrategyRule],
) -> None:
    results = reassign(current, members, roster, rules)
    assert [result.member_id for result in results] == sorted(member.member_id for member in members)
    total = counts(results, roster)
    assert all(total[guide.guide_id] <= max(guide.capacity, guide.already) for guide in roster)
    on_duty = {guide.guide_id for guide in roster if not guide.on_leave}
    assert {result.guide_id for result in results} <= on_duty | {None}


@QUICKLY
@given(memberships(), rosters(), RULES)
def test_every_result_tells_what_was_tried_and_what_was_full(
    members: list[MemberToAssign], roster: list[GuideOnDuty], rules: list[StrategyRule]
) -> None:
    results = assign(members, roster, rules)
    total = counts(results, roster)
    capacity = {guide.guide_id: guide.capacity for guide in roster}
    for result in results:
        # A strategy that comes twice in the list is tried twice.
        tried = [strategy for strategy, reason in result.tried if reason]
        expected = [rule.strategy for rule in rules[: len(tried)]]
        assert tried == expected
        assert (result.guide_id is None) == (result.strategy is None) == (len(tried) == len(rules))
        assert all(total[guide_id] >= capacity[guide_id] for guide_id in result.full)
        assert result.guide_id is None or result.guide_id not in (*result.full, result.runner_up)


@QUICKLY
@given(memberships(), rosters(), RULES)
def test_only_a_manager_gives_a_member_to_a_guide_without_the_skills(
    members: list[MemberToAssign], roster: list[GuideOnDuty], rules: list[StrategyRule]
) -> None:
    skills = {guide.guide_id: frozenset(guide.skills) for guide in roster}
    needed = {member.member_id: frozenset(member.required_skills) for member in members}
    for result in assign(members, roster, rules):
        if result.guide_id is not None and result.strategy != "manual":
            assert needed[result.member_id] <= skills[result.guide_id]


@QUICKLY
@given(memberships(), rosters())
def test_round_robin_counts_of_guides_not_full_differ_by_at_most_one(
    members: list[MemberToAssign], roster: list[GuideOnDuty]
) -> None:
    level = [replace(guide, already=0) for guide in roster]
    total = counts(assign(simple(members), level, [StrategyRule("round_robin")]), level)
    free = [total[g.guide_id] for g in level if not g.on_leave and total[g.guide_id] < g.capacity]
    assert max(free, default=0) - min(free, default=0) <= 1


@QUICKLY
@given(memberships(), rosters())
def test_round_robin_from_unequal_counts_gives_nobody_more_than_the_fewest_and_one(
    members: list[MemberToAssign], roster: list[GuideOnDuty]
) -> None:
    results = assign(simple(members), roster, [StrategyRule("round_robin")])
    total = counts(results, roster)
    free = [total[g.guide_id] for g in roster if not g.on_leave and total[g.guide_id] < g.capacity]
    given_to = [total[result.guide_id] for result in results if result.guide_id is not None]
    assert all(count <= min(free, default=count) + 1 for count in given_to)


@QUICKLY
@given(memberships(), rosters())
def test_no_guide_with_room_left_is_nearer_than_the_one_given(
    members: list[MemberToAssign], roster: list[GuideOnDuty]
) -> None:
    results = assign(simple(members), roster, [StrategyRule("proximity")])
    total = counts(results, roster)
    free = [g for g in roster if not g.on_leave and total[g.guide_id] < g.capacity and g.position is not None]
    position = {member.member_id: member.position for member in members}
    at = {guide.guide_id: guide.position for guide in roster}
    for result in results:
        where = position[result.member_id]
        if where is None:
            assert result.tried[0][0] == "proximity"
        elif result.guide_id is None:
            assert not free
        else:
            given_at = at[result.guide_id]
            assert given_at is not None
            metres = distance_metres(where, given_at)
            assert all(metres <= distance_metres(where, guide.position) for guide in free if guide.position)
            assert result.score is not None
            assert abs(result.score * 100 - metres) <= 50


@QUICKLY
@given(memberships(), rosters())
def test_a_more_valuable_member_never_gets_a_worse_performer(
    members: list[MemberToAssign], roster: list[GuideOnDuty]
) -> None:
    results = {
        result.member_id: result for result in assign(simple(members), roster, [StrategyRule("capability")])
    }
    scores = [
        -1 if (score := results[member.member_id].score) is None else score
        for member in sorted(members, key=lambda member: (-member.value, member.member_id))
    ]
    assert scores == sorted(scores, reverse=True)


@QUICKLY
@given(CURRENT, memberships(), rosters(), RULES)
def test_reassignment_moves_only_what_must_move(
    current: dict[str, str],
    members: list[MemberToAssign],
    roster: list[GuideOnDuty],
    rules: list[StrategyRule],
) -> None:
    results = reassign(current, members, roster, rules)
    after = {result.member_id: result.guide_id for result in results}
    for guide in roster:
        own = [member.member_id for member in members if current.get(member.member_id) == guide.guide_id]
        room = 0 if guide.on_leave else max(0, guide.capacity - guide.already)
        kept = [r.member_id for r in results if r.member_id in own and r.why == "kept"]
        assert len(kept) == min(len(own), room)
        assert all(after[member_id] == guide.guide_id for member_id in kept)


@QUICKLY
@given(CURRENT, memberships(), rosters(), RULES)
def test_reassigning_what_stands_moves_nobody(
    current: dict[str, str],
    members: list[MemberToAssign],
    roster: list[GuideOnDuty],
    rules: list[StrategyRule],
) -> None:
    first = reassign(current, members, roster, rules)
    settled = {result.member_id: result.guide_id for result in first if result.guide_id is not None}
    again = reassign(settled, members, roster, rules)
    assert {r.member_id: r.guide_id for r in again if r.why == "kept"} == settled


@QUICKLY
@given(CURRENT, memberships(), rosters(), RULES)
def test_replacing_a_guide_moves_nobody_else(
    current: dict[str, str],
    members: list[MemberToAssign],
    roster: list[GuideOnDuty],
    rules: list[StrategyRule],
) -> None:
    staying = [guide for guide in roster if guide.guide_id != "g0"]
    substitute = GuideOnDuty("new", "s1", None, capacity=3)
    results = replace_guide(current, "g0", "new", members, [*roster, substitute], rules)
    without = reassign(
        {member_id: guide_id for member_id, guide_id in current.items() if guide_id != "g0"},
        members,
        staying,
        rules,
    )
    assert [r for r in results if r.why == "kept"] == [r for r in without if r.why == "kept"]
    orphans = [member for member in members if current.get(member.member_id) == "g0"]
    assert sum(result.why == "taken_over" for result in results) == min(3, len(orphans))
    assert all(result.guide_id != "g0" for result in results)
