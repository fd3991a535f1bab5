"""The sender: looks for messages that are due, claims them one by one, sends them, writes down how each ended.

Any number of them may run beside each other, in any number of processes. Endpoints are served side by side, each by
one thread at most; so what a killed sender leaves `unknown` is one message for each endpoint it was busy with.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial

import asyncpg
import structlog

from channels.plugins import Transport, read_bases
from channels.sending import send
from channels.texts import Text, day_summary_text, escalation_text, nudge_text, seal_text
from domain.delivery import Delivery, End
from ledger.claims import (
    LEASE,
    Claimed,
    Contact,
    DaySummary,
    LeftOpen,
    Nudge,
    SealNews,
    claim,
    due_endpoints,
    end_overdue,
    finish,
    give_back,
)
from ledger.database import DATABASE_LOST
from ledger.ledger import Ledger

LOOK_EVERY = 1.0
"""Seconds between two looks while nothing is due."""
LOOK_SOON = 0.2
"""The same while messages are going out."""
LOOK_AT_LEAST_EVERY = 5.0
"""The same while the database does not answer."""
AT_ONCE = 8
"""Endpoints served side by side; at most so many connections of the pool."""
MOST_THREADS = 64
"""Of one process: one an endpoint that is served, and one an endpoint that is stuck in its last attempt."""
ATTEMPT_WITHIN = 30.0
"""Seconds; then nobody waits for the thread any more and the end is unknown. Well below the lease."""
DRAIN_WITHIN = 6.0
"""Seconds that attempts on their way are given when the sender is told to end."""

log = structlog.get_logger("outbox")


@dataclass
class Sender:
    """Sends what is due for one brand."""

    ledger: Ledger
    now: Callable[[], datetime]
    language: str
    transport: Transport = field(default_factory=lambda: Transport(bases=read_bases()))
    attempt_within: float = ATTEMPT_WITHIN
    _threads: ThreadPoolExecutor = field(init=False)
    _room: asyncio.Semaphore = field(init=False)
    _busy: dict[int, asyncio.Task[None]] = field(init=False, default_factory=dict)
    """Endpoints that are being served."""
    _stuck: dict[int, asyncio.Future[Delivery]] = field(init=False, default_factory=dict)
    """Attempts, by endpoint, that nobody waits for any more though their thread has not ended."""
    _unheard: dict[str, datetime] = field(init=False, default_factory=dict)
    """Claims of which it is not known whether they were committed; nobody sent them."""
    _ending: bool = field(init=False, default=False)
    ended: Counter[str] = field(init=False, default_factory=Counter)
    """Messages by the state in which they ended, or wait again, since the start."""

    def __post_init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="outbox")
        self._room = asyncio.Semaphore(AT_ONCE)

    async def look(self) -> None:
        """End what is overdue and begin to serve every endpoint with something due.

        Raises:
            OSError, asyncpg.PostgresError …: the database is away (`DATABASE_LOST`).
        """
        tenant_id = self.ledger.tenant_id
        async with self.ledger.connection() as connection:
            if self._unheard:
                await self._give_back(connection)
            overdue = await end_overdue(connection, tenant_id, self.now())
            endpoints = await due_endpoints(connection, tenant_id, self.now())
        self.ended.update({"expired": overdue.expired, "unknown": overdue.lost})
        if overdue.lost:
            log.warning("messages_unknown", messages=overdue.lost, why="sender_lost")
        for endpoint in endpoints:
            if endpoint not in self._busy:
                self._busy[endpoint] = asyncio.create_task(self._serve(endpoint))

    async def settle(self) -> None:
        """Wait until no endpoint is being served."""
        while self._busy:
            await asyncio.wait(set(self._busy.values()))

    async def end(self) -> None:
        """Claim nothing more, give what is on its way its time, and let go of the threads."""
        self._ending = True
        tasks = set(self._busy.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=DRAIN_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, endpoint_id: int) -> None:
        """Send to one endpoint while it takes what it is given; one that does not lets others go first."""
        try:
            async with self._room:
                while not self._ending:
                    claimed = await self._claim(endpoint_id)
                    if claimed is None:
                        return
                    state = await self._deliver(claimed)
                    self.ended[state] += 1
                    if state != "sent":
                        break
            if stuck := self._stuck.pop(endpoint_id, None):
                await asyncio.wait({stuck})  # one thread an endpoint, however often it does not answer
        except DATABASE_LOST as error:
            log.warning("outbox_waits", reason=type(error).__name__)
        finally:
            del self._busy[endpoint_id]

    async def _claim(self, endpoint_id: int) -> Claimed | None:
        token = secrets.token_hex(8)
        try:
            return await claim(self.ledger, endpoint_id=endpoint_id, token=token, now=self.now())
        except (*DATABASE_LOST, asyncio.CancelledError):
            self._unheard[token] = self.now() + LEASE  # it may be committed all the same
            raise

    async def _deliver(self, claimed: Claimed) -> str:
        delivery = await self._attempt(claimed)
        if delivery.end is not End.SENT:
            log.warning(
                "message_not_sent",
                purpose=claimed.purpose,
                endpoint=claimed.endpoint_id,
                end=delivery.end.value,
                why=delivery.why,
                attempt=claimed.attempt,
            )
        return await self._write_down(claimed, delivery)

    async def _attempt(self, claimed: Claimed) -> Delivery:
        text = self._text(claimed.says)
        work = partial(
            send, claimed.kind, claimed.address, text, purpose=claimed.purpose, transport=self.transport
        )
        running = self._threads.submit(work)
        attempt = asyncio.wrap_future(running)
        done, _ = await asyncio.wait({attempt}, timeout=self.attempt_within)
        if done:
            return attempt.result()
        if running.cancel():  # no thread was free: it has not begun, and now never will
            return Delivery(End.NOT_SENT, "no_thread")
        self._stuck[claimed.endpoint_id] = attempt
        return Delivery(End.UNKNOWN, "no_answer")

    def _text(self, says: Nudge | LeftOpen | DaySummary | SealNews | Contact) -> Text:
        if isinstance(says, Contact):
            return Text(title="", body=says.text)
        if isinstance(says, SealNews):
            return seal_text(self.language, position=says.position, anchor=says.anchor)
        if isinstance(says, DaySummary):
            return day_summary_text(self.language, asdict(says))
        if isinstance(says, LeftOpen):
            return escalation_text(
                self.language,
                level=says.level,
                place=says.place,
                day=says.day,
                slot=says.slot,
                guides=says.guides,
            )
        return nudge_text(
            self.language,
            urged=says.urged,
            code=says.guide_code,
            name=says.guide_name,
            day=says.day,
            slot=says.slot,
            open_items=says.open_items,
            shared=says.shared,
        )

    async def _write_down(self, claimed: Claimed, delivery: Delivery) -> str:
        """Until it is written: what is known must not become unknown because the database was away."""
        until, pause = self.now() + LEASE, LOOK_SOON
        while True:
            try:
                async with self.ledger.connection() as connection:
                    return await finish(connection, self.ledger.tenant_id, claimed, delivery, self.now())
            except DATABASE_LOST:
                if self._ending or self.now() > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, LOOK_AT_LEAST_EVERY)

    async def _give_back(self, connection: asyncpg.Connection) -> None:
        given = await give_back(connection, self.ledger.tenant_id, list(self._unheard))
        if given:
            log.info("messages_given_back", messages=given)
        now = self.now()
        # A commit may still arrive at a server that was asked for it; after the lease it has long ended as unknown.
        self._unheard = {token: until for token, until in self._unheard.items() if until > now}


async def send_due(
    ledger: Ledger, *, now: Callable[[], datetime], language: str, transport: Transport | None = None
) -> Counter[str]:
    """Look once and send what may be sent; returns how many messages ended in which state.

    Raises:
        OSError, asyncpg.PostgresError …: the database is away (`DATABASE_LOST`).
    """
    sender = Sender(ledger, now, language)
    if transport is not None:
        sender.transport = transport
    try:
        await sender.look()
        await sender.settle()
    finally:
        await sender.end()
    return +sender.ended


async def run_outbox(ledger: Ledger, *, now: Callable[[], datetime], language: str) -> None:
    """Send for ever; ends by being cancelled, after what is on its way has ended (`DRAIN_WITHIN`).

    While the database does not answer it waits and looks again.
    """
    sender = Sender(ledger, now, language)
    pause, before = LOOK_EVERY, 0
    try:
        while True:
            try:
                await sender.look()
                # What waits for its endpoint's rate is due all the time; only what moves is worth a quick look.
                ended = sender.ended.total()
                pause, before = (LOOK_SOON if ended > before else LOOK_EVERY), ended
            except DATABASE_LOST as error:
                pause = min(2 * pause, LOOK_AT_LEAST_EVERY)
                log.warning("outbox_waits", reason=type(error).__name__, seconds=pause)
            await asyncio.sleep(pause)
    finally:
        await sender.end()
