"""Starting the `SealWorkflow`, and asking it what it remembers."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from domain.errors import Unavailable
from domain.messages import SealedRoot, SealRun
from infra.settings import Settings
from infra.temporal_client import connect
from infra.temporal_mark import is_marked
from ledger.anchors import Anchor
from workflows.options import PLANS
from workflows.seal import SealWorkflow

SEAL_ID = "seal"
"""One brand has one namespace, so one id is enough."""
WHERE = "Temporal"
ANSWER_S = 10.0

log = structlog.get_logger(__name__)


async def start_seal_workflow(client: Client, *, restart: bool = False) -> bool:
    """Start it where it does not run; False if it does. Started anew, it forgets what it remembered."""
    try:
        await client.start_workflow(
            SealWorkflow.run,
            SealRun(),
            id=SEAL_ID,
            task_queue=PLANS,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=(
                WorkflowIDConflictPolicy.TERMINATE_EXISTING if restart else WorkflowIDConflictPolicy.FAIL
            ),
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def remembered_anchors(settings: Settings, *, mark: str | None = None) -> list[Anchor] | None:
    """What Temporal remembers, to be held against the ledger; None: there is none to ask, or it does not answer.

    Args:
        settings: where it is.
        mark: of the ledger's brand, where another database of the home may be Temporal's; that one's seals are not asked for.
    """
    if settings.temporal_address is None:
        return None
    try:
        async with asyncio.timeout(ANSWER_S):
            client = await connect(settings)
            if mark is not None and not await is_marked(client, mark):
                return None
            run = await client.get_workflow_handle(SEAL_ID).query(
                SealWorkflow.remembered, rpc_timeout=timedelta(seconds=ANSWER_S)
            )
    except (Unavailable, RPCError, OSError, RuntimeError, TimeoutError) as error:
        log.warning("temporal_not_asked", reason=f"{type(error).__name__}: {error}")
        return None
    return [_anchor(one) for one in (run.last, run.contradicted) if one is not None]


def _anchor(told: SealedRoot) -> Anchor:
    return Anchor(told.position, bytes.fromhex(told.root), bytes.fromhex(told.seal), told.sealed_at, WHERE)
