"""Reports that come late or out of order, and corrections: what each does, decided from all that is known of the member.

Whether a report may be made is asked of things as they stood, to whoever made it, when it occurred; what it does is
where the whole history leaves item and member with it. So it does not matter in which order facts come in, and a
correction to something leaves everything as if that had been reported in the first place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.check_in import CheckIn, TaskBefore, conflict, objection, said_besides
from domain.correcting_events import CheckInCorrected, CheckInVoided
from domain.errors import Problem, Refused
from domain.events import CheckedIn, ItemStanding, MemberStanding
from domain.standing import History, Reported, Standing, stand


@dataclass(frozen=True, slots=True)
class Around:
    """What else stood when a report occurred: the day it belongs to, the plan, the member's will."""

    plan_id: str
    member_id: UUID
    on: date
    """The business date, where whoever performed it stands."""
    day_closes_at: datetime
    day_closed: bool
    """Whether the day had been closed when the report, or the first version of it, became known."""
    cycle_ends_on: date
    while_paused: bool = False
    opted_out: bool = False
    phone_withdrawn: bool = False
    complaint_open: bool = False
    categories: tuple[str, ...] = ()
    """Of the products the report names, those that are categories of the brand."""


@dataclass(frozen=True, slots=True)
class Amended:
    """What a late report or a correction leads to; nothing else changes."""

    event: CheckedIn | CheckInCorrected | CheckInVoided
    item: ItemStanding
    member: MemberStanding
    items: Mapping[UUID, ItemStanding] = field(default_factory=dict)
    """Other items of the member that stand elsewhere for it."""
    members: Mapping[int, MemberStanding] = field(default_factory=dict)
    """Other cycles in which the member stands elsewhere for it."""
    reopened: tuple[UUID, ...] = ()
    """Items, the reported one too, that were off the lists and are open again."""

    def with_event(self, event: CheckedIn | CheckInCorrected | CheckInVoided) -> Amended:
        """With the event as it is written, its notes put in."""
        return replace(self, event=event)


class Correction(BaseModel):
    """A check-in takes the place of an earlier one of its item; `report` None: the earlier one was never made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: str = Field(min_length=1, max_length=200)
    task_id: UUID
    supersedes: int
    report: CheckIn | None
    actor: str
    known_at: AwareDatetime
    why: str = Field(default="", max_length=500)
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Authority:
    """By what right somebody corrects."""

    works: bool
    """It is the work of guides they act for: their own, or on behalf."""
    amends: bool
    """They may change closed days: a supervisor's guides, or HQ."""


def decide_late_report(
    history: History, around: Around, command: CheckIn, *, version: int, by_supervisor: bool = False
) -> Amended:
    """Decide a report that is not in order: its day is closed, later facts are known, or the item has moved on.

    Args:
        history: everything known of the member in the plan.
        around: what stood when it occurred.
        command: the report.
        version: of its event in the item's stream.
        by_supervisor: entered with a reason by who may change closed days: the grace does not bind it.

    Raises:
        Refused: naming the field, its value, and what to do instead.
    """
    task = _before(history, around, command)
    problem = objection(task, command, around.on, within_grace=not by_supervisor)
    if problem is not None:
        raise Refused([problem])
    after = stand(history.with_report(_reported(command, around, version)))
    item, member = after.items[command.task_id], after.members[task.cycle]
    grade = _led_to(after, command, version)
    event = CheckedIn(
        plan=around.plan_id,
        cycle=task.cycle,
        member=around.member_id,
        business_date=around.on,
        channel=command.channel,
        outcome=command.outcome,
        reached=command.reached,
        grade=grade,
        products=command.products,
        next_on=command.next_on,
        state=item.state,
        due_on=item.due_on,
        attempt=item.attempts,
        dial_days=member.dial_days,
        late=around.day_closed,
        conflict=conflict(task, command),
        asked=command.asked,
        device=command.device,
        evidence=command.evidence,
    )
    leaves = {"leaves_item": item, "leaves_member": member}
    event = event.model_copy(update=said_besides(command, grade) | leaves)
    return _amended(event, history, after, command.task_id, task.cycle)


def decide_correction(
    history: History,
    around: Around,
    command: Correction,
    *,
    version: int,
    first_known_at: datetime,
    authority: Authority,
    closed: bool,
    same: bool,
) -> Amended:
    """Decide a correction of a check-in that holds, or that it was never made.

    Args:
        history: everything known of the member in the plan, the check-in to be corrected included.
        around: what stood when the corrected report occurred; of a void, the check-in's own.
        command: the correction.
        version: of its event in the item's stream.
        first_known_at: when the first version of the report became known.
        authority: of who corrects, over everybody whose work it changes.
        closed: whether a day is closed that it changes.
        same: whether the report says what stands there.

    Raises:
        Refused: naming the field, its value, and what to do instead.
    """
    _refuse_without_authority(command, authority, closed=closed)
    if same:
        raise Refused([Problem("version", str(command.supersedes), "nothing_to_correct")])
    cycle = history.item(command.task_id).cycle
    said = {
        "supersedes": command.supersedes,
        "closed_day": closed,
        "plan": around.plan_id,
        "cycle": cycle,
        "member": around.member_id,
        "business_date": around.on,
        "asked": command.asked,
        "why": None,
        "why_hmac": None,
    }
    without = history.without_report(command.task_id, command.supersedes)
    if command.report is None:
        after = stand(without)
        leaves = {"leaves_item": after.items[command.task_id], "leaves_member": after.members[cycle]}
        return _amended(CheckInVoided.model_validate(said | leaves), history, after, command.task_id, cycle)
    report = command.report
    task = replace(_before(without, around, report), dialled_that_day=False)
    problem = objection(task, report, around.on, within_grace=False)
    if problem is not None:
        raise Refused([problem])
    after = stand(without.with_report(_reported(report, around, version)))
    said |= {
        "first_known_at": first_known_at,
        "channel": report.channel,
        "outcome": report.outcome,
        "reached": report.reached,
        "grade": _led_to(after, report, version),
        "told_grade": report.grade,
        "products": report.products,
        "next_on": report.next_on,
        "late": around.day_closed,
        "conflict": conflict(task, report),
        "skew_s": report.skew_s,
        "device": report.device,
        "evidence": report.evidence,
        "note": None,
        "note_hmac": None,
        "leaves_item": after.items[command.task_id],
        "leaves_member": after.members[cycle],
    }
    return _amended(CheckInCorrected.model_validate(said), history, after, command.task_id, cycle)


def _refuse_without_authority(command: Correction, authority: Authority, *, closed: bool) -> None:
    if closed and not authority.amends:
        raise Refused([Problem("version", str(command.supersedes), "closed_day_is_the_supervisors")])
    unasked = authority.works and not closed and command.report is not None
    if not unasked and not command.why.strip():
        raise Refused([Problem("reason", command.why, "correction_needs_reason")])


def _before(history: History, around: Around, command: CheckIn) -> TaskBefore:
    """The item as it stood, to whoever reports, when it occurred; `history` without the report itself."""
    at, by = command.occurred_at, command.performed_by
    made = history.item(command.task_id)
    then = stand(history.known_by(at))
    item, member = then.items[command.task_id], then.members[made.cycle]
    holders = history.holders(command.task_id)
    now = holders[-1][0]
    held = by == now or any(
        guide == by and (number == 0 or since <= at) and (until is None or at <= until)
        for number, (guide, since, until) in enumerate(holders)
    )
    # What another guide did counts against her only if it was known: her phone was offline, both did their work.
    that_day = [
        one
        for one in history.reports
        if one.on == around.on and (one.performed_by == by or max(one.known_at, one.occurred_at) <= at)
    ]
    return TaskBefore(
        task_id=command.task_id,
        plan_id=around.plan_id,
        cycle=made.cycle,
        member_id=around.member_id,
        guide_id=by if held else now,
        state=item.state,
        due_on=item.due_on,
        attempts=item.attempts,
        last_attempt_on=item.last_attempt_on,
        cycle_ends_on=around.cycle_ends_on,
        grade=member.grade,
        dial_days=member.dial_days,
        attempted_that_day=any(one.task_id == command.task_id for one in that_day),
        dialled_that_day=any(not one.reached for one in that_day),
        opted_out=around.opted_out,
        made_at=made.made_at,
        last_reached_at=member.last_reached_at,
        last_dial_on=member.last_dial_on,
        day_closes_at=around.day_closes_at,
        day_closed=around.day_closed,
        while_paused=around.while_paused,
        recalled_at=history.recalled_at,
        phone_withdrawn=around.phone_withdrawn,
        complaint_open=around.complaint_open,
        categories=around.categories,
        reassigned=held and by != now,
    )


def _reported(command: CheckIn, around: Around, version: int) -> Reported:
    return Reported(
        task_id=command.task_id,
        version=version,
        performed_by=command.performed_by,
        occurred_at=command.occurred_at,
        known_at=command.known_at,
        on=around.on,
        reached=command.reached,
        grade=command.grade,
        next_on=command.next_on,
    )


def _led_to(after: Standing, command: CheckIn, version: int) -> str | None:
    """The grade a report led to. A D that stood before and that it did not tell is not its own."""
    grade = after.grades[command.task_id, version]
    return command.grade if grade == "D" else grade


def _amended(
    event: CheckedIn | CheckInCorrected | CheckInVoided,
    history: History,
    after: Standing,
    task_id: UUID,
    cycle: int,
) -> Amended:
    before = stand(history)
    changed = [task for task in after.items if after.items[task] != before.items[task]]
    return Amended(
        event=event,
        item=after.items[task_id],
        member=after.members[cycle],
        items={task: after.items[task] for task in sorted(changed) if task != task_id},
        members={
            number: member
            for number, member in sorted(after.members.items())
            if number != cycle and member != before.members[number]
        },
        reopened=tuple(
            sorted(
                task
                for task in changed
                if after.items[task].state == "open" and before.items[task].state != "open"
            )
        ),
    )
