"""A cycle's items."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.cycle import History, longest_span, task_for, use_rates
from domain.events import TaskCreated
from domain.identifiers import derived_id
from domain.plan import Plan
from domain.replenishment import Purchase
from tests.brand import plan

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 11)
MEMBER, GUIDE = derived_id("member"), derived_id("guide")
BY_RHYTHM = plan(means=[{"name": "Reminder", "script": "Hello"}])


def history(*lines: tuple[date, int], member: UUID = MEMBER, category: str = "TIN") -> History:
    last = max(day for day, quantity in lines if quantity > 0)
    return History(
        member_id=member,
        category_id=1 if category == "TIN" else 2,
        category=category,
        purchases=tuple(Purchase(day, Decimal(quantity)) for day, quantity in lines),
        bought_at=datetime(last.year, last.month, last.day, 4, tzinfo=UTC),
    )


def task(bought: History, what: Plan | None = None, **more: Any) -> TaskCreated | None:
    return task_for(
        bought,
        **{
            "plan": what or plan(),
            "cycle": 1,
            "guide_id": GUIDE,
            "rates": {},
            "first_day": FIRST,
            "last_day": LAST,
            "calendar": (what or plan()).working_calendar,
        }
        | more,
    )


def due(bought: date, tins: int = 4) -> date | None:
    made = task(history((bought, tins)))
    return made.due_on if made else None


def test_an_item_is_due_its_lead_before_the_run_out() -> None:
    made = task(history((date(2026, 2, 10), 4)))
    assert made is not None
    assert (made.run_out_on, made.due_on, made.basis, made.days_per_unit) == (
        date(2026, 3, 10),
        date(2026, 3, 5),
        "product",
        "7.00",
    )
    assert (made.plan, made.cycle, made.member, made.guide, made.category) == ("p1", 1, MEMBER, GUIDE, 1)


def test_overdue_members_are_due_on_the_first_day_and_none_after_the_last() -> None:
    assert due(date(2026, 2, 6)) == FIRST
    assert due(date(2026, 2, 7)) == FIRST
    assert due(date(2025, 10, 1)) == FIRST
    assert due(date(2026, 2, 8)) == date(2026, 3, 3)
    assert due(date(2026, 2, 16)) == LAST
    assert due(date(2026, 2, 17)) is None


def test_a_due_day_that_is_closed_moves_to_the_working_day_before() -> None:
    made = task(history((date(2026, 2, 13), 4)), plan(calendar={"weekdays": [1, 2, 3, 4, 5, 6]}))
    assert made is not None
    assert made.due_on == date(2026, 3, 7)


def test_nothing_kept_or_no_use_rate_makes_no_item() -> None:
    assert task(history((date(2026, 2, 10), 4), (date(2026, 2, 11), -4))) is None
    assert task(history((date(2026, 2, 10), 4)), BY_RHYTHM) is None
    assert task(history((date(2026, 2, 10), 4)), BY_RHYTHM, rates={1: Decimal(7)}) is not None


def test_the_id_of_an_item_never_changes() -> None:
    made = task(history((date(2026, 2, 10), 4)))
    assert made is not None
    assert str(made.task) == "b1161046-04ac-839e-9e22-0e76fe39a864"


def test_the_same_purchase_makes_the_same_item_and_another_purchase_cycle_or_plan_another() -> None:
    bought = history((date(2026, 2, 10), 4))
    same = [
        task(bought),
        task(bought, guide_id=derived_id("other")),
        task(bought, first_day=date(2026, 3, 4)),
    ]
    other = [
        task(history((date(2026, 2, 10), 1), (date(2026, 2, 11), 3))),
        task(bought, cycle=2),
        task(bought, plan(plan="p2")),
        task(history((date(2026, 2, 10), 4), member=derived_id("another"))),
        task(history((date(2026, 2, 10), 4), category="SOAP")),
    ]
    assert len({made.task for made in same if made}) == 1
    assert len({made.task for made in same + other if made}) == 6


def test_a_return_does_not_change_which_purchase_an_item_rests_on() -> None:
    before = task(history((date(2026, 2, 8), 5)))
    after = task(history((date(2026, 2, 8), 5), (date(2026, 2, 12), -1)))
    assert before is not None
    assert after is not None
    assert (before.task, after.due_on) == (after.task, before.due_on - timedelta(days=7))


def test_the_segments_rate_of_a_category_is_the_median_of_its_members_gaps() -> None:
    bought = [
        history((date(2026, 1, 1), 1), (date(2026, 1, 11), 1), member=derived_id("a")),
        history((date(2026, 1, 1), 2), (date(2026, 1, 13), 1), member=derived_id("b")),
        history((date(2026, 1, 1), 1), category="SOAP"),
    ]
    assert use_rates(bought) == {1: Decimal(8)}
    assert use_rates(reversed(bought)) == use_rates(bought)
    assert use_rates([]) == {}


def test_the_longest_span_is_of_the_category_that_lasts_longest() -> None:
    bought = [history((date(2026, 1, 1), 12)), history((date(2026, 1, 1), 3), category="SOAP")]
    assert longest_span(bought, plan(), {}) == 3
    assert longest_span(bought, BY_RHYTHM, {2: Decimal(50)}) == 5
    assert longest_span(bought, BY_RHYTHM, {}) == 0


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(st.tuples(st.dates(date(2025, 9, 1), date(2026, 3, 1)), st.integers(-3, 6)), max_size=6),
    weekdays=st.sets(st.integers(1, 7), min_size=1).map(sorted),
)
def test_an_item_is_always_due_on_a_working_day_of_the_cycle(
    lines: list[tuple[date, int]], weekdays: list[int]
) -> None:
    what = plan(calendar={"weekdays": weekdays})
    days = what.cycle_days(1)
    bought = history((date(2026, 1, 1), 1), *lines)
    made = task(bought, what, first_day=days[0], last_day=days[-1])
    assert made is None or made.due_on in days
