"""`daogou token`: what machines show instead of a password. Shown once, kept as a digest."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from rich.text import Text

from activities.tokens import LONGEST_DAYS, Issued, WantedToken, end_token, issue_token
from cli.account import MOST, giver, reason_option
from cli.account_screens import token_table
from cli.account_words import as_typed, at_minute, read_right
from cli.session import Session, json_option, pass_session
from domain.errors import Problem, Refused
from domain.logins import login_of
from domain.policy import CHANGING, Right
from infra.clock import now
from ledger.account_list import CredentialLine, find_account, list_tokens, rights_held

DAYS = 90


@click.group()
def token() -> None:
    """令牌：给机器用的凭证 / Tokens: what machines show instead of a password."""


@token.command("issue")
@click.argument("name", metavar="NAME")
@click.option("--account", "login", required=True, metavar="LOGIN", help="属于哪个账号 / of which account.")
@click.option(
    "--right", "rights", multiple=True, metavar="RIGHT", help="权限，可写多次 / a right; may be repeated."
)
@click.option("--read-only", is_flag=True, help="账号的全部只读权限 / all its account may read.")
@click.option(
    "--all-rights", is_flag=True, help="账号的全部权限，包括以后授予的 / all its account has, later too."
)
@click.option(
    "--days", type=int, default=DAYS, show_default=True, help=f"有效天数 / days, at most {LONGEST_DAYS}."
)
@json_option
@pass_session
def issue_command(session: Session, /, name: str, login: str, days: int, **scope: Any) -> None:
    """发令牌，NAME 写用途；只显示一次 / Issue a token, NAME says what for; shown once."""
    told = tuple(read_right(right) for right in scope["rights"])
    if (bool(told), scope["read_only"], scope["all_rights"]).count(True) != 1:
        raise Refused([Problem("--right", "", "rights_choice")])

    async def issue() -> Issued:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                account_id = await find_account(connection, ledger.tenant_id, login_of(login))
                held = await rights_held(connection, ledger.tenant_id, account_id, at=now())
            rights: tuple[Right, ...] | None = told
            if scope["all_rights"]:
                rights = None
            elif scope["read_only"]:
                rights = tuple(held - CHANGING)
            return await issue_token(ledger, WantedToken(account_id, name, rights, days), giver(session))

    with as_typed(login="--account", account="--account", name="NAME"):
        issued = session.run(issue())
    line = issued.token
    session.show(
        {"token": asdict(line), "secret": issued.secret},
        session.words(
            "token.issued", login=line.login, name=line.name, token=line.credential_id, expires=at_minute(line.expires_at)
        ),
        Text(issued.secret or "", style="bold"),
        session.words("token.secret_once"),
    )  # fmt: skip


@token.command("list")
@click.option("--account", "login", metavar="LOGIN", help="只看这个账号 / only of this account.")
@click.option("--ended", is_flag=True, help="也列出已收回和过期的 / those that ended too.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=50, show_default=True, help="最多几个 / how many."
)
@click.option("--after", metavar="NEXT", help="从上一页给出的位置继续 / go on where the page before ended.")
@json_option
@pass_session
def list_command(session: Session, login: str | None, limit: int, after: str | None, *, ended: bool) -> None:
    """列出令牌，只有编号，没有内容 / List tokens by id; what opens is never shown."""
    place, at = _read_place(after), now()

    async def read() -> list[CredentialLine]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            tenant = ledger.tenant_id
            account_id = None if login is None else await find_account(connection, tenant, login_of(login))
            return await list_tokens(
                connection, tenant, at=at, account_id=account_id, ended=ended, after=place, limit=limit + 1
            )

    with as_typed(login="--account"):
        found = session.run(read())
    last = found[limit - 1] if len(found) > limit else None
    following = None if last is None else f"{last.created_at.isoformat()},{last.credential_id}"
    words = session.words
    screen: list[Any] = [token_table(words, found[:limit], at)] if found else [words("token.none")]
    if following:
        screen.append(words("token.more", next=following))
    session.show({"tokens": list(map(asdict, found[:limit])), "next": following}, *screen)


@token.command("end")
@click.argument("token_id", type=click.UUID, metavar="TOKEN")
@reason_option
@json_option
@pass_session
def end_command(session: Session, token_id: UUID, reason: str) -> None:
    """收回令牌，立即失效 / Take a token back; it opens nothing from the next request on."""

    async def end() -> CredentialLine:
        async with session.ledger() as (ledger, _):
            return await end_token(ledger, token_id, reason, giver(session))

    with as_typed():
        line = session.run(end())
    session.show(asdict(line), session.words("token.ended", name=line.name, token=line.credential_id))


def _read_place(text: str | None) -> tuple[datetime, str] | None:
    if text is None:
        return None
    instant, _, token_id = text.partition(",")
    try:
        created_at = datetime.fromisoformat(instant)
    except ValueError as error:
        raise Refused([Problem("--after", text, "not_a_cursor")]) from error
    if created_at.tzinfo is None:
        raise Refused([Problem("--after", text, "not_a_cursor")])
    return created_at, token_id
