"""Starting and telling the workflow of a plan, for entry points that change plans."""

from __future__ import annotations

import asyncio

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Unavailable
from domain.messages import PlanRun
from infra.settings import Settings
from infra.temporal_client import connect
from workflows.options import PLANS
from workflows.plan import PlanWorkflow

CONNECT_S = 10.0


async def connect_if_set(settings: Settings) -> Client | None:
    """A client of the Temporal the settings name; None where they name none.

    Raises:
        Unavailable: nothing answers there within ten seconds.
    """
    if settings.temporal_address is None:
        return None
    try:
        return await asyncio.wait_for(connect(settings), CONNECT_S)
    except TimeoutError as error:
        raise Unavailable(f"TEMPORAL_ADDRESS = {settings.temporal_address!r} does not answer") from error


async def start_plan(client: Client, plan_id: str) -> bool:
    """Start the plan's workflow; False if it runs already or has run to its end."""
    try:
        await client.start_workflow(
            PlanWorkflow.run,
            PlanRun(plan_id=plan_id),
            id=workflow_id(plan_id),
            task_queue=PLANS,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def tell_changed(client: Client, plan_id: str) -> bool:
    """Tell the plan's workflow to read its plan again; False if none is running."""
    try:
        await client.get_workflow_handle(workflow_id(plan_id)).signal(PlanWorkflow.changed)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise Unavailable("Temporal did not take the signal") from error
    return True


def workflow_id(plan_id: str) -> str:
    """The id of a plan's workflow."""
    return f"plan/{plan_id}"
