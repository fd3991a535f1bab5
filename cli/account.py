"""`daogou account`: who can sign in, as what. It works on the database itself: whoever may run it is trusted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from activities.accounts import (
    Given,
    Giver,
    Wanted,
    end_grant_of,
    grant_to,
    open_new_account,
    reset_password,
    stand_account,
)
from activities.asked import Asked
from cli.account_import import import_command
from cli.account_link import link_command
from cli.account_screens import account_screen, account_table, password_lines
from cli.account_words import as_typed, at_minute, read_instant, read_role
from cli.session import Session, json_option, pass_session
from domain.logins import login_of
from domain.policy import Right
from infra.clock import now
from ledger.account_list import (
    AccountLine,
    GrantLine,
    find_account,
    list_accounts,
    list_credentials,
    list_grants,
    read_account,
    read_grant,
)
from ledger.account_places import Grant

ACTOR = "cli"
MOST = 1000

reason_option = click.option("--reason", required=True, metavar="TEXT", help="为什么 / why; on the record.")
role_option = click.option(
    "--role", required=True, metavar="ROLE", help="角色，中文或代码 / role, its word or code."
)
place_option = click.option(
    "--place",
    default="",
    metavar="PLACE",
    help="范围：区域、经销商名，门店、计划编号 / region or dealer name, store or plan code.",
)
from_option = click.option(
    "--from", "starts", metavar="INSTANT", help="从何时起 / since when; now where left out."
)
until_option = click.option(
    "--until", "ends", metavar="INSTANT", help="到何时止 / until when; open where left out."
)


def giver(session: Session) -> Giver:
    """The command line: every right there is, for it holds the database itself."""
    return Giver(Asked(None, now(), ACTOR), frozenset(Right), ways=session.settings.ways)


@click.group()
def account() -> None:
    """账号：建立、授权、停用、重置密码 / Accounts: create, grant, shut, reset."""


@account.command("list")
@click.option("--role", metavar="ROLE", help="只看一种角色 / only who holds it now.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=50, show_default=True, help="最多几个 / how many."
)
@click.option("--after", metavar="LOGIN", help="从这个登录名之后继续 / go on after this login.")
@json_option
@pass_session
def list_command(session: Session, role: str | None, limit: int, after: str | None) -> None:
    """列出账号和现有角色 / List accounts and the roles they have now."""
    wanted = None if role is None else read_role(role)

    async def read() -> list[AccountLine]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            return await list_accounts(
                connection,
                ledger.tenant_id,
                at=now(),
                after=None if after is None else login_of(after),
                role=wanted,
                limit=limit + 1,
            )

    found = session.run(read())
    following = found[limit - 1].login if len(found) > limit else None
    screen: list[Any] = (
        [account_table(session.words, found[:limit])] if found else [session.words("account.none")]
    )
    if following:
        screen.append(session.words("account.more", login=following))
    session.show({"accounts": [account_json(one) for one in found[:limit]], "next": following}, *screen)


@account.command("show")
@click.argument("login", metavar="LOGIN")
@json_option
@pass_session
def show_command(session: Session, login: str) -> None:
    """一个账号：角色、会话、令牌 / One account: its grants, sessions and tokens."""
    with as_typed():
        line, grants, credentials = session.run(_show(session, login))
    told = {
        **account_json(line),
        "grants": list(map(asdict, grants)),
        "credentials": list(map(asdict, credentials)),
    }
    session.show(told, *account_screen(session.words, line, grants, credentials))


async def _show(session: Session, login: str) -> tuple[AccountLine, list[GrantLine], list[Any]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        at, tenant = now(), ledger.tenant_id
        account_id = await find_account(connection, tenant, login_of(login))
        return (
            await read_account(connection, tenant, account_id, at=at),
            await list_grants(connection, tenant, account_id),
            await list_credentials(connection, tenant, account_id, at=at),
        )


@account.command("create")
@click.argument("login", metavar="LOGIN")
@click.option("--name", required=True, metavar="NAME", help="姓名 / the person's name.")
@click.option("--guide", default="", metavar="CODE", help="是哪位导购 / code of the guide this account is.")
@role_option
@place_option
@from_option
@until_option
@click.option(
    "--no-password", is_flag=True, help="不要密码：用 PIN、OpenID Connect、企业微信或令牌 / no password."
)
@json_option
@pass_session
def create_command(session: Session, /, login: str, name: str, guide: str, role: str, **grant: Any) -> None:
    """建立账号，给出一次性密码 / Create an account and show its one-time password."""
    wanted = Wanted(
        login, name, guide.strip(), (_grant(role, grant),), with_password=not grant["no_password"]
    )

    async def create() -> tuple[Given, AccountLine]:
        async with session.ledger() as (ledger, _):
            given = await open_new_account(ledger, wanted, giver(session))
            async with ledger.connection() as connection:
                return given, await read_account(connection, ledger.tenant_id, given.made, at=now())

    with as_typed({"role": role}, name="--name"):
        given, line = session.run(create())
    _show_password(session, "account.created", given, line)


@account.command("reset")
@click.argument("login", metavar="LOGIN")
@json_option
@pass_session
def reset_command(session: Session, login: str) -> None:
    """重置密码：给出一次性密码，会话全部结束 / Show a new one-time password; sessions end."""

    async def reset() -> tuple[Given, AccountLine]:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                account_id = await find_account(connection, ledger.tenant_id, login_of(login))
            given = await reset_password(ledger, account_id, giver(session))
            async with ledger.connection() as connection:
                return given, await read_account(connection, ledger.tenant_id, account_id, at=now())

    with as_typed():
        given, line = session.run(reset())
    _show_password(session, "account.reset", given, line)


@account.command("grant")
@click.argument("login", metavar="LOGIN")
@role_option
@place_option
@from_option
@until_option
@click.option("--reason", default="", metavar="TEXT", help="为什么 / why; on the record.")
@json_option
@pass_session
def grant_command(session: Session, /, login: str, role: str, reason: str, **grant: Any) -> None:
    """授予角色 / Grant a role in a place."""
    wanted = _grant(role, grant)

    async def give() -> GrantLine:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                account_id = await find_account(connection, ledger.tenant_id, login_of(login))
            given = await grant_to(ledger, account_id, wanted, reason, giver(session))
            async with ledger.connection() as connection:
                return await read_grant(connection, ledger.tenant_id, given.made)

    with as_typed({"role": role}, guide="--role"):
        made = session.run(give())
    words = session.words
    told = words(
        "account.granted",
        login=login_of(login),
        role=words.code("roles", made.role),
        place=made.place or words("account.everywhere"),
        grant=made.grant_id,
    )
    session.show(asdict(made), told)


@account.command("end-grant")
@click.argument("grant", type=click.UUID, metavar="GRANT")
@click.option("--at", metavar="INSTANT", help="何时结束 / when; at once where left out.")
@reason_option
@json_option
@pass_session
def end_grant_command(session: Session, grant: Any, at: str | None, reason: str) -> None:
    """收回角色，编号见 account show / End a grant; its id is in `account show`."""
    ends_at = read_instant("--at", at)

    async def end() -> tuple[Given, GrantLine]:
        async with session.ledger() as (ledger, _):
            given = await end_grant_of(ledger, grant, reason, giver(session), ends_at=ends_at)
            async with ledger.connection() as connection:
                return given, await read_grant(connection, ledger.tenant_id, grant)

    with as_typed(ends_at="--at", account="GRANT"):
        given, made = session.run(end())
    words = session.words
    told = words(
        "account.grant_ended_already" if given.duplicate else "account.grant_ended",
        grant=made.grant_id,
        role=words.code("roles", made.role),
        place=made.place or words("account.everywhere"),
        ends_at=at_minute(made.ends_at) if made.ends_at else "",
    )
    session.show({**asdict(made), "changed": not given.duplicate}, told)


@account.command("shut")
@click.argument("login", metavar="LOGIN")
@reason_option
@json_option
@pass_session
def shut_command(session: Session, login: str, reason: str) -> None:
    """停用账号，会话和令牌立即失效 / Shut an account; its sessions and tokens end at once."""
    _stand(session, login, reason, active=False)


@account.command("open")
@click.argument("login", metavar="LOGIN")
@reason_option
@json_option
@pass_session
def open_command(session: Session, login: str, reason: str) -> None:
    """重新启用账号 / Open a shut account again."""
    _stand(session, login, reason, active=True)


account.add_command(import_command)
account.add_command(link_command)


def account_json(line: AccountLine) -> dict[str, Any]:
    """An account for programs."""
    return {**asdict(line), "roles": [{"role": role, "place": place} for role, place in line.roles]}


def _grant(role: str, typed: dict[str, Any]) -> Grant:
    return Grant(
        read_role(role),
        typed["place"].strip(),
        read_instant("--from", typed["starts"]),
        read_instant("--until", typed["ends"]),
    )


def _stand(session: Session, login: str, reason: str, *, active: bool) -> None:
    async def stand() -> tuple[Given, AccountLine]:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                account_id = await find_account(connection, ledger.tenant_id, login_of(login))
            given = await stand_account(ledger, account_id, reason, giver(session), active=active)
            async with ledger.connection() as connection:
                return given, await read_account(connection, ledger.tenant_id, account_id, at=now())

    with as_typed():
        given, line = session.run(stand())
    key = "account.as_before" if given.duplicate else "account.is_open" if active else "account.is_shut"
    session.show(
        {"account": account_json(line), "changed": not given.duplicate}, session.words(key, login=line.login)
    )


def _show_password(session: Session, key: str, given: Given, line: AccountLine) -> None:
    session.show(
        {"account": account_json(line), "password": given.password},
        session.words(key, login=line.login),
        *password_lines(session.words, given.password),
    )
