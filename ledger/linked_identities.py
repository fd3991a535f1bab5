"""Accounts linked to who somebody is elsewhere: at an OpenID provider (issuer and subject) or in WeCom (userid).

A link is made by hand (`daogou account link`): nobody gets an account by signing in, and no e-mail address or name is
taken for a link.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from domain.errors import NotFound, Problem, Refused
from domain.events import SecretChanged, SignInRefused
from ledger.door import Appended, Driver
from ledger.ledger import Command, account_stream, record
from ledger.sign_in import NOBODY, Kept, refuse_unknown

Way = Literal["oidc", "wecom"]
_COLUMNS = {"oidc": "subject", "wecom": "wecom_user"}


async def link_identity(
    connection: Driver, tenant_id: int, command: Command, account_id: UUID, way: Way, identity: str | None
) -> Appended:
    """Link an account to an identity, or part them; its sessions go on. Call it in a transaction.

    Args:
        connection: of whoever may manage accounts, or the worker's.
        tenant_id: the brand.
        command: who, when.
        account_id: whose.
        way: oidc or wecom.
        identity: `issuer subject` or the userid in lower case; None takes the link away.

    Raises:
        NotFound: no such account.
        Refused: the identity is linked to another account.
    """
    column = _COLUMNS[way]
    found = await connection.fetch(
        f"SELECT account_id, {column} AS identity FROM account WHERE tenant_id = $1"
        f" AND (account_id = $2 OR {column} = $3)",
        tenant_id,
        account_id,
        identity,
    )
    if account_id not in {row["account_id"] for row in found}:
        raise NotFound(Problem("account", str(account_id), "unknown_account"))
    if len(found) > 1:
        raise Refused([Problem("identity", identity or "", "identity_taken")])
    event = SecretChanged(kind=way, change="removed" if identity is None else "set")
    appended = await record(connection, tenant_id, command, [(account_stream(account_id), event)])
    if not appended.duplicate:
        await connection.execute(
            f"UPDATE account SET {column} = $3 WHERE tenant_id = $1 AND account_id = $2",
            tenant_id,
            account_id,
            identity,
        )
    return appended


async def find_linked(
    connection: Driver, tenant_id: int, way: Way, identity: str, at: datetime
) -> Kept | None:
    """The open account linked to an identity; None, and noted, where there is none or it is shut.

    Call it in a transaction for upkeep, which commits. A lock after wrong passwords does not shut this door: it was
    another's proof that failed.
    """
    row = await connection.fetchrow(
        f"SELECT account_id, active FROM account WHERE tenant_id = $1 AND {_COLUMNS[way]} = $2",
        tenant_id,
        identity,
    )
    if row is None:
        await refuse_unknown(connection, tenant_id, way, at)
        return None
    if not row["active"]:
        stream = account_stream(row["account_id"])
        command = Command(f"{stream}/sign-in-refused/{way}/shut/{at:%Y%m%d%H%M}", at, at, NOBODY)
        await record(connection, tenant_id, command, [(stream, SignInRefused(way=way, why="shut"))])
        return None
    return Kept(row["account_id"], None)


async def use_once(connection: Driver, tenant_id: int, hash_of_state: bytes, at: datetime) -> bool:
    """Whether a sign-in with this state comes back for the first time. What it leaves goes with the attempts'."""
    return bool(
        await connection.fetchval(
            "INSERT INTO sign_in_window (tenant_id, subject, opened_at, attempts) VALUES ($1, $2, $3, 1)"
            " ON CONFLICT DO NOTHING RETURNING true",
            tenant_id,
            hash_of_state,
            at,
        )
    )
