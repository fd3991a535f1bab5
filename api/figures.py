"""The figures of the running engine, read from the database at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.watching import releases_and_misses
from ledger import gauges
from ledger.gauges import PublishedLists, Waiting
from ledger.ledger import Ledger
from ledger.outbox import StateCount, count_messages

SETTLED_SINCE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is told, as of one instant."""

    lists: list[PublishedLists]
    messages: dict[str, StateCount]
    """By state; what is settled, of the last day."""
    oldest_message_s: float
    missed: dict[tuple[str, str], bool]
    """By time zone and release hour of today: whether nobody cut its lists."""
    transaction_s: float
    check_ins_a_second: float
    sequencer: Waiting
    complaints_overdue: int


async def read_figures(ledger: Ledger, at: datetime) -> Figures:
    """Every figure, from one connection."""
    tenant = ledger.tenant_id
    async with ledger.connection() as connection:
        missed = {
            (one.time_zone, one.release): missed
            for one, missed in await releases_and_misses(connection, tenant, at=at)
        }
        messages = await count_messages(connection, tenant, since=at - SETTLED_SINCE)
        oldest = messages["waiting"].oldest
        return Figures(
            lists=await gauges.lists_published(connection, tenant, at=at),
            messages=messages,
            oldest_message_s=0.0 if oldest is None else max(0.0, (at - oldest).total_seconds()),
            missed=missed,
            transaction_s=await gauges.oldest_transaction_s(connection),
            check_ins_a_second=await gauges.check_ins_a_second(connection, tenant, at=at),
            sequencer=await gauges.sequencer_lag(connection, tenant, at=at),
            complaints_overdue=await gauges.complaints_overdue(connection, tenant, at=at),
        )
