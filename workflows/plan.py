"""A plan's life: select, assign, let the days pass, check, act, and on to the next cycle."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from temporalio import workflow

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

# A signal may be lost (Temporal was down, the teller was killed), so the plan is read again without one.
REREAD = timedelta(days=1)
REREAD_PAUSED = timedelta(hours=1)
REREAD_PAUSED_AT_MOST = timedelta(hours=6)

WAIT_FOR_DAYS = timedelta(minutes=5)
WAIT_FOR_DAYS_AT_MOST = timedelta(hours=1)
OVERDUE = timedelta(hours=1)
"""So long after its close a day is not waited for any longer: the Check closes it."""

Milestone = Literal["opens_at", "checks_at"]


@workflow.defn(name="PlanWorkflow")
class PlanWorkflow:
    """Waits for dates and decisions; the ledger decides. One run a cycle, more where its history grows long."""

    @workflow.init
    def __init__(self, run: PlanRun) -> None:
        self._run = run
        self._changed = False

    @workflow.run
    async def run(self, run: PlanRun) -> PlanOutcome:
        """One cycle, then the next by continue-as-new; the last one waits until every cycle's figures are final."""
        if run.ending:
            return await self._end()
        if not run.opened:
            plan = await self._reach("opens_at")
            if plan.status == "closed":
                return await self._end()
            await workflow.execute_activity(
                "start_cycle",
                self._step(stamp(plan.opens_at, run.time)),
                result_type=CycleOpened,
                **SET_BASED,
            )
            self._run = self._run.model_copy(update={"opened": True})
        plan = await self._reach("checks_at")
        await self._days_closed(plan)
        checked_at = self._closing(plan, plan.checks_at)
        await workflow.execute_activity(
            "check_cycle", self._step(checked_at), result_type=Checked, **SET_BASED
        )
        await workflow.execute_activity(
            "act_on_check", self._step(checked_at), result_type=Acted, **SET_BASED
        )
        if plan.status != "closed" and run.cycle < plan.cycles:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(self._run.model_copy(update={"cycle": run.cycle + 1, "opened": False}))
        return await self._end()

    @workflow.signal
    def changed(self) -> None:
        """The plan's stream changed: read it again before the next step."""
        self._changed = True

    async def _reach(self, milestone: Milestone) -> PlanView:
        """Wait for a date of the plan as it stands; a paused plan waits for its resumption, a closed one returns."""
        pause = REREAD_PAUSED
        while True:
            plan = await self._look()
            instant: datetime = getattr(plan, milestone)
            left = remaining(instant, self._run.time)
            if plan.status == "closed" or (plan.status != "paused" and left <= timedelta(0)):
                return plan
            if plan.status == "paused":
                left, pause = pause, min(2 * pause, REREAD_PAUSED_AT_MOST)
            await self._wait(plan, left)

    async def _end(self) -> PlanOutcome:
        """Wait until every cycle is settled: pausing or closing a plan does not stop the counting."""
        self._run = self._run.model_copy(update={"ending": True})
        while (plan := await self._look()).next_settle_at is not None:
            await self._wait(plan, REREAD)
        await workflow.wait_condition(workflow.all_handlers_finished)
        cycles = self._run.cycle if self._run.opened else self._run.cycle - 1
        return PlanOutcome(cycles=cycles, status=plan.status)

    async def _look(self) -> PlanView:
        """The plan as it stands, after settling the cycles whose last window has closed."""
        while True:
            if workflow.info().is_continue_as_new_suggested():
                await workflow.wait_condition(workflow.all_handlers_finished)
                workflow.continue_as_new(self._run)
            self._changed = False
            plan: PlanView = await workflow.execute_activity(
                "read_plan", self._run, result_type=PlanView, **READ
            )
            due = plan.next_settle_at
            if due is None or remaining(due, self._run.time) > timedelta(0):
                return plan
            await workflow.execute_activity(
                "settle_cycles",
                self._step(stamp(due, self._run.time)),
                result_type=SettledCycles,
                **SET_BASED,
            )

    async def _wait(self, plan: PlanView, left: timedelta) -> None:
        """Until `left` has passed, a cycle is to be settled, the plan changed, or it is time to read it again."""
        if plan.next_settle_at is not None:
            left = min(left, remaining(plan.next_settle_at, self._run.time))
        try:
            await workflow.wait_condition(lambda: self._changed, timeout=min(left, REREAD))
        except TimeoutError:
            return

    async def _days_closed(self, plan: PlanView) -> None:
        """Wait for the cycle's guide-days, but not for one that does not close: the Check then does it."""
        step = self._step(plan.checks_at)
        pause = WAIT_FOR_DAYS
        while True:
            open_days: OpenDays = await workflow.execute_activity(
                "count_open_days", step, result_type=OpenDays, **READ
            )
            if open_days.count == 0 or open_days.closes_at is None:
                return
            left = remaining(open_days.closes_at + OVERDUE, self._run.time)
            if left <= timedelta(0):
                return
            await workflow.sleep(min(pause, left))
            pause = min(2 * pause, WAIT_FOR_DAYS_AT_MOST)

    def _closing(self, plan: PlanView, planned: datetime) -> datetime:
        if plan.status == "closed":
            return min(planned, business_now(self._run.time))
        return stamp(planned, self._run.time)

    def _step(self, at: datetime) -> PlanStep:
        return PlanStep(
            plan_id=self._run.plan_id, cycle=self._run.cycle, at=at, rehearsal=self._run.time.rehearsal
        )
