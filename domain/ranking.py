"""Ranks of a leaderboard: ties share a rank and the next is skipped (domain.md, *Boards*: 1, 1, 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def ranked(rows: Iterable[T], *, value: Callable[[T], int], name: Callable[[T], str]) -> list[tuple[int, T]]:
    """The rows with their ranks, the greatest value first; those that tie stand in the order of their names."""
    ordered = sorted(rows, key=lambda row: (-value(row), name(row)))
    ranks: list[tuple[int, T]] = []
    for place, row in enumerate(ordered, 1):
        tied = bool(ranks) and value(ranks[-1][1]) == value(row)
        ranks.append((ranks[-1][0] if tied else place, row))
    return ranks
