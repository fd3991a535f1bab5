"""The next permitted instant: the one function that says when something may happen, and why not before.

Every gate below either lets an instant through or names the end of the stretch that it alone forbids. Moving on from
gate to gate until all let the instant through finds the earliest permitted one: no gate ever moves past an instant
that all of them permit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from domain.calendar import LayerName, business_date, local_instant
from domain.errors import Problem, Refused
from domain.layers import Hours, Layers, QuietHours

HORIZON = timedelta(days=400)
"""Nothing permitted by then: refused, not looked for any longer."""
_ONE_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Purpose(StrEnum):
    """What is to happen."""

    WORK = "work"
    """Of a guide: her list, a nudge."""
    CONTACT = "contact"
    """A message reaches a member."""
    BOTH = "both"
    """A guide contacts a member."""


class Reason(BaseModel):
    """Why an instant is not permitted: a code, the layer, and the fact of it (worded by the catalogue)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    layer: LayerName
    subject: str = ""
    day: date
    fact: str = ""


class Move(BaseModel):
    """A reason, and the instant up to which it holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Reason
    until: datetime


class Permitted(BaseModel):
    """The earliest permitted instant, not before the one asked.

    `reason` says what stood in the way of the instant asked; None: nothing. `moves` are all that stood between.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    instant: datetime
    reason: Reason | None = None
    moves: tuple[Move, ...] = ()


Blocked = tuple[datetime | None, Reason]
"""Up to when (None: for ever), and why."""
Gate = Callable[[datetime, Layers], Blocked | None]


def next_permitted(instant: datetime, layers: Layers, purpose: Purpose) -> Permitted:
    """The earliest instant from `instant` on at which the purpose is permitted, and what moved it.

    Args:
        instant: aware; any zone, answered in UTC.
        layers: whose days and hours count.
        purpose: work of a guide, contact with a member, or both.

    Raises:
        Refused: nothing is permitted within `HORIZON`; the problem names the last fact that stood in the way.
    """
    at = instant.astimezone(UTC)
    moves: list[Move] = []
    while (found := _blocked(at, layers, purpose)) is not None:
        until, reason = found
        if until is None or until - instant > HORIZON:
            raise Refused([_never(instant, reason)])
        at = until if until > at else at + _SECOND
        moves.append(Move(reason=reason, until=at))
    return Permitted(instant=at, reason=moves[0].reason if moves else None, moves=tuple(moves))


def blocked(instant: datetime, layers: Layers, purpose: Purpose) -> Reason | None:
    """Why the purpose is not permitted at the instant; None if it is."""
    found = _blocked(instant.astimezone(UTC), layers, purpose)
    return None if found is None else found[1]


def _blocked(at: datetime, layers: Layers, purpose: Purpose) -> Blocked | None:
    for gate in _GATES[purpose]:
        found = gate(at, layers)
        if found is not None:
            return found
    return None


def _never(instant: datetime, reason: Reason) -> Problem:
    params: dict[str, str | int] = {
        "days": HORIZON.days,
        "code": reason.code,
        "layer": reason.layer.value,
        "subject": reason.subject,
        "day": reason.day.isoformat(),
        "fact": reason.fact,
    }
    return Problem("instant", instant.isoformat(), "nothing_permitted", params)


def _place(at: datetime, layers: Layers) -> Blocked | None:
    """The days that are worked, and the store's hours on them."""
    zone, today = layers.zone, business_date(at, layers.zone)
    days = (today - _ONE_DAY, today)
    if any(begin <= at < end for day in days for begin, end in _open(day, layers)):
        return None
    tomorrow = today + _ONE_DAY
    opening = min(
        (begin for begin, _ in _open(tomorrow, layers)), default=local_instant(tomorrow, time(0), zone)
    )
    ground = layers.days.ground(today)
    if not ground.worked:
        why = Reason(
            code=ground.code, layer=ground.layer, subject=ground.subject, day=today, fact=ground.name
        )
        return opening, why
    store = layers.store
    if store is None:
        return opening, Reason(code="no_time", layer=LayerName.STORE, day=today)
    if store.last_on is not None and today > store.last_on:
        fact = store.last_on.isoformat()
        return None, Reason(
            code="store_gone", layer=LayerName.STORE, subject=store.store, day=today, fact=fact
        )
    later = [begin for begin, _ in _open(today, layers) if begin > at]
    hours = _told(store.on(today))
    if later:
        why = Reason(code="before_opening", layer=LayerName.STORE, subject=store.store, day=today, fact=hours)
        return min(later), why
    why = Reason(code="after_closing", layer=LayerName.STORE, subject=store.store, day=today, fact=hours)
    return opening, why


def _open(day: date, layers: Layers) -> Iterator[tuple[datetime, datetime]]:
    if not layers.days.is_working(day):
        return
    if layers.store is None:
        yield local_instant(day, time(0), layers.zone), local_instant(day + _ONE_DAY, time(0), layers.zone)
        return
    yield from _spans(layers.store.on(day), day, layers.zone)


def _leave(at: datetime, layers: Layers) -> Blocked | None:
    today = business_date(at, layers.zone)
    leave = layers.guide.away(today) if layers.guide else None
    if layers.guide is None or leave is None:
        return None
    fact = f"{leave.first} - {leave.last or ''}".rstrip(" -")
    why = Reason(code="on_leave", layer=LayerName.GUIDE, subject=layers.guide.guide, day=today, fact=fact)
    return (None if leave.last is None else local_instant(leave.last + _ONE_DAY, time(0), layers.zone)), why


def _shift(at: datetime, layers: Layers) -> Blocked | None:
    guide, zone, today = layers.guide, layers.zone, business_date(at, layers.zone)
    if guide is None:
        return None
    shifts = guide.on(today)
    yesterday = guide.on(today - _ONE_DAY) or ()
    if shifts is None or any(
        begin <= at < end
        for day, hours in ((today - _ONE_DAY, yesterday), (today, shifts))
        for begin, end in _spans(hours, day, zone)
    ):
        return None
    later = [begin for begin, _ in _spans(shifts, today, zone) if begin > at]
    code = ("before_shift" if later else "after_shift") if shifts else "no_shift"
    why = Reason(code=code, layer=LayerName.GUIDE, subject=guide.guide, day=today, fact=_told(shifts))
    return min(later, default=local_instant(today + _ONE_DAY, time(0), zone)), why


def _quiet(at: datetime, layers: Layers) -> Blocked | None:
    quiet = layers.quiet
    local = at.astimezone(ZoneInfo(layers.zone))
    if quiet is None or not quiet.holds(local.time()):
        return None
    why = Reason(code="quiet_hours", layer=LayerName.MEMBER, day=local.date(), fact=str(quiet))
    return _quiet_until(at, quiet, layers.zone), why


def _quiet_until(at: datetime, quiet: QuietHours, zone: str) -> datetime:
    """The first instant after `at` whose clock time is not quiet: the end is reached, or the clocks jump over it."""
    there = ZoneInfo(zone)
    today = at.astimezone(there).date()
    ends = [
        datetime.combine(today + timedelta(days=ahead), quiet.ends, tzinfo=there)
        .replace(fold=fold)
        .astimezone(UTC)
        for ahead in (0, 1, 2)
        for fold in (0, 1)
    ]
    ends += list(_jumps(at, at + 3 * _ONE_DAY, there))
    return min(end for end in ends if end > at and not quiet.holds(end.astimezone(there).time()))


def _jumps(first: datetime, last: datetime, there: ZoneInfo) -> Iterator[datetime]:
    """The instants between at which the clocks are changed: none on most days; to the second."""
    step = timedelta(hours=6)
    while first < last:
        low, high = first, first + step
        before = low.astimezone(there).utcoffset()
        if high.astimezone(there).utcoffset() != before:
            while high - low > _SECOND:
                middle = (low + (high - low) / 2).replace(microsecond=0)
                middle = middle if middle > low else low + _SECOND
                if middle.astimezone(there).utcoffset() == before:
                    low = middle
                else:
                    high = middle
            yield high.replace(microsecond=0)
        first += step


def _spans(hours: tuple[Hours, ...], day: date, zone: str) -> Iterator[tuple[datetime, datetime]]:
    for one in hours:
        begin, end = one.on(day, zone)
        if begin < end:
            yield begin, end


def _told(hours: tuple[Hours, ...]) -> str:
    return " ".join(str(one) for one in hours)


_GATES: dict[Purpose, tuple[Gate, ...]] = {
    Purpose.WORK: (_place, _leave, _shift),
    Purpose.CONTACT: (_quiet,),
    Purpose.BOTH: (_place, _leave, _shift, _quiet),
}
