"""Where an item and its member stand: worked out from everything that happened to them, in the order it occurred.

Facts arrive in any order: a phone was offline, somebody corrects what was entered. So nothing is patched. Whatever is
known by now is replayed in the order it occurred, and where that leaves item and member is what holds. A check-in that
arrives in order leaves them where `domain.check_in.decide_check_in` says, which is one step of this replay; the tests
hold the two together.

What closes an item is a fact of its own and says why: a purchase leaves it *withdrawn* where nobody had attempted it
and *bought* where somebody had, a D takes the member's other items off only while the D stands. So a correction undoes
what followed from the mistake, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TypeAlias, TypeVar
from uuid import UUID

from domain.calendar import WorkingCalendar
from domain.check_in import MOST_DIAL_DAYS, grade_after
from domain.events import ItemStanding, MemberStanding

_Day = TypeVar("_Day", date, datetime)
_Fact = TypeVar("_Fact", "Reported", "Left", "Moved", "Closed")


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it was made."""

    task_id: UUID
    cycle: int
    due_on: date
    made_at: datetime
    guide_id: UUID


@dataclass(frozen=True, slots=True)
class Reported:
    """A check-in that holds. `grade` is what was told, not what it led to; `version` names it in its item's stream."""

    task_id: UUID
    version: int
    performed_by: UUID
    occurred_at: datetime
    known_at: datetime
    on: date
    reached: bool
    grade: str | None
    next_on: date | None


@dataclass(frozen=True, slots=True)
class Left:
    """The item was taken off: why, and the state that was thought of."""

    task_id: UUID
    at: datetime
    known_at: datetime
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The item went to another guide."""

    task_id: UUID
    at: datetime
    known_at: datetime
    guide_id: UUID


@dataclass(frozen=True, slots=True)
class Closed:
    """The day of a list with the item on it was closed.

    `expires`: what nobody attempted that day left with it; but not what had been put off beyond it on the day `put_off_on`,
    unless an attempt since then has overtaken that.
    """

    task_id: UUID
    guide_id: UUID
    on: date
    at: datetime
    expires: bool
    put_off_on: date | None = None


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle the member is in; `ended_at`: what was open then has expired."""

    cycle: int
    began_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase of the member, of whatever."""

    at: datetime
    known_at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """Everything that happened to a member in a plan, in any order."""

    calendar: WorkingCalendar
    cycles: tuple[Cycle, ...]
    items: tuple[Item, ...]
    reports: tuple[Reported, ...] = ()
    leavings: tuple[Left, ...] = ()
    moves: tuple[Moved, ...] = ()
    closings: tuple[Closed, ...] = ()
    bought: tuple[Bought, ...] = ()
    recalled_at: datetime | None = None

    def item(self, task_id: UUID) -> Item:
        """The item of this id."""
        return next(item for item in self.items if item.task_id == task_id)

    def with_report(self, report: Reported, *, instead_of: int | None = None) -> History:
        """With one more check-in, in the place of the one that it corrects."""
        return replace(self, reports=(*self.without_report(report.task_id, instead_of).reports, report))

    def without_report(self, task_id: UUID, version: int | None) -> History:
        """As if this check-in had never been made."""
        kept = (one for one in self.reports if (one.task_id, one.version) != (task_id, version))
        return replace(self, reports=tuple(kept))

    def known_by(self, instant: datetime) -> History:
        """What had occurred by an instant and was known then: what somebody who acted on it went by.

        Of what happened at the very instant, check-ins count and what takes items off does not.
        """
        return replace(
            self,
            cycles=tuple(
                replace(one, ended_at=None) if one.ended_at and one.ended_at >= instant else one
                for one in self.cycles
            ),
            reports=tuple(
                one for one in self.reports if one.occurred_at <= instant and one.known_at <= instant
            ),
            leavings=tuple(one for one in self.leavings if one.at < instant and one.known_at <= instant),
            moves=tuple(one for one in self.moves if one.at <= instant and one.known_at <= instant),
            closings=tuple(one for one in self.closings if one.at < instant),
            recalled_at=self.recalled_at if self.recalled_at and self.recalled_at <= instant else None,
        )

    def holders(self, task_id: UUID) -> tuple[tuple[UUID, datetime, datetime | None], ...]:
        """Who held the item, from when until when (None: still), in order."""
        item = self.item(task_id)
        held: list[tuple[UUID, datetime, datetime | None]] = [(item.guide_id, item.made_at, None)]
        for move in sorted((one for one in self.moves if one.task_id == task_id), key=lambda one: one.at):
            guide, since, _ = held[-1]
            held[-1] = (guide, since, move.at)
            held.append((move.guide_id, move.at, None))
        return tuple(held)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where all of a member's items in a plan stand, and the member in each of its cycles."""

    items: Mapping[UUID, ItemStanding]
    members: Mapping[int, MemberStanding]
    grades: Mapping[tuple[UUID, int], str | None]
    """The member's grade right after each check-in, by item and version."""


@dataclass(slots=True)
class _Item:
    made: Item
    guide_id: UUID
    stands: ItemStanding


@dataclass(slots=True)
class _Member:
    stands: MemberStanding
    declined_at: datetime | None = None
    dialled_on: set[date] = field(default_factory=set)


def stand(history: History) -> Standing:
    """Replay a history; the order its facts are given in does not matter.

    At one instant a recall comes first, then moves, check-ins, what takes items off, the close of the day and of the
    cycle: a check-in on the stroke of the close is in time.
    """
    items = {
        made.task_id: _Item(
            made,
            made.guide_id,
            ItemStanding(state="open", reason=None, due_on=made.due_on, attempts=0, last_attempt_on=None),
        )
        for made in history.items
    }
    members: dict[int, MemberStanding] = {}
    grades: dict[tuple[UUID, int], str | None] = {}
    before = _Member(MemberStanding())
    for cycle in sorted(history.cycles, key=lambda one: one.cycle):
        before = _begun(before, cycle, history.bought)
        own = {task: item for task, item in items.items() if item.made.cycle == cycle.cycle}
        for happen in _in_order(history, cycle, own, before):
            happen()
            if isinstance(happen, _Report):
                grades[happen.told.task_id, happen.told.version] = before.stands.grade
        members[cycle.cycle] = before.stands
    return Standing({task: item.stands for task, item in items.items()}, members, grades)


def _begun(before: _Member, cycle: Cycle, bought: Sequence[Bought]) -> _Member:
    """The member as a new cycle finds it: a D that a purchase has lifted since is gone, the rest comes along."""
    stands, declined_at = before.stands, before.declined_at
    if declined_at is not None and any(
        declined_at < one.at <= cycle.began_at and one.known_at <= cycle.began_at for one in bought
    ):
        stands, declined_at = stands.model_copy(update={"grade": None}), None
    return _Member(stands, declined_at, set())


def _in_order(
    history: History, cycle: Cycle, items: Mapping[UUID, _Item], member: _Member
) -> list[_Happening]:
    """What happened to these items, each at its instant and in the order of kinds that `stand` tells."""
    happenings: list[tuple[tuple[datetime, int, str], _Happening]] = []

    def add(at: datetime | None, rank: int, task: UUID, happening: _Happening) -> None:
        if at is not None:
            happenings.append(((at, rank, str(task)), happening))

    for task, item in items.items():
        add(history.recalled_at, 0, task, _Leave(item, "withdrawn", "recalled"))
        add(cycle.ended_at, 5, task, _Leave(item, "expired", "cycle_ended"))
    for move in _of(items, history.moves):
        add(move.at, 1, move.task_id, _Move(items[move.task_id], move.guide_id))
    for report in _of(items, history.reports):
        step = _Report(items[report.task_id], member, report, history.calendar)
        add(report.occurred_at, 2, report.task_id, step)
    for left in _of(items, history.leavings):
        # What follows from a recall and from the close of a day is replayed with these.
        if left.reason not in _FOLLOWS:
            add(left.at, 3, left.task_id, _TakeOff(items[left.task_id], member, left))
    for close in _of(items, history.closings):
        add(close.at, 4, close.task_id, _Close(items[close.task_id], close))
    return [happening for _, happening in sorted(happenings, key=lambda one: one[0])]


def _of(items: Mapping[UUID, _Item], facts: Sequence[_Fact]) -> list[_Fact]:
    return [fact for fact in facts if fact.task_id in items]


_FOLLOWS = frozenset({"day_closed", "recalled"})


@dataclass(frozen=True, slots=True)
class _Leave:
    item: _Item
    state: str
    reason: str

    def __call__(self) -> None:
        if self.item.stands.state == "open":
            self.item.stands = self.item.stands.model_copy(
                update={"state": self.state, "reason": self.reason}
            )


@dataclass(frozen=True, slots=True)
class _Move:
    item: _Item
    guide_id: UUID

    def __call__(self) -> None:
        self.item.guide_id = self.guide_id


@dataclass(frozen=True, slots=True)
class _TakeOff:
    item: _Item
    member: _Member
    left: Left

    def __call__(self) -> None:
        state, reason = self.left.state, self.left.reason
        member = self.member.stands
        if reason == "declined" and member.grade != "D":
            return
        if reason == "not_reached" and member.dial_days < MOST_DIAL_DAYS:
            return
        if reason.startswith("bought_"):
            untouched = self.item.stands.attempts == 0
            state = "withdrawn" if untouched else "bought"
            reason = "bought_before_contact" if untouched else "bought_after_attempt"
        _Leave(self.item, state, reason)()


@dataclass(frozen=True, slots=True)
class _Close:
    item: _Item
    close: Closed

    def __call__(self) -> None:
        last, put_off_on = self.item.stands.last_attempt_on, self.close.put_off_on
        put_off = put_off_on is not None and (last is None or last < put_off_on)
        untouched = last != self.close.on and not put_off
        if self.close.expires and untouched and self.item.guide_id == self.close.guide_id:
            _Leave(self.item, "expired", "day_closed")()


@dataclass(frozen=True, slots=True)
class _Report:
    item: _Item
    member: _Member
    told: Reported
    calendar: WorkingCalendar

    def __call__(self) -> None:
        told, member, item = self.told, self.member, self.item.stands
        grade = grade_after(member.stands.grade, told.grade, reached=told.reached)
        if grade == "D" and member.stands.grade != "D":
            member.declined_at = told.occurred_at
        changes: dict[str, object] = {"grade": grade}
        if told.reached:
            changes["last_reached_at"] = _later(member.stands.last_reached_at, told.occurred_at)
        else:
            changes["last_dial_on"] = _later(member.stands.last_dial_on, told.on)
            changes["dial_days"] = member.stands.dial_days + (told.on not in member.dialled_on)
            member.dialled_on.add(told.on)
        member.stands = member.stands.model_copy(update=changes)
        left = {
            "attempts": item.attempts + 1,
            "last_attempt_on": _later(item.last_attempt_on, told.on),
            **self._leaves(item, grade, member.stands.dial_days),
        }
        self.item.stands = item.model_copy(update=left)

    def _leaves(self, item: ItemStanding, grade: str | None, dial_days: int) -> dict[str, object]:
        told = self.told
        if told.reached:
            if told.next_on is not None and grade != "D":
                return {"state": "open", "reason": None, "due_on": told.next_on}
            return {"state": "done", "reason": None}
        if item.state != "open":
            return {}  # a missed call brings nothing back
        if dial_days >= MOST_DIAL_DAYS:
            return {"state": "unreached", "reason": "not_reached"}
        return {"due_on": self.calendar.next_working(told.on)}


_Happening: TypeAlias = _Leave | _Move | _TakeOff | _Close | _Report


def _later(before: _Day | None, now: _Day) -> _Day:
    return now if before is None or before < now else before
