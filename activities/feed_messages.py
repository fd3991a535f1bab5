"""A message of a feed as its source tells it, and whom it names: people and places by code, members by code or number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from domain.errors import Problem, Refused
from domain.phones import dialled
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.phone_index import digest_of, members_of_phones, records_key
from ledger.returns import ToldReturn
from ledger.system_records import SystemRecord


@dataclass(frozen=True, slots=True)
class ToldRecord:
    """A record as its source tells it: people and places by code, a member by code or number."""

    record: SystemRecord
    """With the nil id as its member."""
    guide: str | None = None
    member: str | None = None
    phone: str | None = field(default=None, repr=False)
    store: str | None = None
    voucher: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class FeedMessage:
    """What a source sends at once. `body` is the digest of the bytes it signed."""

    source: str
    message_id: str
    body: str
    records: tuple[ToldRecord, ...] = ()
    returns: tuple[ToldReturn, ...] = ()
    places: tuple[str, ...] = ()
    """Where each record stands in the body, records first, for problems."""
    complete_until: Mapping[str, datetime] = field(default_factory=dict)


async def resolved(ledger: Ledger, message: FeedMessage) -> tuple[list[SystemRecord], int, int]:
    """The records with ids for codes, and how many are of nobody and of erased members.

    Raises:
        Refused: one problem for each code nobody has.
    """
    told = message.records
    async with ledger.connection() as connection:
        guides = await _ids(connection, ledger.tenant_id, "guide", {one.guide for one in told})
        stores = await _ids(connection, ledger.tenant_id, "store", {one.store for one in told})
        members, erased = await _members(connection, ledger.tenant_id, {one.member for one in told})
    phones = await members_of_phones(ledger, {one.phone for one in told if one.phone is not None})
    vouchers = any(one.voucher is not None for one in told)
    key = await records_key(ledger) if vouchers else b""
    problems: list[Problem] = []
    found: list[SystemRecord] = []
    outside = gone = 0
    for place, one in zip(message.places, told, strict=False):
        for kind, code, known in (
            ("guide", one.guide, guides),
            ("store", one.store, stores),
            ("member", one.member, members),
        ):
            if code is not None and code not in known:
                problems.append(Problem(f"{place}.{kind}", code, f"unknown_{kind}", {"nearest": "—"}))
        of_number = () if one.phone is None else phones.get(one.phone, ())
        member = members.get(one.member) if one.member is not None else next(iter(of_number), None)
        if member is None:
            outside += one.phone is not None
            continue
        if member in erased:
            gone += 1
            continue
        found.append(
            replace(
                one.record,
                member_id=member,
                also=of_number[1:],
                number=None if one.phone is None else dialled(one.phone),
                guide_id=None if one.guide is None else guides.get(one.guide),
                store_id=None if one.store is None else stores.get(one.store),
                code=None if one.voucher is None else digest_of(key, "voucher", one.voucher),
            )
        )
    if problems:
        raise Refused(problems)
    return found, outside, gone


async def _ids(connection: Driver, tenant_id: int, table: str, codes: set[str | None]) -> dict[str, UUID]:
    wanted = sorted(code for code in codes if code is not None)
    if not wanted:
        return {}
    rows = await connection.fetch(
        f"SELECT code, {table}_id AS id FROM {table} WHERE tenant_id = $1 AND code = ANY($2)",
        tenant_id,
        wanted,
    )
    return {row["code"]: UUID(str(row["id"])) for row in rows}


async def _members(
    connection: Driver, tenant_id: int, codes: set[str | None]
) -> tuple[dict[str, UUID], set[UUID]]:
    wanted = sorted(code for code in codes if code is not None)
    if not wanted:
        return {}, set()
    rows = await connection.fetch(
        "SELECT c.code, m.member_id, m.erased_at IS NOT NULL AS erased"
        " FROM (SELECT code, member_id_of(code) AS id FROM unnest($2::text[]) AS code) c"
        " JOIN member m ON m.tenant_id = $1 AND m.member_id = c.id",
        tenant_id,
        wanted,
    )
    known = {row["code"]: UUID(str(row["member_id"])) for row in rows}
    return known, {known[row["code"]] for row in rows if row["erased"]}
