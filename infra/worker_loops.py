"""What a worker process does besides polling Temporal: positions, messages out, and keeping Temporal in line.

Every loop may run in several processes beside each other, and outlives an outage of either server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from temporalio.client import Client

from activities.handing_over import settle_staff_changes
from domain.errors import Conflict
from infra.clock import now
from infra.databases import ensure_months_ahead
from infra.outbox_sender import run_outbox
from infra.reconciler import Reconciler
from infra.settings import Settings
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger
from ledger.sequencer import sequence

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

log = structlog.get_logger(__name__)


def worker_loops(settings: Settings, client: Client, ledger: Ledger) -> dict[str, Coroutine[Any, Any, None]]:
    """The loops by name; each runs until it is cancelled."""
    return {
        "sequencer": run_sequencer(ledger),
        "outbox": run_outbox(ledger, now=now, language=settings.language),
        "reconciler": Reconciler(client, ledger, now).run(),
        "months": run_months(ledger),
        "staff": run_staff_changes(ledger),
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


async def run_months(ledger: Ledger) -> None:
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
