"""What a worker process does besides polling Temporal: positions, messages out, and keeping Temporal in line.

Every loop may run in several processes beside each other, and outlives an outage of either server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog
from temporalio.client import Client

from activities.claiming import push_unclaimed_everywhere
from activities.handing_over import settle_staff_changes
from activities.seals import Keep, seal_and_keep
from domain.errors import Conflict
from infra.anchor_file import anchor_path, append_anchor
from infra.clock import now
from infra.databases import ensure_months_ahead
from infra.outbox_sender import run_outbox
from infra.reconciler import Reconciler
from infra.settings import Settings
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger
from ledger.seals import Seal, Unsealable, last_seal
from ledger.sequencer import last_position, sequence

SEQUENCE_EVERY = 0.2
"""Seconds between two looks at what waits for a position."""
SEQUENCE_AT_LEAST_EVERY = 5.0
"""The same while the database does not answer."""

MONTHS_EVERY = 24 * 3600.0
"""Seconds between two looks at the months ahead."""
MONTHS_AGAIN_AFTER = 60.0
"""The same after the database did not answer."""

STAFF_EVERY = 20.0
"""Seconds between two looks at staff changes whose day has come; rights do not wait for it."""

POOLS_EVERY = 30.0
"""Seconds between two looks at what was not claimed by its cut-off."""

SEALS_EVERY = 15.0
"""Seconds between two looks at the seals."""
SEALED_WITHIN = timedelta(minutes=4, seconds=30)
"""The `SealWorkflow` seals every four minutes; where it has not by then, this does."""

log = structlog.get_logger(__name__)


def worker_loops(settings: Settings, client: Client, ledger: Ledger) -> dict[str, Coroutine[Any, Any, None]]:
    """The loops by name; each runs until it is cancelled."""
    return {
        "sequencer": run_sequencer(ledger),
        "outbox": run_outbox(ledger, now=now, language=settings.language),
        "reconciler": Reconciler(client, ledger, now).run(),
        "months": run_months(ledger, now=now),
        "staff": run_staff_changes(ledger),
        "pools": run_pools(ledger),
        "seals": run_seals(ledger, anchor_keeper(settings)),
    }


async def run_staff_changes(ledger: Ledger) -> None:
    """Put staff changes into force when their day comes and move what has to, whether Temporal is there or not."""
    while True:
        try:
            moved = await settle_staff_changes(ledger, now())
            if moved:
                log.info("staff_settled", members=moved)
        except (*DATABASE_LOST, Conflict) as error:
            log.warning("staff_waits", reason=type(error).__name__)
        await asyncio.sleep(STAFF_EVERY)


async def run_pools(ledger: Ledger) -> None:
    """Push what nobody claimed when its cut-off has passed, whether Temporal is there or not."""
    while True:
        try:
            pushed = await push_unclaimed_everywhere(ledger, now())
            if pushed:
                log.info("unclaimed_pushed", items=pushed)
        except (*DATABASE_LOST, Conflict) as error:
            log.warning("pools_wait", reason=type(error).__name__)
        await asyncio.sleep(POOLS_EVERY)


def anchor_keeper(settings: Settings) -> Keep:
    """Keeps seals in this machine's anchor file."""
    path = anchor_path(settings)

    async def keep(seal: Seal) -> None:
        await append_anchor(path, seal, settings.tenant_id)

    return keep


async def run_seals(ledger: Ledger, keep: Keep) -> None:
    """Keep every seal in this machine's file, whoever made it, and seal where nobody has for a while: Temporal is away."""
    while True:
        try:
            await seal_overdue(ledger, now(), keep)
        except (*DATABASE_LOST, Unsealable) as error:
            log.warning("seals_wait", reason=f"{type(error).__name__}: {error}")
        await asyncio.sleep(SEALS_EVERY)


async def seal_overdue(ledger: Ledger, at: datetime, keep: Keep) -> Seal | None:
    """One look of `run_seals`; gives the newest seal. Two indexed reads where nothing is to be done."""
    async with ledger.connection() as connection:
        last = await last_seal(connection, ledger.tenant_id)
        newest = await last_position(connection, ledger.tenant_id)
    if newest > (last.position if last else 0) and (last is None or at - last.sealed_at >= SEALED_WITHIN):
        return await seal_and_keep(ledger, at, keep)
    if last is not None:
        try:
            await keep(last)
        except OSError as error:
            log.warning("seal_not_kept", position=last.position, reason=str(error))
    return last


async def run_months(ledger: Ledger, *, now: Callable[[], datetime]) -> None:
    """Make the ledger's months ahead of time, however long the process runs; the first time at its start."""
    while True:
        pause = MONTHS_EVERY
        try:
            await ensure_months_ahead(ledger, now().date())
        except DATABASE_LOST as error:
            pause = MONTHS_AGAIN_AFTER
            log.warning("months_wait", reason=type(error).__name__, seconds=pause)
        await asyncio.sleep(pause)


async def run_sequencer(ledger: Ledger) -> None:
    """Give positions to what was committed, several times a second."""
    pause = SEQUENCE_EVERY
    while True:
        try:
            async with ledger.connection() as connection:
                await sequence(connection, ledger.tenant_id)
        except DATABASE_LOST as error:
            pause = min(2 * pause, SEQUENCE_AT_LEAST_EVERY)
            log.warning("sequencer_waits", reason=type(error).__name__, seconds=pause)
        else:
            pause = SEQUENCE_EVERY
        await asyncio.sleep(pause)
