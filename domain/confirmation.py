"""Is it so? What a guide claims, held against what systems of record say.

Three grades of fact (domain.md, *Check*): a check-in is *claimed*; it is *confirmed* where a system of record says the
same; its *outcome* is what came of it. Whatever cannot be looked up yet, for no system tells of it or has not told
everything of that time, is *not yet checkable* and held against nobody.

The rules are pure and know nothing of rows: `ledger.confirmations` finds the evidence, set-based, with the spans below.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum

from domain.check_in import NOT_REACHED

CALL_SPAN = timedelta(minutes=30)
"""A call proves a check-in so much earlier or later: people note it afterwards, and clocks differ (ours)."""
SHORT_CALL_S = 2
"""A call of so many seconds or fewer was no conversation (domain.md, *Signs of faking*)."""
FRIEND_SPAN = timedelta(hours=24)
"""An added friend proves a check-in that claims it so much earlier or later: members accept when they please (ours)."""
BOUGHT_DAYS = 1
"""A purchase proves a check-in that claims it on the same local day or so many days later."""

KINDS = ("calls", "friends", "redemptions", "visits", "purchases", "returns")
"""What systems of record tell, each with a watermark of its own."""
RECORDED = ("calls", "friends", "redemptions", "visits")
"""Those of them that are kept as records."""


class Standing(StrEnum):
    """How a claim stands."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    UNCONFIRMED = "unconfirmed"
    NOT_CHECKABLE = "not_checkable"


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed: how the member was contacted, and what came of it."""

    channel: str
    outcome: str

    @property
    def reached(self) -> bool:
        """Whether the member is said to have been spoken to."""
        return self.outcome not in NOT_REACHED


@dataclass(frozen=True, slots=True)
class Evidence:
    """What systems of record say of the claim's time, member and guide.

    A call is exactly one of `answered` (longer than `SHORT_CALL_S`), `short` and `unanswered`; there may be several.
    """

    answered: bool = False
    short: bool = False
    unanswered: bool = False
    friend: bool = False
    """The member and the guide became friends within `FRIEND_SPAN`."""
    bought: bool = False
    """The member bought on the day or the next, and kept it."""
    came: bool = False
    """The member was seen in a store on the day: a visit, a redemption or a purchase."""


@dataclass(frozen=True, slots=True)
class Told:
    """Of which kinds everything is told that could prove the claim."""

    calls: bool = False
    friends: bool = False
    purchases: bool = False
    visits: bool = False


def stand(claim: Claim, evidence: Evidence, told: Told) -> Standing:
    """How a claim stands.

    A claim may say two things, a contact by phone and what came of it: each is looked up where it can be. One that is
    contradicted contradicts the claim; where everything that can be looked up is confirmed, so is the claim.
    """
    parts = [
        part for part in (_contact(claim, evidence, told), _effect(claim, evidence, told)) if part is not None
    ]
    for decisive in (Standing.CONTRADICTED, Standing.UNCONFIRMED, Standing.CONFIRMED):
        if decisive in parts:
            return decisive
    return Standing.NOT_CHECKABLE


def _contact(claim: Claim, evidence: Evidence, told: Told) -> Standing | None:
    """By what the telephone system says; other channels have no system that tells of a contact."""
    if claim.channel == "in_store":
        return _found(there=evidence.came, told=told.visits)
    if claim.channel != "phone":
        return None
    answered, in_vain = evidence.answered, evidence.short or evidence.unanswered
    if claim.outcome == "wrong_number":
        agrees, against = answered or in_vain, False
    elif claim.reached:
        agrees, against = answered, in_vain
    else:
        agrees, against = in_vain, answered
    if agrees:
        return Standing.CONFIRMED
    if not told.calls:
        return Standing.NOT_CHECKABLE  # the call that proves it may be among those not told yet
    return Standing.CONTRADICTED if against else Standing.UNCONFIRMED


def _effect(claim: Claim, evidence: Evidence, told: Told) -> Standing | None:
    match claim.outcome:
        case "added_friend":
            return _found(there=evidence.friend, told=told.friends)
        case "bought":
            return _found(there=evidence.bought, told=told.purchases)
        case "came":
            return _found(there=evidence.came, told=told.visits)
    return None


def _found(*, there: bool, told: bool) -> Standing:
    if there:
        return Standing.CONFIRMED
    return Standing.UNCONFIRMED if told else Standing.NOT_CHECKABLE


@dataclass(frozen=True, slots=True)
class Claims:
    """Counts of check-ins: `claimed` is the sum of the four standings; the last two are of all of them.

    `outcome`: something came of it within the attribution window: bought, redeemed, came or added the guide.
    `confirmed_outcome`: of those, the confirmed ones.
    """

    claimed: int = 0
    confirmed: int = 0
    contradicted: int = 0
    unconfirmed: int = 0
    not_checkable: int = 0
    outcome: int = 0
    confirmed_outcome: int = 0

    @classmethod
    def of(cls, standing: Standing, number: int, *, outcome: bool) -> Claims:
        """So many check-ins that stand alike."""
        came_of_it = number if outcome and standing is not Standing.CONTRADICTED else 0
        return cls(
            claimed=number,
            **{standing.value: number},
            outcome=came_of_it,
            confirmed_outcome=came_of_it if standing is Standing.CONFIRMED else 0,
        )


NO_CLAIMS = Claims()
"""Nobody claimed anything."""


def add_claims(parts: Iterable[Claims]) -> Claims:
    """The sum of counts of different check-ins."""
    every = list(parts)
    return Claims(
        **{field.name: sum(getattr(part, field.name) for part in every) for field in fields(Claims)}
    )
