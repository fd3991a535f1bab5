"""The Check of one cycle of twenty members, counted by hand.

Cycle: March 2026 in Shanghai; as of 31 March 12:00; window 14 days, so a window is closed if its contact was
on 17 March 12:00 or before. A tin costs 200.00, in fen 20_000. Every literal below was counted from the table of comments,
never taken from the program.
"""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from domain.figures import Contact, Figures, Item, MemberRecord, NetPurchase, Row, by_guide, by_store, check

ZONE = "Asia/Shanghai"
SHANGHAI = ZoneInfo(ZONE)


def at(day: int, hour: int = 10) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=SHANGHAI)


def due(day: int, *, withdrawn: bool = False) -> Item:
    return Item(date(2026, 3, day), withdrawn)


def called(day: int, guide_id: str, plan_id: str = "formula", *, reached: bool = True) -> Contact:
    return Contact(at(day), reached, guide_id, plan_id)


def tins(day: int, units: int, hour: int = 10) -> NetPurchase:
    return NetPurchase(at(day, hour), Decimal(units), units * 20_000)


RECORDS = (
    # Store s1 --------------------------------------------------------------- wd due att fol clo pro suc rep
    # 01 bought on the 3rd, item of the 5th withdrawn before contact            1   .   .   .   .   .   .   1
    MemberRecord("m01", "g1", "s1", (due(5, withdrawn=True),), (), (tins(3, 6),)),
    # 02 attempted only: no answer                                              .   1   1   .   .   .   .   .
    MemberRecord("m02", "g1", "s1", (due(5),), (called(5, "g1", reached=False),)),
    # 03 reached and refused: followed up, no purchase                          .   1   1   1   1   .   .   .
    MemberRecord("m03", "g1", "s1", (due(5),), (called(5, "g1"),)),
    # 04 window closed, bought 12 tins: 240_000                                 .   1   1   1   1   .   1   1
    MemberRecord("m04", "g1", "s1", (due(5),), (called(5, "g1"),), (tins(8, 12),)),
    # 05 bought and returned in full: neither success nor repurchase            .   1   1   1   1   .   .   .
    MemberRecord("m05", "g1", "s1", (due(5),), (called(5, "g1"),), (tins(8, 6), tins(12, -6))),
    # 06 bought on the 20th, 15 days after contact: repurchase only             .   1   1   1   1   .   .   1
    MemberRecord("m06", "g1", "s1", (due(5),), (called(5, "g1"),), (tins(20, 6),)),
    # 07 bought on the 4th, a day before the contact: repurchase only           .   1   1   1   1   .   .   1
    MemberRecord("m07", "g1", "s1", (due(5),), (called(5, "g1"),), (tins(4, 6),)),
    # 08 contact on the 20th, window open, bought: provisional 120_000          .   1   1   1   .   1   .   1
    MemberRecord("m08", "g2", "s1", (due(20),), (called(20, "g2"),), (tins(22, 6),)),
    # 09 contact on the 25th, window open, buys only after as_of                .   1   1   1   .   1   .   .
    MemberRecord("m09", "g2", "s1", (due(25),), (called(25, "g2"),), (tins(31, 6, hour=18),)),
    # 10 two items, one withdrawn, nobody called: due                           .   1   .   .   .   .   .   .
    MemberRecord("m10", "g1", "s1", (due(5, withdrawn=True), due(20))),
    # Sum of s1                                                                 1   9   8   7   5   2   1   5
    #
    # Store s2 --------------------------------------------------------------- wd due att fol clo pro suc rep
    # 11 bought exactly at contact + 14 days: success, 120_000                  .   1   1   1   1   .   1   1
    MemberRecord("m11", "g2", "s2", (due(5),), (called(5, "g2"),), (tins(19, 6),)),
    # 12 bought at the contact's very instant: not after it, repurchase only    .   1   1   1   1   .   .   1
    MemberRecord("m12", "g2", "s2", (due(5),), (called(5, "g2"),), (tins(5, 6),)),
    # 13 nobody could take the member: due, of no guide                         .   1   .   .   .   .   .   .
    MemberRecord("m13", None, "s2", (due(5),)),
    # 14 nothing due, buys again                                                .   .   .   .   .   .   .   1
    MemberRecord("m14", "g2", "s2", (), (), (tins(10, 6),)),
    # 15 nothing due, buys nothing                                              .   .   .   .   .   .   .   .
    MemberRecord("m15", "g2", "s2"),
    # 16 joined during the cycle: success 120_000, but not in the plan at start .   1   1   1   1   .   1   .
    MemberRecord("m16", "g2", "s2", (due(10),), (called(10, "g2"),), (tins(12, 6),), in_plan_at_start=False),
    # 17 due in April, called early on the 30th: not due in March               .   .   .   .   .   .   .   .
    MemberRecord("m17", "g2", "s2", (Item(date(2026, 4, 2)),), (called(30, "g2"),)),
    # 18 of g2, reached by g1 on the 5th, missed by g2 on the 9th: g1's 40_000  .   1   1   1   1   .   1   1
    MemberRecord(
        "m18", "g2", "s2", (due(5),), (called(5, "g1"), called(9, "g2", reached=False)), (tins(10, 2),)
    ),
    # 19 bought 6, returned 2: success with 80_000                              .   1   1   1   1   .   1   1
    MemberRecord("m19", "g2", "s2", (due(5),), (called(6, "g2"),), (tins(7, 6), tins(9, -2))),
    # 20 another plan reached the member later: the purchase is that plan's     .   1   1   1   1   .   .   1
    MemberRecord(
        "m20",
        "g2",
        "s2",
        (due(5),),
        (called(5, "g2"),),
        (tins(8, 6),),
        other_plans=(called(7, "g9", "wine"),),
    ),
    # Sum of s2                                                                 .   7   6   6   6   .   4   6
)

# 20 members less m16 were in the plan at its start: 10 of s1, 9 of s2.
S1 = Figures(
    due=9, attempted=8, followed_up=7, withdrawn=1, window_closed=5, provisional=2,
    succeeded=1, provisional_succeeded=1, repurchased=5, members_at_start=10,
    revenue=240_000, provisional_revenue=120_000,
)  # fmt: skip
S2 = Figures(
    due=7, attempted=6, followed_up=6, withdrawn=0, window_closed=6, provisional=0,
    succeeded=4, provisional_succeeded=0, repurchased=6, members_at_start=9,
    revenue=360_000, provisional_revenue=0,
)  # fmt: skip
TOTAL = Figures(
    due=16, attempted=14, followed_up=13, withdrawn=1, window_closed=11, provisional=2,
    succeeded=5, provisional_succeeded=1, repurchased=11, members_at_start=19,
    revenue=600_000, provisional_revenue=120_000,
)  # fmt: skip
# g1: 01–07, 10, and 18 by the work done; due 02–07, 10, 18; succeeded 04 and 18: 240_000 + 40_000.
G1 = Figures(
    due=8, attempted=7, followed_up=6, withdrawn=1, window_closed=6, provisional=0,
    succeeded=2, provisional_succeeded=0, repurchased=5, members_at_start=9,
    revenue=280_000, provisional_revenue=0,
)  # fmt: skip
# g2: 08, 09, 11, 12, 14–17, 19, 20; succeeded 11, 16, 19: 120_000 + 120_000 + 80_000.
G2 = Figures(
    due=7, attempted=7, followed_up=7, withdrawn=0, window_closed=5, provisional=2,
    succeeded=3, provisional_succeeded=1, repurchased=6, members_at_start=9,
    revenue=320_000, provisional_revenue=120_000,
)  # fmt: skip
NOBODY = Figures(due=1, members_at_start=1)  # 13

START, END, AS_OF = at(1, 0), datetime(2026, 4, 1, tzinfo=SHANGHAI), at(31, 12)


def test_the_program_counts_what_was_counted_by_hand() -> None:
    assert check(RECORDS, cycle_start=START, cycle_end=END, as_of=AS_OF, zone=ZONE) == TOTAL


def test_the_rates_are_those_reckoned_by_hand() -> None:
    figures = check(RECORDS, cycle_start=START, cycle_end=END, as_of=AS_OF, zone=ZONE)
    assert str(figures.completion_rate) == "81.3 % (13/16)"  # 81.25, half up
    assert str(figures.attempt_rate) == "87.5 % (14/16)"
    assert str(figures.success_rate) == "45.5 % (5/11)"  # 45.4545…
    assert str(figures.repurchase_rate) == "57.9 % (11/19)"  # 57.8947…


def test_the_rows_of_stores_are_those_counted_by_hand() -> None:
    rows = by_store(RECORDS, cycle_start=START, cycle_end=END, as_of=AS_OF, zone=ZONE)
    assert rows == (Row("s1", S1), Row("s2", S2))


def test_the_rows_of_guides_are_those_counted_by_hand() -> None:
    rows = by_guide(RECORDS, cycle_start=START, cycle_end=END, as_of=AS_OF, zone=ZONE)
    assert rows == (Row("g1", G1), Row("g2", G2), Row(None, NOBODY))


def test_when_the_last_windows_close_the_provisional_members_are_decided() -> None:
    # On 30 April all windows are closed. 08 succeeds (120_000); 09 bought on 31 March, within 14 days of the
    # 25th: success (120_000) and repurchase.
    final = check(
        RECORDS, cycle_start=START, cycle_end=END, as_of=datetime(2026, 4, 30, tzinfo=SHANGHAI), zone=ZONE
    )
    assert final == replace(
        TOTAL, window_closed=13, provisional=0, succeeded=7, provisional_succeeded=0, repurchased=12,
        revenue=840_000, provisional_revenue=0,
    )  # fmt: skip
