"""Putting an item off."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any
from uuid import UUID

import pytest

from domain.errors import Refused
from domain.snooze import ItemToSnooze, decide_snooze
from tests.brand import ZONE, at

GUIDE, TASK = UUID(int=1), UUID(int=2)
ITEM = ItemToSnooze(
    task_id=TASK,
    guide_id=GUIDE,
    state="open",
    snoozes=2,
    attempted_today=False,
    listed=True,
    cycle_ends_on=date(2026, 3, 11),
    day=date(2026, 3, 2),
    time_zone=ZONE,
    closes_at=at(2, 21),
)


def test_an_item_is_put_off_to_later_today_or_to_a_later_day() -> None:
    assert decide_snooze(ITEM, GUIDE, time(15), "line_busy", at(2, 10)).until == at(2, 15)
    assert decide_snooze(ITEM, GUIDE, date(2026, 3, 11), "other", at(2, 10)).until == at(11, 0)


@pytest.mark.parametrize(
    ("item", "until", "code"),
    [
        ({}, time(9), "snooze_outside_day"),
        ({}, time(21), "snooze_outside_day"),
        ({}, date(2026, 3, 2), "snooze_outside_cycle"),
        ({}, date(2026, 3, 12), "snooze_outside_cycle"),
        ({"snoozes": 3}, time(15), "snoozed_too_often"),
        ({"attempted_today": True}, time(15), "already_today"),
        ({"state": "done"}, time(15), "task_closed"),
        ({"listed": False}, time(15), "not_on_open_list"),
        ({"guide_id": TASK}, time(15), "not_your_task"),
    ],
)
def test_what_stands_against_it_is_told(item: dict[str, Any], until: time | date, code: str) -> None:
    with pytest.raises(Refused) as refused:
        decide_snooze(replace(ITEM, **item), GUIDE, until, "other", at(2, 10))
    assert [problem.code for problem in refused.value.problems] == [code]


def test_a_reason_is_a_code() -> None:
    with pytest.raises(Refused) as refused:
        decide_snooze(ITEM, GUIDE, time(15), "she was in the bath", at(2, 10))
    assert refused.value.problems[0].field == "reason"
