"""Lost orders (流单率): visits or bookings without an order in the window ÷ visits or bookings.

Source: domain.md, *Boards*. How it is read here:

- A visit or booking is a check-in with the outcome *came* or *booked a visit*, or one that reached the member in the store;
  a member counts once a guide, by the last of them in the span.
- An order is a purchase of whatever product, net of returns, on the day of it or within the plan's window after it.
- Only visits whose window has closed are in the rate; those still open are counted apart, as in the Check.
- The reason is the outcome of the last check-in after the visit that is neither a visit nor a booking; of the visit itself
  where it was reported in the store with another outcome. Free text is no reason: it stays with the notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.attribution import NetPurchase
from domain.rate import Rate

VISITS = ("booked_visit", "came")
NOT_TOLD = "not_told"
"""Came, and no later check-in says why nothing was bought."""
DID_NOT_COME = "did_not_come"
"""Had booked, and nothing later is reported."""


@dataclass(frozen=True, slots=True)
class Visit:
    """The last visit or booking of a member with a guide; `outcomes` are those of later check-ins, in order."""

    key: str
    at: datetime
    day_starts: datetime
    outcome: str
    window: timedelta
    purchases: tuple[NetPurchase, ...] = ()
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LostOrders:
    """Counts; `ordered` + `lost` + `open` = `visits`."""

    visits: int = 0
    ordered: int = 0
    lost: int = 0
    open: int = 0
    """Without an order so far, and the window has not closed."""
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> Rate:
        """Lost ÷ those of which it is known."""
        return Rate(self.lost, self.ordered + self.lost)


def is_visit(channel: str, outcome: str, *, reached: bool) -> bool:
    """Whether a check-in is a visit or a booking."""
    return outcome in VISITS or (channel == "in_store" and reached)


def lost_orders(visits: Iterable[Visit], *, as_of: datetime) -> dict[str, LostOrders]:
    """The counts by key, as they stand at `as_of`."""
    counted: dict[str, LostOrders] = {}
    for visit in sorted(visits, key=lambda one: (one.key, one.at)):
        before = counted.get(visit.key, LostOrders())
        counted[visit.key] = add_lost([before, _of_one(visit, as_of)])
    return counted


def add_lost(parts: Iterable[LostOrders]) -> LostOrders:
    """The sum of the counts of different visits."""
    total = LostOrders()
    for part in parts:
        reasons = dict(total.reasons)
        for reason, count in part.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
        total = replace(
            total,
            visits=total.visits + part.visits,
            ordered=total.ordered + part.ordered,
            lost=total.lost + part.lost,
            open=total.open + part.open,
            reasons=reasons,
        )
    return total


def _of_one(visit: Visit, as_of: datetime) -> LostOrders:
    ends = visit.at + visit.window
    if ordered(visit.purchases, since=visit.day_starts, until=ends, as_of=as_of):
        return LostOrders(visits=1, ordered=1)
    if ends > as_of:
        return LostOrders(visits=1, open=1)
    return LostOrders(visits=1, lost=1, reasons={reason(visit): 1})


def ordered(purchases: Iterable[NetPurchase], *, since: datetime, until: datetime, as_of: datetime) -> bool:
    """Whether anything was bought in [since, until] and kept, by what had occurred at `as_of`."""
    kept = sum(
        line.quantity
        for line in purchases
        if line.occurred_at <= as_of and since <= (line.takes_back or line.occurred_at) <= until
    )
    return kept > 0


def reason(visit: Visit) -> str:
    """Why a visit brought no order: an outcome, or one of the two codes above."""
    for outcome in reversed(visit.later):
        if outcome not in VISITS:
            return outcome
    if visit.outcome not in VISITS:
        return visit.outcome
    came = visit.outcome == "came" or "came" in visit.later
    return NOT_TOLD if came else DID_NOT_COME
