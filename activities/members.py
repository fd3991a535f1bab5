"""Rights of the member: consents, everything about them handed out, everything personal erased.

A member's will holds everywhere, also where whoever records it does not reach: who may say it is looked at in their own
standing, what follows from it is done as upkeep.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from activities.asked import Asked
from domain.consent import objection
from domain.errors import Conflict, Problem, Refused
from domain.events import ConsentGiven, ConsentWithdrawn, MemberExported
from ledger.consents import Consent, Heard, read_consents, record_consent
from ledger.door import Driver
from ledger.first_use import FirstUse, first_use
from ledger.ledger import Command, Ledger, member_stream, record
from ledger.member_export import read_export
from ledger.members import (
    Erased,
    erase,
    forgotten_erasures,
    items_taken_off,
    member_id_of,
    member_of_item,
)
from ledger.people import read_people

TRIES = 5
"""How often items are taken off anew because check-ins came in between."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ConsentSet:
    """What the member has said by now, the newest first, and how many items left their lists for it."""

    consents: Sequence[Consent]
    items: int
    duplicate: bool
    """Nothing was written: the request had been done before, or the member had said just that last."""


async def set_consent(
    ledger: Ledger, who: str | UUID, heard: Heard, asked: Asked, *, occurred_at: datetime | None = None
) -> ConsentSet:
    """Record what a member agreed to or took back. Without a key and a time of its own, what was said last changes nothing.

    Args:
        ledger: as far as the asker reaches.
        who: the member's code, or the id of an item that is about them.
        heard: what was said.
        asked: by whom, when.
        occurred_at: when it was said; None: now.

    Raises:
        NotFound: nobody in reach has this code, or there is no such item.
        Refused: it is a manager's decision without a reason, lies in the future, or its key was used for something else.
        Conflict: check-ins kept coming in.
    """
    when = occurred_at or asked.at
    problem = objection(heard.source, heard.reason)
    if problem is None and when > asked.at:
        told = {"known_at": asked.at.isoformat()}
        problem = Problem("occurred_at", when.isoformat(), "occurred_in_future", told)
    if problem is not None:
        raise Refused([problem])
    async with ledger.connection() as connection:
        member = await _decided_on(connection, ledger.tenant_id, who)
    own = asked.key or f"{heard.purpose.value}/{heard.given}/{when.isoformat()}/{asked.at.isoformat()}"
    command = Command(f"member/{member}/consent/{own}", when, asked.at, asked.actor)
    upkeep = ledger.for_upkeep()

    async def say() -> ConsentSet:
        async with upkeep.transaction() as connection:
            if asked.key is None and occurred_at is None:
                said = await read_consents(connection, ledger.tenant_id, member, keys=ledger.keys)
                if _said_last(said, heard):
                    return ConsentSet(said, 0, duplicate=True)
            appended, items = await record_consent(
                connection, ledger.tenant_id, command, member, heard, keys=ledger.keys
            )
            if appended.duplicate:
                first = await first_use(connection, ledger.tenant_id, command.command_id)
                if first is None or not _says(first, heard, occurred_at):
                    told = (asked.key or "").rpartition("/")[2]
                    raise Refused([Problem("Idempotency-Key", told, "key_used_otherwise")])
                items = await items_taken_off(connection, ledger.tenant_id, member, command.command_id)
            consents = await read_consents(connection, ledger.tenant_id, member, keys=ledger.keys)
        return ConsentSet(consents, items, appended.duplicate)

    return await _again(say)


async def _decided_on(connection: Driver, tenant_id: int, who: str | UUID) -> UUID:
    if isinstance(who, UUID):
        return await member_of_item(connection, tenant_id, who, "decided")
    return await member_id_of(connection, tenant_id, who, "decided")


def _said_last(said: Sequence[Consent], heard: Heard) -> bool:
    """Whether this is what the member said of the purpose last, heard in the same way."""
    last = next((one for one in said if one.purpose is heard.purpose), None)
    return last is not None and (last.given, last.source, last.reason) == (
        heard.given,
        heard.source,
        heard.reason,
    )


def _says(first: FirstUse, heard: Heard, occurred_at: datetime | None) -> bool:
    """Whether a consent recorded before is this one; its reason, sealed under the member's key, is not compared."""
    kind = ConsentGiven if heard.given else ConsentWithdrawn
    said = (first.type, first.payload["purpose"], first.payload["source"], first.occurred_at)
    return said == (kind.type, heard.purpose.value, heard.source.value, occurred_at or first.known_at)


async def consents_of(ledger: Ledger, who: str | UUID) -> Sequence[Consent]:
    """What a member in reach said, the newest first; `who` as for `set_consent`.

    Raises:
        NotFound: nobody in reach has this code, or there is no such item.
    """
    async with ledger.connection() as connection:
        member = await _decided_on(connection, ledger.tenant_id, who)
        return await read_consents(connection, ledger.tenant_id, member, keys=ledger.keys)


async def export_member(ledger: Ledger, code: str, asked: Asked) -> dict[str, Any]:
    """Everything there is about a member; that it was handed out is an event, and in the document.

    Raises:
        NotFound: nobody in reach has this code.
    """
    async with ledger.transaction() as connection:
        member = await member_id_of(connection, ledger.tenant_id, code, "owned")
        command = Command(
            f"member/{member}/export/{asked.actor}/{asked.at.isoformat()}", asked.at, asked.at, asked.actor
        )
        await record(
            connection, ledger.tenant_id, command, [(member_stream(member), MemberExported(member=member))]
        )
        document = await read_export(connection, ledger.tenant_id, ledger.keys, member)
    for part, key in (("events", "payload"), ("assignments", "tried")):
        for one in document[part]:
            one[key] = json.loads(one[key])
    return document


async def masked_member(ledger: Ledger, code: str) -> str:
    """A member as people may see them before they decide: masked; the code where nothing else can be read.

    Raises:
        NotFound: nobody in reach has this code.
    """
    async with ledger.connection() as connection:
        member = await member_id_of(connection, ledger.tenant_id, code, "owned")
        people = await read_people(connection, ledger.tenant_id, ledger.keys, [member])
    return people[member].masked if member in people else code


async def erase_member(ledger: Ledger, code: str, reason: str, asked: Asked) -> Erased:
    """Erase a member; again changes nothing but destroys the key again.

    Raises:
        NotFound: nobody in reach ever had this code.
        Refused: no reason is given.
        Conflict: check-ins kept coming in.
    """
    if not reason.strip():
        raise Refused([Problem("reason", reason, "empty")])
    async with ledger.connection() as connection:
        member = await member_id_of(connection, ledger.tenant_id, code, "owned", erased=True)
    return await _erase(ledger, member, reason, asked)


async def erase_again(ledger: Ledger, asked: Asked, reason: str) -> int:
    """Erase whoever a restored ledger has forgotten was erased; gives their number."""
    forgotten = await forgotten_erasures(ledger)
    for member in forgotten:
        await _erase(ledger, member, reason, asked)
    return len(forgotten)


async def _erase(ledger: Ledger, member: UUID, reason: str, asked: Asked) -> Erased:
    command = Command(f"member/{member}/erase", asked.at, asked.at, asked.actor)
    return await _again(lambda: erase(ledger, command, member, reason))


async def _again(work: Callable[[], Awaitable[_T]]) -> _T:
    for _ in range(TRIES - 1):
        try:
            return await work()
        except Conflict:
            continue
    return await work()
