"""Starting the workflows of plans and days, with the policies that make a second start harmless."""

from __future__ import annotations

from datetime import date, timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.dispatch import guide_day_workflow_id
from domain.messages import DayRun, GuideDayRun, PlanRun
from infra.plan_workflows import Told, try_temporal, workflow_id
from infra.settings import Settings
from ledger.unfinished import UnfinishedPlan
from workflows.dispatch import DispatchWorkflow
from workflows.guide_day import GuideDayWorkflow
from workflows.options import DAYS, PLANS
from workflows.plan import PlanWorkflow

ONCE = WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY
AGAIN = WorkflowIDReusePolicy.ALLOW_DUPLICATE
GUIDE_DAY_AT_MOST = timedelta(days=4)


async def start_day(settings: Settings, day: date, time_zone: str, release: str) -> Told:
    """Start the day of a zone and release hour by hand; `NOT_NEEDED` if it runs."""
    run = DayRun(day=day, time_zone=time_zone, release=release)
    return await try_temporal(settings, lambda client: start_dispatch(client, run, reuse=AGAIN))


async def start_plan_workflow(client: Client, plan: UnfinishedPlan, *, restart: bool = False) -> bool:
    """Start a plan's workflow where the ledger says it stands; False if it runs and is not to be restarted."""
    try:
        await client.start_workflow(
            PlanWorkflow.run,
            PlanRun(plan_id=plan.plan_id, cycle=plan.cycle, opened=plan.opened),
            id=workflow_id(plan.plan_id),
            task_queue=PLANS,
            id_reuse_policy=AGAIN if restart else ONCE,
            id_conflict_policy=_conflict(restart),
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def start_dispatch(
    client: Client, run: DayRun, *, reuse: WorkflowIDReusePolicy, restart: bool = False
) -> bool:
    """Start a zone's day; False if it runs, or has run and `reuse` is once."""
    try:
        await client.start_workflow(
            DispatchWorkflow.run,
            run,
            id=f"dispatch/{run.time_zone}/{run.release}/{run.day}",
            task_queue=DAYS,
            id_reuse_policy=AGAIN if restart else reuse,
            id_conflict_policy=_conflict(restart),
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def start_guide_day(client: Client, run: GuideDayRun, *, restart: bool = False) -> bool:
    """Start a guide's day again; False if it runs and is not to be restarted."""
    try:
        await client.start_workflow(
            GuideDayWorkflow.run,
            run,
            id=guide_day_workflow_id(run),
            task_queue=DAYS,
            id_reuse_policy=AGAIN,
            id_conflict_policy=_conflict(restart),
            execution_timeout=GUIDE_DAY_AT_MOST,
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


def _conflict(restart: bool) -> WorkflowIDConflictPolicy:
    return WorkflowIDConflictPolicy.TERMINATE_EXISTING if restart else WorkflowIDConflictPolicy.FAIL
