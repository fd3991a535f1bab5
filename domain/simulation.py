"""Simulated guides for rehearsals: what contacts come to is drawn from the seed.

What was *bought* is never simulated: it is what was recorded. So a rehearsal shows load and timing, and
says nothing about uplift.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from domain.check_in import Channel, Grade, Outcome
from domain.identifiers import draw

T = TypeVar("T")

# Outcomes of a contact that reached the member, in per mille; the trade publishes no such table (ours).
_REACHED: tuple[tuple[int, Outcome, Grade], ...] = (
    (180, "interested", "A"),
    (330, "interested", "B"),
    (130, "booked_visit", "A"),
    (120, "followed_again", "B"),
    (70, "added_friend", "B"),
    (50, "left_contact", "B"),
    (110, "refused", "D"),
    (10, "complaint", "D"),
)
_NOT_REACHED: tuple[tuple[int, Outcome], ...] = (
    (880, "no_answer"),
    (90, "unreachable"),
    (30, "wrong_number"),
)
_CHANNELS: tuple[tuple[int, Channel], ...] = ((620, "phone"), (330, "wecom"), (50, "in_store"))
REACHED_PER_MILLE = 480
ASKS_AGAIN_PER_MILLE = 120
"""Share of interested members who name a later day."""


@dataclass(frozen=True, slots=True)
class SimulatedItem:
    """An item of a published list, at `rank` (1, 2, …) of `listed`."""

    task_id: UUID
    guide: str
    rank: int
    listed: int


@dataclass(frozen=True, slots=True)
class SimulatedReport:
    """What the simulated guide reports, and when."""

    occurred_at: datetime
    channel: Channel
    outcome: Outcome
    grade: Grade | None
    next_on: date | None


def simulate(
    item: SimulatedItem, *, seed: int, day: date, opens_at: datetime, closes_at: datetime, next_week: date
) -> SimulatedReport | None:
    """What the guide makes of an item on `day`; None if the guide does not get to it.

    Guides work down their list over the day. How diligent a guide is (80 to 99 %) follows from the seed.

    Args:
        item: the item and its place on the list.
        seed: of the rehearsal.
        day: the business date.
        opens_at: release of the list.
        closes_at: close of the day.
        next_week: a working day about a week on, for members who ask to be called again.
    """
    key = (str(item.task_id), day.isoformat())
    diligence = 800 + draw(seed, "diligence", item.guide, below=191)
    if draw(seed, "done", *key, below=1000) >= diligence:
        return None
    # Ten minutes to begin and half an hour to the close; a short day is cut in quarters instead.
    day_long = closes_at - opens_at
    begin = min(timedelta(minutes=10), day_long / 4)
    span = int(max(day_long - timedelta(minutes=40), day_long / 2).total_seconds())
    share = draw(seed, "minute", *key, below=max(1, span // item.listed))
    occurred_at = opens_at + begin + timedelta(seconds=span * (item.rank - 1) // item.listed + share)
    channel = _pick(_CHANNELS, draw(seed, "channel", *key, below=1000))
    if draw(seed, "reached", *key, below=1000) >= REACHED_PER_MILLE:
        outcome = _pick(_NOT_REACHED, draw(seed, "not_reached", *key, below=1000))
        return SimulatedReport(occurred_at, channel, outcome, None, None)
    roll = draw(seed, "outcome", *key, below=1000)
    for share, reached, grade in _REACHED:
        if roll < share:
            again = reached == "interested" and draw(seed, "again", *key, below=1000) < ASKS_AGAIN_PER_MILLE
            return SimulatedReport(occurred_at, channel, reached, grade, next_week if again else None)
        roll -= share
    raise AssertionError("the shares of the outcomes add up to 1000")


def _pick(shares: tuple[tuple[int, T], ...], roll: int) -> T:
    for share, value in shares:
        if roll < share:
            return value
        roll -= share
    raise AssertionError("the shares add up to 1000")
