"""The Check of a cycle and the Act that follows from it by rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from temporalio import activity

from activities.acting import withdraw_recalled
from activities.context import ENGINE, Context
from activities.plans import open_days_of
from domain.act import adjust_goal, goal_by_result
from domain.errors import Conflict
from domain.events import CycleChecked, GoalDecided
from domain.figures import Figures, add_up, by_store_and_guide
from domain.messages import Acted, Checked, PlanStep, SettledCycles
from ledger import facts
from ledger.closing import close
from ledger.confirmations import Scope, count_claims
from ledger.cycles import read_check, read_cycle, record_check, unsettled_cycles
from ledger.door import Driver, command_used
from ledger.ledger import Ledger
from ledger.plans import adjust, note_decision, read_plan
from ledger.records import Counting, cycle_records
from ledger.sequencer import last_position, sequence, waiting
from ledger.tasks import change_tasks, left_open

SNAPSHOTS = 20
"""How often a snapshot is taken anew because an event got in that has no position yet."""


class ReviewActivities:
    """Check and Act."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="check_cycle")
    async def check_cycle(self, step: PlanStep) -> Checked:
        """Count the cycle as of `step.at`; provisional while attribution windows are open.

        Days that should be closed by then and are not, because their workflow failed or timed out, are closed first.
        """
        await self._finish_recall(step)
        closed = await self._close_overdue_days(step)
        checked = await self._check(step, "provisional")
        return checked.model_copy(update={"closed_days": closed})

    async def _finish_recall(self, step: PlanStep) -> None:
        """A recall that was killed half-way left items open."""
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            standing = await read_plan(connection, ledger.tenant_id, step.plan_id)
        if standing.status == "recalled":
            at = step.at if step.rehearsal else max(step.at, self._context.now())
            await withdraw_recalled(ledger, step.plan_id, at=at, actor=ENGINE)

    async def _close_overdue_days(self, step: PlanStep) -> int:
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            cycle = await read_cycle(connection, ledger.tenant_id, step.plan_id, step.cycle)
            days = [] if cycle is None else await open_days_of(connection, ledger.tenant_id, cycle)
        closed = 0
        for day in days:
            if day.closes_at > step.at:
                continue
            # The command id of `close_day`: whoever comes second changes nothing.
            command = self._context.command(
                f"guide-day/{day.guide_id}/{day.day}/close",
                day.closes_at if step.rehearsal else step.at,
                rehearsal=step.rehearsal,
            )
            async with ledger.transaction() as connection:
                closed += await close(
                    connection, ledger.tenant_id, command, guide_id=day.guide_id, day=day.day
                )
        return closed

    @activity.defn(name="settle_cycles")
    async def settle_cycles(self, step: PlanStep) -> SettledCycles:
        """Count every cycle again whose last window has closed by `step.at`; the first counts stay beside.

        Each is counted as of the close of its own last window, whenever this runs.
        """
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            window = (await read_plan(connection, ledger.tenant_id, step.plan_id)).plan.attribution_window
            due = [
                (cycle, as_of + window)
                for cycle, as_of in await unsettled_cycles(connection, ledger.tenant_id, step.plan_id)
                if as_of + window <= step.at
            ]
        for cycle, at in due:
            await self._check(step.model_copy(update={"cycle": cycle, "at": at}), "settled")
        return SettledCycles(cycles=len(due))

    async def _check(self, step: PlanStep, kind: str) -> Checked:
        ledger = self._context.ledger
        command = self._context.command(
            f"plan/{step.plan_id}/cycle/{step.cycle}/check/{kind}", step.at, rehearsal=step.rehearsal
        )
        # One snapshot: what commits while we count is in neither the position nor any of the figures. Where the
        # plan itself changes meanwhile, the write fails and the activity counts again.
        async with _settled_snapshot(ledger) as connection:
            position = await last_position(connection, ledger.tenant_id)
            figures = await count_cycle(connection, ledger.tenant_id, step)
            checked = CycleChecked(
                cycle=step.cycle, kind=kind, as_of=step.at, position=position, figures=figures
            )
            await record_check(connection, ledger.tenant_id, command, plan_id=step.plan_id, checked=checked)
        return Checked(position=position)

    @activity.defn(name="act_on_check")
    async def act_on_check(self, step: PlanStep) -> Acted:
        """Let the goal follow the result by the plan's rule, and expire what is still open."""
        ledger = self._context.ledger
        key = f"plan/{step.plan_id}/cycle/{step.cycle}"
        async with ledger.transaction() as connection:
            # Decided before, be it to keep the goal: a person may have moved it since. The last two are of cycles
            # that were acted on before decisions to keep were noted.
            for done in (f"{key}/act", f"{key}/act/goal", f"{key}/expire"):
                if await command_used(connection, ledger.tenant_id, done):
                    return Acted(goal="keep", expired=0)
            standing = await read_plan(connection, ledger.tenant_id, step.plan_id)
            stored = await read_check(connection, ledger.tenant_id, step.plan_id, step.cycle, "provisional")
            direction = "keep"
            if stored is not None:
                figures = stored[2]
                direction, target = goal_by_result(standing.plan, Figures(**figures["total"]))
                if direction != "keep":
                    adjusted = adjust_goal(
                        standing.plan, target, reason=f"by rule: {direction}", figures=figures["total"]
                    )
                    command = self._context.command(f"{key}/act/goal", step.at, rehearsal=step.rehearsal)
                    await adjust(connection, ledger.tenant_id, command, standing, adjusted)
            noted = self._context.command(f"{key}/act", step.at, rehearsal=step.rehearsal)
            decided = GoalDecided(cycle=step.cycle, direction=direction)
            await note_decision(connection, ledger.tenant_id, noted, step.plan_id, decided)
            expiring = await left_open(connection, ledger.tenant_id, plan_id=step.plan_id, cycle=step.cycle)
            command = self._context.command(f"{key}/expire", step.at, rehearsal=step.rehearsal)
            await change_tasks(connection, ledger.tenant_id, command, leaving=expiring)
        return Acted(goal=direction, expired=len(expiring))


@asynccontextmanager
async def _settled_snapshot(ledger: Ledger) -> AsyncIterator[Driver]:
    """A snapshot in which every event has its position, so that what is counted in it is what stands up to there.

    Raises:
        Conflict: events kept coming in between the positions and the snapshot; count again.
    """
    for _ in range(SNAPSHOTS):
        async with ledger.connection() as connection:
            await sequence(connection, ledger.tenant_id)
            async with connection.transaction(isolation="repeatable_read"):
                if await waiting(connection, ledger.tenant_id):
                    continue
                yield connection
                return
    raise Conflict("events keep coming in while a Check takes its snapshot: count again")


async def count_cycle(connection: Driver, tenant_id: int, step: PlanStep) -> dict[str, Any]:
    """The figures of a cycle as of `step.at`: total, a row a store, a row a guide; integers only.

    Stores and guides are named by id; the reader puts codes and names to them.
    """
    standing = await read_plan(connection, tenant_id, step.plan_id)
    state = await read_cycle(connection, tenant_id, step.plan_id, step.cycle)
    if state is None:
        raise ValueError(f"cycle: {step.cycle} of {step.plan_id} has not started")
    plan = standing.plan
    start, end = state.span
    categories = await facts.category_ids(connection, tenant_id, plan.members.bought_categories)
    counting = Counting(
        step.plan_id, step.cycle, sorted(categories.values()), start, step.at, plan.attribution_window
    )
    records = await cycle_records(connection, tenant_id, counting)
    zone, window = state.time_zone, plan.attribution_window
    stores, guides = by_store_and_guide(
        records.members, cycle_start=start, cycle_end=end, as_of=step.at, zone=zone, window=window
    )
    counted = await count_claims(
        connection,
        tenant_id,
        Scope(as_of=step.at, plan_id=step.plan_id, cycle=step.cycle, window=window),
    )
    return {
        "total": asdict(add_up(row.figures for row in stores)),
        "stores": [{"store": row.key, **asdict(row.figures)} for row in stores],
        "guides": [{"guide": row.key, **asdict(row.figures)} for row in guides],
        "assigned": records.assigned,
        "tasks": records.tasks,
        "check_ins": records.check_ins,
        "guide_days": records.guide_days,
        "claims": {
            "total": asdict(counted.total),
            "stores": [{"store": key, **asdict(claims)} for key, claims in counted.stores.items()],
            "guides": [{"guide": key, **asdict(claims)} for key, claims in counted.guides.items()],
        },
        "complete_until": {
            kind: None if until is None else until.isoformat()
            for kind, until in counted.complete_until.items()
        },
    }
