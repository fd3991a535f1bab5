"""A message of a feed: signed, taken whole or not at all, once, whatever order messages come in.

Round trips: one for the secrets, three to look whether it came before, what may be told and who is meant (more where
numbers have to be opened first, `ledger.phone_index`), then one transaction of some seven, whatever the number of records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from activities.feed_messages import FeedMessage, resolved
from domain.errors import Problem, Refused
from domain.events import RecordsReceived
from ledger.door import Driver
from ledger.feed_terms import check_told, kinds_at
from ledger.feeds import feed_stream
from ledger.ledger import Command, Ledger, record
from ledger.phone_index import digest_of, records_key
from ledger.returns import add_returns
from ledger.system_records import SystemRecord, add_records, root_of_records
from ledger.watermarks import check_until, move

CODE_DIGITS = 6
"""A number's last digits, which no record's key may hold."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a message.

    `new` records, and `same` ones that stood there; `outside` are of numbers that no member has, `erased` of members who
    were erased: neither is kept. `complete_until`: what its watermarks are now.
    """

    new: int = 0
    same: int = 0
    outside: int = 0
    erased: int = 0
    complete_until: dict[str, str] = field(default_factory=dict)
    duplicate: bool = False


class _CameBefore(Exception):
    """Another request with the same message committed in between."""


async def take_message(ledger: Ledger, message: FeedMessage, at: datetime) -> Taken:
    """Take a message of a source that proved itself.

    Args:
        ledger: for upkeep.
        message: what it says.
        at: now.

    Raises:
        Refused: a kind the source may not tell, a code nobody has, an instant in the future, a record that contradicts what it said before under the same
            revision, or a message id used for something else; nothing was written.
    """
    name = await name_of(ledger, message.message_id)
    async with ledger.connection() as connection:
        before = await _taken_before(connection, ledger.tenant_id, message, name)
        may = await kinds_at(connection, ledger.tenant_id, message.source, at)
    if before is not None:
        return before
    check_told(message.source, _told(message), may)
    _check(message, at)
    records, outside, erased = await resolved(ledger, message)
    try:
        async with ledger.transaction() as connection:
            return await _take(
                connection,
                ledger,
                message,
                name,
                records,
                at,
                Taken(outside=outside, erased=erased),
            )
    except _CameBefore:
        async with ledger.connection() as connection:
            before = await _taken_before(connection, ledger.tenant_id, message, name)
        if before is None:
            raise
        return before


async def name_of(ledger: Ledger, message_id: str) -> str:
    """What a message is known by: an id may be a serial number or hold a number, so it is keyed."""
    return digest_of(await records_key(ledger), "message", message_id).hex()


async def _taken_before(connection: Driver, tenant_id: int, message: FeedMessage, name: str) -> Taken | None:
    # The version before this one named messages by a digest without a key: one of then is sent again, too.
    plain = hashlib.sha256(message.message_id.encode()).hexdigest()
    row = await connection.fetchrow(
        "SELECT body, answer::text AS answer FROM feed_message"
        " WHERE tenant_id = $1 AND source = $2 AND message = ANY($3)",
        tenant_id,
        message.source,
        [name, plain],
    )
    if row is None:
        return None
    if row["body"] != message.body:
        raise Refused([Problem("webhook-id", message.message_id[:80], "message_used_otherwise")])
    return Taken(**json.loads(row["answer"]), duplicate=True)


def _told(message: FeedMessage) -> list[tuple[str, str]]:
    """Field and kind of everything that is told."""
    kinds = (*(one.record.kind for one in message.records), *("returns" for _ in message.returns))
    return [
        *((f"{place}.kind", kind) for place, kind in zip(message.places, kinds, strict=True)),
        *((f"complete_until.{kind}", kind) for kind in message.complete_until),
    ]


def _check(message: FeedMessage, at: datetime) -> None:
    problems: list[Problem] = []
    told: set[tuple[str, str, int]] = set()
    for place, one in zip(message.places, message.records, strict=False):
        name = (one.record.kind, one.record.key, one.record.revision)
        if name in told:
            problems.append(Problem(f"{place}.key", one.record.key, "record_twice"))
        told.add(name)
        problems += _future(place, one.record.occurred_at, at)
        if one.phone is not None and _holds(one.record.key, one.phone):
            problems.append(Problem(f"{place}.key", "", "record_key_personal"))
    for place, back in zip(message.places[len(message.records) :], message.returns, strict=True):
        problems += _future(place, back.occurred_at, at)
    if problems:
        raise Refused(problems)
    for kind, until in message.complete_until.items():
        check_until(until, at, f"complete_until.{kind}")


def _future(place: str, occurred_at: datetime, at: datetime) -> list[Problem]:
    if occurred_at <= at:
        return []
    told = {"known_at": at.isoformat()}
    return [Problem(f"{place}.occurred_at", occurred_at.isoformat(), "occurred_in_future", told)]


def _holds(key: str, phone: str) -> bool:
    digits = "".join(char for char in phone if char.isdigit())
    # A number is one however it is broken up.
    return digits[-CODE_DIGITS:] in "".join(char for char in key if char.isdigit())


async def _take(
    connection: Driver,
    ledger: Ledger,
    message: FeedMessage,
    name: str,
    records: Sequence[SystemRecord],
    at: datetime,
    counted: Taken,
) -> Taken:
    source, tenant_id = message.source, ledger.tenant_id
    kept = await add_records(
        connection, tenant_id, source, records, known_at=at, message=name, keys=ledger.keys
    )
    if kept.differing:
        place_of = {
            (one.record.kind, one.record.key): place
            for place, one in zip(message.places, message.records, strict=False)
        }
        raise Refused(
            [
                Problem(f"{place_of[one.kind, one.key]}.revision", one.key, "record_differs")
                for one in (records[index] for index in kept.differing)
            ]
        )
    places = message.places[len(message.records) :]
    returned, returned_of_erased = await add_returns(
        connection, tenant_id, message.returns, places, known_at=at
    )
    moved = await move(connection, tenant_id, source, message.complete_until, known_at=at)
    new = [records[index] for index in kept.new]
    counts: dict[str, int] = {}
    for one in new:
        counts[one.kind] = counts.get(one.kind, 0) + 1
    if returned:
        counts["returns"] = len(returned)
    root = root_of_records(new)
    if returned:
        root = hashlib.sha256((root + json.dumps(sorted(returned))).encode()).hexdigest()
    if counts or moved:
        event = RecordsReceived(source=source, message=name, root=root, records=counts, complete_until=moved)
        command = Command(f"feed/{source}/{name}", at, at, f"feed/{source}")
        await record(connection, tenant_id, command, [(feed_stream(source), event)])
    taken = replace(
        counted,
        new=sum(counts.values()),
        same=len(records) + len(message.returns) - sum(counts.values()) - returned_of_erased,
        erased=counted.erased + returned_of_erased,
        complete_until={kind: until.isoformat() for kind, until in moved.items()},
    )
    answer: dict[str, Any] = asdict(taken)
    del answer["duplicate"]
    if not await connection.fetchval(
        "INSERT INTO feed_message (tenant_id, source, message, body, root, answer, known_at)"
        " VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7) ON CONFLICT DO NOTHING RETURNING true",
        tenant_id,
        source,
        name,
        message.body,
        root,
        json.dumps(answer),
        at,
    ):
        raise _CameBefore
    return taken
