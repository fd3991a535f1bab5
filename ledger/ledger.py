"""The ledger of one tenant: the pool, and the tenant every row carries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.events import Event
from ledger.database import driver_connection, driver_transaction
from ledger.door import Appended, Driver, Head, NewEvent, StreamBatch, append, lock_heads
from ledger.member_keys import NO_KEYS, MemberKeys
from ledger.pool import Pool

Lend = Callable[[], AbstractAsyncContextManager[Driver]]
"""Lends a connection in autocommit on which somebody stands (`ledger.asking`)."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """What every reader and writer needs; built once at start and passed down."""

    engine: Pool
    tenant_id: int
    lend: Lend | None = None
    """Where connections come from; None: the pool's own, on which row-level security knows the tenant only."""
    lend_for_upkeep: Lend | None = None
    """The same for work that is nobody's own."""
    keys: MemberKeys = NO_KEYS
    """Of the members, without which nothing personal is readable."""

    def transaction(self) -> AbstractAsyncContextManager[Driver]:
        """The driver's connection in one transaction."""
        return driver_transaction(self.engine) if self.lend is None else _in_transaction(self.lend)

    def connection(self) -> AbstractAsyncContextManager[Driver]:
        """The driver's connection, each statement its own transaction."""
        return driver_connection(self.engine) if self.lend is None else self.lend()

    def for_upkeep(self) -> Ledger:
        """The same ledger for work that is nobody's own, e.g. cutting a zone's lists at the first clock-in."""
        return self if self.lend_for_upkeep is None else replace(self, lend=self.lend_for_upkeep)


@asynccontextmanager
async def _in_transaction(lend: Lend) -> AsyncIterator[Driver]:
    async with lend() as driver, driver.transaction():
        yield driver


@dataclass(frozen=True, slots=True)
class Command:
    """Who does what, when: shared by all events of one append.

    `command_id` is the business key; a second use of it changes nothing.
    """

    command_id: str
    occurred_at: datetime
    known_at: datetime
    actor: str
    performed_by: str = ""
    """Who gets the credit, where that is not who entered it."""


async def record(
    connection: Driver, tenant_id: int, command: Command, events: Sequence[tuple[str, Event]]
) -> Appended:
    """Append one event each to many streams (stream, event), at whatever version they stand.

    For decisions that hold whatever else happened to the stream, or whose streams the caller has locked
    (`lock_heads`) before reading what it decided on. Two round trips whatever the number of streams; call it in
    a transaction.
    """
    heads = await lock_heads(connection, tenant_id, [stream for stream, _ in events])
    return await append(
        connection,
        tenant_id=tenant_id,
        command_id=command.command_id,
        known_at=command.known_at,
        batches=[stream_batch(command, stream, heads.get(stream), event) for stream, event in events],
    )


def stream_batch(command: Command, stream: str, expected: Head | None, *events: Event) -> StreamBatch:
    """Events of `command` for one stream, decided on `expected`."""
    return StreamBatch(
        stream,
        [
            NewEvent(
                event.type,
                event.payload(),
                command.occurred_at,
                command.actor,
                command.performed_by,
                event.schema_version,
            )
            for event in events
        ],
        expected,
    )


TASK_PREFIX = "task/"


def task_stream(task_id: UUID) -> str:
    """The stream of an item."""
    return f"{TASK_PREFIX}{task_id}"


def guide_day_stream(guide_id: UUID, day: object) -> str:
    """The stream of a guide's day."""
    return f"guide-day/{guide_id}/{day}"


def member_stream(member_id: UUID) -> str:
    """The stream of a member: consents, exports, erasure."""
    return f"member/{member_id}"


def case_stream(case_id: UUID) -> str:
    """The stream of a complaint's case."""
    return f"case/{case_id}"


def plan_stream(plan_id: str) -> str:
    """The stream of a plan."""
    return f"plan/{plan_id}"


def plan_member_stream(plan_id: str, cycle: int, member_id: UUID) -> str:
    """The stream of a member's place in a cycle of a plan."""
    return f"{plan_member_prefix(plan_id, cycle)}{member_id}"


def plan_member_prefix(plan_id: str, cycle: int) -> str:
    """What the names of these streams of a cycle have in common."""
    return f"plan-member/{plan_id}/{cycle}/"


def account_stream(account_id: UUID) -> str:
    """The stream of an account."""
    return f"account/{account_id}"
