"""The value quadrant of a member: how often they bought, and for how much.

Source: domain.md, *Members*, "Value quadrant". The published table overlaps at exactly 300 and leaves one
purchase of 300–600 open; the rule here is total: every pair of numbers has one quadrant.
"""

from dataclasses import dataclass
from enum import StrEnum

KEY_AMOUNT = 60_000
"""Net spend from which a member is a key member: CNY 600.00, in fen."""

REGULAR_VALUE_AMOUNT = 30_000
"""Net spend from which a returning member is of regular value: CNY 300.00, in fen."""


class Quadrant(StrEnum):
    """The four quadrants."""

    KEY_VALUE = "key_value"  # 重要价值
    KEY_GROWTH = "key_growth"  # 重要发展
    REGULAR_VALUE = "regular_value"  # 一般价值
    REGULAR_GROWTH = "regular_growth"  # 一般发展


@dataclass(frozen=True, slots=True)
class ValueStanding:
    """A member's quadrant, and whether they are dormant (no purchase in the 90 days)."""

    quadrant: Quadrant
    dormant: bool


def quadrant(n: int, amount: int) -> ValueStanding:
    """The value quadrant of a member with `n` purchases of `amount` in all.

    Args:
        n: purchases in the 90 days to the store's yesterday; one returned in full is not counted.
        amount: their value net of returns, in fen (CNY 600.00 is 60_000); may be below zero.

    Raises:
        ValueError: `n` is negative.
    """
    if n < 0:
        raise ValueError(f"n: {n} purchases cannot be; count those not returned in full, 0 or more")
    return ValueStanding(_quadrant(n, amount), dormant=n == 0)


def _quadrant(n: int, amount: int) -> Quadrant:
    if n >= 2 and amount >= KEY_AMOUNT:
        return Quadrant.KEY_VALUE
    if n == 1 and amount >= KEY_AMOUNT:
        return Quadrant.KEY_GROWTH
    if n >= 2 and amount >= REGULAR_VALUE_AMOUNT:
        return Quadrant.REGULAR_VALUE
    return Quadrant.REGULAR_GROWTH
