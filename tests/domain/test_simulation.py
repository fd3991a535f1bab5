"""Simulated guides: drawn from the seed, within their day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.check_in import NOT_REACHED
from domain.identifiers import derived_id
from domain.simulation import SimulatedItem, SimulatedReport, simulate

DAY, NEXT_WEEK = date(2026, 3, 2), date(2026, 3, 9)
OPENS = datetime(2026, 3, 2, 1, tzinfo=UTC)


def work(
    n: int, rank: int = 1, listed: int = 1, *, seed: int = 7, hours: float = 12, guide: str = "G1"
) -> SimulatedReport | None:
    return simulate(
        SimulatedItem(derived_id("task", str(n)), guide, rank, listed),
        seed=seed,
        day=DAY,
        opens_at=OPENS,
        closes_at=OPENS + timedelta(hours=hours),
        next_week=NEXT_WEEK,
    )


def test_a_simulated_report_never_changes() -> None:
    assert work(2) == SimulatedReport(OPENS + timedelta(seconds=13116), "wecom", "refused", "D", None)


def test_another_seed_gives_another_day() -> None:
    assert [work(n) for n in range(50)] == [work(n) for n in range(50)]
    assert [work(n) for n in range(50)] != [work(n, seed=8) for n in range(50)]


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(0, 10**6),
    listed=st.integers(1, 60),
    share=st.floats(0, 1),
    minutes=st.integers(1, 16 * 60),
    seed=st.integers(0, 99),
)
def test_every_report_falls_within_the_day_however_short(
    n: int, listed: int, share: float, minutes: int, seed: int
) -> None:
    rank = 1 + int(share * (listed - 1))
    report = work(n, rank, listed, seed=seed, hours=minutes / 60)
    closes = OPENS + timedelta(minutes=minutes)
    assert report is None or OPENS <= report.occurred_at < closes


def test_guides_work_down_their_list() -> None:
    reports = [work(n, n + 1, 40) for n in range(40)]
    instants = [report.occurred_at for report in reports if report]
    assert instants == sorted(instants)
    assert len(instants) > 25


def test_outcomes_are_such_as_a_check_in_takes() -> None:
    reports = [report for n in range(2000) if (report := work(n, guide=f"G{n % 20}"))]
    reached = [report for report in reports if report.outcome not in NOT_REACHED]
    assert all((report.grade is None) == (report.outcome in NOT_REACHED) for report in reports)
    assert all(report.next_on in (None, NEXT_WEEK) for report in reports)
    assert all(report.outcome == "interested" for report in reports if report.next_on)
    assert 1600 <= len(reports) <= 1990
    assert 0.43 < len(reached) / len(reports) < 0.53
    assert {report.outcome for report in reports} >= {"interested", "refused", "no_answer", "booked_visit"}
