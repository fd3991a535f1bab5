"""Who stands where, from which day: guides are hired, transferred and leave, stores close.

A decision is dated in the calendar of the store it is about: a few days back (somebody forgot yesterday), today or ahead.
It rests on where the guide stands just before that day, so decisions on a guide are made in the order of their days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from domain.errors import Problem, Refused
from domain.events import GuideHired, GuideLeft, GuideTransferred, StoreClosed

MOST_BACK = timedelta(days=7)
"""So far back a change may be dated: beyond, days are long closed and reports were made (ours)."""
MOST_AHEAD = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Post:
    """From `from_on` on the guide stands in `store_id`; None: she has left."""

    from_on: date
    store_id: UUID | None
    hired: bool = False
    """Whether it is the day she begins."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A guide as the decision finds her."""

    guide_id: UUID
    code: str
    store_id: UUID | None
    """Where she stands today; None: nowhere."""
    decided: Post | None = None
    """The newest decision on her, in force or to come."""
    ahead: bool = False
    """Whether that decision is still to come."""

    @property
    def then(self) -> UUID | None:
        """Where she stands when everything decided is in force."""
        return self.decided.store_id if self.decided is not None and self.ahead else self.store_id


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store as the decision finds it; `last_on` is its last day where it closes."""

    store_id: UUID
    code: str
    time_zone: str
    last_on: date | None = None


def decide_hire(guide: Standing, store: StorePlace, from_on: date, today: date) -> GuideHired:
    """Let a guide, new or come back, work in a store from a day on.

    Raises:
        Refused: she works already or will, the store is closed then, or the day is out of bounds.
    """
    problems = [*_bounds("from_on", from_on, today), *_closed(store, from_on)]
    if guide.then is not None:
        problems.append(Problem("guide", guide.code, "guide_exists"))
    else:
        problems += _order("from_on", guide, from_on)
    if problems:
        raise Refused(problems)
    return GuideHired(guide=guide.guide_id, store=store.store_id, from_on=from_on)


def decide_transfer(guide: Standing, store: StorePlace, from_on: date, today: date) -> GuideTransferred:
    """Let a guide stand in another store from a day on.

    Raises:
        Refused: she does not work, or stands there; the store is closed then, or the day is out of bounds.
    """
    problems = [*_bounds("from_on", from_on, today), *_closed(store, from_on)]
    before = guide.then
    if before is None:
        problems.append(Problem("guide", guide.code, "guide_has_left"))
    elif before == store.store_id:
        problems.append(Problem("store", store.code, "nothing_to_change"))
    else:
        problems += _order("from_on", guide, from_on)
    if problems or before is None:
        raise Refused(problems)
    return GuideTransferred(guide=guide.guide_id, before=before, store=store.store_id, from_on=from_on)


def decide_leave(guide: Standing, last_on: date, replacement: Standing | None, today: date) -> GuideLeft:
    """Let a guide leave after her last day.

    Raises:
        Refused: she does not work, leaves before she is hired, nobody or herself takes over, or the day is out of bounds.
    """
    problems = _bounds("last_on", last_on, today)
    before = guide.then
    if before is None:
        problems.append(Problem("guide", guide.code, "guide_has_left"))
    elif guide.decided is not None and last_on < guide.decided.from_on:
        day, params = last_on.isoformat(), {"from_on": guide.decided.from_on.isoformat()}
        problems.append(
            Problem("last_on", day, "leaves_before_hired", params)
            if guide.decided.hired
            else Problem("last_on", day, "change_decided", params)
        )
    if replacement is not None and (replacement.then is None or replacement.guide_id == guide.guide_id):
        problems.append(Problem("replacement", replacement.code, "replacement_not_working"))
    if problems or before is None:
        raise Refused(problems)
    return GuideLeft(
        guide=guide.guide_id,
        store=before,
        last_on=last_on,
        replacement=replacement.guide_id if replacement else None,
    )


def decide_closing(
    store: StorePlace, last_on: date, to: StorePlace | None, staying: Sequence[str], today: date
) -> StoreClosed:
    """Close a store after its last day.

    Args:
        store: which.
        last_on: its last day.
        to: where its members, and its guides with them, go.
        staying: codes of guides who would stand in it after that day and whom nobody transfers.
        today: in the store's time zone.

    Raises:
        Refused: it closes already, guides stay behind, or the other store is itself, or is closed by then.
    """
    problems = _bounds("last_on", last_on, today)
    if store.last_on is not None:
        params = {"last_on": store.last_on.isoformat()}
        problems.append(Problem("store", store.code, "store_closes_already", params))
    if to is not None and to.store_id == store.store_id:
        problems.append(Problem("to", to.code, "store_itself"))
    elif to is not None:
        problems += _closed(to, last_on + timedelta(days=1), field="to")
    if staying:
        problems.append(Problem("store", store.code, "store_has_guides", {"guides": ", ".join(staying)}))
    if problems:
        raise Refused(problems)
    return StoreClosed(store=store.store_id, last_on=last_on, to=to.store_id if to else None)


def _bounds(field: str, day: date, today: date) -> list[Problem]:
    earliest, latest = today - MOST_BACK, today + MOST_AHEAD
    if day < earliest:
        told: dict[str, str | int] = {"earliest": earliest.isoformat(), "days": MOST_BACK.days}
        return [Problem(field, day.isoformat(), "too_long_ago", told)]
    if day > latest:
        return [Problem(field, day.isoformat(), "too_far_ahead", {"latest": latest.isoformat()})]
    return []


def _closed(store: StorePlace, on: date, *, field: str = "store") -> list[Problem]:
    if store.last_on is None or on <= store.last_on:
        return []
    return [Problem(field, store.code, "store_is_closed", {"last_on": store.last_on.isoformat()})]


def _order(field: str, guide: Standing, from_on: date) -> list[Problem]:
    if guide.decided is None or from_on >= guide.decided.from_on:
        return []
    params = {"from_on": guide.decided.from_on.isoformat()}
    return [Problem(field, from_on.isoformat(), "change_decided", params)]
