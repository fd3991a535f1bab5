"""Which contact wins a purchase?

Source: domain.md, *Check*: "One purchase counts for one plan and guide: the last reached contact wins."
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

WINDOW = timedelta(days=14)
"""Attribution window after the last reached contact (ours)."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A check-in: when it occurred, whether it reached the member (a refusal did), and who performed it.

    `plan_id` is needed only where contacts of several plans meet.
    """

    occurred_at: datetime
    reached: bool
    guide_id: str
    plan_id: str = ""


@dataclass(frozen=True, slots=True)
class NetPurchase:
    """A line of the plan's category at any store: units and minor units of money, returns negative.

    `takes_back`: for a return, the instant of the purchase it takes back, if the till knows it.
    """

    occurred_at: datetime
    quantity: Decimal
    value: int
    takes_back: datetime | None = None


def attribute(
    purchase_at: datetime, contacts: Iterable[Contact], window: timedelta = WINDOW
) -> Contact | None:
    """The contact that wins a purchase: the last that reached the member before it, within the window.

    One purchase counts for one plan and one guide. Contacts of all plans compete; of two at the same instant
    the greater plan id, then guide id, wins, so that the answer does not depend on their order.
    """
    able = (contact for contact in contacts if contact.reached)
    in_time = (
        contact for contact in able if contact.occurred_at < purchase_at <= contact.occurred_at + window
    )
    return max(in_time, key=recency, default=None)


def recency(contact: Contact) -> tuple[datetime, str, str]:
    """Sorts contacts by their claim to a purchase, the strongest last."""
    return (contact.occurred_at, contact.plan_id, contact.guide_id)
