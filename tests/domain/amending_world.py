"""A member with two items in a plan, and what the ledger would project of what happens to them, told fact by fact."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from domain.amending import (
    Amended,
    Around,
    Authority,
    Correction,
    decide_correction,
    decide_late_report,
)
from domain.calendar import WorkingCalendar, local_instant
from domain.check_in import MOST_DIAL_DAYS, CheckIn, TaskBefore, decide_check_in, in_order
from domain.correcting_events import CheckInCorrected
from domain.events import ItemStanding, MemberStanding
from domain.identifiers import derived_id
from domain.standing import Closed, Cycle, History, Item, Left, Moved, Reported

ZONE = "Asia/Shanghai"
GUIDE, OTHER = derived_id("guide", "1"), derived_id("guide", "2")
MEMBER = derived_id("member", "1")
TIN, SOAP = derived_id("task", "tin"), derived_id("task", "soap")
ENDS_ON = date(2026, 3, 13)
SUPERVISOR = Authority(works=False, amends=True)
HERSELF = Authority(works=True, amends=False)


def at(day: int, hour: int = 10, minute: int = 0) -> datetime:
    return local_instant(date(2026, 3, day), time(hour, minute), ZONE)


def a_history(*, cycles: tuple[Cycle, ...] = (Cycle(1, at(1)),), **more: Any) -> History:
    items = tuple(Item(task, 1, date(2026, 3, 2), at(2, 8), GUIDE) for task in sorted((TIN, SOAP)))
    return replace(History(WorkingCalendar(), cycles, items), **more)


@dataclass
class World:
    """What is known, and the rows that the ledger would hold: those of the events alone, applied one by one."""

    history: History = field(default_factory=a_history)
    closed_on: frozenset[date] = frozenset()
    rows: dict[UUID, ItemStanding] = field(default_factory=dict)
    member: MemberStanding = field(default_factory=MemberStanding)
    versions: dict[UUID, int] = field(default_factory=lambda: {TIN: 1, SOAP: 1})
    told: dict[tuple[UUID, int], CheckIn] = field(default_factory=dict)
    late: dict[tuple[UUID, int], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in self.history.items:
            self.rows[item.task_id] = ItemStanding(
                state="open", reason=None, due_on=item.due_on, attempts=0, last_attempt_on=None
            )

    def report(self, command: CheckIn, *, by_supervisor: bool = False) -> int:
        """Take a report as the ledger would: as the latest where it is, else by replaying. Its version."""
        around = self.around(command)
        task, on = self._before(command, around), around.on
        version = self.versions[command.task_id] + 1
        if in_order(task, command, on) and not by_supervisor:
            event = decide_check_in(task, command, on=on, next_working_day=self._next(on))
            reason = "not_reached" if event.state == "unreached" else None
            self.rows[command.task_id] = ItemStanding(
                state=event.state,
                reason=reason,
                due_on=event.due_on,
                attempts=event.attempt,
                last_attempt_on=on,
            )
            reached = {"last_reached_at": command.occurred_at} if event.reached else {"last_dial_on": on}
            self.member = self.member.model_copy(
                update={"grade": event.grade, "dial_days": event.dial_days, **reached}
            )
        else:
            amended = decide_late_report(
                self.history, around, command, version=version, by_supervisor=by_supervisor
            )
            self._apply(command.task_id, amended)
        self.history = self.history.with_report(told(command, on, version))
        self._keep(command, version, late=around.day_closed)
        return version

    def correct(
        self,
        task: UUID,
        version: int,
        report: CheckIn | None,
        *,
        known_at: datetime,
        authority: Authority = SUPERVISOR,
        why: str = "mistyped",
    ) -> Amended:
        """Correct a check-in as the ledger would."""
        before = self.told[task, version]
        around = self.around(report or before)
        first = before.known_at
        around = replace(around, day_closed=self._closed(around.on, first))
        command = Correction(
            command_id="x",
            task_id=task,
            supersedes=version,
            report=report,
            actor="supervisor",
            known_at=known_at,
            why=why,
        )
        amended = decide_correction(
            self.history,
            around,
            command,
            version=self.versions[task] + 1,
            first_known_at=first,
            authority=authority,
            closed=any(self._closed(on, known_at) for on in (around.on, self._on(before))),
            same=False,
        )
        self._apply(task, amended)
        self.history = self.history.without_report(task, version)
        del self.told[task, version], self.late[task, version]
        new = self.versions[task] + 1
        if report is None:
            self.versions[task] = new
        else:
            self.history = self.history.with_report(told(report, around.on, new))
            assert isinstance(amended.event, CheckInCorrected)
            self._keep(report, new, late=amended.event.late)
        return amended

    def settle(self, when: datetime, *, bought: bool = False) -> None:
        """Take off what nobody should call about any more, as `ledger.tasks.finished_beforehand` finds it."""
        for task, row in self.rows.items():
            if row.state != "open":
                continue
            if bought:
                why = (
                    ("bought", "bought_after_attempt")
                    if row.attempts
                    else ("withdrawn", "bought_before_contact")
                )
            elif self.member.grade == "D":
                why = "withdrawn", "declined"
            elif self.member.dial_days >= MOST_DIAL_DAYS:
                why = "unreached", "not_reached"
            else:
                continue
            self.rows[task] = row.model_copy(update={"state": why[0], "reason": why[1]})
            left = Left(task, when, when, *why)
            self.history = replace(self.history, leavings=(*self.history.leavings, left))

    def close(self, day: int, *, expires: bool) -> None:
        """Close the guide's day; every item is on its list."""
        on = date(2026, 3, day)
        for task, row in self.rows.items():
            close = Closed(task, GUIDE, on, at(day, 21), expires)
            self.history = replace(self.history, closings=(*self.history.closings, close))
            holder = self.history.holders(task)[-1][0]
            if expires and row.state == "open" and row.last_attempt_on != on and holder == GUIDE:
                self.rows[task] = row.model_copy(update={"state": "expired", "reason": "day_closed"})
        self.closed_on |= {on}

    def move(self, task: UUID, guide: UUID, when: datetime) -> None:
        """Hand an open item to another guide."""
        self.history = replace(self.history, moves=(*self.history.moves, Moved(task, when, when, guide)))

    def stands(self) -> tuple[Any, ...]:
        """Items, member, and the day's counters: items reported, reached, and late, by guide and day."""
        counters: dict[tuple[UUID, date], list[int]] = {}
        for key, one in self.told.items():
            day = counters.setdefault((one.performed_by, self._on(one)), [0, 0, 0])
            day[0] += 1
            day[1] += one.reached
            day[2] += self.late[key]
        return dict(sorted(self.rows.items())), self.member, counters

    def around(self, command: CheckIn) -> Around:
        on = self._on(command)
        closes_at = local_instant(on, time(21), ZONE)
        return Around("p1", MEMBER, on, closes_at, self._closed(on, command.known_at), ENDS_ON)

    def _closed(self, on: date, known_at: datetime) -> bool:
        return known_at > local_instant(on, time(21), ZONE)

    def _on(self, command: CheckIn) -> date:
        return command.occurred_at.astimezone(at(2).tzinfo).date()

    def _next(self, on: date) -> date:
        return self.history.calendar.next_working(on)

    def _apply(self, task: UUID, amended: Amended) -> None:
        self.rows[task] = amended.item
        self.rows.update(amended.items)
        self.member = amended.member

    def _keep(self, command: CheckIn, version: int, *, late: bool) -> None:
        self.versions[command.task_id] = version
        self.told[command.task_id, version] = command
        self.late[command.task_id, version] = late

    def _before(self, command: CheckIn, around: Around) -> TaskBefore:
        """The rows as the ledger reads them for a check-in."""
        row, on = self.rows[command.task_id], around.on
        that_day = [one for one in self.history.reports if one.on == on]
        return TaskBefore(
            task_id=command.task_id,
            plan_id="p1",
            cycle=1,
            member_id=MEMBER,
            guide_id=self.history.holders(command.task_id)[-1][0],
            state=row.state,
            due_on=row.due_on,
            attempts=row.attempts,
            last_attempt_on=row.last_attempt_on,
            cycle_ends_on=ENDS_ON,
            grade=self.member.grade,
            dial_days=self.member.dial_days,
            attempted_that_day=any(one.task_id == command.task_id for one in that_day),
            dialled_that_day=any(not one.reached for one in that_day),
            opted_out=False,
            made_at=at(2, 8),
            last_reached_at=self.member.last_reached_at,
            last_dial_on=self.member.last_dial_on,
            day_closes_at=around.day_closes_at,
            day_closed=around.day_closed,
        )


def told(command: CheckIn, on: date, version: int) -> Reported:
    return Reported(
        command.task_id,
        version,
        command.performed_by,
        command.occurred_at,
        command.known_at,
        on,
        command.reached,
        command.grade,
        command.next_on,
    )


def a_report(
    task: UUID, occurred_at: datetime, outcome: str, *, known_at: datetime | None = None, **more: Any
) -> CheckIn:
    said = {
        "command_id": f"{task}/{occurred_at}",
        "task_id": task,
        "performed_by": GUIDE,
        "actor": "guide:1",
        "occurred_at": occurred_at,
        "known_at": known_at or occurred_at,
        "channel": "phone",
        "outcome": outcome,
    }
    return CheckIn.model_validate(said | more)
