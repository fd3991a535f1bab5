"""Commands on plans, ledger first: launch, pause, resume, close, recall, confirm, adjust. No workflow is needed.

Each is one short transaction (a recall takes its items off in chunks after it). Given again with the same key it
changes nothing and says so. Telling the plan's workflow is the caller's, and may fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from activities.asked import Asked
from activities.plan_hours import look_at_hours
from activities.plans import plan_zone
from activities.replacing import Replacement, replace_guide
from domain.act import adjust_goal, tune_means
from domain.calendar import business_date
from domain.errors import Conflict, Problem, Refused
from domain.events import PlanAdjusted
from domain.plan import Plan
from domain.playbook import check_plan, nearest
from ledger.cycles import read_check
from ledger.door import Driver, command_used
from ledger.ledger import Command, Ledger
from ledger.plans import (
    FINAL,
    PlanState,
    adjust,
    change_status,
    launch,
    launched_before,
    read_plan,
    references,
)
from ledger.plans import confirm_canary as write_confirmation
from ledger.tasks import Leaving, change_tasks, open_tasks_of_plan

CHUNK = 2_000
"""Items that a recall takes off in one transaction."""
TRIES = 5
"""How often a chunk is read anew because check-ins came in between."""

Decide = Callable[[Plan, Mapping[str, Any]], PlanAdjusted]
"""From the plan as it stands and the figures that speak for the change, to what is adjusted."""


@dataclass(frozen=True, slots=True)
class PlanActed:
    """How the plan stands after a command; `duplicate` says that this very request had been done before."""

    plan_id: str
    status: str
    version: int
    duplicate: bool
    change: Mapping[str, Any] = field(default_factory=dict)
    """What was adjusted: {what: {before, after}}."""


async def launch_plan(ledger: Ledger, plan: Plan, asked: Asked, *, canary: tuple[str, ...] = ()) -> PlanActed:
    """Launch a plan after checking it against the brand; the very playbook launched before is a duplicate.

    Raises:
        Refused: what is missing or unknown in it, all of it; or a plan of this name runs with another playbook.
    """
    async with ledger.connection() as connection:
        there = await launched_before(connection, ledger.tenant_id, plan, canary)
        if not there:
            known = await references(connection, ledger.tenant_id)
            zone = await plan_zone(connection, ledger.tenant_id, plan)
            problems = list(check_plan(plan, references=known, today=business_date(asked.at, zone)))
            problems += [
                Problem("canary", store, "unknown_store", {"nearest": nearest(store, known.stores) or "—"})
                for store in canary
                if store not in known.stores
            ]
            problems += (await look_at_hours(connection, ledger.tenant_id, plan)).problems
            if problems:
                raise Refused(problems)
    if not there:
        async with ledger.transaction() as connection:
            command = Command(f"plan/{plan.plan}/launch", asked.at, asked.at, asked.actor)
            appended = await launch(connection, ledger.tenant_id, command, plan, canary=canary)
        there = appended.duplicate
    async with ledger.connection() as connection:
        standing = await read_plan(connection, ledger.tenant_id, plan.plan)
    return PlanActed(plan.plan, standing.status, standing.version, there)


async def change_plan_status(
    ledger: Ledger,
    plan_id: str,
    status: Literal["paused", "running", "closed", "recalled"],
    reason: str,
    asked: Asked,
) -> PlanActed:
    """Pause, resume (`running`) or close a plan.

    Raises:
        Refused: there is no reason given, or the plan stands there or is at its end already.
        NotFound: no such plan.
        Conflict: somebody else changed the plan at the same moment.
    """
    _refuse_without_reason(reason)
    async with ledger.transaction() as connection:
        standing = await read_plan(connection, ledger.tenant_id, plan_id)
        command = _command(standing, status, asked)
        if asked.key and await command_used(connection, ledger.tenant_id, command.command_id):
            return PlanActed(plan_id, standing.status, standing.version, duplicate=True)
        appended = await change_status(
            connection, ledger.tenant_id, command, plan_id, status=status, reason=reason
        )
    return PlanActed(plan_id, status, appended.version, appended.duplicate)


async def recall_plan(ledger: Ledger, plan_id: str, reason: str, asked: Asked) -> PlanActed:
    """Undo a wrong launch: from now on nothing of the plan reaches anybody, and its open items are withdrawn.

    What has been done stays and counts. Given again it finishes what a killed one left open.

    Raises:
        Refused: there is no reason given, or the plan is closed already.
        NotFound: no such plan.
    """
    _refuse_without_reason(reason)
    async with ledger.connection() as connection:
        standing = await read_plan(connection, ledger.tenant_id, plan_id)
    if standing.status == "recalled":
        acted = PlanActed(plan_id, standing.status, standing.version, duplicate=True)
    else:
        acted = await change_plan_status(ledger, plan_id, "recalled", reason, asked)
    await withdraw_recalled(ledger, plan_id, at=asked.at, actor=asked.actor)
    return acted


async def withdraw_recalled(ledger: Ledger, plan_id: str, *, at: datetime, actor: str) -> int:
    """Take the open items of a recalled plan off every list, in chunks; returns how many."""
    withdrawn = 0
    conflicts = 0
    while True:
        try:
            async with ledger.transaction() as connection:
                left = [
                    Leaving(task_id, attempts, "withdrawn", "recalled")
                    for task_id, attempts in await open_tasks_of_plan(
                        connection, ledger.tenant_id, plan_id=plan_id, limit=CHUNK
                    )
                ]
                if not left:
                    return withdrawn
                # Open items are never in a chunk that is done, so its first one names it.
                command = Command(f"plan/{plan_id}/recall/{left[0].task_id}", at, at, actor)
                await change_tasks(connection, ledger.tenant_id, command, leaving=left)
        except Conflict:
            conflicts += 1
            if conflicts > TRIES:
                raise
        else:
            conflicts = 0
            withdrawn += len(left)


async def confirm_canary(ledger: Ledger, plan_id: str, reason: str, asked: Asked) -> PlanActed:
    """Let a plan that runs in its canary stores go to all of them.

    Raises:
        Refused: there is no reason given, the plan is not in canary, or it is at its end.
        NotFound: no such plan.
        Conflict: somebody else changed the plan at the same moment.
    """
    _refuse_without_reason(reason)
    async with ledger.transaction() as connection:
        standing = await read_plan(connection, ledger.tenant_id, plan_id)
        command = _command(standing, "confirm", asked)
        if asked.key and await command_used(connection, ledger.tenant_id, command.command_id):
            return PlanActed(plan_id, standing.status, standing.version, duplicate=True)
        appended = await write_confirmation(connection, ledger.tenant_id, command, plan_id, reason=reason)
    return PlanActed(plan_id, standing.status, appended.version, appended.duplicate)


async def adjust_goal_of(
    ledger: Ledger, plan_id: str, target: Decimal, reason: str, asked: Asked
) -> PlanActed:
    """Act on the goal: raise or lower its number; errors as `change_plan_status`."""
    if not target.is_finite():
        raise Refused([Problem("goal.target", str(target), "not_a_number")])
    return await _adjust(
        ledger,
        plan_id,
        "goal",
        lambda plan, figures: adjust_goal(plan, target, reason=reason, figures=figures),
        asked,
    )


async def tune_means_of(
    ledger: Ledger, plan_id: str, *, script: str | None, lead_days: int | None, reason: str, asked: Asked
) -> PlanActed:
    """Act on the means: a new script (its version counts up) or other lead days; errors as `change_plan_status`."""
    return await _adjust(
        ledger,
        plan_id,
        "means",
        lambda plan, figures: tune_means(
            plan, script=script, lead_days=lead_days, reason=reason, figures=figures
        ),
        asked,
    )


async def replace_guide_in(
    ledger: Ledger, plan_id: str, leaving: str, replacement: str, reason: str, asked: Asked
) -> tuple[PlanActed, Replacement]:
    """Act on people: another guide takes over; guides are named by code. Errors as `replace_guide`."""
    _refuse_without_reason(reason)
    async with ledger.transaction() as connection:
        standing = await read_plan(connection, ledger.tenant_id, plan_id)
        command = _command(standing, "people", asked)
        if asked.key and await command_used(connection, ledger.tenant_id, command.command_id):
            done_before = PlanActed(plan_id, standing.status, standing.version, duplicate=True)
            return done_before, Replacement(0, 0, 0)
        zone = await plan_zone(connection, ledger.tenant_id, standing.plan)
        done = await replace_guide(
            connection,
            ledger.tenant_id,
            command,
            plan_id=plan_id,
            leaving=leaving,
            replacement=replacement,
            today=business_date(asked.at, zone),
            reason=reason,
            figures=await latest_figures(connection, ledger.tenant_id, standing),
        )
        after = await read_plan(connection, ledger.tenant_id, plan_id)
    return PlanActed(plan_id, after.status, after.version, duplicate=False), done


async def _adjust(ledger: Ledger, plan_id: str, lever: str, decide: Decide, asked: Asked) -> PlanActed:
    async with ledger.transaction() as connection:
        standing = await read_plan(connection, ledger.tenant_id, plan_id)
        command = _command(standing, lever, asked)
        if asked.key and await command_used(connection, ledger.tenant_id, command.command_id):
            return PlanActed(plan_id, standing.status, standing.version, duplicate=True)
        if standing.status in FINAL:
            raise Refused([Problem("plan", plan_id, "plan_closed")])
        adjusted = decide(standing.plan, await latest_figures(connection, ledger.tenant_id, standing))
        appended = await adjust(connection, ledger.tenant_id, command, standing, adjusted)
        if appended.duplicate:
            raise Conflict(f"plan {plan_id}: version {standing.version} was adjusted already")
    return PlanActed(plan_id, standing.status, appended.version, duplicate=False, change=adjusted.change)


async def latest_figures(connection: Driver, tenant_id: int, standing: PlanState) -> Mapping[str, Any]:
    """The total of the newest stored Check; empty before the first."""
    for cycle in range(standing.cycle, 0, -1):
        for kind in ("settled", "provisional"):
            stored = await read_check(connection, tenant_id, standing.plan.plan, cycle, kind)
            if stored is not None:
                return dict(stored[2]["total"])
    return {}


def _command(standing: PlanState, what: str, asked: Asked) -> Command:
    # Without a key of the asker, the version decided on names the request: two at once cannot both pass.
    told = f"key/{asked.key}" if asked.key else str(standing.version)
    return Command(f"plan/{standing.plan.plan}/{told}/{what}", asked.at, asked.at, asked.actor)


def _refuse_without_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])
