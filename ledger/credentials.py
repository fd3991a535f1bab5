"""What is shown instead of a password: sessions of browsers and tokens of machines, how they begin and end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.errors import NotFound, Problem
from domain.events import CredentialEnded, CredentialIssued, SignedIn
from domain.policy import Right
from ledger.door import Appended, Driver
from ledger.ledger import Command, account_stream, record


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What will be shown instead of a password; `hash` is its SHA-256."""

    credential_id: UUID
    account_id: UUID
    hash: bytes
    kind: str
    """session or token."""
    expires_at: datetime
    name: str = ""
    rights: tuple[Right, ...] | None = None
    csrf: bytes | None = None
    device_id: UUID | None = None
    way: str = ""
    """Of a session: password, pin, oidc or wecom."""
    issued_by: UUID | None = None
    """Of a token that a token issued: that one, with which it ends."""


async def begin_credential(
    connection: Driver, tenant_id: int, command: Command, new: NewCredential
) -> Appended:
    """A session begins or a token is issued; call it in a transaction."""
    event = (
        SignedIn(credential=new.credential_id, way=new.way, device=new.device_id)
        if new.kind == "session"
        else CredentialIssued(
            credential=new.credential_id,
            kind=new.kind,
            rights=None if new.rights is None else tuple(right.value for right in new.rights),
            expires_at=new.expires_at,
        )
    )
    appended = await record(connection, tenant_id, command, [(account_stream(new.account_id), event)])
    if not appended.duplicate:
        await connection.execute(
            "INSERT INTO credential (tenant_id, hash, credential_id, account_id, kind, name, rights, csrf, device_id,"
            " created_at, expires_at, issued_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            tenant_id,
            new.hash,
            new.credential_id,
            new.account_id,
            new.kind,
            new.name,
            None if new.rights is None else [right.value for right in new.rights],
            new.csrf,
            new.device_id,
            command.known_at,
            new.expires_at,
            new.issued_by,
        )
    return appended


async def end_credential(
    connection: Driver, tenant_id: int, command: Command, credential_id: UUID, *, why: str
) -> Appended:
    """End a session or take a token back, with those it issued; from the next request on they open nothing.

    Raises:
        NotFound: no such session or token.
    """
    account_id = await connection.fetchval(
        "SELECT account_id FROM credential WHERE tenant_id = $1 AND credential_id = $2",
        tenant_id,
        credential_id,
    )
    if account_id is None:
        raise NotFound(Problem("credential", str(credential_id), "unknown_credential"))
    event = CredentialEnded(credential=credential_id, why=why)
    appended = await record(connection, tenant_id, command, [(account_stream(account_id), event)])
    if not appended.duplicate:
        await connection.execute(
            "UPDATE credential SET ended_at = coalesce(ended_at, $3) WHERE tenant_id = $1 AND credential_id = $2",
            tenant_id,
            credential_id,
            command.known_at,
        )
        for issued in await connection.fetch(
            "SELECT credential_id FROM credential WHERE tenant_id = $1 AND issued_by = $2 AND ended_at IS NULL"
            " ORDER BY credential_id",
            tenant_id,
            credential_id,
        ):
            child = issued["credential_id"]
            its = replace(command, command_id=f"{command.command_id}/issued/{child}")
            await end_credential(connection, tenant_id, its, child, why="issuer_ended")
    return appended


async def end_credentials(connection: Driver, tenant_id: int, account_id: UUID, at: datetime) -> None:
    """End every session and token of an account; the event that says why is the caller's."""
    await connection.execute(
        "UPDATE credential SET ended_at = $3 WHERE tenant_id = $1 AND account_id = $2 AND ended_at IS NULL",
        tenant_id,
        account_id,
        at,
    )
