"""Whose number is it? Found by a keyed digest, so that no number is ever stored for being looked for.

The digest's key lies in the key store, the digests in a table no backup holds (UNLOGGED): neither a backup nor the
database alone says a number, nor do both once a member is erased, for the row goes with the person (a trigger).

Cost: one read and one look-up where nothing changed; after an import of members, opening the numbers that changed
(some 10 microseconds each).
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from uuid import UUID

from domain.identifiers import derived_id
from domain.phones import dialled
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.people import read_people

RECORDS_KEY = derived_id("key", "records")
"""In the key store, beside the members': what numbers and vouchers' codes are digested with."""
_COMPLETE = UUID(int=0)
_AT_ONCE = 20_000

_MISSING = f"""
SELECT p.member_id FROM member_person p
WHERE p.tenant_id = $1 AND NOT EXISTS (
    SELECT FROM phone_index i WHERE i.tenant_id = $1 AND i.member_id = p.member_id)
ORDER BY p.member_id LIMIT {_AT_ONCE}"""


async def records_key(ledger: Ledger) -> bytes:
    """What numbers and codes are digested with; made at its first use.

    Raises:
        LookupError: there is no key store.
    """
    return (await ledger.keys.make_many([RECORDS_KEY]))[RECORDS_KEY]


def digest_of(key: bytes, kind: str, text: str) -> bytes:
    """The digest of a number (`phone`), a voucher's code (`voucher`) or a message's id (`message`)."""
    return hmac.digest(key, kind.encode() + b"\x1f" + text.encode(), "sha256")


async def members_of_phones(ledger: Ledger, numbers: Collection[str]) -> dict[str, tuple[UUID, ...]]:
    """The members of each number as written, in the order of their ids; a number of nobody is left out.

    Args:
        ledger: the worker's, or one for upkeep: it sees every member.
        numbers: as written.
    """
    digests = await _digests(ledger, numbers)
    if not digests:
        return {}
    async with ledger.transaction() as connection:
        await _complete(connection, ledger)
        rows = await connection.fetch(
            "SELECT digest, member_id FROM phone_index WHERE tenant_id = $1 AND digest = ANY($2)"
            " ORDER BY member_id",
            ledger.tenant_id,
            list(set(digests.values())),
        )
    found: dict[bytes, list[UUID]] = {}
    for row in rows:
        found.setdefault(bytes(row["digest"]), []).append(UUID(str(row["member_id"])))
    return {number: tuple(found[digest]) for number, digest in digests.items() if digest in found}


async def _digests(ledger: Ledger, numbers: Collection[str]) -> dict[str, bytes]:
    if not numbers:
        return {}
    key = await records_key(ledger)
    read = {number: dialled(number) for number in numbers}
    return {number: digest_of(key, "phone", digits) for number, digits in read.items() if digits is not None}


async def _complete(connection: Driver, ledger: Ledger) -> None:
    """Add what is missing, unless the row of nobody says that nothing is."""
    tenant_id = ledger.tenant_id
    asked = "SELECT EXISTS (SELECT FROM phone_index WHERE tenant_id = $1 AND member_id = $2)"
    if await connection.fetchval(asked, tenant_id, _COMPLETE):
        return
    # One at a time; who comes second finds nothing missing.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.phones'), $1)", tenant_id)
    key = await records_key(ledger)
    while missing := [row["member_id"] for row in await connection.fetch(_MISSING, tenant_id)]:
        people = await read_people(connection, tenant_id, ledger.keys, missing)
        digests: list[bytes | None] = []
        for member in missing:
            person = people.get(member)
            digits = dialled(person.phone) if person and person.phone else None
            digests.append(None if digits is None else digest_of(key, "phone", digits))
        await _add(connection, tenant_id, missing, digests)
    await _add(connection, tenant_id, [_COMPLETE], [None])


async def _add(connection: Driver, tenant_id: int, members: list[UUID], digests: list[bytes | None]) -> None:
    await connection.execute(
        "INSERT INTO phone_index (tenant_id, member_id, digest) SELECT $1, * FROM unnest($2::uuid[], $3::bytea[])"
        " ON CONFLICT DO NOTHING",
        tenant_id,
        members,
        digests,
    )
