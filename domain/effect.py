"""What came of one member's contacts in a cycle, and why: the purchase that counts, or what stands against it.

The figures are those of `domain/figures.py`; here is only the reason beside them, so the two cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.attribution import Contact, NetPurchase, attribute, recency
from domain.figures import Figures, MemberRecord, by_guide

Outcome = Literal["not_reached", "counted", "window_open", "returned", "won_by_other", "no_purchase"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a member counts for, for whom, and why.

    Attributes:
        outcome: `not_reached` in the cycle; `counted`: a purchase is the contact's success (`revenue` says what was kept
            of it); `window_open`: none yet, one may still come; `returned`: it was taken back; `won_by_other`: a later
            contact, of another plan, cycle or guide, wins it; `no_purchase`: nothing was bought in the window.
        guide_id: whom the member counts for.
        figures: the member's share of every figure: 0 or 1, or money.
        contact: the last reached contact of the cycle.
        window_ends_at: until when a purchase is its success.
        purchases: the lines in the window of that contact, and returns of them.
        winner: of `won_by_other`, whose it is.
    """

    outcome: Outcome
    guide_id: str | None
    figures: Figures
    contact: Contact | None = None
    window_ends_at: datetime | None = None
    purchases: tuple[NetPurchase, ...] = ()
    winner: Contact | None = None


def effect(
    record: MemberRecord,
    *,
    cycle_start: datetime,
    cycle_end: datetime,
    as_of: datetime,
    zone: str,
    window: timedelta,
) -> Effect:
    """What the member counts for as of an instant; arguments and errors as `domain.figures.check`."""
    (row,) = by_guide(
        [record], cycle_start=cycle_start, cycle_end=cycle_end, as_of=as_of, zone=zone, window=window
    )
    figures = row.figures
    if not figures.followed_up:
        return Effect("not_reached", row.key, figures)
    last = max(
        (
            contact
            for contact in record.contacts
            if contact.reached
            and cycle_start <= contact.occurred_at < cycle_end
            and contact.occurred_at <= as_of
        ),
        key=recency,
    )
    ends_at = last.occurred_at + window
    lines = [
        (line, attribute(at, record.contacts + record.other_plans, window))
        for line in record.purchases
        if line.occurred_at <= as_of
        and last.occurred_at < (at := line.takes_back or line.occurred_at) <= ends_at
    ]
    winners = [winner for line, winner in lines if winner is not None and line.quantity > 0]
    outcome: Outcome
    if figures.succeeded or figures.provisional_succeeded:
        outcome = "counted"
    elif figures.provisional:
        outcome = "window_open"
    elif last in winners:
        outcome = "returned"
    elif winners:
        outcome = "won_by_other"
    else:
        outcome = "no_purchase"
    return Effect(
        outcome,
        row.key,
        figures,
        last,
        ends_at,
        tuple(line for line, _ in lines),
        winners[-1] if outcome == "won_by_other" else None,
    )
