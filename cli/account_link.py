"""`daogou account link`: by hand, whom an account belongs to at an OpenID provider or in WeCom."""

from __future__ import annotations

from uuid import uuid4

import click

from cli.session import Session, json_option, pass_session
from domain.errors import Problem, Refused
from domain.logins import login_of
from infra.clock import now
from infra.openid import LONGEST_SUBJECT, identity_of
from infra.sign_in_settings import is_https
from infra.wecom import LONGEST_USER
from ledger.account_list import find_account
from ledger.ledger import Command
from ledger.linked_identities import Way, link_identity

ACTOR = "cli"


@click.command("link")
@click.argument("login", metavar="LOGIN")
@click.option(
    "--subject", metavar="SUB", help="OpenID 平台里的编号（sub）/ the `sub` at the OpenID provider."
)
@click.option("--issuer", metavar="URL", help="哪个平台 / which provider; DAOGOU_OIDC_ISSUER where left out.")
@click.option("--wecom", metavar="USERID", help="企业微信成员账号 / the member's userid in WeCom.")
@click.option("--remove", type=click.Choice(["oidc", "wecom"]), help="取消关联 / part them again.")
@json_option
@pass_session
def link_command(
    session: Session,
    login: str,
    subject: str | None,
    issuer: str | None,
    wecom: str | None,
    remove: Way | None,
) -> None:
    """关联 OpenID 或企业微信身份，用它登录 / Link an account to an OpenID subject or a WeCom member."""
    if [subject, wecom, remove].count(None) != 2:
        raise Refused([Problem("--subject", "", "link_one_of")])
    way, identity = _identity(session, subject, issuer, wecom, remove)

    async def link() -> None:
        at = now()
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                account_id = await find_account(connection, ledger.tenant_id, login_of(login))
            async with ledger.transaction() as connection:
                command = Command(f"account/link/{uuid4()}", at, at, ACTOR)
                await link_identity(connection, ledger.tenant_id, command, account_id, way, identity)

    session.run(link())
    key = "account.linked" if identity is not None else "account.parted"
    told = session.words(key, login=login_of(login), way=session.words.code("ways", way))
    session.show({"login": login_of(login), "way": way, "linked": identity is not None}, told)


def _identity(
    session: Session, subject: str | None, issuer: str | None, wecom: str | None, remove: Way | None
) -> tuple[Way, str | None]:
    if remove is not None:
        return remove, None
    if wecom is not None:
        user = wecom.strip().lower()
        if not 0 < len(user) <= LONGEST_USER:
            raise Refused([Problem("--wecom", wecom, "not_an_identity", {"most": LONGEST_USER})])
        return "wecom", user
    told, oidc = subject or "", session.settings.oidc
    if not 0 < len(told) <= LONGEST_SUBJECT:
        raise Refused([Problem("--subject", told, "not_an_identity", {"most": LONGEST_SUBJECT})])
    provider = issuer or (oidc.issuer if oidc else "")
    if not is_https(provider) or " " in provider:
        raise Refused([Problem("--issuer", provider, "setting_not_https")])
    return "oidc", identity_of(provider, told)
