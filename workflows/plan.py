"""A plan's life: select, assign, let the days pass, check, act, and on to the next cycle."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from domain.messages import (
        Acted,
        Checked,
        CycleOpened,
        OpenDays,
        PlanOutcome,
        PlanRun,
        PlanStep,
        PlanView,
        SettledCycles,
    )
    from workflows.business_clock import business_now, remaining, stamp
    from workflows.options import READ, SET_BASED

WAIT_FOR_DAYS = timedelta(minutes=5)

Milestone = Literal["opens_at", "checks_at", "settles_at"]


@workflow.defn(name="PlanWorkflow", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class PlanWorkflow:
    """Waits for dates and decisions; the ledger decides. One run a cycle."""

    @workflow.init
    def __init__(self, run: PlanRun) -> None:
        self._run = run
        self._changed = False

    @workflow.run
    async def run(self, run: PlanRun) -> PlanOutcome:
        """One cycle, then the next by continue-as-new; the last one waits until its figures are final."""
        plan = await self._reach("opens_at")
        if plan.status == "closed":
            await workflow.wait_condition(workflow.all_handlers_finished)
            return PlanOutcome(cycles=run.cycle - 1, status=plan.status)
        opened_at = stamp(plan.opens_at, run.time)
        await workflow.execute_activity(
            "start_cycle", self._step(opened_at), result_type=CycleOpened, **SET_BASED
        )
        plan = await self._reach("checks_at")
        await self._days_closed(plan)
        checked_at = self._closing(plan, plan.checks_at)
        await workflow.execute_activity(
            "check_cycle", self._step(checked_at), result_type=Checked, **SET_BASED
        )
        await workflow.execute_activity(
            "act_on_check", self._step(checked_at), result_type=Acted, **SET_BASED
        )
        await workflow.wait_condition(workflow.all_handlers_finished)
        if plan.status != "closed" and run.cycle < plan.cycles:
            workflow.continue_as_new(run.model_copy(update={"cycle": run.cycle + 1}))
        plan = await self._reach("settles_at", even_closed=True)
        await self._settle(stamp(plan.settles_at, run.time))
        await workflow.wait_condition(workflow.all_handlers_finished)
        return PlanOutcome(cycles=run.cycle, status=plan.status)

    @workflow.signal
    def changed(self) -> None:
        """The plan's stream changed: read it again before the next step."""
        self._changed = True

    async def _reach(self, milestone: Milestone, *, even_closed: bool = False) -> PlanView:
        """Wait for a date of the plan as it stands; a paused plan waits for its resumption, a closed one returns."""
        while True:
            self._changed = False
            plan: PlanView = await workflow.execute_activity(
                "read_plan", self._run, result_type=PlanView, **READ
            )
            if plan.status == "closed" and not even_closed:
                return plan
            if plan.status == "paused":
                await workflow.wait_condition(lambda: self._changed)
                continue
            instant: datetime = getattr(plan, milestone)
            left = remaining(instant, self._run.time)
            if left <= timedelta(0):
                return plan
            try:
                await workflow.wait_condition(lambda: self._changed, timeout=left)
            except TimeoutError:
                continue

    async def _settle(self, at: datetime) -> None:
        await workflow.execute_activity(
            "settle_cycles", self._step(at), result_type=SettledCycles, **SET_BASED
        )

    async def _days_closed(self, plan: PlanView) -> None:
        step = self._step(plan.checks_at)
        while True:
            open_days: OpenDays = await workflow.execute_activity(
                "count_open_days", step, result_type=OpenDays, **READ
            )
            if open_days.count == 0:
                return
            await workflow.sleep(WAIT_FOR_DAYS)

    def _closing(self, plan: PlanView, planned: datetime) -> datetime:
        if plan.status == "closed":
            return min(planned, business_now(self._run.time))
        return stamp(planned, self._run.time)

    def _step(self, at: datetime) -> PlanStep:
        return PlanStep(
            plan_id=self._run.plan_id, cycle=self._run.cycle, at=at, rehearsal=self._run.time.rehearsal
        )
