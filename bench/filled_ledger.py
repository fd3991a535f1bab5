"""A ledger of many events, made set-based in the door's own byte format: what benchmarks read.

Every item has three events: it is made, nobody answers, somebody does. Items of a thousand come interleaved, as days
make them. Check-ins are a command each, items one a thousand. Everything the door would have written beside the events is
there: heads, commands, positions. What people read instead of the events is not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from domain.calendar import local_instant
from domain.events import CheckedIn, Event, TaskCreated
from ledger.canonical import NO_HASH, StoredEvent, chain, encode, payload_bytes

ZONE = "Asia/Shanghai"
FIRST_DAY = date(2026, 3, 2)
ITEMS_AT_ONCE = 1_000
EVENTS_AN_ITEM = 3
GUIDES = 500
EVENT_COLUMNS = (
    "tenant_id", "stream", "version", "occurred_at", "known_at", "actor", "performed_by", "cause", "type",
    "schema_version", "body", "hash", "payload",
)  # fmt: skip


@dataclass(slots=True)
class _Rows:
    events: list[tuple[Any, ...]] = field(default_factory=list)
    commands: list[tuple[Any, ...]] = field(default_factory=list)
    heads: list[tuple[Any, ...]] = field(default_factory=list)


async def fill(connection: asyncpg.Connection, tenant_id: int, items: int, *, seed: int = 7) -> int:
    """Fill the tenant's empty ledger with three events an item; gives the number of events.

    Args:
        connection: the database's owner or superuser: COPY into a table with row-level security is refused to others.
        tenant_id: whose ledger.
        items: how many items.
        seed: of everything that is drawn.
    """
    await connection.execute("SET search_path = daogou")
    position = 0
    for rows in _batches(tenant_id, items, random.Random(seed)):  # noqa: S311 - a benchmark repeats itself
        first, last = rows.events[0][4], rows.events[-1][4]
        await connection.execute("SELECT ensure_event_partitions($1, $2)", first.date(), last.date())
        positions = [
            (tenant_id, position + number, row[1], row[2], row[4])
            for number, row in enumerate(rows.events, 1)
        ]
        position += len(positions)
        for table, records, columns in (
            ("event", rows.events, EVENT_COLUMNS),
            ("event_position", positions, ("tenant_id", "position", "stream", "version", "known_at")),
            ("command", rows.commands, ("tenant_id", "command_id", "known_at", "stream", "version")),
            ("stream_head", rows.heads, ("tenant_id", "stream", "version", "hash")),
        ):
            await connection.copy_records_to_table(table, records=records, columns=columns)
    return position


def _batches(tenant_id: int, items: int, drawn: random.Random) -> Iterator[_Rows]:
    guides = [UUID(int=drawn.getrandbits(128), version=4) for _ in range(GUIDES)]
    now = local_instant(FIRST_DAY, datetime.min.time(), ZONE)
    for start in range(0, items, ITEMS_AT_ONCE):
        rows = _Rows()
        batch = [_Item(drawn, guides) for _ in range(min(ITEMS_AT_ONCE, items - start))]
        now += timedelta(minutes=5)
        command = f"plan/bench/cycle/1/items/{start}"
        rows.commands.append((tenant_id, command, now, batch[0].stream, 1))
        for item in batch:
            item.append(rows, tenant_id, item.created(), command, now, "daogou")
        for reached in (False, True):
            for item in batch:
                now += timedelta(milliseconds=13)
                command = f"check-in/{UUID(int=drawn.getrandbits(128), version=4)}"
                item.append(
                    rows, tenant_id, item.reported(now.date(), reached=reached), command, now, item.guide
                )
                rows.commands.append((tenant_id, command, now, item.stream, item.version))
        rows.heads += [(tenant_id, item.stream, item.version, item.hash) for item in batch]
        yield rows


class _Item:
    def __init__(self, drawn: random.Random, guides: list[UUID]) -> None:
        self.task = UUID(int=drawn.getrandbits(128), version=4)
        self.member = UUID(int=drawn.getrandbits(128), version=4)
        self.guide = str(drawn.choice(guides))
        self.stream = f"task/{self.task}"
        self.version = 0
        self.hash = NO_HASH

    def created(self) -> Event:
        return TaskCreated(
            task=self.task, plan="bench", cycle=1, member=self.member, guide=UUID(self.guide), category=3,
            run_out_on=FIRST_DAY, due_on=FIRST_DAY, basis="product", days_per_unit="7",
            bought_at=local_instant(FIRST_DAY, datetime.min.time(), ZONE),
        )  # fmt: skip

    def reported(self, day: date, *, reached: bool) -> Event:
        return CheckedIn(
            plan="bench", cycle=1, member=self.member, business_date=day, channel="phone",
            outcome="interested" if reached else "no_answer", reached=reached, grade="B" if reached else None,
            products=("TIN",), next_on=None, state="done" if reached else "open", due_on=day, attempt=2 if reached else 1,
            dial_days=1,
        )  # fmt: skip

    def append(self, rows: _Rows, tenant_id: int, event: Event, command: str, now: datetime, by: str) -> None:
        self.version += 1
        stored = StoredEvent(
            tenant_id=tenant_id, stream=self.stream, version=self.version, occurred_at=now, known_at=now,
            actor=by if by == "daogou" else f"guide:{by}", performed_by=by, cause=command, type=event.type,
            schema_version=1, payload=event.payload(),
        )  # fmt: skip
        body = encode(stored)
        self.hash = chain(self.hash, body)
        rows.events.append((
            tenant_id, self.stream, self.version, now, now, stored.actor, by, command, event.type, 1, body, self.hash,
            payload_bytes(stored.payload).decode(),
        ))  # fmt: skip
