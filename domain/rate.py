"""A rate that can be traced: it keeps its counts (domain.md, *Check*: "always shown with their counts")."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate that keeps its counts; without a denominator it is no number and shown as "—"."""

    numerator: int
    denominator: int

    def percent(self) -> Decimal | None:
        """Per cent with one decimal, half up; None if the denominator is 0."""
        if self.denominator == 0:
            return None
        tenths = (2000 * self.numerator + self.denominator) // (2 * self.denominator)
        return Decimal(tenths).scaleb(-1)

    def __str__(self) -> str:
        percent = self.percent()
        return "—" if percent is None else f"{percent} % ({self.numerator}/{self.denominator})"
