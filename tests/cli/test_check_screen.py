"""The Check is dated by the plan's own calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from cli import check_screen
from domain.figures import Figures
from ledger.report import Report
from tests.brand import plan
from wording.catalogue import catalogue


def report(as_of: datetime, ends_on: date) -> Report:
    return Report(
        plan=plan(),
        status="closed",
        cycle=1,
        kind="provisional",
        as_of=as_of,
        position=1,
        starts_on=ends_on,
        ends_on=ends_on,
        time_zone="Pacific/Auckland",
        total=Figures(),
        stores=(),
        guides=(),
        assigned=0,
        unassigned=(),
        tasks=0,
        check_ins=0,
        guide_days=0,
    )


@pytest.mark.parametrize(
    ("as_of", "shown"),
    [
        (datetime(2026, 11, 22, 18, 2, tzinfo=UTC), "11-23"),  # 07:02 of the 23rd there
        (datetime(2026, 11, 23, 11, 30, tzinfo=UTC), "11-23"),  # past midnight there: the cycle has ended
        (datetime(2026, 11, 21, 18, 0, tzinfo=UTC), "11-22"),
    ],
)
def test_the_check_is_headed_by_the_day_on_the_plans_calendar(as_of: datetime, shown: str) -> None:
    made = check_screen.rates(catalogue("en"), report(as_of, date(2026, 11, 23)), None)
    assert made.columns[1].header == f"at end {shown}"


def test_an_instant_is_shown_as_the_plans_clocks_show_it() -> None:
    instant = datetime(2026, 11, 22, 18, 2, tzinfo=UTC)
    assert check_screen.local(instant, "Pacific/Auckland") == "2026-11-23 07:02 Pacific/Auckland"
