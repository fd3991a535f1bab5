"""Accounts of a benchmark's people: made as the worker makes them, with a token each, so that requests are signed on."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from activities.sessions import digest, new_secret
from domain.identifiers import derived_id
from domain.policy import Right
from ledger.account_places import Grant
from ledger.accounts import NewAccount, create_account
from ledger.credentials import NewCredential, begin_credential
from ledger.ledger import Command, Ledger

TOKEN_FOR = timedelta(days=365)


def account_id_of(login: str) -> UUID:
    """The same login has the same account in every run."""
    return derived_id("account", login)


async def issue_identity(
    ledger: Ledger,
    login: str,
    *grants: Grant,
    at: datetime,
    guide_id: UUID | None = None,
    rights: tuple[Right, ...] | None = None,
) -> str:
    """An account with these grants; gives a token of it, which ends in a year."""
    account_id = account_id_of(login)
    secret = new_secret("dgt")
    async with ledger.transaction() as connection:
        await create_account(
            connection,
            ledger.tenant_id,
            Command(f"account/{login}", at, at, "bench"),
            NewAccount(account_id, login, login.upper(), guide_id=guide_id),
            [(derived_id("grant", login, str(number)), grant) for number, grant in enumerate(grants)],
        )
        await begin_credential(
            connection,
            ledger.tenant_id,
            Command(f"token/{derived_id('token', secret)}", at, at, "bench"),
            NewCredential(
                credential_id=derived_id("credential", secret),
                account_id=account_id,
                hash=digest(secret),
                kind="token",
                expires_at=at + TOKEN_FOR,
                name=login,
                rights=rights,
            ),
        )
    return secret
