"""Act on people: another guide takes over in a running plan. A command, ledger first; no workflow is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from activities.assignment import guides_on_duty, members_to_assign, strategy_rules
from domain import act
from domain.assignment import AssignmentResult
from domain.assignment import replace_guide as hand_over
from domain.errors import Problem, Refused
from domain.events import MemberAssigned
from domain.plan import Plan
from ledger import facts
from ledger.cycles import members_with_guides, reassign_members
from ledger.door import Driver
from ledger.ledger import Command
from ledger.plans import FINAL, PlanState, adjust, read_plan
from ledger.tasks import Leaving, Moving, change_tasks, open_tasks_of_guide


@dataclass(frozen=True, slots=True)
class Replacement:
    """What a replacement moved. `unassigned` members found nobody: their open items expire, and still count as due."""

    members: int
    tasks: int
    unassigned: int


async def replace_guide(  # noqa: PLR0913 - who, whom, when, why
    connection: Driver,
    tenant_id: int,
    command: Command,
    *,
    plan_id: str,
    leaving: str,
    replacement: str,
    today: date,
    reason: str,
    figures: Mapping[str, Any],
) -> Replacement:
    """Hand a guide's members and open items over; guides are named by code. Call it in a transaction.

    The replacement takes as many as there is room for, the rest go by the plan's strategies. History and
    credit stay with whoever did the work.

    Raises:
        Refused: unknown guides, a closed plan, or a replacement who is on leave or not active.
        NotFound: no such plan.
    """
    standing = await read_plan(connection, tenant_id, plan_id)
    if standing.status in FINAL:
        raise Refused([Problem("plan", plan_id, "plan_ended", {"status": standing.status})])
    by_code = {guide.code: guide for guide in await facts.guides(connection, tenant_id)}
    unknown = [
        Problem(field, code, "unknown_guide", {"nearest": "—"})
        for field, code in (("leaving", leaving), ("replacement", replacement))
        if code not in by_code
    ]
    if unknown:
        raise Refused(unknown)
    adjusted = act.replace_guide(
        standing.plan, leaving=leaving, replacement=replacement, reason=reason, figures=figures
    )
    if (await adjust(connection, tenant_id, command, standing, adjusted)).duplicate:
        return Replacement(0, 0, 0)
    plan = Plan.model_validate(adjusted.spec)
    before = by_code[leaving].guide_id
    results = await _hand_over(
        connection, tenant_id, standing, plan, before, by_code[replacement].guide_id, command, today
    )
    tasks = await _move_tasks(connection, tenant_id, command, plan_id, before, results)
    gone = sum(result.guide_id is None for result in results)
    return Replacement(members=len(results) - gone, tasks=tasks, unassigned=gone)


async def _hand_over(
    connection: Driver,
    tenant_id: int,
    standing: PlanState,
    plan: Plan,
    before: UUID,
    after: UUID,
    command: Command,
    today: date,
) -> list[AssignmentResult]:
    known = await members_with_guides(connection, tenant_id, plan.plan, standing.cycle)
    values = {member: cared.value_minor for member, cared in known.items()}
    roster = await guides_on_duty(connection, tenant_id, plan, today=today)
    try:
        results = hand_over(
            {str(member): str(cared.guide_id) for member, cared in known.items()},
            str(before),
            str(after),
            await members_to_assign(connection, tenant_id, plan, values, at=command.known_at),
            roster,
            strategy_rules(plan),
        )
    except ValueError as error:
        raise Refused([Problem("replacement", str(after), "replacement_not_on_duty")]) from error
    moved = [result for result in results if known[UUID(result.member_id)].guide_id == before]
    events = [
        MemberAssigned(
            plan=plan.plan,
            cycle=standing.cycle,
            member=UUID(result.member_id),
            guide=UUID(result.guide_id) if result.guide_id else None,
            strategy=result.strategy,
            why=result.why,
            value_minor=values[UUID(result.member_id)],
            quadrant=known[UUID(result.member_id)].quadrant,
            score=result.score,
            runner_up=UUID(result.runner_up) if result.runner_up else None,
            full=tuple(UUID(guide) for guide in result.full[:5]),
            tried=result.tried,
        )
        for result in moved
    ]
    moves = Command(f"{command.command_id}/members", command.occurred_at, command.known_at, command.actor)
    await reassign_members(connection, tenant_id, moves, events)
    return moved


async def _move_tasks(
    connection: Driver,
    tenant_id: int,
    command: Command,
    plan_id: str,
    before: UUID,
    results: Sequence[AssignmentResult],
) -> int:
    guide_of = {UUID(result.member_id): result.guide_id for result in results}
    moving, leaving = [], []
    for task_id, member_id, attempts in await open_tasks_of_guide(
        connection, tenant_id, plan_id=plan_id, guide_id=before
    ):
        after = guide_of.get(member_id)
        if after is None:
            leaving.append(Leaving(task_id, attempts, "expired", "no_guide"))
        else:
            moving.append(Moving(task_id, attempts, before, UUID(after)))
    tasks = Command(f"{command.command_id}/tasks", command.occurred_at, command.known_at, command.actor)
    await change_tasks(connection, tenant_id, tasks, leaving=leaving, moving=moving)
    return len(moving)
