"""The first account: a brand nobody can sign in to gets one at HQ, with a password that works until it is changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from activities.accounts import new_password
from activities.passwords import hash_secret
from domain.policy import Role
from ledger.account_places import Grant
from ledger.accounts import NewAccount, create_account, lock_accounts
from ledger.door import Driver
from ledger.ledger import Command, Ledger

LOGIN = "hq"
NAME = "总部 HQ"
FIRST_START = "first start"
"""Who makes it."""


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """An account that was made just now, and its one-time password, which is kept nowhere."""

    login: str
    password: str = field(repr=False)


async def make_first_account(ledger: Ledger, at: datetime) -> FirstAccount | None:
    """Make an account of HQ where the brand has no account at all; None: it has.

    Two starts at once make one.

    Args:
        ledger: the brand's, of the worker.
        at: now.
    """
    async with ledger.connection() as connection:
        if await _has_accounts(connection, ledger.tenant_id):
            return None
    password = new_password()
    hashed = await hash_secret(password)
    account_id, grant_id = uuid4(), uuid4()
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        if await _has_accounts(connection, ledger.tenant_id):
            return None
        await create_account(
            connection,
            ledger.tenant_id,
            Command(f"account/{account_id}/first", at, at, FIRST_START),
            NewAccount(account_id, LOGIN, NAME, password=hashed, must_change=True),
            [(grant_id, Grant(Role.HQ))],
        )
    return FirstAccount(LOGIN, password)


async def _has_accounts(connection: Driver, tenant_id: int) -> bool:
    return bool(
        await connection.fetchval("SELECT EXISTS (SELECT FROM account WHERE tenant_id = $1)", tenant_id)
    )
