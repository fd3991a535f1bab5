"""Check-ins: what a guide reports of an item, and what the report does to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.complaints import COMPLAINT
from domain.errors import Problem, Refused
from domain.events import CheckedIn
from domain.intended_products import unknown_products

Channel = Literal["phone", "wecom", "in_store", "group"]
Grade = Literal["A", "B", "C", "D"]
Outcome = Literal[
    "interested",
    "refused",
    "booked_visit",
    "came",
    "bought",
    "joined_group",
    "added_friend",
    "left_contact",
    "complaint",
    "followed_again",
    "no_answer",
    "wrong_number",
    "unreachable",
]
NOT_REACHED: tuple[Outcome, ...] = ("no_answer", "wrong_number", "unreachable")

MOST_DIAL_DAYS = 3
"""A member who is not reached is dialled on at most so many days of a plan (ours)."""
LATE_GRACE = timedelta(hours=24)
"""How long after the close a check-in that occurred before it is still taken, as late (ours)."""


class CheckIn(BaseModel):
    """One report of one item.

    `performed_by` is the guide who gets the credit, `actor` who entered it; a manager may enter for a guide.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: str = Field(min_length=1, max_length=200)
    task_id: UUID
    performed_by: UUID
    actor: str
    occurred_at: AwareDatetime
    known_at: AwareDatetime
    channel: Channel
    outcome: Outcome
    grade: Grade | None = None
    products: tuple[str, ...] = ()
    next_on: date | None = None
    note: str | None = Field(default=None, max_length=2000)
    asked: str = ""
    """See `domain.events.CheckedIn.asked`."""
    device: UUID | None = None
    evidence: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """See `domain.events.CheckedIn.evidence`."""
    skew_s: int = 0
    """See `domain.events.CheckedIn.skew_s`."""

    @property
    def reached(self) -> bool:
        """Whether the member was spoken to; a refusal is reached too."""
        return self.outcome not in NOT_REACHED


@dataclass(frozen=True, slots=True)
class TaskBefore:
    """What the ledger knows of an item when a check-in arrives."""

    task_id: UUID
    plan_id: str
    cycle: int
    member_id: UUID
    guide_id: UUID
    state: str
    due_on: date
    attempts: int
    last_attempt_on: date | None
    cycle_ends_on: date
    grade: str | None
    dial_days: int
    attempted_that_day: bool
    """Whether the item has a check-in on the business date of the report, by whoever reports."""
    dialled_that_day: bool
    """Whether the member was dialled in vain on that date, for this or another item of the cycle."""
    opted_out: bool
    made_at: datetime
    """When the item was made; nobody can have called about it before."""
    last_reached_at: datetime | None
    day_closes_at: datetime
    """Close of the business date: of the guide's day, or by the plan's hours where no list was published."""
    day_closed: bool
    while_paused: bool = False
    """Whether the plan was paused when it occurred: the phone was offline and did not know."""
    recalled_at: datetime | None = None
    """When the plan was recalled, if it was: what occurred before still counts, and brings nothing back."""
    last_dial_on: date | None = None
    """The last day on which the member was dialled in vain."""
    later_cycle: bool = False
    """Whether a later cycle of the plan has begun, which brings along what is reported of this one."""
    reassigned: bool = False
    """Whether the item is another guide's by now: the phone was offline and did not know."""
    phone_withdrawn: bool = False
    """Whether the member had taken back the consent to be called: the call is kept, and stands out."""
    complaint_open: bool = False
    """Whether a complaint of the member's waited for its end: the contact is kept, and stands out."""
    categories: tuple[str, ...] = ()
    """Of the products the report names, those that are categories of the brand."""


def in_order(task: TaskBefore, command: CheckIn, on: date) -> bool:
    """Whether a report can be taken as the latest of all: the item is open and its guide's, the day too, nothing later known.

    A complaint is not: it opens a case. What is not is decided by `domain.amending`, which replays everything that is known
    of the member.
    """
    ordinary = (
        task.state == "open"
        and task.guide_id == command.performed_by
        and task.grade != "D"
        and task.recalled_at is None
        and not task.day_closed
        and not task.later_cycle
        and not task.complaint_open
        and command.outcome != COMPLAINT
    )
    first_today = not task.attempted_that_day and (command.reached or not task.dialled_that_day)
    return (
        ordinary
        and first_today
        and (task.last_attempt_on is None or task.last_attempt_on <= on)
        and (task.last_dial_on is None or task.last_dial_on <= on)
        and (task.last_reached_at is None or task.last_reached_at <= command.occurred_at)
    )


def decide_check_in(task: TaskBefore, command: CheckIn, *, on: date, next_working_day: date) -> CheckedIn:
    """Decide what `command`, which is in order, does to `task`.

    Reached: the item is done, unless a next date inside the cycle was agreed; then it stays open for that
    day. Not reached: it comes again the next working day; on the third such day of the plan it is left as
    unreached.

    Args:
        task: the item as it stands.
        command: the report.
        on: the business date of `command.occurred_at` in the store's time zone.
        next_working_day: the first working day after `on`.

    Raises:
        Refused: naming the field, its value, and what to do instead.
    """
    problem = objection(task, command, on)
    if problem is not None:
        raise Refused([problem])
    grade = grade_after(task.grade, command.grade, reached=command.reached)
    state, due_on = "done", task.due_on
    if command.reached:
        if command.next_on is not None and grade != "D":
            state, due_on = "open", command.next_on
    elif task.dial_days + 1 >= MOST_DIAL_DAYS:
        state = "unreached"
    else:
        state, due_on = "open", next_working_day
    event = CheckedIn(
        plan=task.plan_id,
        cycle=task.cycle,
        member=task.member_id,
        business_date=on,
        channel=command.channel,
        outcome=command.outcome,
        reached=command.reached,
        grade=grade,
        products=command.products,
        next_on=command.next_on,
        state=state,
        due_on=due_on,
        attempt=task.attempts + 1,
        dial_days=task.dial_days if command.reached else task.dial_days + 1,
        late=task.day_closed,
        conflict=conflict(task, command),
        asked=command.asked,
        device=command.device,
        evidence=command.evidence,
    )
    return event.model_copy(update=said_besides(command, grade))


def said_besides(command: CheckIn, grade: str | None) -> dict[str, object]:
    """What a report says besides the ordinary, for its event: left out where there is nothing."""
    told: dict[str, object] = {} if command.grade == grade else {"told_grade": command.grade}
    return told if not command.skew_s else told | {"skew_s": command.skew_s}


def conflict(task: TaskBefore, command: CheckIn) -> str:
    """Why a report stands against how things were; empty: it does not."""
    if task.recalled_at is not None:
        return "plan_recalled"
    if task.while_paused:
        return "plan_paused"
    if task.reassigned:
        return "reassigned"
    if task.complaint_open:
        return "complaint_open"
    return "phone_withdrawn" if task.phone_withdrawn and command.channel == "phone" else ""


def grade_after(before: str | None, told: str | None, *, reached: bool) -> str | None:
    """The member's grade after a check-in that told one, or none.

    A D stays: the member alone lifts it. C is only for members never graded A, B or D: a missed call takes nothing back.
    """
    if before == "D":
        return before
    if told == "C" or (told is None and not reached):
        return before or "C"
    return told or before


def objection(  # noqa: PLR0911, C901 - one line a rule
    task: TaskBefore, command: CheckIn, on: date, *, within_grace: bool = True
) -> Problem | None:
    """The rule that stands against a report, if one does.

    Args:
        task: the item as it stood, to whoever reported, when it occurred.
        command: the report.
        on: its business date.
        within_grace: False where it may be entered whenever: by a supervisor with a reason, or as a correction.
    """
    if task.guide_id != command.performed_by:
        return Problem("performed_by", str(command.performed_by), "not_your_task")
    if unknown := unknown_products(command.products, task.categories):
        return Problem("products", unknown[0], "not_a_product")
    if task.opted_out:
        return Problem("task_id", str(task.task_id), "member_opted_out")
    if task.grade == "D":
        return Problem("task_id", str(task.task_id), "member_declined")
    if task.state != "open":
        return Problem("task_id", str(task.task_id), "task_closed", {"state": task.state})
    if command.occurred_at > command.known_at:
        return Problem(
            "occurred_at",
            command.occurred_at.isoformat(),
            "occurred_in_future",
            {"known_at": command.known_at.isoformat()},
        )
    if command.occurred_at < task.made_at:
        return Problem(
            "occurred_at",
            command.occurred_at.isoformat(),
            "before_task",
            {"made_at": task.made_at.isoformat()},
        )
    if command.grade is not None and command.grade != "C" and not command.reached:
        return Problem("grade", command.grade, "grade_without_contact")
    if command.next_on is not None and not on < command.next_on <= task.cycle_ends_on:
        return Problem(
            "next_on",
            command.next_on.isoformat(),
            "next_date_outside_cycle",
            {"after": on.isoformat(), "last": task.cycle_ends_on.isoformat()},
        )
    if command.occurred_at > task.day_closes_at:
        return Problem(
            "occurred_at",
            command.occurred_at.isoformat(),
            "after_close",
            {"close": task.day_closes_at.isoformat()},
        )
    if within_grace and command.known_at > task.day_closes_at + LATE_GRACE:
        return Problem(
            "known_at",
            command.known_at.isoformat(),
            "after_grace",
            {"close": task.day_closes_at.isoformat()},
        )
    if task.attempted_that_day or (task.dialled_that_day and not command.reached):
        return Problem("task_id", str(task.task_id), "already_today", {"date": on.isoformat()})
    return None
