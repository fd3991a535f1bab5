"""One brand a Temporal namespace: ids and queues hold no tenant, so two would take each other's days and plans.

The first worker marks the namespace; one of another brand, or of another database, is refused. The mark is a Schedule
that never fires: it is there for good, and describing it is not visibility, which lags.
"""

from __future__ import annotations

import hashlib
import hmac

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Unavailable
from domain.messages import ReleaseRun
from workflows.options import DAYS
from workflows.release import ReleaseWorkflow

MARK = "daogou-brand"


def brand_mark(id_secret: bytes, tenant_id: int) -> str:
    """The brand's mark; it stays the same through backup and restore, and tells nothing."""
    return hmac.digest(id_secret, f"temporal/{tenant_id}".encode(), hashlib.sha256).hex()[:16]


async def is_marked(client: Client, mark: str) -> bool:
    """Whether the namespace is this brand's; one that no worker has marked yet is nobody's."""
    try:
        described = await client.get_schedule_handle(MARK).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.schedule.state.note == mark


async def claim_namespace(client: Client, mark: str) -> None:
    """Mark the namespace as this brand's, or see that it is.

    Raises:
        Unavailable: it serves another brand.
    """
    never = Schedule(
        action=ScheduleActionStartWorkflow(
            ReleaseWorkflow.run, ReleaseRun(time_zone="UTC", release="00:00"), id=MARK, task_queue=DAYS
        ),
        spec=ScheduleSpec(),
        state=ScheduleState(paused=True, note=mark),
    )
    try:
        await client.create_schedule(MARK, never)
    except ScheduleAlreadyRunningError:
        described = await client.get_schedule_handle(MARK).describe()
        if described.schedule.state.note != mark:
            raise Unavailable(
                f"Temporal namespace {client.namespace!r} serves another brand or database:"
                " give each its own (TEMPORAL_NAMESPACE), or end the other and its workflows first"
            ) from None
