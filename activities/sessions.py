"""A session begins: whoever proved who they are gets a secret to show instead."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from ledger.credentials import NewCredential, begin_credential
from ledger.door import Driver
from ledger.ledger import Command

SESSION_FOR = timedelta(hours=12)
"""A working day; a phone that is bound signs in again with a PIN."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session's secrets, told once: `secret` goes into the cookie, `csrf` into every changing request."""

    credential_id: UUID
    secret: str
    csrf: str
    expires_at: datetime


async def begin_session(
    connection: Driver,
    tenant_id: int,
    account_id: UUID,
    *,
    way: str,
    at: datetime,
    device_id: UUID | None = None,
) -> Session:
    """Begin a session of an account that has just proved itself; call it in a transaction of `for_upkeep()`.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        account_id: whose; the caller has seen that it is active.
        way: password, pin, oidc or wecom.
        at: now.
        device_id: the bound phone it is on.
    """
    session = Session(uuid4(), new_secret("dgs"), new_secret("dgc"), at + SESSION_FOR)
    await begin_credential(
        connection,
        tenant_id,
        Command(f"session/{session.credential_id}", at, at, f"account/{account_id}"),
        NewCredential(
            credential_id=session.credential_id,
            account_id=account_id,
            hash=digest(session.secret),
            kind="session",
            expires_at=session.expires_at,
            csrf=digest(session.csrf),
            device_id=device_id,
            way=way,
        ),
    )
    return session


def new_secret(prefix: str) -> str:
    """256 random bits behind a prefix that tells people and secret scanners what it is."""
    return f"{prefix}_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> bytes:
    """What is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()
