"""The benchmark's figures: medians of alternating pairs, each with its spread, and what they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; without a goal it holds nothing."""

    figure: str
    value: float
    unit: str
    goal: float | None = None
    holds: bool | None = None
    spread: tuple[float, float] | None = None
    """The lowest and the highest of the pairs."""

    def as_json(self) -> dict[str, object]:
        """As it stands in the results."""
        return asdict(self)


def ratio(name: str, pairs: Sequence[float], goal: float | None = None) -> Figure:
    """The median of the pairs' ratios; the goal is the least it should be."""
    value = median(pairs)
    return Figure(
        name,
        round(value, 3),
        "ratio",
        goal,
        None if goal is None else value >= goal,
        (round(min(pairs), 3), round(max(pairs), 3)),
    )


def measured(name: str, values: Sequence[float], unit: str) -> Figure:
    """The median of what each pair gave, for orientation."""
    return Figure(name, _shown(median(values)), unit, spread=(_shown(min(values)), _shown(max(values))))


def limit(name: str, value: float, unit: str, most: float) -> Figure:
    """A figure that should not be larger than its goal."""
    return Figure(name, _shown(value), unit, most, value <= most)


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print one table."""
    table = Table("figure", "value", "unit", "lowest … highest", "goal", "holds")
    for one in figures:
        table.add_row(
            one.figure,
            f"{one.value:,}",
            one.unit,
            "" if one.spread is None else f"{one.spread[0]:,} … {one.spread[1]:,}",
            "" if one.goal is None else f"{one.goal:,}",
            "" if one.holds is None else ("yes" if one.holds else "no"),
        )
    console.print(table)


def _shown(value: float) -> float:
    return round(value) if abs(value) >= 100 else round(value, 2)
