"""Ranks, spans, funnel and lost orders: what the trade says, as examples and as properties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attribution import NetPurchase
from domain.board import Basis, Board, Column
from domain.board_span import MOST_DAYS, Span, named_span, span_of
from domain.errors import Refused
from domain.funnel import SOURCES, funnel
from domain.lost_orders import LostOrders, Visit, add_lost, lost_orders
from domain.ranking import ranked
from domain.rate import Rate

DAY = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = timedelta(days=14)


def ranks(*values: int) -> list[int]:
    return [rank for rank, _ in ranked(values, value=lambda one: one, name=str)]


def test_ties_share_a_rank_and_the_next_is_skipped() -> None:
    assert ranks(7, 7, 3) == [1, 1, 3]
    assert ranks(9, 7, 7, 7, 1) == [1, 2, 2, 2, 5]
    assert ranks() == []


@given(st.lists(st.tuples(st.integers(0, 4), st.uuids()), unique_by=lambda one: one[1]))
def test_a_rank_is_one_more_than_how_many_did_better_whatever_the_order(
    rows: list[tuple[int, object]],
) -> None:
    told = ranked(rows, value=lambda row: row[0], name=lambda row: str(row[1]))
    assert [rank for rank, _ in told] == [
        1 + sum(other > value for other, _ in rows) for _, (value, _) in told
    ]
    assert told == ranked(rows[::-1], value=lambda row: row[0], name=lambda row: str(row[1]))


@pytest.mark.parametrize(
    ("kind", "on", "since", "until"),
    [
        ("day", "2026-03-04", "2026-03-04", "2026-03-04"),
        ("week", "2026-03-04", "2026-03-02", "2026-03-08"),
        ("week", "2026-03-08", "2026-03-02", "2026-03-08"),
        ("month", "2026-02-17", "2026-02-01", "2026-02-28"),
        ("month", "2028-02-29", "2028-02-01", "2028-02-29"),
        ("month", "2026-12-31", "2026-12-01", "2026-12-31"),
    ],
)
def test_a_week_begins_on_monday_and_a_month_is_the_calendars(
    kind: str, on: str, since: str, until: str
) -> None:
    found = span_of(kind, date.fromisoformat(on))  # type: ignore[arg-type] # of the table above
    assert found == Span(date.fromisoformat(since), date.fromisoformat(until))


def test_named_days_are_one_page_at_most() -> None:
    first = date(2026, 3, 1)
    assert named_span(first, first + timedelta(days=MOST_DAYS - 1)).days == MOST_DAYS
    with pytest.raises(Refused, match="span_too_long"):
        named_span(first, first + timedelta(days=MOST_DAYS))
    with pytest.raises(Refused, match="span_empty"):
        named_span(first, first - timedelta(days=1))


def test_a_stage_no_fact_tells_is_not_recorded_and_one_nobody_reached_is_0() -> None:
    told = {
        one.stage: one
        for one in funnel({"due": range(100), "contacted": range(80), "joined": range(20), "came": range(30)})
    }
    assert list(told) == list(SOURCES)
    assert (told["contacted"].members, told["contacted"].of_before) == (80, Rate(80, 100))
    assert (told["joined"].of_before, told["joined"].of_due) == (Rate(20, 80), Rate(20, 100))
    for stage in ("took_part", "gift_received"):
        one = told[stage]
        assert (one.source, one.members, one.of_before, one.of_due) == (None, None, None, None)
    # Of the last stage that is recorded before it: nobody left a contact, which is a fact.
    assert (told["left_contact"].members, told["left_contact"].of_before) == (0, Rate(0, 20))
    assert (told["booked"].of_before.percent(), told["came"].members) == (None, 30)  # type: ignore[union-attr] # recorded


def visit(
    outcome: str = "came", *, bought: tuple[NetPurchase, ...] = (), later: tuple[str, ...] = ()
) -> Visit:
    return Visit("S1", DAY + timedelta(hours=15), DAY, outcome, WINDOW, bought, later)


def bought(at: timedelta, quantity: int = 1, *, takes_back: timedelta | None = None) -> NetPurchase:
    before = None if takes_back is None else DAY + takes_back
    return NetPurchase(DAY + at, Decimal(quantity), 100 * quantity, before)


def counted(*visits: Visit, days: int = 30) -> LostOrders:
    return lost_orders(visits, as_of=DAY + timedelta(days=days))["S1"]


def test_an_order_on_the_day_or_in_the_window_is_an_order_and_one_taken_back_is_none() -> None:
    hour = timedelta(hours=1)
    for lines, ordered in (
        ((bought(14 * hour),), True),  # at the till before the guide wrote it down
        ((bought(15 * hour + WINDOW),), True),
        ((bought(16 * hour + WINDOW),), False),
        ((bought(-1 * hour),), False),
        ((bought(16 * hour), bought(40 * hour, -1)), False),
        ((bought(16 * hour), bought(20 * hour + WINDOW, -1, takes_back=16 * hour)), False),
    ):
        one = counted(visit(bought=lines))
        assert (one.ordered, one.lost) == (int(ordered), int(not ordered)), lines


def test_a_visit_is_not_lost_before_its_window_closes() -> None:
    assert counted(visit(), days=13) == LostOrders(visits=1, open=1)
    assert counted(visit(), days=13).rate.percent() is None
    assert counted(visit(), days=15).rate == Rate(1, 1)


def test_the_reason_is_the_last_word_that_is_no_visit() -> None:
    for outcome, later, reason in (
        ("came", (), "not_told"),
        ("booked_visit", (), "did_not_come"),
        ("booked_visit", ("came",), "not_told"),
        ("booked_visit", ("interested", "refused", "came"), "refused"),
        ("refused", (), "refused"),
    ):
        assert counted(visit(outcome, later=later)).reasons == {reason: 1}


@given(st.lists(st.sampled_from(["came", "booked_visit", "refused"]), min_size=1), st.integers(0, 30))
def test_every_visit_is_ordered_lost_or_open_and_every_lost_one_has_a_reason(
    outcomes: list[str], days: int
) -> None:
    one = counted(*(visit(outcome) for outcome in outcomes), days=days)
    assert one.ordered + one.lost + one.open == one.visits == len(outcomes)
    assert sum(one.reasons.values()) == one.lost
    assert add_lost([one, one]).lost == 2 * one.lost


def test_a_row_that_does_not_fit_its_columns_is_no_board() -> None:
    basis = Basis(date(2026, 3, 2), date(2026, 3, 2), DAY, 1, "UTC")
    with pytest.raises(ValueError, match="does not fit"):
        Board("month", basis, (Column("due"),), ((1, 2),))
