"""Correcting, voiding and reporting late on the command line, and the list of it all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.clock import now
from ledger.ledger import Ledger
from tests.cli.practice_shop import in_ledger
from tests.cli.shop import Shop
from tests.cli.test_day import at_work, launched, opened, practice, problem

__all__ = ["at_work", "launched", "opened", "practice"]


def corrected(shop: Shop, *words: str) -> Any:
    return shop.json("check-in", "correct", *words)


def exceptions(shop: Shop, *words: str) -> list[tuple[Any, ...]]:
    found = shop.json("audit", "conflicts", *words)["exceptions"]
    return [
        (one["guide"], one["outcome_before"], one["outcome"], one["voided"], one["reason"]) for one in found
    ]


def earlier(shop: Shop) -> str:
    """Some minutes ago by the store's clocks, with the items made hours before: a report may be of then."""

    async def age(ledger: Ledger) -> None:
        async with ledger.connection() as connection:
            await connection.execute("UPDATE task SET known_at = known_at - interval '12 hours'")

    in_ledger(shop, age)
    (store, *_) = shop.json("day")["stores"]
    local = now().astimezone(ZoneInfo(store["time_zone"]))
    midnight = datetime.combine(local.date(), datetime.min.time(), local.tzinfo)
    return f"{max(midnight, local - timedelta(minutes=5)):%H:%M}"


def test_an_open_day_is_corrected_without_a_reason_and_what_is_not_given_stays(opened: Shop) -> None:
    opened.run("check-in", "G1", "1", "--outcome", "interested", "--grade", "A", "--channel", "wecom")
    told = corrected(opened, "G1", "1", "--outcome", "came")
    assert (told["outcome"], told["grade"], told["channel"], told["state"], told["duplicate"]) == (
        "came", "A", "wecom", "done", False,
    )  # fmt: skip
    same = corrected(opened, "G1", "1", "--outcome", "came")
    assert problem(same) == ("RANK", "1", "nothing_to_correct")
    assert exceptions(opened) == [("G1", "interested", "came", False, None)]


def test_a_correction_to_a_missed_call_leaves_no_grade(opened: Shop) -> None:
    opened.run("check-in", "G1", "1", "--outcome", "interested", "--grade", "A")
    told = corrected(opened, "G1", "1", "--outcome", "没人接")
    assert (told["outcome"], told["grade"], told["state"]) == ("no_answer", None, "open")


def test_a_closed_day_and_a_void_need_a_reason(opened: Shop) -> None:
    opened.run("check-in", "G1", "1", "--outcome", "came")
    assert problem(corrected(opened, "G1", "1", "--void")) == ("--reason", "", "correction_needs_reason")
    opened.run("day", "close", "--reason", "盘点")
    assert problem(corrected(opened, "G1", "1", "--outcome", "bought")) == (
        "--reason",
        "",
        "correction_needs_reason",
    )
    done = opened.run("check-in", "correct", "G1", "1", "--void", "--reason", "不是这位会员")
    assert done.exit_code == 0, done.output
    assert "已作废" in done.stdout
    assert exceptions(opened, "--kind", "voided") == [("G1", None, "came", True, "不是这位会员")]
    shown = opened.run("audit", "conflicts", lang="en").stdout
    assert "voided" in shown
    assert "不是这位会员" in shown


def test_what_was_not_reported_is_reported_late(opened: Shop) -> None:
    at = earlier(opened)
    assert problem(corrected(opened, "G1", "1", "--outcome", "came")) == ("RANK", "1", "nothing_reported")
    opened.run("day", "close", "--guide", "G1", "--reason", "停电")
    told = opened.json("check-in", "late", "G1", "1", "--at", at, "--outcome", "came", "--grade", "B")
    assert (told["state"], told["duplicate"]) == ("done", False)
    assert opened.json("check-in", "late", "G1", "1", "--at", at, "--outcome", "came", "--grade", "B")[
        "duplicate"
    ]
    told = opened.json(
        "check-in", "late", "G1", "2", "--at", at, "--outcome", "no_answer", "--reason", "手机没电"
    )
    assert told["state"] == "open"
    assert exceptions(opened, "--kind", "late", "--guide", "G1") == [
        ("G1", None, "no_answer", False, "手机没电"), ("G1", None, "came", False, None),
    ]  # fmt: skip
    assert exceptions(opened, "--guide", "G2") == []
    assert exceptions(opened, "--to", "2020-01-01") == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("correct", "G9", "1"), ("GUIDE", "G9", "unknown_guide")),
        (("correct", "G1", "77", "--outcome", "came"), ("RANK", "77", "rank_not_listed")),
        (("correct", "G1", "1", "--outcome", "happy"), ("--outcome", "happy", "not_a_choice")),
        (("correct", "G1", "1", "--at", "25:00"), ("--at", "25:00", "not_a_time")),
        (("correct", "G1", "1", "--void", "--grade", "A"), ("--void", "", "void_says_nothing")),
        (("late", "G1", "1", "--at", "9", "--outcome", "came"), ("--at", "9", "not_a_time")),
        (("late", "G1", "1", "--at", "00:00", "--outcome", "came"), ("--at", "00:00", "before_task")),
    ],
)
def test_a_slip_is_named_and_nothing_is_written(
    at_work: Shop, line: tuple[str, ...], expected: tuple[str, str, str]
) -> None:
    before = at_work.traces()
    field, value, code = problem(at_work.json("check-in", *line))
    assert (field, code) == (expected[0], expected[2])
    assert value.endswith(expected[1])
    assert at_work.traces() == before
