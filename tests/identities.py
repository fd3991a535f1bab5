"""Somebody who asks: an account with grants and a token, made as the worker makes them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from activities.sessions import digest, new_secret
from domain.identifiers import derived_id
from domain.policy import Right
from ledger.accounts import Grant, NewAccount, NewCredential, begin_credential, create_account
from ledger.door import Driver
from ledger.ledger import Command, Ledger
from tests.brand import at

SINCE = at(1, 0)


def account_id_of(login: str) -> UUID:
    return derived_id("account", login)


async def identity(
    ledger: Ledger,
    login: str,
    *grants: Grant,
    guide: UUID | None = None,
    rights: tuple[Right, ...] | None = None,
) -> str:
    """An account with these grants; gives a token of it, which ends in a year."""
    account_id = account_id_of(login)
    async with ledger.transaction() as connection:
        await create_account(
            connection,
            ledger.tenant_id,
            Command(f"account/{login}", SINCE, SINCE, "test"),
            NewAccount(account_id, login, login.upper(), guide_id=guide),
            [(derived_id("grant", login, str(number)), grant) for number, grant in enumerate(grants)],
        )
        return await _token(ledger, connection, account_id, login, rights)


async def _token(
    ledger: Ledger, connection: Driver, account_id: UUID, login: str, rights: tuple[Right, ...] | None
) -> str:
    secret = new_secret("test")
    await begin_credential(
        connection,
        ledger.tenant_id,
        Command(f"token/{secret}"[:60], SINCE, SINCE, "test"),
        NewCredential(
            credential_id=derived_id("credential", secret),
            account_id=account_id,
            hash=digest(secret),
            kind="token",
            expires_at=SINCE + timedelta(days=365),
            name=login,
            rights=rights,
        ),
    )
    return secret
