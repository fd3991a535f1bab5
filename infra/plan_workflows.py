"""Starting and telling the workflow of a plan, for entry points that change plans.

The ledger decides, and is written first: what goes wrong here stops no command. Whoever was not reached
reads the plan again by itself, or is told by giving the command again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum

import structlog
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

ANSWER_S = 10.0
"""How long Temporal may take to answer, connecting included."""

log = structlog.get_logger(__name__)


class Told(Enum):
    """What came of starting or telling a workflow."""

    YES = "yes"
    NOT_NEEDED = "not_needed"
    """It runs already and need not be started, or none runs that could be told."""
    UNREACHABLE = "unreachable"
    NOT_SET = "not_set"

    def as_json(self) -> bool | None:
        """Whether it was started or told now; None where no Temporal is set."""
        return None if self is Told.NOT_SET else self is Told.YES


async def start_plan(settings: Settings, plan_id: str) -> Told:
    """Start the plan's workflow; `NOT_NEEDED` if it runs already or has run to its end."""
    return await try_temporal(settings, lambda client: _start(client, plan_id))


async def tell_changed(settings: Settings, plan_id: str) -> Told:
    """Tell the plan's workflow to read its plan again; `NOT_NEEDED` if none is running."""
    return await try_temporal(settings, lambda client: signal_changed(client, plan_id))


async def try_temporal(settings: Settings, tell: Callable[[Client], Awaitable[bool]]) -> Told:
    """What came of telling Temporal something; `tell` answers whether it was needed. Never fails."""
    if settings.temporal_address is None:
        return Told.NOT_SET
    try:
        async with asyncio.timeout(ANSWER_S):
            told = await tell(await connect(settings))
    except (Unavailable, RPCError, OSError, RuntimeError, ValueError) as error:
        log.warning("temporal_not_told", reason=f"{type(error).__name__}: {error}")
        return Told.UNREACHABLE
    return Told.YES if told else Told.NOT_NEEDED


async def _start(client: Client, plan_id: str) -> bool:
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


async def signal_changed(client: Client, plan_id: str) -> bool:
    """Signal the plan's workflow to read its plan again; False if none is running."""
    try:
        await client.get_workflow_handle(workflow_id(plan_id)).signal(PlanWorkflow.changed)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True


def workflow_id(plan_id: str) -> str:
    """The id of a plan's workflow."""
    return f"plan/{plan_id}"
