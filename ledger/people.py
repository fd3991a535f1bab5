"""Members as persons: code, name, phone and notes, sealed under each member's own key.

Cost: one read of the rows and one of the keys, whatever the number of members.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.member_keys import MemberKeys
from ledger.sealing import seal, unseal

COLUMNS = ("code", "name", "phone")
"""Personal columns of `member_person`; each is kept as `<column>_sealed`."""
BATCH = 5_000
SAMPLE = 100
"""Ids are digests, so the first members are any members."""
_PLAIN = "(code IS NOT NULL OR name IS NOT NULL OR phone IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody; None: nothing is, or it cannot be read any more."""

    code: str | None = None
    name: str | None = None
    phone: str | None = None

    @property
    def masked(self) -> str:
        """First character of the name and the last digits of the phone: all a screen shows."""
        tail = f"（尾号{self.phone[-4:]}）" if self.phone else ""
        return f"{(self.name or '')[:1]}＊＊{tail}"


NOBODY = Person()


async def read_people(
    connection: Driver, tenant_id: int, keys: MemberKeys, members: Collection[UUID]
) -> dict[UUID, Person]:
    """The persons of members as far as the connection sees them; who cannot be read is left out."""
    rows = await connection.fetch(
        "SELECT member_id, code, name, phone, code_sealed, name_sealed, phone_sealed FROM member_person"
        " WHERE tenant_id = $1 AND member_id = ANY($2)",
        tenant_id,
        list(members),
    )
    known = await keys.get_many([row["member_id"] for row in rows])
    people: dict[UUID, Person] = {}
    for row in rows:
        member = UUID(str(row["member_id"]))
        key = known.get(member)
        told = {
            column: open_text(key, tenant_id, member, column, row[f"{column}_sealed"]) for column in COLUMNS
        }
        # What a version before this one wrote stands there plain until it is sealed.
        people[member] = Person(**{column: told[column] or row[column] for column in COLUMNS})
    return people


def seal_text(key: bytes, tenant_id: int, member: UUID, place: str, text: str) -> bytes:
    """A text under a member's key."""
    return seal(key, tenant_id, member, place, text.encode())


def open_text(
    key: bytes | None, tenant_id: int, member: UUID, place: str, sealed: bytes | None
) -> str | None:
    """The text, where there is one and its key is there."""
    opened = unseal(key, tenant_id, member, place, sealed)
    return None if opened is None else opened.decode()


def note_place(note_id: UUID) -> str:
    """Where a note is kept, for sealing it."""
    return f"note/{note_id}"


def salt_place(note_id: UUID) -> str:
    """Where a note's salt is kept, for sealing it."""
    return f"salt/{note_id}"


async def count_unreadable(ledger: Ledger) -> int:
    """How many of the first `SAMPLE` members with sealed texts no key opens, though it was not destroyed."""
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT member_id, code_sealed, name_sealed, phone_sealed FROM member_person WHERE tenant_id = $1"
            f" AND coalesce(code_sealed, name_sealed, phone_sealed) IS NOT NULL ORDER BY member_id LIMIT {SAMPLE}",
            ledger.tenant_id,
        )
    known = await ledger.keys.get_many([row["member_id"] for row in rows])
    shut = {
        row["member_id"]
        for row in rows
        if not _opens(known.get(row["member_id"]), ledger.tenant_id, row["member_id"], row)
    }
    return len(shut - await ledger.keys.destroyed()) if shut else 0


async def fitting_keys(ledger: Ledger, others: Mapping[UUID, Sequence[bytes]]) -> dict[UUID, bytes]:
    """Of members whose own key does not open what is sealed, the one of `others` that does."""
    async with ledger.connection() as connection:
        rows = await connection.fetch(
            "SELECT member_id, code_sealed, name_sealed, phone_sealed FROM member_person"
            " WHERE tenant_id = $1 AND member_id = ANY($2)",
            ledger.tenant_id,
            list(others),
        )
    known = await ledger.keys.get_many(list(others))
    fitting: dict[UUID, bytes] = {}
    for row in rows:
        member = UUID(str(row["member_id"]))
        if _opens(known.get(member), ledger.tenant_id, member, row):
            continue
        fits = [key for key in others[member] if _opens(key, ledger.tenant_id, member, row)]
        if fits:
            fitting[member] = fits[0]
    return fitting


def _opens(key: bytes | None, tenant_id: int, member: UUID, row: Mapping[str, bytes | None]) -> bool:
    return any(
        open_text(key, tenant_id, member, column, row[f"{column}_sealed"]) is not None for column in COLUMNS
    )


async def count_plain(ledger: Ledger) -> int:
    """Rows with personal texts that a version before this one wrote and nobody sealed yet."""
    async with ledger.connection() as connection:
        return int(
            await connection.fetchval(
                f"SELECT (SELECT count(*) FROM member_person WHERE tenant_id = $1 AND {_PLAIN})"
                " + (SELECT count(*) FROM member_note WHERE tenant_id = $1 AND note IS NOT NULL)",
                ledger.tenant_id,
            )
        )


async def seal_plain(ledger: Ledger) -> int:
    """Seal what a version before this one wrote in plain text, in batches; gives the number of rows.

    Safe beside writers of that version: rows are locked while they are sealed, and what is written plain afterwards is
    sealed the next time. Ended in the middle, the next call goes on.
    """
    sealed = 0
    while done := await _seal_people(ledger):
        sealed += done
    while done := await _seal_notes(ledger):
        sealed += done
    return sealed


async def _seal_people(ledger: Ledger) -> int:
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        rows = await connection.fetch(
            f"SELECT member_id, code, name, phone FROM member_person WHERE tenant_id = $1 AND {_PLAIN}"
            f" ORDER BY member_id LIMIT {BATCH} FOR UPDATE",
            tenant_id,
        )
        keys = await ledger.keys.make_many([row["member_id"] for row in rows])
        columns: dict[str, list[bytes | None]] = {
            column: [
                _sealed(keys.get(row["member_id"]), tenant_id, row["member_id"], column, row[column])
                for row in rows
            ]
            for column in COLUMNS
        }
        await connection.execute(
            """
            UPDATE member_person p SET code_sealed = coalesce(s.code, p.code_sealed),
                   name_sealed = coalesce(s.name, p.name_sealed), phone_sealed = coalesce(s.phone, p.phone_sealed),
                   code = NULL, name = NULL, phone = NULL
            FROM unnest($2::uuid[], $3::bytea[], $4::bytea[], $5::bytea[]) AS s(member_id, code, name, phone)
            WHERE p.tenant_id = $1 AND p.member_id = s.member_id""",
            tenant_id,
            [row["member_id"] for row in rows],
            *columns.values(),
        )
    return len(rows)


async def _seal_notes(ledger: Ledger) -> int:
    tenant_id = ledger.tenant_id
    async with ledger.transaction() as connection:
        rows = await connection.fetch(
            "SELECT note_id, member_id, note, salt FROM member_note WHERE tenant_id = $1 AND note IS NOT NULL"
            f" ORDER BY note_id LIMIT {BATCH}",
            tenant_id,
        )
        keys = await ledger.keys.make_many({row["member_id"] for row in rows})
        notes, salts = [], []
        for row in rows:
            member, key = row["member_id"], keys.get(row["member_id"])
            notes.append(_sealed(key, tenant_id, member, note_place(row["note_id"]), row["note"]))
            salts.append(key and seal(key, tenant_id, member, salt_place(row["note_id"]), bytes(row["salt"])))
        await connection.execute(
            "SELECT seal_notes($1, $2, $3)", [row["note_id"] for row in rows], notes, salts
        )
    return len(rows)


def _sealed(key: bytes | None, tenant_id: int, member: UUID, place: str, text: str | None) -> bytes | None:
    """Of a member whose key was destroyed nothing is kept."""
    return None if key is None or text is None else seal_text(key, tenant_id, member, place, text)
