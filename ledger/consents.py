"""What members agreed to and took back, and the opt-out that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.consent import Purpose, Source
from domain.events import ConsentGiven, ConsentWithdrawn
from ledger.door import Appended, Driver
from ledger.ledger import Command, member_stream, record
from ledger.member_keys import MemberKeys
from ledger.members import take_off
from ledger.people import open_text, seal_text

DO_NOT_CONTACT = "do_not_contact"

LATEST = """(SELECT given FROM consent c WHERE c.tenant_id = $1 AND c.member_id = {member} AND c.purpose = '{purpose}'
    AND c.occurred_at <= {at} ORDER BY c.occurred_at DESC, c.known_at DESC, c.version DESC LIMIT 1)"""
"""SQL: whether a purpose was agreed to as it stood at an instant; null: nothing was ever said of it."""


@dataclass(frozen=True, slots=True)
class Consent:
    """One thing a member said of one purpose; `reason` is a manager's."""

    purpose: Purpose
    given: bool
    source: Source
    reason: str
    occurred_at: datetime
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """What somebody says that the member said."""

    purpose: Purpose
    given: bool
    source: Source
    reason: str = ""


async def record_consent(
    connection: Driver, tenant_id: int, command: Command, member: UUID, heard: Heard, *, keys: MemberKeys
) -> tuple[Appended, int]:
    """Record a consent or its withdrawal; call it in a transaction that may change any member's row.

    Without a consent to contact there is nothing left to do: open items leave their lists at once, whoever holds them.

    Returns:
        What was appended, and how many items left their lists.
    """
    kind = ConsentGiven if heard.given else ConsentWithdrawn
    event = kind(member=member, purpose=heard.purpose.value, source=heard.source.value)
    appended = await record(connection, tenant_id, command, [(member_stream(member), event)])
    if appended.duplicate:
        return appended, 0
    await connection.execute(
        "INSERT INTO consent (tenant_id, member_id, purpose, given, source, reason_sealed, occurred_at, known_at, version)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant_id,
        member,
        heard.purpose.value,
        heard.given,
        heard.source.value,
        await _sealed_reason(tenant_id, member, heard.reason, appended.version, keys),
        command.occurred_at,
        command.known_at,
        appended.version,
    )
    if heard.purpose is not Purpose.CONTACT:
        return appended, 0
    opted_out_at = await connection.fetchval(
        """
        WITH said AS (SELECT given, occurred_at, known_at, version FROM consent
                      WHERE tenant_id = $1 AND member_id = $2 AND purpose = 'contact'),
             lifted AS (SELECT occurred_at, known_at, version FROM said WHERE given
                        ORDER BY occurred_at DESC, known_at DESC, version DESC LIMIT 1)
        SELECT min(s.occurred_at) FROM said s WHERE NOT s.given
          AND NOT EXISTS (SELECT FROM lifted l
                          WHERE (l.occurred_at, l.known_at, l.version) > (s.occurred_at, s.known_at, s.version))""",
        tenant_id,
        member,
    )
    await connection.execute("SELECT set_opt_out($1, $2)", member, opted_out_at)
    if opted_out_at is None or opted_out_at > command.known_at:
        return appended, 0
    return appended, await take_off(connection, tenant_id, command, member, DO_NOT_CONTACT)


async def _sealed_reason(
    tenant_id: int, member: UUID, reason: str, version: int, keys: MemberKeys
) -> bytes | None:
    """A manager's reason tells of the member, so it is kept under the member's key."""
    if not reason:
        return None
    key = (await keys.make_many([member])).get(member)
    return None if key is None else seal_text(key, tenant_id, member, _place(version), reason)


def _place(version: int) -> str:
    return f"consent/{version}"


async def read_consents(
    connection: Driver, tenant_id: int, member: UUID, *, keys: MemberKeys
) -> Sequence[Consent]:
    """Everything a member said, the newest first."""
    rows = await connection.fetch(
        "SELECT purpose, given, source, reason_sealed, occurred_at, known_at, version FROM consent"
        " WHERE tenant_id = $1 AND member_id = $2 ORDER BY occurred_at DESC, known_at DESC, version DESC",
        tenant_id,
        member,
    )
    key = (await keys.get_many([member])).get(member)
    return [
        Consent(
            Purpose(row["purpose"]),
            row["given"],
            Source(row["source"]),
            open_text(key, tenant_id, member, _place(row["version"]), row["reason_sealed"]) or "",
            row["occurred_at"],
            row["known_at"],
        )
        for row in rows
    ]
