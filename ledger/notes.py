"""Free text that tells of a member: the event holds a digest, the text lies beside it under the member's own key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

from domain.identifiers import derived_id
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.people import note_place, open_text, salt_place, seal_text
from ledger.sealing import seal

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Note:
    """A text to be kept: its id, HMAC(salt, text), and both under the member's key; None: nothing of it is kept."""

    note_id: UUID
    digest: str
    salt_sealed: bytes | None
    note_sealed: bytes | None


async def make_note(ledger: Ledger, member: UUID, text: str | None, salt: bytes, *named: str) -> Note | None:
    """Seal a text; of an erased member nothing is kept but the digest.

    Args:
        ledger: with the members' keys.
        member: whom it tells of.
        text: None: there is none.
        salt: 16 random bytes of its own.
        named: what the id is derived from: the kind of text and its command.
    """
    if text is None:
        return None
    if len(salt) < SALT_BYTES:
        raise ValueError("salt: a note needs 16 random bytes")
    note_id = derived_id(*named)
    digest = hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()
    key = (await ledger.keys.make_many([member])).get(member)
    if key is None:
        return Note(note_id, digest, None, None)
    return Note(
        note_id,
        digest,
        seal(key, ledger.tenant_id, member, salt_place(note_id), salt),
        seal_text(key, ledger.tenant_id, member, note_place(note_id), text),
    )


async def keep_note(connection: Driver, tenant_id: int, member: UUID, note: Note | None) -> None:
    """Write it beside the event that holds its digest; call it in that event's transaction."""
    if note is None or note.note_sealed is None:
        return
    await connection.execute(
        "INSERT INTO member_note (tenant_id, note_id, member_id, salt_sealed, note_sealed)"
        " VALUES ($1, $2, $3, $4, $5)",
        tenant_id,
        note.note_id,
        member,
        note.salt_sealed,
        note.note_sealed,
    )


async def read_notes(connection: Driver, ledger: Ledger, notes: dict[UUID, UUID]) -> dict[UUID, str]:
    """The texts that can be read, by note; `notes` says of each which member it tells of."""
    rows = await connection.fetch(
        "SELECT note_id, member_id, note_sealed FROM member_note WHERE tenant_id = $1 AND note_id = ANY($2)",
        ledger.tenant_id,
        list(notes),
    )
    keys = await ledger.keys.get_many({row["member_id"] for row in rows})
    told: dict[UUID, str] = {}
    for row in rows:
        note_id, member = UUID(str(row["note_id"])), UUID(str(row["member_id"]))
        text = open_text(keys.get(member), ledger.tenant_id, member, note_place(note_id), row["note_sealed"])
        if text is not None:
            told[note_id] = text
    return told
