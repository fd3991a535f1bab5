"""Commands on accounts, shared by API and command line: create, grant, end, shut, open, reset.

Ids and one-time passwords are made here, and only argon2id of a password goes further. Each command is one short
transaction. Given again with its key it changes nothing and says so; a secret is told the first time only.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn
from uuid import UUID, uuid4

from activities.asked import Asked
from activities.passwords import SPOKEN, hash_secret
from domain.errors import NotFound, Problem, Refused
from domain.identifiers import derived_id
from domain.logins import is_login, login_of
from domain.policy import POLICY, Right
from ledger.account_list import read_account, read_grant, rights_held
from ledger.account_places import Grant, place_problem
from ledger.accounts import (
    NewAccount,
    beyond,
    create_account,
    grant_command,
    lock_accounts,
    note_giver,
    set_active,
    set_secret,
)
from ledger.accounts import end_grant as write_end
from ledger.accounts import grant_role as write_grant
from ledger.door import Driver, command_used
from ledger.first_use import FirstUse, first_use
from ledger.guides import guide_id_of
from ledger.ledger import Command, Ledger

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Giver:
    """Who gives, when, and the rights they have: nobody hands out more, so a token cannot make itself a stronger one."""

    asked: Asked
    rights: frozenset[Right]
    token: UUID | None = None
    """The token by which they ask; None: in a session, or at the command line."""
    ways: frozenset[str] = frozenset()
    """How one may sign in besides with a password or PIN, as configured where they ask: `oidc`, `wecom`."""

    def command(self, what: str) -> Command:
        """A command of theirs; without a key every request is one of its own."""
        told = self.asked.key or secrets.token_hex(16)
        return Command(f"account/{what}/{told}", self.asked.at, self.asked.at, self.asked.actor)

    def new_id(self, kind: str, command: Command) -> UUID:
        """The id of what a command makes: the same when the request is sent again with its key."""
        return uuid4() if self.asked.key is None else derived_id(kind, command.command_id)

    def refuse_more(self, field: str, value: str, wanted: frozenset[Right]) -> list[Problem]:
        """What speaks against handing out these rights."""
        return beyond(field, value, wanted, self.rights)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An account to be, as it was asked for; `guide` is a code, empty where it is nobody's."""

    login: str
    name: str
    guide: str = ""
    grants: tuple[Grant | None, ...] = ()
    """None: one that could not be read, in a request that is refused."""
    with_password: bool = True
    """False: it signs in with a PIN, by OpenID Connect or WeCom, or has tokens only."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a command did to an account.

    `made` is the account, or the grant where one was made. `password` is the one-time password in clear, told this
    once; None where there is none, or where the request had been done before (`duplicate`).
    """

    made: UUID
    password: str | None = field(repr=False, default=None)
    duplicate: bool = False


def new_password() -> str:
    """A one-time password: 16 letters and digits in fours, 79 random bits."""
    letters = SPOKEN.lower()
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


async def open_new_account(ledger: Ledger, wanted: Wanted, by: Giver) -> Given:
    """Create an account with its first grants and a one-time password.

    Raises:
        Refused: everything that is wrong with it at once: login, name, guide, each grant.
    """
    login, name = login_of(wanted.login), wanted.name.strip()
    command = by.command("create")
    account_id = by.new_id("account", command)
    password = new_password() if wanted.with_password else None
    hashed = None if password is None else await hash_secret(password)
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        if await command_used(connection, ledger.tenant_id, command.command_id):
            before = await read_account(connection, ledger.tenant_id, account_id, at=by.asked.at)
            same = (before.login, before.name, before.guide_code or "") == (login, name, wanted.guide)
            if not same or not await _granted(connection, ledger.tenant_id, command, wanted.grants):
                raise key_used_otherwise(by)
            return Given(account_id, duplicate=True)
        guide_id, problems = await _account_problems(connection, ledger.tenant_id, wanted, by)
        if problems:
            raise Refused(problems)
        new = NewAccount(
            account_id,
            login,
            name,
            guide_id=guide_id,
            password=hashed,
            must_change=hashed is not None,
            given_with=by.rights,
        )
        grants = [
            (derived_id("grant", str(account_id), str(number)), grant)
            for number, grant in enumerate(wanted.grants)
            if grant is not None
        ]
        await create_account(connection, ledger.tenant_id, command, new, grants)
    return Given(account_id, password)


async def refuse_account(ledger: Ledger, wanted: Wanted, by: Giver, unread: Sequence[Problem]) -> NoReturn:
    """Refuse an account that could not be read whole, with everything else that is wrong with it.

    Raises:
        Refused: always; of a field that could not be read nothing more is told.
    """
    async with ledger.connection() as connection:
        _, problems = await _account_problems(connection, ledger.tenant_id, wanted, by)
    fields = {problem.field for problem in unread}
    raise Refused([*unread, *(problem for problem in problems if problem.field not in fields)])


async def _account_problems(
    connection: Driver, tenant_id: int, wanted: Wanted, by: Giver
) -> tuple[UUID | None, list[Problem]]:
    """The guide a new account is to be, and everything that is wrong with it."""
    login, name = login_of(wanted.login), wanted.name.strip()
    guide_id, of_guide = await _guide(connection, tenant_id, wanted.guide)
    taken = await connection.fetchval(
        "SELECT true FROM account WHERE tenant_id = $1 AND login = $2", tenant_id, login
    )
    return guide_id, [
        *login_problems("login", login),
        *([Problem("login", login, "login_taken")] if taken else []),
        *name_problems("name", name),
        *of_guide,
        *await _grant_problems(connection, tenant_id, wanted, by),
    ]


async def grant_to(ledger: Ledger, account_id: UUID, grant: Grant, reason: str, by: Giver) -> Given:
    """Grant a role in a place; `made` is the grant.

    Raises:
        NotFound: no such account.
        Refused: the place is not there, the role needs none or a guide, the account has it for some of the time, it would end before
            it begins, or it gives more than the giver has.
    """
    command = by.command(f"{account_id}/grant")
    grant_id = by.new_id("grant", command)
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        if await command_used(connection, ledger.tenant_id, command.command_id):
            first = await first_use(connection, ledger.tenant_id, command.command_id)
            if first is None or not _is_grant(first, grant):
                raise key_used_otherwise(by)
            return Given(grant_id, duplicate=True)
        account = await read_account(connection, ledger.tenant_id, account_id, at=by.asked.at)
        problems = by.refuse_more("role", grant.role.value, POLICY[grant.role])
        where = await place_problem(
            connection, ledger.tenant_id, grant, is_guide=bool(account.guide_code), at=by.asked.at
        )
        problems += [] if where is None else [where]
        starts_at = grant.starts_at or by.asked.at
        if grant.ends_at is not None and grant.ends_at <= max(starts_at, by.asked.at):
            problems.append(Problem("ends_at", grant.ends_at.isoformat(), "grant_ends_before"))
        if await connection.fetchval(
            "SELECT true FROM role_grant WHERE tenant_id = $1 AND account_id = $2 AND role = $3 AND place = $4"
            " AND starts_at < coalesce($6::timestamptz, 'infinity') AND (ends_at IS NULL OR ends_at > $5)",
            ledger.tenant_id, account_id, grant.role.value, grant.place, starts_at, grant.ends_at,
        ):  # fmt: skip
            problems.append(Problem("role", grant.role.value, "granted_already"))
        if problems:
            raise Refused(problems)
        await write_grant(
            connection, ledger.tenant_id, command, account_id, grant_id, grant, reason=reason.strip()
        )
    return Given(grant_id)


async def end_grant_of(
    ledger: Ledger, grant_id: UUID, reason: str, by: Giver, *, ends_at: datetime | None = None
) -> Given:
    """End a grant, at once or at an instant; `made` is the grant. Where it has ended, or ends then, nothing changes.

    Raises:
        NotFound: no such grant.
        Refused: no reason; it is the last of HQ; it ends earlier than the instant; or the instant is past.
    """
    _refuse_without_reason(reason)
    command = by.command(f"end-grant/{grant_id}")
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        first = await first_use(connection, ledger.tenant_id, command.command_id)
        if first is not None:
            if first.instant("ends_at") != (ends_at or first.occurred_at):
                raise key_used_otherwise(by)
            return Given(grant_id, duplicate=True)
        standing = await read_grant(connection, ledger.tenant_id, grant_id)
        ended = standing.ends_at is not None and standing.ends_at <= by.asked.at
        if (ended and ends_at is None) or (ends_at is not None and standing.ends_at == ends_at):
            return Given(grant_id, duplicate=True)
        await write_end(
            connection,
            ledger.tenant_id,
            command,
            grant_id,
            ends_at=ends_at or by.asked.at,
            reason=reason,
            ways=by.ways,
        )
    return Given(grant_id)


async def stand_account(ledger: Ledger, account_id: UUID, reason: str, by: Giver, *, active: bool) -> Given:
    """Open or shut an account; shut, its sessions and tokens end. As it stands already, nothing changes.

    Raises:
        NotFound: no such account.
        Refused: no reason; it is the last of HQ; or it is opened while another account is the same guide.
    """
    _refuse_without_reason(reason)
    command = by.command(f"{account_id}/{'open' if active else 'shut'}")
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)
        if await command_used(connection, ledger.tenant_id, command.command_id):
            return Given(account_id, duplicate=True)
        standing = await read_account(connection, ledger.tenant_id, account_id, at=by.asked.at)
        if standing.active is active:
            return Given(account_id, duplicate=True)
        if active and standing.guide_code:
            _, problems = await _guide(connection, ledger.tenant_id, standing.guide_code)
            if problems:
                raise Refused(problems)
        await set_active(
            connection, ledger.tenant_id, command, account_id, active=active, reason=reason, ways=by.ways
        )
    return Given(account_id)


async def reset_password(ledger: Ledger, account_id: UUID, by: Giver) -> Given:
    """Give an account a new one-time password; its sessions end, a lock-out is lifted, its tokens stay.

    Raises:
        NotFound: no such account.
        Refused: it is shut, or it may do what the giver may not: with its password they could.
    """
    command = by.command(f"{account_id}/reset")
    password = new_password()
    hashed = await hash_secret(password)
    async with ledger.transaction() as connection:
        await lock_accounts(connection, ledger.tenant_id)  # a role granted beside it would not be seen
        if await command_used(connection, ledger.tenant_id, command.command_id):
            return Given(account_id, duplicate=True)
        standing = await read_account(connection, ledger.tenant_id, account_id, at=by.asked.at)
        held = await rights_held(connection, ledger.tenant_id, account_id, at=by.asked.at, later=True)
        problems = by.refuse_more("account", standing.login, held)
        if not standing.active:
            problems.append(Problem("account", standing.login, "account_shut"))
        if problems:
            raise Refused(problems)
        appended = await set_secret(
            connection,
            ledger.tenant_id,
            command,
            account_id,
            "password",
            hashed,
            must_change=True,
        )
        if not appended.duplicate:
            await note_giver(connection, ledger.tenant_id, account_id, by.rights)
    return Given(account_id, None if appended.duplicate else password, duplicate=appended.duplicate)


def login_problems(field: str, login: str) -> list[Problem]:
    """What is wrong with a login in its one spelling."""
    return [] if is_login(login) else [Problem(field, login, "not_a_login")]


def name_problems(field: str, name: str) -> list[Problem]:
    """What is wrong with a name."""
    if not name:
        return [Problem(field, name, "name_missing")]
    return (
        [] if len(name) <= LONGEST_NAME else [Problem(field, name, "text_too_long", {"limit": LONGEST_NAME})]
    )


def key_used_otherwise(by: Giver) -> Refused:
    """The answer to a key that comes again with another content."""
    told = (by.asked.key or "").rpartition("/")[2]
    return Refused([Problem("Idempotency-Key", told, "key_used_otherwise")])


async def _granted(
    connection: Driver, tenant_id: int, command: Command, wanted: Sequence[Grant | None]
) -> bool:
    """Whether an account made before was made with these grants: as they were given, whatever became of them."""
    for number, grant in enumerate(wanted):
        first = await first_use(connection, tenant_id, grant_command(command, number))
        if first is None or grant is None or not _is_grant(first, grant):
            return False
    return not await command_used(connection, tenant_id, grant_command(command, len(wanted)))


def _is_grant(first: FirstUse, grant: Grant) -> bool:
    given = (
        first.payload["role"],
        first.payload["place"],
        first.instant("starts_at"),
        first.instant("ends_at"),
    )
    return given == (grant.role.value, grant.place, grant.starts_at or first.occurred_at, grant.ends_at)


def _refuse_without_reason(reason: str) -> None:
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])


async def _guide(connection: Driver, tenant_id: int, code: str) -> tuple[UUID | None, list[Problem]]:
    """The guide an account is to be; a guide has one open account at most."""
    if not code:
        return None, []
    try:
        guide_id = await guide_id_of(connection, tenant_id, code)
    except NotFound as error:
        return None, [error.problem]
    login = await connection.fetchval(
        "SELECT login FROM account WHERE tenant_id = $1 AND guide_id = $2 AND active", tenant_id, guide_id
    )
    return guide_id, [Problem("guide", code, "guide_has_account", {"login": login})] if login else []


async def _grant_problems(connection: Driver, tenant_id: int, wanted: Wanted, by: Giver) -> Sequence[Problem]:
    problems: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for number, grant in enumerate(wanted.grants):
        if grant is None:
            continue
        at, role = f"grants.{number}", grant.role.value
        problems += by.refuse_more(f"{at}.role", role, POLICY[grant.role])
        found = await place_problem(connection, tenant_id, grant, is_guide=bool(wanted.guide), at=by.asked.at)
        if found is not None:
            field = f"{at}.place" if found.field == "place" else found.field
            problems.append(Problem(field, found.value, found.code, found.params))
        starts_at = grant.starts_at or by.asked.at
        if grant.ends_at is not None and grant.ends_at <= max(starts_at, by.asked.at):
            problems.append(Problem(f"{at}.ends_at", grant.ends_at.isoformat(), "grant_ends_before"))
        if (role, grant.place) in seen:
            problems.append(Problem(f"{at}.role", role, "granted_already"))
        seen.add((role, grant.place))
    return problems
