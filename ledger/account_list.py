"""Reading accounts: the list, one with its grants and credentials, tokens. Never a hash of a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.errors import NotFound, Problem
from domain.policy import Right, Role, rights_of
from ledger.door import Driver


@dataclass(frozen=True, slots=True)
class AccountLine:
    """An account as lists show it; `roles` are those that hold at the instant of asking: (role, place)."""

    account_id: UUID
    login: str
    name: str
    guide_code: str | None
    active: bool
    must_change: bool
    has_password: bool
    has_pin: bool
    locked_until: datetime | None
    created_at: datetime
    roles: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class GrantLine:
    """A grant, whether it holds, will, or has ended."""

    grant_id: UUID
    role: str
    place: str
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class CredentialLine:
    """A session or token by its id; `rights` None: all that its account has."""

    credential_id: UUID
    account_id: UUID
    login: str
    kind: str
    name: str
    rights: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


_ACCOUNTS = """
SELECT a.account_id, a.login, a.name, g.code AS guide_code, a.active, a.must_change, a.password IS NOT NULL AS has_password,
       a.pin IS NOT NULL AS has_pin,
       CASE WHEN greatest(a.locked_until, a.pin_locked_until) > $2 THEN greatest(a.locked_until, a.pin_locked_until)
       END AS locked_until, a.created_at,
       ARRAY(SELECT ARRAY[r.role, r.place] FROM role_grant r WHERE r.tenant_id = $1 AND r.account_id = a.account_id
             AND r.starts_at <= $2 AND (r.ends_at IS NULL OR r.ends_at > $2)
             GROUP BY r.role, r.place ORDER BY r.role, r.place) AS roles
FROM account a LEFT JOIN guide g ON g.tenant_id = $1 AND g.guide_id = a.guide_id
WHERE a.tenant_id = $1"""


async def list_accounts(
    connection: Driver,
    tenant_id: int,
    *,
    at: datetime,
    after: str | None = None,
    role: Role | None = None,
    limit: int,
) -> list[AccountLine]:
    """Accounts by login.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        at: the instant whose roles are shown.
        after: the login the page before ended at.
        role: only those who hold it at that instant.
        limit: how many at most.
    """
    rows = await connection.fetch(
        f"""{_ACCOUNTS} AND ($3::text IS NULL OR a.login > $3) AND ($4::text IS NULL OR EXISTS (
            SELECT FROM role_grant r WHERE r.tenant_id = $1 AND r.account_id = a.account_id AND r.role = $4
              AND r.starts_at <= $2 AND (r.ends_at IS NULL OR r.ends_at > $2)))
        ORDER BY a.login LIMIT $5""",
        tenant_id,
        at,
        after,
        None if role is None else role.value,
        limit,
    )
    return [_account(row) for row in rows]


async def read_account(connection: Driver, tenant_id: int, account_id: UUID, *, at: datetime) -> AccountLine:
    """One account.

    Raises:
        NotFound: there is none, or it is not in the asker's reach.
    """
    row = await connection.fetchrow(f"{_ACCOUNTS} AND a.account_id = $3", tenant_id, at, account_id)
    if row is None:
        raise NotFound(Problem("account", str(account_id), "unknown_account"))
    return _account(row)


async def find_account(connection: Driver, tenant_id: int, login: str) -> UUID:
    """The id of the account with this login.

    Raises:
        NotFound: there is none.
    """
    account_id = await connection.fetchval(
        "SELECT account_id FROM account WHERE tenant_id = $1 AND login = $2", tenant_id, login
    )
    if account_id is None:
        raise NotFound(Problem("login", login, "unknown_account"))
    return UUID(str(account_id))


async def list_grants(connection: Driver, tenant_id: int, account_id: UUID) -> list[GrantLine]:
    """Every grant an account ever had, oldest first."""
    rows = await connection.fetch(
        "SELECT grant_id, role, place, starts_at, ends_at FROM role_grant WHERE tenant_id = $1 AND account_id = $2"
        " ORDER BY starts_at, role, place, grant_id",
        tenant_id,
        account_id,
    )
    return [GrantLine(UUID(str(row[0])), *tuple(row)[1:]) for row in rows]


async def read_grant(connection: Driver, tenant_id: int, grant_id: UUID) -> GrantLine:
    """One grant.

    Raises:
        NotFound: there is none.
    """
    row = await connection.fetchrow(
        "SELECT grant_id, role, place, starts_at, ends_at FROM role_grant WHERE tenant_id = $1 AND grant_id = $2",
        tenant_id,
        grant_id,
    )
    if row is None:
        raise NotFound(Problem("grant", str(grant_id), "unknown_grant"))
    return GrantLine(UUID(str(row[0])), *tuple(row)[1:])


_CREDENTIALS = """
SELECT c.credential_id, c.account_id, a.login, c.kind, c.name, c.rights, c.created_at, c.expires_at, c.ended_at
FROM credential c JOIN account a ON a.tenant_id = $1 AND a.account_id = c.account_id
WHERE c.tenant_id = $1"""


async def list_credentials(
    connection: Driver, tenant_id: int, account_id: UUID, *, at: datetime
) -> list[CredentialLine]:
    """Sessions and tokens of an account that open something at this instant, newest first."""
    rows = await connection.fetch(
        f"{_CREDENTIALS} AND c.account_id = $2 AND c.ended_at IS NULL AND c.expires_at > $3"
        " ORDER BY c.created_at DESC, c.credential_id",
        tenant_id,
        account_id,
        at,
    )
    return [_credential(row) for row in rows]


async def list_tokens(
    connection: Driver,
    tenant_id: int,
    *,
    at: datetime,
    account_id: UUID | None = None,
    ended: bool = False,
    after: tuple[datetime, str] | None = None,
    limit: int,
) -> list[CredentialLine]:
    """Tokens, newest first; `after` is (created_at, id) of the last one on the page before.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        at: now.
        account_id: of this account only.
        ended: those too that were taken back or have run out.
        after: where the page before ended.
        limit: how many at most.
    """
    instant, token = after or (None, None)
    rows = await connection.fetch(
        f"""{_CREDENTIALS} AND c.kind = 'token' AND ($2::uuid IS NULL OR c.account_id = $2)
            AND ($3 OR (c.ended_at IS NULL AND c.expires_at > $4))
            AND ($5::timestamptz IS NULL OR (c.created_at, c.credential_id::text) < ($5, $6::text))
        ORDER BY c.created_at DESC, c.credential_id::text DESC LIMIT $7""",
        tenant_id,
        account_id,
        ended,
        at,
        instant,
        token,
        limit,
    )
    return [_credential(row) for row in rows]


async def read_token(connection: Driver, tenant_id: int, token_id: UUID) -> CredentialLine:
    """One token.

    Raises:
        NotFound: there is none, or it is a session.
    """
    row = await connection.fetchrow(
        f"{_CREDENTIALS} AND c.kind = 'token' AND c.credential_id = $2", tenant_id, token_id
    )
    if row is None:
        raise NotFound(Problem("token", str(token_id), "unknown_credential"))
    return _credential(row)


async def rights_held(
    connection: Driver, tenant_id: int, account_id: UUID, *, at: datetime, later: bool = False
) -> frozenset[Right]:
    """The rights an account's roles give it at an instant; with `later` also those of grants yet to begin."""
    rows = await connection.fetch(
        "SELECT DISTINCT role FROM role_grant WHERE tenant_id = $1 AND account_id = $2"
        " AND (starts_at <= $3 OR $4) AND (ends_at IS NULL OR ends_at > $3)",
        tenant_id,
        account_id,
        at,
        later,
    )
    return rights_of(frozenset(Role(row["role"]) for row in rows))


def _account(row: Any) -> AccountLine:
    told = dict(row)
    roles = tuple((role, place) for role, place in told.pop("roles"))
    return AccountLine(**told, roles=roles)


def _credential(row: Any) -> CredentialLine:
    told = dict(row)
    rights = told.pop("rights")
    return CredentialLine(**told, rights=None if rights is None else tuple(rights))
