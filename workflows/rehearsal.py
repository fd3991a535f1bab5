"""A rehearsal: the plan's own workflows on a server that skips time, with simulated guides."""

from __future__ import annotations

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import (
        DayOutcome,
        DayRun,
        PlanOutcome,
        PlanRun,
        RehearsalOutcome,
        RehearsalRun,
        RehearsalView,
        RehearsedDay,
        Shift,
        Worked,
    )
    from workflows.business_clock import sleep_until
    from workflows.dispatch import DispatchWorkflow
    from workflows.options import DAYS, FAN_OUT, PLANS, READ
    from workflows.plan import PlanWorkflow


@workflow.defn(name="RehearsalWorkflow")
class RehearsalWorkflow:
    """Stands in for the Schedule and for the people; everything else is what runs live.

    It is awaited once, and holds everything the server's skipping clock has to wait for.
    """

    @workflow.init
    def __init__(self, run: RehearsalRun) -> None:
        self._run = run
        self._recorded = 0
        self._refused = 0

    @workflow.run
    async def run(self, run: RehearsalRun) -> RehearsalOutcome:
        """The plan's life beside every zone's days."""
        view: RehearsalView = await workflow.execute_activity(
            "read_rehearsal",
            PlanRun(plan_id=run.plan_id, time=run.time),
            result_type=RehearsalView,
            **READ,
        )
        await sleep_until(view.starts_at, run.time)
        plan = await workflow.start_child_workflow(
            PlanWorkflow.run,
            PlanRun(plan_id=run.plan_id, time=run.time),
            id=f"plan/{run.plan_id}",
            task_queue=PLANS,
        )
        await asyncio.gather(*(self._zone(days) for days in view.zones))
        outcome: PlanOutcome = await plan
        return RehearsalOutcome(
            days=max((len(days) for days in view.zones), default=0),
            check_ins=self._recorded,
            refused=self._refused,
            plan=outcome,
        )

    async def _zone(self, days: tuple[RehearsedDay, ...]) -> None:
        for day in days:
            await self._day(day)

    async def _day(self, day: RehearsedDay) -> None:
        time = self._run.time
        await sleep_until(day.opens_at, time)
        dispatch = await workflow.start_child_workflow(
            DispatchWorkflow.run,
            DayRun(day=day.day, time_zone=day.time_zone, release=day.release, time=time),
            id=f"dispatch/{day.time_zone}/{day.release}/{day.day}",
            task_queue=DAYS,
        )
        after = day.opens_at
        for until in day.shifts:
            await sleep_until(until, time)
            worked: Worked = await workflow.execute_activity(
                "work_shift",
                Shift(seed=self._run.seed, day=day.day, time_zone=day.time_zone, after=after, until=until),
                result_type=Worked,
                **FAN_OUT,
            )
            self._recorded += worked.recorded
            self._refused += worked.refused
            after = until
        outcome: DayOutcome = await dispatch
        workflow.logger.debug("day_rehearsed", extra={"lists": outcome.lists})
