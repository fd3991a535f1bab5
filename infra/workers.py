"""The workers of all queues, wired once: used by worker.py, by rehearsals and by tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.assignment import AssignmentActivities
from activities.check_ins import CheckInActivities
from activities.context import Context
from activities.dispatch import DispatchActivities
from activities.plans import PlanActivities
from activities.purchases import PurchaseActivities
from activities.rehearsal import RehearsalActivities
from activities.reminders import ReminderActivities
from activities.review import ReviewActivities
from activities.seals import Keep, SealActivities, keep_nowhere
from infra.clock import now
from infra.heartbeats import Heartbeats
from ledger.ledger import Ledger
from workflows.dispatch import DispatchWorkflow
from workflows.guide_day import GuideDayWorkflow
from workflows.options import BULK, DAYS, PLANS
from workflows.plan import PlanWorkflow
from workflows.rehearsal import RehearsalWorkflow
from workflows.release import ReleaseWorkflow
from workflows.seal import SealWorkflow

WORKFLOWS: dict[str, Sequence[type]] = {
    PLANS: (PlanWorkflow, SealWorkflow),
    DAYS: (ReleaseWorkflow, DispatchWorkflow, GuideDayWorkflow),
    BULK: (RehearsalWorkflow,),
}
ALL_WORKFLOWS = tuple(workflow for queue in WORKFLOWS.values() for workflow in queue)

DEPLOYMENT = "daogou"
"""Name of the worker deployment, where versioning is on."""

DRAIN = timedelta(seconds=6)
"""How long a stopping worker lets running activities finish; with all else the process ends within 10 s."""


def workflow_runner() -> SandboxedWorkflowRunner:
    """The sandbox, with the pure domain and its pydantic passed through for speed.

    A module that is passed through is not guarded at run time; domain/ruff.toml and the import contracts
    guard it instead.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules("domain", "pydantic", "pydantic_core")
    return SandboxedWorkflowRunner(restrictions=restrictions)


def activities(
    ledger: Ledger, client: Client | None, clock: Callable[[], datetime] = now, *, keep: Keep = keep_nowhere
) -> dict[str, list[Any]]:
    """Every activity by queue."""
    context = Context(ledger, clock)
    plans, assignment, review = (
        PlanActivities(context),
        AssignmentActivities(context),
        ReviewActivities(context),
    )
    purchases, reminders = PurchaseActivities(context), ReminderActivities(context)
    dispatch = DispatchActivities(context, client)
    rehearsal, check_ins = RehearsalActivities(context), CheckInActivities(context)
    return {
        PLANS: [
            plans.read_plan,
            plans.count_open_days,
            assignment.start_cycle,
            review.check_cycle,
            review.settle_cycles,
            review.act_on_check,
            SealActivities(context, keep).seal_ledger,
        ],
        DAYS: [
            dispatch.read_day,
            dispatch.cut_lists,
            dispatch.start_guide_days,
            dispatch.publish_list,
            dispatch.close_day,
            purchases.settle_purchases,
            reminders.nudge_guides,
            reminders.escalate_open_items,
        ],
        BULK: [rehearsal.read_rehearsal, check_ins.work_shift],
    }


@asynccontextmanager
async def running_workers(
    client: Client,
    ledger: Ledger,
    *,
    max_cached_workflows: int = 2_000,
    build_id: str | None = None,
    keep: Keep = keep_nowhere,
) -> AsyncIterator[list[Worker]]:
    """Poll every queue until the block ends, then drain.

    Args:
        client: of the Temporal that runs the workflows.
        ledger: what the activities read and write.
        max_cached_workflows: above the number of workflows that are active at once, for replays are slow.
        build_id: turns on worker versioning (AUTO_UPGRADE); an operator makes the build current. A real server
            refuses workflows annotated with a behaviour from a worker without it, so the behaviour is set here.
        keep: keeps each seal outside the database.
    """
    deployment = build_id and WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )
    by_queue = activities(ledger, client, keep=keep)
    async with AsyncExitStack() as stack:
        workers = [
            Worker(
                client,
                task_queue=queue,
                workflows=WORKFLOWS[queue],
                activities=by_queue[queue],
                workflow_runner=workflow_runner(),
                # A message of the wrong shape fails its run; retrying the task for ever would mend nothing.
                workflow_failure_exception_types=[ValidationError],
                graceful_shutdown_timeout=DRAIN,
                max_cached_workflows=max_cached_workflows,
                deployment_config=deployment or None,
                interceptors=[Heartbeats()],
            )
            for queue in (PLANS, DAYS, BULK)
        ]
        for worker in workers:
            await stack.enter_async_context(worker)
        yield workers
        # All at once: one after the other, each would have the whole time of DRAIN for itself.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
