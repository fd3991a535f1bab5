"""What a Schedule starts at a release hour: the day of its zone, once a date."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from domain.calendar import business_date
    from domain.messages import DayRun, Released, ReleaseRun
    from workflows.dispatch import DispatchWorkflow

SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")


@workflow.defn(name="ReleaseWorkflow")
class ReleaseWorkflow:
    """Its date is that of the *scheduled* instant, so a start that an outage delayed serves the day it was meant for.

    A Schedule appends an instant to the id of what it starts; the day it starts in turn has the date in its id.
    """

    @workflow.run
    async def run(self, run: ReleaseRun) -> Released:
        """Start the day; it goes on by itself."""
        scheduled = workflow.info().typed_search_attributes.get(SCHEDULED_AT) or workflow.info().start_time
        day = business_date(scheduled, run.time_zone)
        try:
            await workflow.start_child_workflow(
                DispatchWorkflow.run,
                DayRun(day=day, time_zone=run.time_zone, release=run.release),
                id=f"dispatch/{run.time_zone}/{run.release}/{day}",
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            return Released(day=day, started=False)
        return Released(day=day, started=True)
