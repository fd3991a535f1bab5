"""Accounts, their grants and their credentials: who can sign in, as what, with which secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.errors import NotFound, Problem, Refused
from domain.events import (
    AccountChanged,
    AccountCreated,
    RoleEnded,
    RoleGranted,
    SecretChanged,
)
from domain.policy import BY_MANAGER, POLICY, Right, Role
from ledger.account_places import Grant, place_problem
from ledger.credentials import end_credentials
from ledger.door import Appended, Driver
from ledger.last_hq import refuse_last_hq
from ledger.ledger import Command, account_stream, record


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to be: ids and hashes come from outside, for nothing here draws at random."""

    account_id: UUID
    login: str
    name: str
    guide_id: UUID | None = None
    password: str | None = None
    """argon2id of the first password."""
    must_change: bool = False
    given_with: frozenset[Right] | None = None
    """The rights of whoever gave the password; None: all there are."""


def beyond(field: str, value: str, wanted: frozenset[Right], own: frozenset[Right]) -> list[Problem]:
    """What speaks against handing out rights one does not have oneself."""
    missing = sorted(right.value for right in wanted - own)
    return [Problem(field, value, "beyond_your_rights", {"right": ", ".join(missing)})] if missing else []


async def lock_accounts(connection: Driver, tenant_id: int) -> None:
    """Let one command at a time decide on the brand's accounts, until its transaction ends.

    Two that each take a role from another of the last two at HQ would both find one left.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.accounts'), $1)", tenant_id)


def grant_command(command: Command, number: int) -> str:
    """The command id of one of the grants that a new account gets."""
    return f"{command.command_id}/grant/{number}"


async def create_account(
    connection: Driver,
    tenant_id: int,
    command: Command,
    new: NewAccount,
    grants: Sequence[tuple[UUID, Grant]],
) -> Appended:
    """Create an account with its first grants; call it in a transaction.

    Raises:
        Refused: the login is taken, or a grant names a place that does not exist.
    """
    await lock_accounts(connection, tenant_id)
    taken = await connection.fetchval(
        "SELECT account_id FROM account WHERE tenant_id = $1 AND login = $2", tenant_id, new.login
    )
    if taken is not None and taken != new.account_id:
        raise Refused([Problem("login", new.login, "login_taken")])
    appended = await record(
        connection,
        tenant_id,
        command,
        [(account_stream(new.account_id), AccountCreated(account=new.account_id, guide=new.guide_id))],
    )
    if appended.duplicate:
        return appended
    await connection.execute(
        "INSERT INTO account (tenant_id, account_id, login, name, guide_id, password, must_change, created_at,"
        " password_given_with) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant_id,
        new.account_id,
        new.login,
        new.name,
        new.guide_id,
        new.password,
        new.must_change,
        command.known_at,
        _listed(new.given_with),
    )
    for number, (grant_id, grant) in enumerate(grants):
        told = Command(grant_command(command, number), command.occurred_at, command.known_at, command.actor)
        await grant_role(
            connection,
            tenant_id,
            told,
            new.account_id,
            grant_id,
            grant,
            reason="",
        )
    return appended


async def grant_role(
    connection: Driver,
    tenant_id: int,
    command: Command,
    account_id: UUID,
    grant_id: UUID,
    grant: Grant,
    *,
    reason: str,
) -> Appended:
    """Grant a role in a place; call it in a transaction.

    A one-time PIN that still has to be changed goes with the first role a manager gives no PINs for, and a one-time
    password with the first role that may do more than whoever gave it: who was told it could sign in first.

    Raises:
        NotFound: no such account.
        Refused: the place does not exist, the role needs none or a guide, or it would end before it gives anything.
    """
    await _check_place(connection, tenant_id, account_id, grant, command.known_at)
    starts_at = grant.starts_at or command.occurred_at
    if grant.ends_at is not None and grant.ends_at <= max(starts_at, command.known_at):
        raise Refused([Problem("ends_at", grant.ends_at.isoformat(), "grant_ends_before")])
    event = RoleGranted(
        grant=grant_id,
        role=grant.role.value,
        place=grant.place,
        starts_at=starts_at,
        ends_at=grant.ends_at,
        reason=reason,
    )
    appended = await record(connection, tenant_id, command, [(account_stream(account_id), event)])
    if not appended.duplicate:
        await connection.execute(
            "INSERT INTO role_grant (tenant_id, grant_id, account_id, role, place, starts_at, ends_at)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7)",
            tenant_id,
            grant_id,
            account_id,
            grant.role.value,
            grant.place,
            starts_at,
            grant.ends_at,
        )
        if grant.role not in BY_MANAGER:
            await void_one_time_pin(connection, tenant_id, command, account_id)
        await _void_one_time_password(connection, tenant_id, command, account_id, grant.role)
    return appended


async def _void_one_time_password(
    connection: Driver, tenant_id: int, command: Command, account_id: UUID, role: Role
) -> None:
    if await connection.fetchval(
        "SELECT true FROM account WHERE tenant_id = $1 AND account_id = $2 AND password IS NOT NULL AND must_change"
        " AND NOT password_given_with @> $3::text[] FOR UPDATE",
        tenant_id,
        account_id,
        _listed(POLICY[role]),
    ):
        voids = replace(command, command_id=f"{command.command_id}/void-password")
        await set_secret(connection, tenant_id, voids, account_id, "password", None)


def _listed(rights: frozenset[Right] | None) -> list[str] | None:
    return None if rights is None else sorted(right.value for right in rights)


async def void_one_time_pin(connection: Driver, tenant_id: int, command: Command, account_id: UUID) -> None:
    """Take a PIN away that was given and not changed yet, with the sessions; without one, nothing is done."""
    if await connection.fetchval(
        "SELECT true FROM account WHERE tenant_id = $1 AND account_id = $2 AND pin IS NOT NULL AND pin_must_change"
        " FOR UPDATE",
        tenant_id,
        account_id,
    ):
        voids = replace(command, command_id=f"{command.command_id}/void-pin")
        await set_secret(connection, tenant_id, voids, account_id, "pin", None)


async def end_grant(
    connection: Driver,
    tenant_id: int,
    command: Command,
    grant_id: UUID,
    *,
    ends_at: datetime,
    reason: str,
    ways: frozenset[str] = frozenset(),
) -> Appended:
    """End a grant; from `ends_at` on it gives nothing. `ways` as for `refuse_last_hq`.

    Raises:
        NotFound: no such grant.
        Refused: it is the last account of HQ that would lose its role: nobody could grant it again. Or it has ended,
            ends earlier anyway, or would end in the past: what it gave until now, it gave.
    """
    await lock_accounts(connection, tenant_id)
    row = await connection.fetchrow(
        "SELECT account_id, role, ends_at FROM role_grant WHERE tenant_id = $1 AND grant_id = $2",
        tenant_id,
        grant_id,
    )
    if row is None:
        raise NotFound(Problem("grant", str(grant_id), "unknown_grant"))
    if row["ends_at"] is not None and row["ends_at"] <= ends_at:
        told = {"ends_at": row["ends_at"].isoformat()}
        raise Refused([Problem("ends_at", ends_at.isoformat(), "grant_ends_earlier", told)])
    if ends_at < command.known_at:
        raise Refused([Problem("ends_at", ends_at.isoformat(), "ends_in_past")])
    if row["role"] == Role.HQ:
        await refuse_last_hq(
            connection,
            tenant_id,
            row["account_id"],
            now=command.known_at,
            at=ends_at,
            grant_id=grant_id,
            ways=ways,
        )
    event = RoleEnded(grant=grant_id, ends_at=ends_at, reason=reason)
    appended = await record(connection, tenant_id, command, [(account_stream(row["account_id"]), event)])
    if not appended.duplicate:
        await connection.execute(
            "UPDATE role_grant SET ends_at = $3 WHERE tenant_id = $1 AND grant_id = $2",
            tenant_id,
            grant_id,
            ends_at,
        )
    return appended


async def set_active(
    connection: Driver,
    tenant_id: int,
    command: Command,
    account_id: UUID,
    *,
    active: bool,
    reason: str,
    ways: frozenset[str] = frozenset(),
) -> Appended:
    """Open or shut an account; shutting ends its sessions and tokens at once. `ways` as for `refuse_last_hq`.

    Raises:
        NotFound: no such account.
        Refused: it is the last account of HQ.
    """
    await lock_accounts(connection, tenant_id)
    if not await connection.fetchval(
        "SELECT true FROM account WHERE tenant_id = $1 AND account_id = $2", tenant_id, account_id
    ):
        raise NotFound(Problem("account", str(account_id), "unknown_account"))
    if not active:
        await refuse_last_hq(
            connection, tenant_id, account_id, now=command.known_at, at=command.known_at, ways=ways
        )
    event = AccountChanged(active=active, reason=reason)
    appended = await record(connection, tenant_id, command, [(account_stream(account_id), event)])
    if not appended.duplicate:
        await connection.execute(
            "UPDATE account SET active = $3 WHERE tenant_id = $1 AND account_id = $2",
            tenant_id,
            account_id,
            active,
        )
        if not active:
            await end_credentials(connection, tenant_id, account_id, command.known_at)
    return appended


async def set_secret(
    connection: Driver,
    tenant_id: int,
    command: Command,
    account_id: UUID,
    kind: str,
    hashed: str | None,
    *,
    must_change: bool = False,
    keep: UUID | None = None,
) -> Appended:
    """Set or take away a password or PIN; its lock is lifted, and every other session of the account ends.

    Args:
        connection: in a transaction.
        tenant_id: the brand.
        command: who, when.
        account_id: whose.
        kind: password or pin.
        hashed: argon2id; None takes it away.
        must_change: it was given by somebody else and opens nothing but its change.
        keep: the session that goes on, where it is the account's own change.
    """
    event = SecretChanged(kind=kind, change="removed" if hashed is None else "set")
    appended = await record(connection, tenant_id, command, [(account_stream(account_id), event)])
    if not appended.duplicate:
        own = {"password": "", "pin": "pin_"}[kind]
        await connection.execute(
            f"UPDATE account SET {kind} = $3, {own}must_change = $4, {own}failures = 0, {own}locked_until = NULL"
            " WHERE tenant_id = $1 AND account_id = $2",
            tenant_id,
            account_id,
            hashed,
            must_change,
        )
        await connection.execute(
            "UPDATE credential SET ended_at = $3 WHERE tenant_id = $1 AND account_id = $2 AND kind = 'session'"
            " AND ended_at IS NULL AND credential_id IS DISTINCT FROM $4",
            tenant_id,
            account_id,
            command.known_at,
            keep,
        )
    return appended


async def note_giver(connection: Driver, tenant_id: int, account_id: UUID, rights: frozenset[Right]) -> None:
    """Note what whoever gave an account its one-time password may do (`grant_role`)."""
    await connection.execute(
        "UPDATE account SET password_given_with = $3 WHERE tenant_id = $1 AND account_id = $2",
        tenant_id,
        account_id,
        _listed(rights),
    )


async def _check_place(
    connection: Driver, tenant_id: int, account_id: UUID, grant: Grant, at: datetime
) -> None:
    account = await connection.fetchrow(
        "SELECT guide_id FROM account WHERE tenant_id = $1 AND account_id = $2", tenant_id, account_id
    )
    if account is None:
        raise NotFound(Problem("account", str(account_id), "unknown_account"))
    problem = await place_problem(
        connection, tenant_id, grant, is_guide=account["guide_id"] is not None, at=at
    )
    if problem is not None:
        raise Refused([problem])
