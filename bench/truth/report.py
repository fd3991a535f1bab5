"""What was measured, as figures with their goals and as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from bench.ledger.figures import Figure
from bench.truth.judging import Estimate, Judged, Verdict, verdict
from bench.truth.predicting import METHODS

POOLED = "pooled"
_OTHERS = METHODS[1:]


@dataclass(frozen=True, slots=True)
class Look:
    """One way of looking (`draw`, `purchase`) at a group of categories, judged."""

    name: str
    categories: tuple[str, ...]
    judged: list[Judged]
    unclamped: list[Judged]

    def named(self, group: str) -> Look:
        """The same under a group's name; a group that has one has no goals."""
        return replace(self, name=group + self.name)

    @property
    def has_goals(self) -> bool:
        """Whether goals are held against it."""
        return self.name in {"draw", "purchase"}


def figures(looks: Sequence[Look], *, rounds: int) -> list[Figure]:
    """Every figure: of each look each category, then all pooled, then what it changes to count otherwise."""
    return [figure for look in looks for figure in _of_look(look, rounds)]


def _of_look(look: Look, rounds: int) -> Iterator[Figure]:
    came = [one for one in look.judged if one.came]
    for category in look.categories:
        told = verdict([one for one in came if one.category == category], rounds)
        if told is not None:
            yield from _of_verdict(f"{look.name}/{category}", told, look.has_goals, _not_worse)
    pooled = verdict(came, rounds)
    if pooled is None:
        return
    yield from _of_verdict(f"{look.name}/{POOLED}", pooled, look.has_goals, _better)
    yield Figure(f"{look.name}/{POOLED}/not_seen", len(look.judged) - len(came), "predictions")
    yield from _sensitivity(look)


def _of_verdict(
    name: str, told: Verdict, has_goals: bool, holds: Callable[[Estimate, bool], bool]
) -> Iterator[Figure]:
    yield Figure(f"{name}/predictions", told.cases, "predictions")
    yield Figure(f"{name}/members", told.members, "members")
    for method in METHODS:
        yield _figure(f"{name}/{method}/plain_median_error", told.plain_median[method], "days")
        yield _figure(f"{name}/{method}/median_error", told.median[method], "days")
        yield _figure(f"{name}/{method}/within_7", told.close[method], "share")
    for other in _OTHERS:
        for kind, values, unit, less_is_better in (
            ("median_error", told.median_less, "days", True),
            ("within_7", told.close_over, "share", False),
        ):
            one = _figure(f"{name}/ours_less_{other}/{kind}", values[other], unit)
            if has_goals:
                one = replace(one, goal=0, holds=holds(values[other], less_is_better))
            yield one
        yield _figure(f"{name}/ours_less_{other}/mean_error", told.mean_less[other], "days")


def _not_worse(difference: Estimate, less_is_better: bool) -> bool:
    return difference.value <= 0 if less_is_better else difference.value >= 0


def _better(difference: Estimate, less_is_better: bool) -> bool:
    """The whole interval is on the better side."""
    return difference.high < 0 if less_is_better else difference.low > 0


def _sensitivity(look: Look) -> Iterator[Figure]:
    """The pooled medians and shares counted otherwise."""
    seen = [one for one in look.unclamped if one.came]
    ways: Mapping[str, Sequence[Judged]] = {
        "with_not_seen": look.judged,
        "as_predicted": seen,
        "two_intervals_or_more": [one for one in look.judged if one.came and one.intervals >= 2],
        "no_interval": [one for one in look.judged if one.came and not one.intervals],
    }
    for way, judged in ways.items():
        told = verdict(judged, 0)
        if told is not None:
            yield Figure(f"{look.name}/{way}/predictions", told.cases, "predictions")
            for method in METHODS:
                yield Figure(
                    f"{look.name}/{way}/{method}/median_error", round(told.median[method].value, 4), "days"
                )
                yield Figure(
                    f"{look.name}/{way}/{method}/within_7", round(told.close[method].value, 4), "share"
                )


def _figure(name: str, told: Estimate, unit: str) -> Figure:
    return Figure(name, round(told.value, 4), unit, spread=(round(told.low, 4), round(told.high, 4)))


def show(looks: Sequence[Look], told: Sequence[Figure], console: Console) -> None:
    """Print one table: a row a category and look."""
    by_name = {one.figure: one for one in told}
    headers = ["look", "category", "predictions", *(f"{m}: days, ±7" for m in METHODS)]
    headers += [f"less {other}: days, ±7 [95 %]" for other in _OTHERS]
    table = Table(*headers, "holds")
    for look in looks:
        for category in (*look.categories, POOLED):
            name = f"{look.name}/{category}"
            if f"{name}/predictions" not in by_name:
                continue
            row = [look.name, category, f"{by_name[f'{name}/predictions'].value:,}"]
            row += [
                f"{by_name[f'{name}/{m}/median_error'].value:.1f}, {by_name[f'{name}/{m}/within_7'].value:.1%}"
                for m in METHODS
            ]
            goals = [
                by_name[f"{name}/ours_less_{o}/{k}"] for o in _OTHERS for k in ("median_error", "within_7")
            ]
            row += [f"{_days(goals[0])}, {_points(goals[1])}", f"{_days(goals[2])}, {_points(goals[3])}"]
            holds = "" if goals[0].holds is None else "yes" if all(one.holds for one in goals) else "no"
            table.add_row(*row, holds, end_section=category == POOLED)
    console.print(table)


def _days(one: Figure) -> str:
    low, high = one.spread or (0, 0)
    return f"{one.value:+.1f} [{low:+.1f} {high:+.1f}]"


def _points(one: Figure) -> str:
    low, high = one.spread or (0, 0)
    return f"{100 * one.value:+.1f} [{100 * low:+.1f} {100 * high:+.1f}]"
