from dataclasses import replace
from datetime import date

import pytest

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
    staffing,
)

# On the equator a hundredth of a degree of longitude is 1,112 m.
NEAREST, MOST, EVEN = (
    StrategyRule("proximity"),
    StrategyRule("reception", prefer="most"),
    StrategyRule("round_robin"),
)
LAST, BEST, NAMED = StrategyRule("reception"), StrategyRule("capability"), StrategyRule("manual")


def guide(guide_id: str, km_east: float = 0, capacity: int = 10, store: str = "s1") -> GuideOnDuty:
    return GuideOnDuty(guide_id, store, (0.0, km_east / 111.195), capacity)


def member(member_id: str, km_east: float | None = 0, value: int = 0) -> MemberToAssign:
    position = None if km_east is None else (0.0, km_east / 111.195)
    return MemberToAssign(member_id, position, "s1", value)


def guides_of(results: list[AssignmentResult]) -> dict[str, str | None]:
    return {result.member_id: result.guide_id for result in results}


def test_proximity_gives_the_nearest_guide_and_says_distance_and_runner_up() -> None:
    results = assign([member("m1", 1.04)], [guide("far", 5), guide("near", 0)], [NEAREST])
    assert results == [AssignmentResult("m1", "near", "proximity", 10, "far", "nearest_with_room")]


def test_proximity_names_the_nearer_guides_that_were_full() -> None:
    guides = [guide("near", 0, capacity=1), guide("middle", 2), guide("far", 5)]
    second = assign([member("m1", 0), member("m2", 0.5)], guides, [NEAREST])[1]
    assert (second.guide_id, second.full, second.runner_up, second.score) == ("middle", ("near",), "far", 15)


def test_under_scarcity_the_member_with_the_shortest_way_keeps_the_nearest_guide() -> None:
    results = assign(
        [member("a", 1), member("b", 0.2)], [guide("g1", 0, capacity=1), guide("g2", 9)], [NEAREST]
    )
    assert guides_of(results) == {"a": "g2", "b": "g1"}


def test_guides_at_the_same_distance_are_taken_by_guide_id() -> None:
    assert guides_of(assign([member("m1")], [guide("g2", 1), guide("g1", -1)], [NEAREST])) == {"m1": "g1"}


def test_a_guide_beyond_the_greatest_distance_is_not_considered() -> None:
    within = StrategyRule("proximity", max_km=3)
    results = assign([member("m1", 0), member("m2", 7)], [guide("g1", 3), guide("g2", 3.1)], [within])
    assert guides_of(results) == {"m1": "g1", "m2": None}
    assert results[0].runner_up is None
    assert results[1].tried == (("proximity", "none_within_max_km"),)


def test_a_member_without_position_falls_to_the_next_strategy() -> None:
    result = assign([member("m1", None)], [guide("g1")], [NEAREST, EVEN])[0]
    assert (result.guide_id, result.strategy) == ("g1", "round_robin")
    assert result.tried == (("proximity", "member_without_position"),)
    blind = assign([member("m1")], [replace(guide("g1"), position=None)], [NEAREST])[0]
    assert blind.tried == (("proximity", "no_guide_with_position"),)


def test_the_distance_is_that_on_the_globe() -> None:
    # Shanghai (31.2304, 121.4737) to Beijing (39.9042, 116.4074): about 1,067 km.
    assert distance_metres((31.2304, 121.4737), (39.9042, 116.4074)) == pytest.approx(1_067_300, abs=1_000)
    assert distance_metres((0, 179.99), (0, -179.99)) == pytest.approx(2_224, abs=2)
    with pytest.raises(ValueError, match=r"^position: "):
        distance_metres((121.4737, 31.2304), (0, 0))


SERVED = replace(
    member("m1"),
    served_by=(Served("often", 5, date(2026, 1, 1)), Served("lately", 1, date(2026, 2, 1))),
)


def test_reception_gives_the_guide_who_served_last_or_most() -> None:
    guides = [guide("often"), guide("lately"), guide("other")]
    last, most = assign([SERVED], guides, [LAST])[0], assign([SERVED], guides, [MOST])[0]
    assert (last.guide_id, last.why, last.score) == ("lately", "served_last", 1)
    assert (most.guide_id, most.why, most.score) == ("often", "served_most", 5)


@pytest.mark.parametrize(
    ("lately", "reason"),
    [
        ([], "guide_gone"),
        ([replace(guide("lately"), on_leave=True)], "guide_on_leave"),
        ([guide("lately", capacity=0)], "guide_full"),
    ],
)
def test_if_the_guide_who_served_cannot_the_next_strategy_decides(
    lately: list[GuideOnDuty], reason: str
) -> None:
    result = assign([SERVED], [guide("often"), guide("a"), *lately], [LAST, EVEN])[0]
    assert (result.guide_id, result.strategy, result.tried) == ("a", "round_robin", (("reception", reason),))
    assert result.full == (("lately",) if reason == "guide_full" else ())


def test_a_member_never_served_falls_to_the_next_strategy() -> None:
    assert assign([member("m1")], [guide("g1")], [LAST, EVEN])[0].tried == (("reception", "never_served"),)


def test_under_scarcity_the_strongest_bond_is_kept() -> None:
    once = replace(member("a"), served_by=(Served("g1", 1, date(2026, 2, 2)),))
    # Two tellings of the same guide are added up: 2 + 2.
    four = replace(
        member("b"), served_by=(Served("g1", 2, date(2026, 1, 2)), Served("g1", 2, date(2026, 1, 1)))
    )
    assert guides_of(assign([once, four], [guide("g1", capacity=1)], [MOST])) == {"a": None, "b": "g1"}
    assert guides_of(assign([once, four], [guide("g1", capacity=1)], [LAST])) == {"a": "g1", "b": None}


def test_the_best_performers_take_the_most_valuable_members() -> None:
    guides = [replace(guide("good", capacity=1), performance=2500), replace(guide("poor"), performance=900)]
    results = assign([member("a", value=100), member("b", value=900)], guides, [BEST])
    assert guides_of(results) == {"a": "poor", "b": "good"}
    assert (results[0].full, results[1].score, results[1].runner_up) == (("good",), 2500, "poor")


@pytest.mark.parametrize("rule", [NEAREST, BEST, EVEN])
def test_a_guide_without_the_required_skills_is_never_given_the_member(rule: StrategyRule) -> None:
    needs = replace(member("m1"), required_skills=("skin", "wine"))
    results = assign([needs], [replace(guide("g1"), skills=("wine",)), guide("g2")], [rule])
    assert (results[0].guide_id, results[0].tried) == (None, ((rule.strategy, "no_guide_with_skills"),))
    skilled = replace(guide("g3", 50), skills=("wine", "skin", "tea"))
    assert guides_of(assign([needs], [guide("g1"), skilled], [rule])) == {"m1": "g3"}


def test_round_robin_fills_whoever_has_the_fewest() -> None:
    guides = [replace(guide("g1"), already=3), guide("g2"), guide("g3", capacity=1)]
    results = assign([member(f"m{at}") for at in range(6)], guides, [EVEN])
    counts = [sum(result.guide_id == name for result in results) for name in ("g1", "g2", "g3")]
    # g3 is full at 1; the five others bring g2 from 0 to 4 and g1 from 3 to 4.
    assert counts == [1, 4, 1]
    assert max(result.score or 0 for result in results) == 4


def test_manual_gives_the_named_guide_within_capacity() -> None:
    named = [replace(member(name), manual_guide="g1") for name in ("a", "b")]
    results = assign([*named, member("c")], [guide("g1", capacity=1), guide("g2")], [NAMED, EVEN])
    assert guides_of(results) == {"a": "g1", "b": "g2", "c": "g2"}
    assert (results[0].why, results[1].tried) == ("named_by_manager", (("manual", "guide_full"),))
    assert results[2].tried == (("manual", "no_guide_named"),)


def test_a_manager_who_names_a_guide_answers_for_the_skills() -> None:
    named = replace(member("a"), manual_guide="g1", required_skills=("skin",))
    assert guides_of(assign([named], [guide("g1")], [NAMED])) == {"a": "g1"}


def test_only_guides_of_the_home_store_are_considered_where_the_rule_says_so() -> None:
    at_home = StrategyRule("proximity", home_store_only=True)
    guides = [guide("near", 0, store="s2"), guide("home", 9, store="s1")]
    assert guides_of(assign([member("m1")], guides, [at_home])) == {"m1": "home"}
    assert assign([member("m1")], guides[:1], [at_home])[0].tried == (
        ("proximity", "no_guide_in_home_store"),
    )


def test_members_nobody_can_take_are_listed_with_every_reason() -> None:
    result = assign([SERVED], [guide("g1", capacity=0), guide("g2", capacity=0)], [LAST, NEAREST, EVEN])[0]
    assert (result.guide_id, result.strategy, result.why) == (None, None, "nobody_can_take")
    assert result.full == ("g1", "g2")
    assert result.tried == (
        ("reception", "guide_gone"),
        ("proximity", "all_full"),
        ("round_robin", "all_full"),
    )
    away = [replace(guide("g1"), on_leave=True)]
    assert assign([member("m1")], away, [EVEN])[0].tried == (("round_robin", "no_guide_on_duty"),)


def test_a_better_claim_is_not_lost_to_a_weaker_one_of_a_lower_member_id() -> None:
    served = replace(member("z"), served_by=(Served("g1", 1, date(2026, 1, 1)),))
    results = assign([member("a"), served], [guide("g1", capacity=1), guide("g2")], [LAST, EVEN])
    assert guides_of(results) == {"a": "g2", "z": "g1"}


def test_what_is_listed_twice_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^members: "):
        assign([member("m1"), member("m1", 3)], [], [])
    with pytest.raises(ValueError, match=r"^guides: "):
        assign([], [guide("g1"), guide("g1", 3)], [])


def test_reassignment_moves_the_members_of_guides_gone_or_on_leave_and_nobody_else() -> None:
    current = {"m1": "gone", "m2": "away", "m3": "stays", "left": "stays"}
    guides = [replace(guide("away"), on_leave=True), guide("stays"), guide("other")]
    members = [member(name) for name in ("m1", "m2", "m3", "new")]
    results = reassign(current, members, guides, [EVEN])
    assert guides_of(results) == {"m1": "other", "m2": "other", "m3": "stays", "new": "stays"}
    assert [result.why for result in results] == [
        "fewest_members",
        "fewest_members",
        "kept",
        "fewest_members",
    ]


def test_over_capacity_just_the_excess_moves_and_the_most_valuable_stay() -> None:
    members = [member("a", value=1), member("b", value=5), member("c", value=3)]
    current = {"a": "g1", "b": "g1", "c": "g1"}
    results = reassign(current, members, [guide("g1", capacity=2), guide("g2")], [EVEN])
    assert guides_of(results) == {"a": "g2", "b": "g1", "c": "g1"}


def test_a_replacement_takes_over_without_losing_members_of_their_own() -> None:
    current = {"a": "old", "b": "old", "c": "new", "d": "other"}
    members = [member("a", value=9), member("b", value=99), member("c", value=1), member("d")]
    guides = [guide("old"), guide("new", capacity=2), guide("other")]
    results = replace_guide(current, "old", "new", members, guides, [EVEN])
    assert guides_of(results) == {"a": "other", "b": "new", "c": "new", "d": "other"}
    assert [result.why for result in results] == ["fewest_members", "taken_over", "kept", "kept"]


@pytest.mark.parametrize("replacement", ["old", "unknown", "away"])
def test_a_replacement_who_cannot_stand_in_is_refused(replacement: str) -> None:
    guides = [guide("old"), replace(guide("away"), on_leave=True)]
    with pytest.raises(ValueError, match=r"^replacement: "):
        replace_guide({}, "old", replacement, [], guides, [])


@pytest.mark.parametrize(
    ("touches", "capacity", "days", "needed"),
    [(0, 50, 20, 0), (1, 50, 20, 1), (3000, 50, 20, 3), (3001, 50, 20, 4)],
)
def test_guides_needed_are_the_touches_over_capacity_times_days_rounded_up(
    touches: int, capacity: int, days: int, needed: int
) -> None:
    assert staffing(touches, capacity, days) == needed


def test_staffing_without_capacity_or_days_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^capacity_a_day: "):
        staffing(10, 0, 20)
    with pytest.raises(ValueError, match=r"^working_days: "):
        staffing(10, 50, 0)
    with pytest.raises(ValueError, match=r"^touches_due: "):
        staffing(-1, 50, 20)


def test_a_thousand_members_find_their_nearest_of_fifty_guides() -> None:
    guides = [guide(f"g{at:02}", at * 10, capacity=20, store=f"s{at}") for at in range(50)]
    members = [member(f"m{at:03}", at % 50 * 10 + at // 50 / 10) for at in range(1000)]
    results = assign(members, guides, [NEAREST])
    # Twenty members live within 2 km east of each store: each guide is just filled with them.
    assert all(result.guide_id == f"g{int(result.member_id[1:]) % 50:02}" for result in results)
