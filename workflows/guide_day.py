"""The day of one guide with a list that is not empty: publish, wait, close."""

from __future__ import annotations

from datetime import datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import Changed, GuideDayRun, GuideDayStep
    from workflows.business_clock import sleep_until, stamp
    from workflows.options import ONE_TRANSACTION


@workflow.defn(name="GuideDayWorkflow")
class GuideDayWorkflow:
    """12 history events whatever the number of items: check-ins go to the ledger, not through here.

    It is never ended early: an urge, a lead or a hand-over may still come to a finished list.
    """

    @workflow.run
    async def run(self, run: GuideDayRun) -> Changed:
        """Publish at the release hour, close in the evening."""
        await sleep_until(run.opens_at, run.time)
        await workflow.execute_local_activity(
            "publish_list", self._step(run, run.opens_at), result_type=Changed, **ONE_TRANSACTION
        )
        await sleep_until(run.closes_at, run.time)
        closed: Changed = await workflow.execute_local_activity(
            "close_day", self._step(run, run.closes_at), result_type=Changed, **ONE_TRANSACTION
        )
        return closed

    @staticmethod
    def _step(run: GuideDayRun, at: datetime) -> GuideDayStep:
        return GuideDayStep(
            guide_id=run.guide_id, day=run.day, at=stamp(at, run.time), rehearsal=run.time.rehearsal
        )
