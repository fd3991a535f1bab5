"""`make bench-truth` runs, on few members; its categories are named beforehand, and nothing it predicts looks ahead."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from bench.truth.__main__ import figures, measure, split
from bench.truth.bought import Bought, half, netted, of_file, of_the_demo, sampled
from bench.truth.categories import NAMED, named_by_rule
from bench.truth.judging import Judged, judge, verdict
from bench.truth.predicting import Predicted, after_purchases, at_the_draw

CUT = date(2017, 7, 3)
FEW = NAMED[:2]


@pytest.fixture(scope="module")
def bought() -> Bought:
    return of_the_demo()


@pytest.fixture(scope="module")
def few(bought: Bought) -> Bought:
    return sampled(bought.of(FEW), 80)


def altered(bought: Bought, since: date) -> Bought:
    """The same up to `since`, and something else after it."""
    late = pl.col("day") >= since
    sooner = since + pl.duration(days=(pl.col("day") - since).dt.total_days() // 3)
    other = bought.lines.with_columns(
        day=pl.when(late).then(sooner).otherwise(pl.col("day")).cast(pl.Date),
        quantity=pl.when(late).then(7 * pl.col("quantity")).otherwise(pl.col("quantity")),
    )
    return netted(other)


def test_the_categories_are_those_the_rule_names_on_the_first_half(bought: Bought) -> None:
    assert half(bought) == CUT
    assert named_by_rule(bought, CUT) == NAMED
    assert named_by_rule(bought.before(CUT), CUT) == NAMED


def test_what_is_bought_later_changes_no_prediction(few: Bought) -> None:
    other = altered(few, CUT)
    assert not other.lines.equals(few.lines)
    assert list(at_the_draw(few, CUT)) == list(at_the_draw(other, CUT)) != []
    # After a purchase of the first ten days all that is known is the past of that purchase.
    end = CUT + timedelta(days=10)
    mine = list(after_purchases(few, CUT, end))
    assert (
        mine
        == list(after_purchases(altered(few, end), CUT, end))
        == list(after_purchases(few.before(end), CUT, end))
    )
    assert mine


def test_every_look_has_its_figures_and_goals_and_says_the_same_again(few: Bought) -> None:
    parts = split(CUT, few.last)
    assert parts.draws[0] == CUT
    assert parts.draws[-1] + timedelta(days=parts.horizon - 1) <= few.last
    looks = measure(few, parts, [("", FEW)])
    told = figures(looks, rounds=5)
    goals = [one for one in told if one.goal is not None]
    # Two looks, two categories and all of them, two others, median and share.
    assert len(goals) == 2 * 3 * 2 * 2
    assert {one.holds for one in goals} <= {True, False}
    assert figures(looks, rounds=5) == told
    assert len({one.figure for one in told}) == len(told)


def test_a_file_of_another_retailer_is_measured_the_same_way(few: Bought, tmp_path: Path) -> None:
    path = tmp_path / "purchases.csv"
    few.lines.select(
        member="member", store=pl.lit("S1"), occurred_at=pl.col("day").dt.strftime("%Y-%m-%d 10:00"),
        basket=pl.lit("b"), product=pl.lit("p"), category="category", quantity="quantity", value=pl.lit("1"),
    ).write_csv(path)  # fmt: skip
    read = of_file(path, None)
    assert read.lines.select("category", "member", "day").equals(
        few.lines.select("category", "member", "day")
    )
    assert list(at_the_draw(read, CUT)) == list(at_the_draw(few, CUT))


def test_who_has_not_come_within_the_horizon_is_told_apart_for_all_methods_alike() -> None:
    one = Predicted(
        "TIN",
        "M1",
        CUT,
        CUT,
        CUT - timedelta(days=9),
        0,
        (CUT + timedelta(days=5), CUT, CUT - timedelta(days=3)),
    )
    came = {("TIN", "M1"): [CUT - timedelta(days=9), CUT + timedelta(days=8)]}
    assert judge([one], came) == [Judged("TIN", "M1", 0, (3, 8, 8), came=True)]
    assert judge([one], came, clamped=False) == [Judged("TIN", "M1", 0, (3, 8, 11), came=True)]
    assert judge([one], came, horizon=8) == [Judged("TIN", "M1", 0, (3, 8, 8), came=False)]


def test_a_verdict_counts_medians_shares_and_paired_differences() -> None:
    judged = [Judged("TIN", f"M{n}", 0, (n, n + 4, 2 * n), came=True) for n in range(9)]
    told = verdict(judged, rounds=50)
    assert told is not None
    assert [told.plain_median[name].value for name in ("ours", "fixed", "member")] == [4, 8, 8]
    assert told.median["ours"].value == 4
    assert told.close["ours"].value == pytest.approx(8 / 9)
    assert [told.median_less["fixed"].low, told.median_less["fixed"].high] == pytest.approx([-4, -4])
    assert told.median_less["member"].low < told.median_less["member"].value < 0
    assert verdict([], rounds=1) is None
