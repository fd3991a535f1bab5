"""Errors, medians, shares and their intervals: a bootstrap over members, paired, seeded.

A member's predictions of all days and categories move together, because they are not independent of each other. Each
round draws as many members as there are, with replacement, and counts every method's errors of the same draw, so that
differences are paired.

Errors are whole days, so a plain median only moves by whole days. Differences are of the median of grouped data, in which
an error of e days lies anywhere between e - 1/2 and e + 1/2; beside it the plain median is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from bench.truth.predicting import METHODS, Predicted

CLOSE_DAYS = 7
HORIZON_DAYS = 90
"""A next purchase that does not come within so many days has not been seen: the prediction is not judged, of any method."""

SEED = 20170702
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Judged:
    """A prediction and what came: each method's error in days, None where nothing came within the horizon."""

    category: str
    member: str
    intervals: int
    errors: tuple[int, int, int]
    """Absolute; of what did not come the least they can be: the days from the prediction to the horizon."""
    came: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One category, or all: medians and shares of each method, and ours less each other's."""

    cases: int
    members: int
    plain_median: Mapping[str, Estimate]
    median: Mapping[str, Estimate]
    close: Mapping[str, Estimate]
    median_less: Mapping[str, Estimate]
    close_over: Mapping[str, Estimate]
    mean_less: Mapping[str, Estimate]


def judge(
    predicted: Iterable[Predicted],
    came: Mapping[tuple[str, str], Sequence[date]],
    *,
    horizon: int = HORIZON_DAYS,
    clamped: bool = True,
) -> list[Judged]:
    """Hold predictions against the purchases that came in the `horizon` days from the day on which they could.

    Args:
        predicted: as they were made.
        came: all purchases.
        horizon: days.
        clamped: no method predicts what is over already (else only ours does not).
    """
    judged = []
    for one in predicted:
        end = one.since + timedelta(days=horizon)
        next_on = next(
            (day for day in came[one.category, one.member] if one.since <= day and day > one.last), None
        )
        seen = next_on is not None and next_on < end
        dates = [max(day, one.since) if clamped else day for day in one.dates]
        if seen and next_on is not None:
            errors = [abs((day - next_on).days) for day in dates]
        else:
            errors = [max(0, (end - day).days) for day in dates]
        judged.append(
            Judged(one.category, one.member, one.intervals, (errors[0], errors[1], errors[2]), seen)
        )
    return judged


def verdict(judged: Sequence[Judged], rounds: int) -> Verdict | None:
    """Medians, shares, differences and their intervals; None where nothing came."""
    if not judged:
        return None
    codes = {member: place for place, member in enumerate(sorted({one.member for one in judged}))}
    whose = [codes[one.member] for one in judged]
    sides = [_Side([one.errors[place] for one in judged], whose) for place in range(len(METHODS))]
    observed = [side.measured(pl.Series([1] * len(codes))) for side in sides]
    members = pl.Series(range(len(codes)), dtype=pl.Int64)
    drawn = []
    for number in range(rounds):
        counts = _draw(members, SEED + number)
        drawn.append([side.measured(counts) for side in sides])

    def of(kind: int, place: int, base: int | None = None) -> Estimate:
        def told(row: Sequence[tuple[float, ...]]) -> float:
            return row[place][kind] - (0 if base is None else row[base][kind])

        values = sorted(told(row) for row in drawn)
        return Estimate(
            told(observed), _quantile(values, (1 - LEVEL) / 2), _quantile(values, (1 + LEVEL) / 2)
        )

    others = [(place, name) for place, name in enumerate(METHODS) if place]
    return Verdict(
        cases=len(judged),
        members=len(codes),
        plain_median={name: of(3, place) for place, name in enumerate(METHODS)},
        median={name: of(0, place) for place, name in enumerate(METHODS)},
        close={name: of(1, place) for place, name in enumerate(METHODS)},
        median_less={name: of(0, 0, place) for place, name in others},
        close_over={name: of(1, 0, place) for place, name in others},
        mean_less={name: of(2, 0, place) for place, name in others},
    )


class _Side:
    """One method's errors, sorted once, so that a draw is counted by a running sum."""

    def __init__(self, errors: Sequence[int], whose: Sequence[int]) -> None:
        order = sorted(range(len(errors)), key=errors.__getitem__)
        self._errors = pl.Series([errors[place] for place in order], dtype=pl.Int64)
        self._whose = pl.Series([whose[place] for place in order], dtype=pl.UInt32)
        self._close = sum(error <= CLOSE_DAYS for error in errors)
        self._places = {
            error: (
                int(self._errors.search_sorted(error, side="left")),
                int(self._errors.search_sorted(error, side="right")),
            )
            for error in sorted(set(errors))
        }

    def measured(self, counts: pl.Series) -> tuple[float, ...]:
        """Where member i stands `counts[i]` times: median, share within `CLOSE_DAYS`, mean, plain median."""
        weights = counts.gather(self._whose)
        running = weights.cum_sum()
        total = int(running[-1])
        plain = int(self._errors[int(running.search_sorted((total + 1) // 2, side="left"))])
        first, end = self._places[plain]
        before = int(running[first - 1]) if first else 0
        median = plain - 0.5 + (total / 2 - before) / (int(running[end - 1]) - before)
        close = int(running[self._close - 1]) / total if self._close else 0.0
        return median, close, float((weights * self._errors).sum()) / total, float(plain)


def _draw(members: pl.Series, seed: int) -> pl.Series:
    """How often each of `members` (0, 1, …) is drawn."""
    drawn = members.sample(len(members), with_replacement=True, seed=seed).sort()
    ends = drawn.search_sorted(members, side="right").cast(pl.Int64)
    return ends - ends.shift(1, fill_value=0)


def _quantile(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
