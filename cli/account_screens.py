"""Screens of the `account` and `token` commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.account_words import at_minute, role_word
from cli.layout import NOTHING, heading, labelled, table
from ledger.account_list import AccountLine, CredentialLine, GrantLine
from wording.catalogue import Catalogue


def account_table(words: Catalogue, accounts: Sequence[AccountLine]) -> Table:
    """Accounts, a line each."""
    made = table(
        words("account.login"), words("account.name"), words("account.guide"), words("account.roles"),
        words("account.state"), fold=(0, 1, 3, 4),
    )  # fmt: skip
    for one in accounts:
        roles = words("comma").join(role_word(words, role, place) for role, place in one.roles)
        made.add_row(
            Text(one.login), Text(one.name), Text(one.guide_code or NOTHING), Text(roles or NOTHING), state_of(words, one)
        )  # fmt: skip
    return made


def state_of(words: Catalogue, account: AccountLine) -> str:
    """Open or shut, and what else keeps it from working."""
    parts = [words("account.open" if account.active else "account.shut")]
    if account.must_change:
        parts.append(words("account.must_change"))
    if account.locked_until is not None:
        parts.append(words("account.locked", until=at_minute(account.locked_until)))
    return " · ".join(parts)


def account_screen(
    words: Catalogue,
    account: AccountLine,
    grants: Sequence[GrantLine],
    credentials: Sequence[CredentialLine],
) -> Iterator[RenderableType]:
    """One account: who, its grants, its sessions and tokens."""
    ways = [
        words(f"account.by_{way}")
        for way, there in (("password", account.has_password), ("pin", account.has_pin))
        if there
    ]
    yield labelled(
        (words("account.login"), account.login),
        (words("account.name"), account.name),
        (words("account.guide"), account.guide_code or NOTHING),
        (words("account.state"), state_of(words, account)),
        (words("account.signs_in"), words("comma").join(ways) or words("account.by_neither")),
        (words("account.created_at"), at_minute(account.created_at)),
    )
    yield ""
    yield heading(words("account.grants"))
    yield _grants(words, grants) if grants else words("account.no_grants")
    yield ""
    yield heading(words("account.credentials"))
    yield _credentials(words, credentials) if credentials else words("account.no_credentials")


def password_lines(words: Catalogue, password: str | None) -> list[RenderableType]:
    """A one-time password and that it is shown once; nothing where there is none."""
    if password is None:
        return []
    return [Text(words("account.password", password=password), style="bold"), words("account.password_once")]


def token_table(words: Catalogue, tokens: Sequence[CredentialLine], at: datetime) -> Table:
    """Tokens, a line each; never a secret."""
    made = table(
        words("token.name"), words("account.login"), words("token.rights"), words("token.expires"), words("token.state"),
        words("account.id"), fold=(0, 1, 2),
    )  # fmt: skip
    for one in tokens:
        made.add_row(
            Text(one.name), Text(one.login), _rights(words, one), f"{one.expires_at.astimezone():%Y-%m-%d}",
            _standing(words, one, at), str(one.credential_id),
        )  # fmt: skip
    return made


def _standing(words: Catalogue, token: CredentialLine, at: datetime) -> str:
    if token.ended_at is not None:
        return words("token.taken_back")
    return words("token.valid" if token.expires_at > at else "token.run_out")


def _rights(words: Catalogue, token: CredentialLine) -> str:
    return words("token.all_rights") if token.rights is None else ", ".join(token.rights)


def _grants(words: Catalogue, grants: Sequence[GrantLine]) -> Table:
    made = table(
        words("account.role"), words("account.place"), words("account.starts"), words("account.ends"), words("account.id"),
        fold=(1,),
    )  # fmt: skip
    for one in grants:
        made.add_row(
            words.code("roles", one.role), Text(one.place or NOTHING), at_minute(one.starts_at),
            at_minute(one.ends_at) if one.ends_at else NOTHING, str(one.grant_id),
        )  # fmt: skip
    return made


def _credentials(words: Catalogue, credentials: Sequence[CredentialLine]) -> Table:
    made = table(
        words("account.credentials"), words("token.name"), words("token.rights"), words("token.expires"),
        words("account.id"), fold=(1, 2),
    )  # fmt: skip
    for one in credentials:
        token = one.kind == "token"
        made.add_row(
            words.code("account.sessions", one.kind), Text(one.name or NOTHING),
            _rights(words, one) if token else NOTHING, at_minute(one.expires_at), str(one.credential_id),
        )  # fmt: skip
    return made
