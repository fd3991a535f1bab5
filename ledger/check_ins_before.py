"""A check-in that was taken before, to tell the same request sent again from another one under its key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from ledger.door import Driver
from ledger.ledger import task_stream
from ledger.member_keys import MemberKeys
from ledger.people import salt_place
from ledger.sealing import unseal


@dataclass(frozen=True, slots=True)
class TakenBefore:
    """Where the check-in left its item then, and what is known of the request."""

    state: str
    due_on: date
    asked: str
    """Digest of the request without its note; empty where it came without a key."""
    note_hmac: str | None
    salt: bytes | None
    """None: it had no note, or the note has been erased."""

    def had_note(self, note: str | None) -> bool:
        """Whether the note was this one; one that was erased may have been any."""
        if note is None or self.note_hmac is None:
            return note is None and self.note_hmac is None
        if self.salt is None:
            return True
        return hmac.compare_digest(
            hmac.digest(self.salt, note.encode(), hashlib.sha256).hex(), self.note_hmac
        )


async def taken_before(
    connection: Driver, tenant_id: int, task_id: UUID, version: int, *, keys: MemberKeys
) -> TakenBefore:
    """The check-in that is event `version` of an item."""
    row = await connection.fetchrow(
        """
        SELECT coalesce(e.payload->'leaves_item'->>'state', e.payload->>'state') AS state,
               coalesce(e.payload->'leaves_item'->>'due_on', e.payload->>'due_on')::date AS due_on,
               coalesce(e.payload->>'asked', '') AS asked, e.payload->>'note_hmac' AS note_hmac,
               n.salt, n.salt_sealed, n.note_id, n.member_id
        FROM event e
        LEFT JOIN member_note n ON n.tenant_id = $1 AND n.note_id = (e.payload->>'note')::uuid
        WHERE e.tenant_id = $1 AND e.stream = $2 AND e.version = $3""",
        tenant_id,
        task_stream(task_id),
        version,
    )
    told = dict(row)
    sealed, note_id, member = told.pop("salt_sealed"), told.pop("note_id"), told.pop("member_id")
    if sealed is not None:
        key = (await keys.get_many([member])).get(member)
        told["salt"] = unseal(key, tenant_id, member, salt_place(note_id), sealed)
    return TakenBefore(**told)
