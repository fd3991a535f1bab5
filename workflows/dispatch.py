"""The day of a time zone and release hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import (
        Cut,
        DayOutcome,
        DayRun,
        DayStep,
        DayView,
        EscalatedGuides,
        NudgedGuides,
        Settled,
        Slot,
        Started,
    )
    from workflows.business_clock import business_now, sleep_until, stamp
    from workflows.options import FAN_OUT, READ, STEP_OF_THE_DAY
    from workflows.patches import NUDGE_A_LITTLE_LATE, SKIP_A_DAY_THAT_IS_OVER

LATE_NUDGE = timedelta(hours=1)
"""A slot that an outage delayed is nudged so long after its time; once, whoever had nudged before."""


@workflow.defn(name="DispatchWorkflow")
class DispatchWorkflow:
    """Settles what was bought, cuts the lists, starts the guides' days, nudges at each slot, and tells upwards what stays open.

    Its history does not grow with guides or items: each step is one set-based activity.
    """

    @workflow.init
    def __init__(self, run: DayRun) -> None:
        self._run = run

    @workflow.run
    async def run(self, run: DayRun) -> DayOutcome:
        """The day, from the release hour to the last word about it; the guide-days close themselves."""
        day: DayView = await workflow.execute_activity(
            "read_day", self._step(business_now(run.time)), result_type=DayView, **READ
        )
        if not day.working:
            return DayOutcome()
        if workflow.patched(SKIP_A_DAY_THAT_IS_OVER) and self._over(day.closes_at):
            return DayOutcome()
        await sleep_until(day.opens_at, run.time)
        opened = self._step(stamp(day.opens_at, run.time))
        await workflow.execute_activity("settle_purchases", opened, result_type=Settled, **STEP_OF_THE_DAY)
        cut: Cut = await workflow.execute_activity("cut_lists", opened, result_type=Cut, **STEP_OF_THE_DAY)
        if cut.lists == 0:
            return DayOutcome()
        await workflow.execute_activity("start_guide_days", opened, result_type=Started, **FAN_OUT)
        nudges = 0
        grace = LATE_NUDGE if workflow.patched(NUDGE_A_LITTLE_LATE) else timedelta(0)
        for number, slot in enumerate(day.slots):
            if self._over(slot.at + grace):
                continue  # after an outage nobody is reminded of a past hour
            later = [one.at for one in day.slots[number + 1 :] if one.escalate_to == slot.escalate_to]
            if grace and later and self._over(later[0]):
                continue  # nor twice at once: the later slot says all
            await sleep_until(slot.at, run.time)
            if slot.escalate_to:
                await self._escalate(stamp(slot.at, run.time), slot)
            else:
                nudges += await self._nudge(stamp(slot.at, run.time), slot.name)
        return DayOutcome(lists=cut.lists, nudges=nudges)

    async def _nudge(self, at: datetime, slot: str) -> int:
        step = self._step(at, slot)
        await workflow.execute_activity("settle_purchases", step, result_type=Settled, **STEP_OF_THE_DAY)
        nudged: NudgedGuides = await workflow.execute_activity(
            "nudge_guides", step, result_type=NudgedGuides, **STEP_OF_THE_DAY
        )
        return nudged.guides

    async def _escalate(self, at: datetime, slot: Slot) -> None:
        step = self._step(at, slot.name).model_copy(
            update={"escalate_to": slot.escalate_to, "open_percent": slot.open_percent}
        )
        await workflow.execute_activity("settle_purchases", step, result_type=Settled, **STEP_OF_THE_DAY)
        await workflow.execute_activity(
            "escalate_open_items", step, result_type=EscalatedGuides, **STEP_OF_THE_DAY
        )

    def _over(self, instant: datetime) -> bool:
        return instant < business_now(self._run.time) and not self._run.time.rehearsal

    def _step(self, at: datetime, slot: str = "") -> DayStep:
        run = self._run
        return DayStep(
            day=run.day,
            time_zone=run.time_zone,
            release=run.release,
            at=at,
            slot=slot,
            rehearsal=run.time.rehearsal,
            offset_seconds=run.time.offset_seconds,
        )
