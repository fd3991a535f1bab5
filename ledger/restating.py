"""Writes what a late report or a correction leads to: its event, where it leaves item and member, and the days it is of.

Cost: six to ten round trips in the caller's transaction, and three for every closed day whose figures it changes; rows
grow with what stands elsewhere for it, which is one item and one member but for a D or the third dial of a member with
several items, and with the lists of the days since on which the item stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.amending import Amended
from domain.complaints import COMPLAINT
from domain.correcting_events import CheckInCorrected, MemberRestated, TaskRestated
from domain.errors import Conflict
from domain.events import CheckedIn, Event, ItemStanding, MemberStanding, TaskLeft, TaskReassigned
from ledger.cases import Followed, follow_report
from ledger.door import Driver, NewEvent, StreamBatch, append
from ledger.ledger import Command, plan_member_stream, task_stream
from ledger.member_history import Known
from ledger.recorded import Recorded
from ledger.recounting import GuideDay, recount_days


@dataclass(frozen=True, slots=True)
class Change:
    """A late report or a correction, decided: what is written, by whom, of which days."""

    task_id: UUID
    command: Command
    """Its `occurred_at` is the report's; credit goes to `performed_by`."""
    known: Known
    amended: Amended
    days: Sequence[GuideDay]
    """Guide-days whose reports it changes: where they are closed they get a new version of their figures."""
    later: Sequence[GuideDay]
    """Other guide-days that listed the item since: where they are closed and their figures change, they get one too."""
    supersedes: int | None = None


async def write(connection: Driver, tenant_id: int, change: Change) -> Recorded:
    """Append and project a change; call it in the transaction that read what it rests on.

    Raises:
        Conflict: somebody else used the command at the same moment.
    """
    known, amended, task_id = change.known, change.amended, change.task_id
    stream = task_stream(task_id)
    version = known.heads[stream].version + 1
    handed = _hand_on(change)
    await _append(connection, tenant_id, change, handed)
    if change.supersedes is not None:
        await _supersede(connection, tenant_id, change, version)
    if isinstance(amended.event, CheckedIn | CheckInCorrected):
        await _insert(connection, tenant_id, change, amended.event, version)
    items = {task_id: amended.item, **amended.items} | {
        task: item for task, (item, _) in handed.items() if item is not None
    }
    await _update_items(connection, tenant_id, items)
    await _move(
        connection,
        tenant_id,
        {task: event for task, (_, event) in handed.items() if isinstance(event, TaskReassigned)},
    )
    members = {amended.event.cycle: amended.member, **amended.members}
    await _update_members(connection, tenant_id, known, members)
    await recount_days(connection, tenant_id, change.command, change.days, change.later, cause_stream=stream)
    await follow_report(connection, tenant_id, change.command, _followed(change, version))
    stands = items[task_id]
    return Recorded(task_id, version, stands.state, stands.due_on, duplicate=False)


def _followed(change: Change, version: int) -> Followed:
    event = change.amended.event
    return Followed(
        task_id=change.task_id,
        version=version,
        plan_id=event.plan,
        member_id=event.member,
        guide_id=UUID(change.command.performed_by),
        business_date=event.business_date,
        complains=isinstance(event, CheckedIn | CheckInCorrected) and event.outcome == COMPLAINT,
        supersedes=change.supersedes,
        answer_hours=change.known.plan.complaints.answer_hours,
    )


_Handed = Mapping[UUID, tuple[ItemStanding | None, TaskReassigned | TaskLeft]]


def _hand_on(change: Change) -> _Handed:
    """Items that are open again go to who looks after the member by now; where nobody does, they expire."""
    known, amended = change.known, change.amended
    stands = {change.task_id: amended.item, **amended.items}
    handed: dict[UUID, tuple[ItemStanding | None, TaskReassigned | TaskLeft]] = {}
    for task in amended.reopened:
        holder = known.history.holders(task)[-1][0]
        carer = known.carers[known.history.item(task).cycle]
        if carer is None:
            left = TaskLeft(state="expired", reason="no_guide")
            handed[task] = stands[task].model_copy(update={"state": left.state, "reason": left.reason}), left
        elif carer != holder:
            reason = change.command.command_id
            handed[task] = None, TaskReassigned(guide=carer, before=holder, reason=reason)
    return handed


async def _append(connection: Driver, tenant_id: int, change: Change, handed: _Handed) -> None:
    known, amended, stream = change.known, change.amended, task_stream(change.task_id)
    told: dict[str, list[Event]] = {}
    for task, item in amended.items.items():
        told[task_stream(task)] = [TaskRestated(leaves_item=item, cause_stream=stream)]
    for cycle, member in amended.members.items():
        restated = MemberRestated(
            plan=known.plan_id,
            cycle=cycle,
            member=known.member_id,
            leaves_member=member,
            cause_stream=stream,
        )
        told[plan_member_stream(known.plan_id, cycle, known.member_id)] = [restated]
    for task, (_, event) in handed.items():
        if task != change.task_id:
            told[task_stream(task)].append(event)
    own = [_new(amended.event, change, change.command.occurred_at, change.command.performed_by)]
    own += [_new(event, change) for task, (_, event) in handed.items() if task == change.task_id]
    # The report by itself: a command is found again by the stream of its item.
    batches = [("", [StreamBatch(stream, own, known.heads[stream])])]
    if told:
        others = [
            StreamBatch(name, [_new(event, change) for event in events], known.heads[name])
            for name, events in told.items()
        ]
        batches.append(("/restated", others))
    for suffix, batch in batches:
        appended = await append(
            connection,
            tenant_id=tenant_id,
            command_id=f"{change.command.command_id}{suffix}",
            known_at=change.command.known_at,
            batches=batch,
        )
        if appended.duplicate:
            raise Conflict("the command was used at the same moment: read again")


def _new(event: Event, change: Change, occurred_at: datetime | None = None, credit: str = "") -> NewEvent:
    at = occurred_at or change.command.known_at
    return NewEvent(event.type, event.payload(), at, change.command.actor, credit)


async def _supersede(connection: Driver, tenant_id: int, change: Change, version: int) -> None:
    event = change.amended.event
    voided = not isinstance(event, CheckInCorrected)
    done = await connection.fetchval(
        "SELECT supersede_check_in($1, $2, $3, $4, $5, $6)",
        change.task_id,
        change.supersedes,
        version,
        change.command.known_at,
        change.command.actor if voided else None,
        event.why if voided else None,
    )
    if not done:
        raise LookupError(
            f"{tenant_id}: check-in {change.supersedes} of item {change.task_id} is not projected"
        )


async def _insert(
    connection: Driver, tenant_id: int, change: Change, event: CheckedIn | CheckInCorrected, version: int
) -> None:
    await connection.execute(
        """
        INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at,
                              known_at, business_date, channel, outcome, reached, grade, products, next_on, note_id,
                              conflict, late, skew_s, corrects, why_id, device_id, evidence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                $25)""",
        tenant_id,
        change.task_id,
        version,
        event.plan,
        event.cycle,
        event.member,
        UUID(change.command.performed_by),
        change.command.actor,
        change.command.occurred_at,
        change.command.known_at,
        event.business_date,
        event.channel,
        event.outcome,
        event.reached,
        event.grade,
        list(event.products),
        event.next_on,
        event.note,
        event.conflict or None,
        event.late,
        event.skew_s,
        change.supersedes,
        event.why,
        event.device,
        event.evidence or None,
    )


async def _update_items(connection: Driver, tenant_id: int, items: Mapping[UUID, ItemStanding]) -> None:
    await connection.execute(
        """
        UPDATE task SET state = s.state, reason = s.reason, due_on = s.due_on, attempts = s.attempts,
               last_attempt_on = s.last_attempt_on
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::date[], $6::int[], $7::date[])
            AS s(task_id, state, reason, due_on, attempts, last_attempt_on)
        WHERE task.tenant_id = $1 AND task.task_id = s.task_id""",
        tenant_id,
        list(items),
        *([getattr(item, name) for item in items.values()] for name in _ITEM),
    )


async def _move(connection: Driver, tenant_id: int, moved: Mapping[UUID, TaskReassigned]) -> None:
    if moved:
        await connection.execute(
            "UPDATE task SET guide_id = m.guide_id, lent = m.lent"
            " FROM unnest($2::uuid[], $3::uuid[], $4::bool[]) AS m(task_id, guide_id, lent)"
            " WHERE task.tenant_id = $1 AND task.task_id = m.task_id",
            tenant_id,
            list(moved),
            [event.guide for event in moved.values()],
            [event.lent for event in moved.values()],
        )


async def _update_members(
    connection: Driver, tenant_id: int, known: Known, members: Mapping[int, MemberStanding]
) -> None:
    await connection.execute(
        """
        UPDATE plan_member pm SET grade = s.grade, dial_days = s.dial_days, last_dial_on = s.last_dial_on,
               last_reached_at = s.last_reached_at
        FROM unnest($4::int[], $5::text[], $6::int[], $7::date[], $8::timestamptz[])
            AS s(cycle, grade, dial_days, last_dial_on, last_reached_at)
        WHERE pm.tenant_id = $1 AND pm.plan_id = $2 AND pm.member_id = $3 AND pm.cycle = s.cycle""",
        tenant_id,
        known.plan_id,
        known.member_id,
        list(members),
        *([getattr(member, name) for member in members.values()] for name in _MEMBER),
    )


_ITEM = ("state", "reason", "due_on", "attempts", "last_attempt_on")
_MEMBER = ("grade", "dial_days", "last_dial_on", "last_reached_at")
