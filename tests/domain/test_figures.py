from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.figures import (
    Contact,
    Figures,
    Item,
    MemberRecord,
    NetPurchase,
    Rate,
    add_up,
    attribute,
    by_guide,
    by_store,
    check,
)

# No deadline: a busy machine is no defect.
QUICKLY = settings(max_examples=60, deadline=None)
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
ITEMS = (Item(date(2026, 3, 2)),)


class Cycle(TypedDict):
    cycle_start: datetime
    cycle_end: datetime
    as_of: datetime
    zone: str


def cycle(as_of: datetime = END) -> Cycle:
    return {"cycle_start": START, "cycle_end": END, "as_of": as_of, "zone": "UTC"}


def day(number: float) -> datetime:
    """The instant that many days after the cycle's start."""
    return START + timedelta(days=number)


def buys(number: float, units: int = 1, takes_back: float | None = None) -> NetPurchase:
    back = None if takes_back is None else day(takes_back)
    return NetPurchase(day(number), Decimal(units), units * 100, back)


def record(contacts: tuple[Contact, ...] = (), *purchases: NetPurchase) -> MemberRecord:
    return MemberRecord("m", "g1", "s1", ITEMS, contacts, purchases)


def reached(number: float, guide_id: str = "g1", plan_id: str = "p") -> Contact:
    return Contact(day(number), reached=True, guide_id=guide_id, plan_id=plan_id)


def test_worked_example_due_100_attempted_90_followed_up_80_of_60_closed_15_bought() -> None:
    def member(number: int) -> MemberRecord:
        missed = (Contact(day(3), reached=False, guide_id="g1", plan_id="p"),)
        closed, still_open = (reached(3),), (reached(25),)
        contacts = closed if number < 60 else still_open if number < 80 else missed if number < 90 else ()
        purchases = (buys(4),) if number < 15 else ()
        return replace(record(contacts, *purchases), member_id=f"m{number}")

    figures = check([member(number) for number in range(100)], **cycle())
    assert (figures.due, figures.attempted, figures.followed_up, figures.window_closed) == (100, 90, 80, 60)
    assert figures.attempt_rate.percent() == 90
    assert figures.completion_rate.percent() == 80
    assert figures.success_rate.percent() == 25
    assert figures.provisional == 20


def test_a_rate_keeps_its_counts_and_is_rounded_half_up_to_one_decimal() -> None:
    assert (Rate(1, 8).percent(), Rate(1, 3).percent(), Rate(2, 3).percent()) == (
        Decimal("12.5"),
        Decimal("33.3"),
        Decimal("66.7"),
    )
    assert Rate(1, 2000).percent() == Decimal("0.1")
    assert str(Rate(80, 100)) == "80.0 % (80/100)"


def test_a_rate_of_nothing_is_no_number_and_shown_as_a_dash() -> None:
    assert Rate(0, 0).percent() is None
    assert str(Figures().completion_rate) == "—"


def test_only_after_the_last_reached_contact_does_a_purchase_count_as_success() -> None:
    between = check([record((reached(3), reached(6)), buys(5))], **cycle())
    after = check([record((reached(3), reached(6)), buys(7))], **cycle())
    assert (between.succeeded, after.succeeded) == (0, 1)


def test_a_contact_that_did_not_reach_the_member_opens_no_window() -> None:
    missed = Contact(day(12), reached=False, guide_id="g2", plan_id="p")
    figures = check([record((reached(3), missed), buys(13))], **cycle())
    assert (figures.succeeded, figures.revenue) == (1, 100)


def test_a_purchase_is_counted_for_one_of_two_cycles_only() -> None:
    both = record((reached(29), reached(32)), buys(33))
    april = {"cycle_start": END, "cycle_end": END + timedelta(days=30), "as_of": day(60), "zone": "UTC"}
    first = check([both], **cycle(day(60)))
    second = check([replace(both, items=(Item(date(2026, 4, 2)),))], **april)  # type: ignore[arg-type]
    assert (first.succeeded, second.succeeded) == (0, 1)


def test_a_return_counts_with_the_purchase_it_takes_back_if_the_till_names_it() -> None:
    after_the_window = check([record((reached(3),), buys(5), buys(20, -1, takes_back=5))], **cycle())
    of_an_older_purchase = check([record((reached(3),), buys(5), buys(6, -1, takes_back=-9))], **cycle())
    unnamed = check([record((reached(3),), buys(5), buys(6, -1))], **cycle())
    assert [f.succeeded for f in (after_the_window, of_an_older_purchase, unnamed)] == [0, 1, 0]


def test_a_member_with_a_check_in_is_due_even_if_every_item_was_withdrawn_later() -> None:
    gone = replace(record(), items=(Item(date(2026, 3, 2), withdrawn_before_attempt=True),))
    assert check([gone], **cycle()) == Figures(withdrawn=1, members_at_start=1)
    assert check([replace(gone, contacts=(reached(2),))], **cycle()).due == 1


def test_an_item_due_after_as_of_is_not_due_yet() -> None:
    later = replace(record(), items=(Item(date(2026, 3, 20)),))
    assert [check([later], **cycle(day(at))).due for at in (18, 19, 25)] == [0, 1, 1]


def test_the_last_day_of_the_cycle_belongs_to_it_and_the_next_does_not() -> None:
    last, beyond = Item(date(2026, 3, 31)), Item(date(2026, 4, 1))
    assert [check([replace(record(), items=(item,))], **cycle(day(60))).due for item in (last, beyond)] == [
        1,
        0,
    ]


def test_the_instant_the_cycle_ends_belongs_to_the_next() -> None:
    contacted = check([record((reached(31),))], **cycle(day(60)))
    bought = check([record((), buys(31))], **cycle(day(60)))
    first = check([record((reached(0),), buys(0))], **cycle(day(60)))
    assert (contacted.attempted, bought.repurchased) == (0, 0)
    assert (first.attempted, first.repurchased) == (1, 1)


def test_a_window_is_closed_at_its_last_instant_and_open_before() -> None:
    followed = record((reached(3),))
    assert check([followed], **cycle(day(17))).window_closed == 1
    assert check([followed], **cycle(day(16.99))).provisional == 1


def test_days_are_those_of_the_plans_zone() -> None:
    # Cycle of one day, 1 March in Shanghai: from 28 February 16:00 UTC.
    start = datetime(2026, 2, 28, 16, tzinfo=UTC)
    one = replace(record(), items=(Item(date(2026, 3, 1)),))
    figures = check(
        [one], cycle_start=start, cycle_end=start + timedelta(days=1), as_of=END, zone="Asia/Shanghai"
    )
    assert figures.due == 1


def test_the_last_reached_contact_before_a_purchase_wins_it() -> None:
    contacts = [
        reached(1, "g1", "a"),
        reached(5, "g2", "b"),
        Contact(day(6), reached=False, guide_id="g3", plan_id="c"),
        reached(9, "g4", "d"),
    ]
    assert attribute(day(8), contacts) == contacts[1]
    assert attribute(day(5), contacts) == contacts[0]
    assert attribute(day(1), contacts) is None
    assert attribute(day(23), contacts) == contacts[3]
    assert attribute(day(23.1), contacts) is None
    assert attribute(day(8), contacts, timedelta(days=2)) is None


def test_of_two_contacts_at_one_instant_the_winner_does_not_depend_on_their_order() -> None:
    pair = [reached(1, "g2", "a"), reached(1, "g1", "b")]
    assert attribute(day(2), pair) == attribute(day(2), pair[::-1]) == pair[1]


def test_what_cannot_be_counted_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^records: "):
        check([record(), record()], **cycle())
    with pytest.raises(ValueError, match=r"^cycle_end: "):
        check([], cycle_start=END, cycle_end=END, as_of=END, zone="UTC")
    with pytest.raises(ValueError, match=r"^window: "):
        check([], **cycle(), window=-timedelta(days=1))
    with pytest.raises(ValueError, match=r"^instant: "):
        check([], cycle_start=START, cycle_end=END, as_of=datetime(2026, 3, 1), zone="UTC")  # noqa: DTZ001 - refused


INSTANTS = st.integers(-10 * 4, 50 * 4).map(lambda quarter: day(quarter / 4))
CONTACTS = st.builds(Contact, INSTANTS, st.booleans(), st.sampled_from(["g1", "g2"]), st.just("p"))
RIVALS = st.builds(Contact, INSTANTS, st.booleans(), st.just("g9"), st.just("q"))
PURCHASES = st.builds(
    lambda at, units: NetPurchase(at, Decimal(units), units * 100), INSTANTS, st.integers(-2, 3)
)
DUE_DAYS = st.dates(date(2026, 2, 25), date(2026, 4, 5))
RECORDS = st.lists(
    st.builds(
        MemberRecord,
        member_id=st.integers(0, 30).map(str),
        guide_id=st.sampled_from(["g1", "g2", None]),
        store_id=st.sampled_from(["s1", "s2"]),
        items=st.lists(st.builds(Item, DUE_DAYS, st.booleans()), max_size=2).map(tuple),
        contacts=st.lists(CONTACTS, max_size=3).map(tuple),
        purchases=st.lists(PURCHASES, max_size=3).map(tuple),
        in_plan_at_start=st.booleans(),
        other_plans=st.lists(RIVALS, max_size=1).map(tuple),
    ),
    max_size=6,
    unique_by=lambda record: record.member_id,
)


@QUICKLY
@given(RECORDS, INSTANTS, st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_any_order(
    records: list[MemberRecord], as_of: datetime, shuffler: Random
) -> None:
    turned = [
        replace(
            record, items=record.items[::-1], contacts=record.contacts[::-1], purchases=record.purchases[::-1]
        )
        for record in records
    ]
    shuffler.shuffle(turned)
    assert check(turned, **cycle(as_of)) == check(records, **cycle(as_of))
    assert by_guide(turned, **cycle(as_of)) == by_guide(records, **cycle(as_of))


@QUICKLY
@given(RECORDS, INSTANTS)
def test_the_rows_of_a_breakdown_add_up_to_the_total(records: list[MemberRecord], as_of: datetime) -> None:
    total = check(records, **cycle(as_of))
    for rows in (by_store(records, **cycle(as_of)), by_guide(records, **cycle(as_of))):
        assert add_up(row.figures for row in rows) == total
        assert len({row.key for row in rows}) == len(rows)


@QUICKLY
@given(RECORDS, INSTANTS, st.integers(1, 400), st.integers(1, 3))
def test_no_figure_changes_by_what_happens_after_as_of(
    records: list[MemberRecord], as_of: datetime, hours: int, units: int
) -> None:
    later = as_of + timedelta(hours=hours)
    known = [
        replace(
            record,
            purchases=(*record.purchases, NetPurchase(later, Decimal(units), 100)),
            contacts=(*record.contacts, Contact(later, reached=True, guide_id="g3", plan_id="p")),
            other_plans=(*record.other_plans, Contact(later, reached=True, guide_id="g9", plan_id="q")),
        )
        for record in records
    ]
    assert check(known, **cycle(as_of)) == check(records, **cycle(as_of))
    assert by_guide(known, **cycle(as_of)) == by_guide(records, **cycle(as_of))


@QUICKLY
@given(RECORDS, INSTANTS)
def test_every_figure_is_part_of_the_one_it_is_counted_from(
    records: list[MemberRecord], as_of: datetime
) -> None:
    figures = check(records, **cycle(as_of))
    assert figures.due + figures.withdrawn <= len(records)
    assert figures.followed_up <= figures.attempted <= figures.due
    assert figures.window_closed + figures.provisional == figures.followed_up
    assert figures.succeeded <= figures.window_closed
    assert figures.provisional_succeeded <= figures.provisional
    assert figures.repurchased <= figures.members_at_start


@QUICKLY
@given(st.lists(CONTACTS | RIVALS, max_size=5), INSTANTS, st.randoms(use_true_random=False))
def test_a_purchase_has_one_winner_whatever_the_order(
    contacts: list[Contact], at: datetime, shuffler: Random
) -> None:
    winner = attribute(at, contacts)
    shuffled = list(contacts)
    shuffler.shuffle(shuffled)
    assert attribute(at, shuffled) == winner
    candidates = [c for c in contacts if c.reached and timedelta() < at - c.occurred_at <= timedelta(days=14)]
    assert (winner is None) == (not candidates)
    assert winner is None or all(c.occurred_at <= winner.occurred_at for c in candidates)
