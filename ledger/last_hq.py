"""Somebody at HQ can always sign in: what would leave nobody is refused."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.errors import Problem, Refused
from domain.policy import Right
from ledger.door import Driver

_BY_THEMSELVES = """(a.password IS NOT NULL OR a.subject IS NOT NULL AND 'oidc' = ANY ({ways}::text[])
                    OR a.wecom_user IS NOT NULL AND 'wecom' = ANY ({ways}::text[]))"""


async def refuse_last_hq(
    connection: Driver,
    tenant_id: int,
    account_id: UUID,
    *,
    now: datetime,
    at: datetime,
    grant_id: UUID | None = None,
    ways: frozenset[str],
) -> None:
    """Refuse what would leave nobody at HQ for good; call it with the accounts locked.

    Who stays has the role without an end, by `at` at the latest, in an open account that can sign in: with a password,
    by OpenID Connect or WeCom where that is configured, or by a token that manages accounts. What was granted ahead counts when it goes, too:
    somebody else may have been let go because of it.

    Args:
        connection: in a transaction.
        tenant_id: the brand.
        account_id: who leaves HQ.
        now: the instant of the command.
        at: when the role ends.
        grant_id: the only grant that ends; None: the whole account goes.
        ways: what is configured of `oidc` and `wecom`: an identity that nobody is asked for lets nobody in.

    Raises:
        Refused: nobody would stay.
    """
    row = await connection.fetchrow(
        f"""
        WITH hq AS (
            SELECT g.starts_at, g.ends_at, g.account_id = $2 AND ($5::uuid IS NULL OR g.grant_id = $5) AS going,
                   {_BY_THEMSELVES.format(ways="$7")} OR EXISTS (
                       SELECT FROM credential c WHERE c.tenant_id = $1 AND c.account_id = a.account_id
                         AND c.kind = 'token' AND c.ended_at IS NULL AND c.expires_at > $4
                         AND (c.rights IS NULL OR $6 = ANY (c.rights))) AS signs_in
            FROM role_grant g JOIN account a ON a.tenant_id = $1 AND a.account_id = g.account_id
            WHERE g.tenant_id = $1 AND g.role = 'hq' AND a.active AND (g.ends_at IS NULL OR g.ends_at > $3)
        )
        SELECT coalesce(bool_or(going), false) AS holds,
               coalesce(bool_or(NOT going AND ends_at IS NULL AND starts_at <= $4 AND signs_in), false) AS others
        FROM hq""",
        tenant_id,
        account_id,
        now,
        at,
        grant_id,
        Right.MANAGE_ACCOUNTS.value,
        sorted(ways),
    )
    if row["holds"] and not row["others"]:
        raise Refused([Problem("account", "", "last_hq")])


async def refuse_last_way(
    connection: Driver, tenant_id: int, token_id: UUID, *, at: datetime, ways: frozenset[str]
) -> None:
    """Refuse to end the token that is the last way in for anybody at HQ; call it with the accounts locked.

    `ways` as for `refuse_last_hq`.

    Raises:
        Refused: nobody at HQ, for good and open, could sign in any more, and by this token somebody can.
    """
    counts = await connection.fetchval(
        f"""
        WITH hq AS (
            SELECT DISTINCT a.account_id, {_BY_THEMSELVES.format(ways="$5")} AS signs_in
            FROM role_grant g JOIN account a ON a.tenant_id = $1 AND a.account_id = g.account_id
            WHERE g.tenant_id = $1 AND g.role = 'hq' AND a.active AND g.ends_at IS NULL AND g.starts_at <= $3
        ), token AS (
            SELECT c.credential_id FROM credential c JOIN hq ON hq.account_id = c.account_id
            WHERE c.tenant_id = $1 AND c.kind = 'token' AND c.ended_at IS NULL AND c.expires_at > $3
              AND (c.rights IS NULL OR $4 = ANY (c.rights))
        )
        SELECT EXISTS (SELECT FROM token WHERE credential_id = $2)
           AND NOT EXISTS (SELECT FROM token WHERE credential_id <> $2) AND NOT EXISTS (SELECT FROM hq WHERE signs_in)""",
        tenant_id,
        token_id,
        at,
        Right.MANAGE_ACCOUNTS.value,
        sorted(ways),
    )
    if counts:
        raise Refused([Problem("token", "", "last_hq")])
