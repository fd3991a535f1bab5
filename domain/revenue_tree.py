"""The revenue tree: traffic 流量 × conversion 转化率 × purchases per buyer 复购 × order value 客单价.

Source: domain.md, *Check*, "revenue tree". The factors are fractions, so their product is the revenue that
was recounted from orders, to the last fen.
"""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class RevenueTree:
    """The factors of a revenue, for a plan, a store or a period.

    Attributes:
        traffic: visitors counted.
        conversion: buyers ÷ traffic; above 1 if visitors were miscounted; None without traffic.
        purchases_per_buyer: purchases ÷ buyers; None without buyers.
        order_value: revenue ÷ purchases, in minor units; None without purchases.
    """

    traffic: int
    conversion: Fraction | None
    purchases_per_buyer: Fraction | None
    order_value: Fraction | None

    def product(self) -> Fraction | None:
        """The product of the factors in minor units: the revenue; None if a factor has no value."""
        if self.conversion is None or self.purchases_per_buyer is None or self.order_value is None:
            return None
        return self.traffic * self.conversion * self.purchases_per_buyer * self.order_value


def revenue_tree(traffic: int, buyers: int, purchases: int, revenue: int) -> RevenueTree:
    """The revenue tree of what was counted.

    Args:
        traffic: visitors.
        buyers: distinct buyers.
        purchases: their orders.
        revenue: the orders' value in minor units, net of returns.

    Raises:
        ValueError: a negative count, fewer purchases than buyers, purchases without a buyer, or revenue
            without a purchase.
    """
    for name, count in (("traffic", traffic), ("buyers", buyers), ("purchases", purchases)):
        if count < 0:
            raise ValueError(f"{name}: {count} is negative; pass a count")
    if purchases < buyers or (purchases > 0 and buyers == 0):
        raise ValueError(f"purchases: {purchases} do not fit {buyers} buyers; every buyer buys at least once")
    if revenue and not purchases:
        raise ValueError(f"revenue: {revenue} without a purchase; recount both from the same orders")
    return RevenueTree(
        traffic=traffic,
        conversion=_ratio(buyers, traffic),
        purchases_per_buyer=_ratio(purchases, buyers),
        order_value=_ratio(revenue, purchases),
    )


def _ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None
