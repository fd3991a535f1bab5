"""Leaderboards: what guides did in a span of days, by guide, store or region, and ranked.

Source: domain.md, *Boards*. The counts are those of the Check (`domain.figures`), with the span in the place of the cycle:

- **due**: members with an item of a plan on a list of one of the days; a member in two plans is due in both.
- **completed**: followed up, that is reached in the span, refusal included.
- **success**: of those, who have bought within the window after their last reached contact, be the window closed or not:
  a day's windows are all open, and a board is read the same evening. **Revenue** is the value of those purchases.
- **added**: members who were reported added as friend.

A member whom two guides had on their lists counts for both guides, and once for their store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from domain.figures import Figures
from domain.ranking import ranked

Measure = Literal["added", "completed", "success", "revenue"]
By = Literal["guide", "store", "region"]


@dataclass(frozen=True, slots=True)
class Performance:
    """What a guide, a store or a region did in a span.

    Attributes:
        key: whose.
        figures: as the Check counts them.
        outcomes: by outcome of a check-in, how many members were reported with it.
        days: on which somebody reported.
    """

    key: str
    figures: Figures = field(default_factory=Figures)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    days: frozenset[date] = frozenset()

    @property
    def added(self) -> int:
        """Members added as friend."""
        return self.outcomes.get("added_friend", 0)

    @property
    def succeeded(self) -> int:
        """Members who bought within the window, closed or open."""
        return self.figures.succeeded + self.figures.provisional_succeeded

    @property
    def revenue(self) -> int:
        """The value of their purchases, in minor units."""
        return self.figures.revenue + self.figures.provisional_revenue

    def measured(self, measure: Measure) -> int:
        """The count that a leaderboard ranks by."""
        counts = {
            "added": self.added,
            "completed": self.figures.followed_up,
            "success": self.succeeded,
            "revenue": self.revenue,
        }
        return counts[measure]


def leaderboard(
    performances: Iterable[Performance], measure: Measure, *, name: Callable[[str], str]
) -> list[tuple[int, Performance]]:
    """The performances with their ranks; those that tie stand in the order of the `name` of their keys."""
    return ranked(performances, value=lambda one: one.measured(measure), name=lambda one: name(one.key))
