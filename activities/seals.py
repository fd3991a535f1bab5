"""Sealing what is new, and carrying the seal out of the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from temporalio import activity

from activities.context import Context
from domain.messages import SealedRoot, SealRun
from ledger.ledger import Ledger
from ledger.seal_messages import queue_seal
from ledger.seals import Seal, Unsealable, last_seal, seal_new

Keep = Callable[[Seal], Awaitable[object]]
"""Keeps a seal outside the database; may fail with OSError, and is then asked again with the next."""

log = structlog.get_logger(__name__)


async def keep_nowhere(_seal: Seal) -> None:
    """Where nothing outside is set, as in tests."""


class SealActivities:
    """The steps of the `SealWorkflow`."""

    def __init__(self, context: Context, keep: Keep = keep_nowhere) -> None:
        self._context = context
        self._keep = keep

    @activity.defn(name="seal_ledger")
    async def seal_ledger(self, run: SealRun) -> SealRun:
        """Seal what is new and keep the seal outside; gives what the workflow is to remember."""
        ledger = self._context.ledger
        contradicted = run.contradicted
        if contradicted is None and run.last is not None and not await _still_there(ledger, run.last):
            contradicted = run.last
            log.error("seal_contradicted", position=run.last.position)
        try:
            seal = await seal_and_keep(ledger, self._context.now(), self._keep)
        except Unsealable as error:
            log.error("nothing_sealed", reason=str(error))  # noqa: TRY400 - the reason is for the operator
            return SealRun(last=run.last, contradicted=contradicted, refused=str(error))
        return SealRun(last=None if seal is None else _told(seal), contradicted=contradicted)


async def seal_and_keep(ledger: Ledger, now: datetime, keep: Keep) -> Seal | None:
    """Seal what is new, and keep the newest seal outside the database.

    Raises:
        Unsealable: the ledger is not as its last seal says.
    """
    seal = await seal_new(ledger, now)
    if seal is not None:
        try:
            await keep(seal)
        except OSError as error:
            log.warning("seal_not_kept", position=seal.position, reason=str(error))
        await queue_seal(ledger, seal, now)
    return seal


async def _still_there(ledger: Ledger, remembered: SealedRoot) -> bool:
    async with ledger.connection() as connection:
        seal = await last_seal(connection, ledger.tenant_id, up_to=remembered.position)
    return seal is not None and _told(seal) == remembered


def _told(seal: Seal) -> SealedRoot:
    return SealedRoot(
        position=seal.position, root=seal.root.hex(), seal=seal.seal_hash.hex(), sealed_at=seal.sealed_at
    )
