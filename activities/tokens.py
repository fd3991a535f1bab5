"""API tokens for machines: issued with scopes and an end, shown once, taken back at once. Only a SHA-256 is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from activities.accounts import Giver, key_used_otherwise, name_problems
from activities.sessions import digest, new_secret
from domain.errors import Problem, Refused
from domain.policy import Right
from ledger.account_list import CredentialLine, read_account, read_token, rights_held
from ledger.accounts import lock_accounts
from ledger.credentials import NewCredential, begin_credential, end_credential
from ledger.door import command_used, lock_heads
from ledger.last_hq import refuse_last_way
from ledger.ledger import Command, Ledger, account_stream

LONGEST_DAYS = 365
PREFIX = "dgt"


@dataclass(frozen=True, slots=True)
class WantedToken:
    """A token to be; `rights` None: all its account has, also what it is granted later."""

    account_id: UUID
    name: str
    rights: Sequence[Right] | None
    days: int


@dataclass(frozen=True, slots=True)
class Issued:
    """A token; `secret` is in clear, told this once: None where the request had been done before."""

    token: CredentialLine
    secret: str | None = field(repr=False, default=None)
    duplicate: bool = False


async def issue_token(ledger: Ledger, wanted: WantedToken, by: Giver) -> Issued:
    """Issue a token of an account.

    By token, it lasts no longer than that one, ends with it, and issues no further ones: who has got hold of a token has
    it until it is taken back, and no longer.

    Raises:
        NotFound: no such account.
        Refused: it lasts longer than a year or not a day, has no name, its account is shut or lacks one of the rights,
            or whoever issues it does; or what a token may not issue.
    """
    name = wanted.name.strip()
    rights = None if wanted.rights is None else tuple(sorted(set(wanted.rights)))
    command = by.command(f"{wanted.account_id}/token")
    token_id = by.new_id("token", command)
    secret = new_secret(PREFIX)
    async with ledger.transaction() as connection:
        tenant = ledger.tenant_id
        # Shutting an account ends the tokens there are: read under the lock it takes, so that none begins beside it. And
        # of two requests with one key the second finds what the first one did.
        await lock_heads(connection, tenant, [account_stream(wanted.account_id)])
        if await command_used(connection, tenant, command.command_id):
            before = await read_token(connection, tenant, token_id)
            lasts = before.expires_at - before.created_at
            if (before.name, before.rights, lasts) != (name, rights, timedelta(days=wanted.days)):
                raise key_used_otherwise(by)
            return Issued(before, duplicate=True)
        account = await read_account(connection, tenant, wanted.account_id, at=by.asked.at)
        held = await rights_held(connection, tenant, wanted.account_id, at=by.asked.at)
        problems = name_problems("name", name)
        if not account.active:
            problems.append(Problem("account", account.login, "account_shut"))
        if not 1 <= wanted.days <= LONGEST_DAYS:
            problems.append(Problem("days", str(wanted.days), "token_days", {"most": LONGEST_DAYS}))
        if rights is None:
            later = await rights_held(connection, tenant, wanted.account_id, at=by.asked.at, later=True)
            problems += by.refuse_more("rights", "", later)
        elif not rights:
            problems.append(Problem("rights", "", "token_without_rights"))
        else:
            problems += [
                Problem("rights", right.value, "right_not_held", {"login": account.login})
                for right in rights
                if right not in held
            ]
            problems += by.refuse_more("rights", ", ".join(rights), frozenset(rights))
        expires_at = by.asked.at + timedelta(days=wanted.days)
        if by.token is not None:
            shown = await read_token(connection, tenant, by.token)
            problems += _beyond_token(wanted, expires_at, shown)
        if problems:
            raise Refused(problems)
        new = NewCredential(
            credential_id=token_id,
            account_id=wanted.account_id,
            hash=digest(secret),
            kind="token",
            expires_at=expires_at,
            name=name,
            rights=rights,
            issued_by=by.token,
        )
        await begin_credential(connection, tenant, command, new)
        return Issued(await read_token(connection, tenant, token_id), secret)


def _beyond_token(wanted: WantedToken, expires_at: datetime, shown: CredentialLine) -> list[Problem]:
    """What speaks against a token that is issued by showing another one."""
    problems = []
    if expires_at > shown.expires_at:
        told = {"until": shown.expires_at.isoformat()}
        problems.append(Problem("days", str(wanted.days), "token_outlives_yours", told))
    if wanted.rights is None or Right.MANAGE_TOKENS in wanted.rights:
        problems.append(Problem("rights", Right.MANAGE_TOKENS.value, "token_makes_tokens"))
    return problems


async def end_token(ledger: Ledger, token_id: UUID, reason: str, by: Giver) -> CredentialLine:
    """Take a token back: from the next request on it opens nothing. Taken back already, nothing changes.

    Raises:
        NotFound: no such token.
        Refused: no reason, or nobody at HQ could sign in any more.
    """
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])
    # Whoever takes it back: once is enough, so the token itself names the command.
    command = Command(f"token/{token_id}/end", by.asked.at, by.asked.at, by.asked.actor)
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        await read_token(connection, ledger.tenant_id, token_id)
        await refuse_last_way(connection, ledger.tenant_id, token_id, at=by.asked.at, ways=by.ways)
        await end_credential(connection, ledger.tenant_id, command, token_id, why=reason.strip())
        return await read_token(connection, ledger.tenant_id, token_id)
