"""Which members a plan is for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.plan import Segment
from domain.segment import MemberFacts, select

TODAY = date(2026, 3, 2)


def member(**facts: Any) -> MemberFacts:
    return MemberFacts(
        **{"member_id": "m", "home_store": "S1", "last_bought": {"TIN": date(2026, 2, 1)}} | facts
    )


def chosen(one: MemberFacts, **segment: Any) -> bool:
    wanted = Segment.model_validate({"bought_categories": ["TIN", "SOAP"], "within_days": 90} | segment)
    return select(wanted, [one], today=TODAY) == ["m"]


@pytest.mark.parametrize(
    ("days_ago", "expected"), [(0, False), (1, True), (90, True), (91, False), (-1, False)]
)
def test_a_purchase_counts_from_the_first_of_the_days_up_to_yesterday(
    days_ago: int, *, expected: bool
) -> None:
    assert chosen(member(last_bought={"TIN": TODAY - timedelta(days=days_ago)})) == expected


def test_one_of_the_categories_is_enough_and_another_is_not() -> None:
    assert chosen(member(last_bought={"SOAP": date(2026, 2, 1), "TIN": date(2020, 1, 1)}))
    assert not chosen(member(last_bought={"TEA": date(2026, 2, 1)}))
    assert not chosen(member(last_bought={}))


def test_who_opted_out_or_declined_this_plan_is_left_out() -> None:
    assert not chosen(member(opted_out=True))
    assert not chosen(member(declined=True))


def test_all_wanted_tags_and_none_of_the_unwanted() -> None:
    tagged = member(tags=frozenset({"baby", "vip"}))
    assert chosen(tagged, with_tags=["baby", "vip"], without_tags=["staff"])
    assert not chosen(tagged, with_tags=["baby", "gift"])
    assert not chosen(tagged, without_tags=["vip", "staff"])


def test_named_stores_only() -> None:
    assert chosen(member(), stores=["S0", "S1"])
    assert not chosen(member(), stores=["S0"])
    assert not chosen(member(home_store=None), stores=["S0"])
    assert chosen(member(home_store=None))


@settings(max_examples=50, deadline=None)
@given(st.permutations([f"m{n}" for n in range(8)]))
def test_the_order_of_members_does_not_matter(order: list[str]) -> None:
    segment = Segment(bought_categories=("TIN",), within_days=90)
    assert select(segment, [member(member_id=one) for one in order], today=TODAY) == sorted(order)
