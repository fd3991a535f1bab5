"""The coming days: load carried forward against capacity."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.forecast import day_loads, first_over, summed

MONDAY = date(2026, 3, 2)
DAYS = [MONDAY + timedelta(days=n) for n in range(5)]


def test_what_one_day_cannot_hold_is_carried_to_the_next() -> None:
    loads = day_loads(DAYS[:3], {DAYS[0]: 5, DAYS[1]: 4}, [4, 4, 4])
    assert [(one.due, one.load, one.left, one.over) for one in loads] == [
        (5, 5, 1, True),
        (4, 5, 1, True),
        (0, 1, 0, False),
    ]
    assert first_over(loads) == DAYS[0]


def test_what_is_due_on_a_day_off_is_there_on_the_next_working_day() -> None:
    loads = day_loads([DAYS[0], DAYS[3]], {MONDAY - timedelta(9): 1, DAYS[1]: 2, DAYS[4]: 7}, [9, 9])
    assert [one.due for one in loads] == [1, 2]


def test_on_leave_nothing_is_done() -> None:
    assert [one.left for one in day_loads(DAYS[:2], {DAYS[0]: 3}, [0, 2])] == [3, 1]


@given(
    due=st.dictionaries(st.sampled_from(DAYS), st.integers(0, 90)),
    capacities=st.lists(st.integers(0, 60), min_size=5, max_size=5),
)
def test_no_item_is_lost_or_made(due: dict[date, int], capacities: list[int]) -> None:
    loads = day_loads(DAYS, due, capacities)
    done = sum(one.load - one.left for one in loads)
    assert done + loads[-1].left == sum(due.values())
    assert all(one.left == max(0, one.load - one.capacity) for one in loads)
    assert summed([loads, loads])[0].due == 2 * loads[0].due


def test_days_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="ascending"):
        day_loads(DAYS[1::-1], {}, [1, 1])
