"""The sessions of an account: where it is signed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import NotFound, Problem
from ledger.credentials import end_credential
from ledger.door import Driver
from ledger.ledger import Command

MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class OwnSession:
    """A session that is open: since when, until when, on a bound phone or not."""

    credential_id: UUID
    created_at: datetime
    expires_at: datetime
    on_phone: bool


async def list_sessions(
    connection: Driver, tenant_id: int, account_id: UUID, at: datetime, *, limit: int | None = MOST_LISTED
) -> list[OwnSession]:
    """The open sessions of an account, newest first; at most 200, or all of them."""
    rows = await connection.fetch(
        "SELECT credential_id, created_at, expires_at, device_id IS NOT NULL AS on_phone FROM credential"
        " WHERE tenant_id = $1 AND account_id = $2 AND kind = 'session' AND ended_at IS NULL AND expires_at > $3"
        " ORDER BY created_at DESC, credential_id LIMIT $4",
        tenant_id,
        account_id,
        at,
        limit,
    )
    return [OwnSession(**dict(row)) for row in rows]


async def end_own_session(
    connection: Driver, tenant_id: int, command: Command, account_id: UUID, credential_id: UUID, *, why: str
) -> None:
    """End a session of this account; call it in a transaction.

    Raises:
        NotFound: it has no such session, or it has ended; another account's is not told apart.
    """
    found = await connection.fetchval(
        "SELECT true FROM credential WHERE tenant_id = $1 AND account_id = $2 AND credential_id = $3"
        " AND kind = 'session' AND ended_at IS NULL",
        tenant_id,
        account_id,
        credential_id,
    )
    if not found:
        raise NotFound(Problem("credential", str(credential_id), "unknown_session"))
    await end_credential(connection, tenant_id, command, credential_id, why=why)


async def session_shown(connection: Driver, tenant_id: int, shown: bytes) -> tuple[UUID, UUID] | None:
    """Account and id of the open session with this SHA-256."""
    row = await connection.fetchrow(
        "SELECT account_id, credential_id FROM credential WHERE tenant_id = $1 AND hash = $2"
        " AND kind = 'session' AND ended_at IS NULL",
        tenant_id,
        shown,
    )
    return None if row is None else (row["account_id"], row["credential_id"])
