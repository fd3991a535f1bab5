"""All access ended at once: after a restore, sessions, tokens, phones and PINs are as they were at the backup.

What was taken back since would open again, so everybody signs in anew, every phone is bound anew, and every system that
sends records is given a new secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.events import AccessEnded, DeviceEnded, Event, FeedSecretsEnded
from ledger.accounts import lock_accounts
from ledger.devices import device_stream
from ledger.door import Driver
from ledger.feeds import end_secrets, feed_stream
from ledger.ledger import Command, Ledger, account_stream, record

CHUNK = 1_000
"""Events of one append."""


@dataclass(frozen=True, slots=True)
class EndedAccess:
    """What was ended, and what nobody but HQ can tell: whether accounts and grants are still meant to stand."""

    sessions: int = 0
    tokens: int = 0
    devices: int = 0
    pins: int = 0
    """One-time PINs that were void with it."""
    accounts: int = 0
    """Open accounts, to be looked through."""
    grants: int = 0
    """Grants of theirs that hold or will."""
    feeds: int = 0
    """Sources of records whose secrets ended; each needs a new one."""

    def __add__(self, other: EndedAccess) -> EndedAccess:
        """Both together, of two brands."""
        return EndedAccess(
            self.sessions + other.sessions,
            self.tokens + other.tokens,
            self.devices + other.devices,
            self.pins + other.pins,
            self.accounts + other.accounts,
            self.grants + other.grants,
            self.feeds + other.feeds,
        )


async def end_all_access(ledger: Ledger, command: Command, reason: str) -> EndedAccess:
    """End every session, token and feed's secret, unbind every phone, void codes that bind one and one-time PINs.

    One transaction.

    Passwords, PINs of one's own, accounts and grants stay. An event for each account and each phone it takes something
    from, which names them by their ids.

    Args:
        ledger: may change every account.
        command: who, when; a command of this id has not been before.
        reason: a code.
    """
    tenant_id, at = ledger.tenant_id, command.known_at
    async with ledger.transaction() as connection:
        await lock_accounts(connection, tenant_id)
        credentials = await connection.fetch(
            "UPDATE credential SET ended_at = $2 WHERE tenant_id = $1 AND ended_at IS NULL"
            " RETURNING account_id, credential_id, kind, expires_at > $2 AS opened",
            tenant_id,
            at,
        )
        devices = await connection.fetch(
            "UPDATE device SET ended_at = $2 WHERE tenant_id = $1 AND ended_at IS NULL RETURNING device_id",
            tenant_id,
            at,
        )
        await connection.execute(
            "UPDATE device_code SET used_at = $2 WHERE tenant_id = $1 AND used_at IS NULL", tenant_id, at
        )
        pins = await connection.fetch(
            "UPDATE account SET pin = NULL, pin_must_change = false WHERE tenant_id = $1 AND pin IS NOT NULL"
            " AND pin_must_change RETURNING account_id",
            tenant_id,
        )
        ended: dict[UUID, list[UUID]] = {row["account_id"]: [] for row in pins}
        for row in credentials:
            ended.setdefault(row["account_id"], []).append(row["credential_id"])
        void = {row["account_id"] for row in pins}
        events: list[tuple[str, Event]] = [
            (
                account_stream(account),
                AccessEnded(credentials=tuple(sorted(ids)), pin=account in void, reason=reason),
            )
            for account, ids in sorted(ended.items())
        ]
        events += [
            (device_stream(row["device_id"]), DeviceEnded(reason=reason))
            for row in sorted(devices, key=lambda row: str(row["device_id"]))
        ]
        feeds = await end_secrets(connection, tenant_id, at)
        events += [(feed_stream(source), FeedSecretsEnded(source=source, reason=reason)) for source in feeds]
        await _record(connection, tenant_id, command, events)
        open_ones = await connection.fetchrow(
            "SELECT count(DISTINCT a.account_id) AS accounts, count(g.grant_id) AS grants FROM account a"
            " LEFT JOIN role_grant g ON g.tenant_id = $1 AND g.account_id = a.account_id"
            " AND (g.ends_at IS NULL OR g.ends_at > $2) WHERE a.tenant_id = $1 AND a.active",
            tenant_id,
            at,
        )
    kinds = [row["kind"] for row in credentials if row["opened"]]
    return EndedAccess(
        sessions=kinds.count("session"),
        tokens=kinds.count("token"),
        devices=len(devices),
        pins=len(pins),
        accounts=open_ones["accounts"],
        grants=open_ones["grants"],
        feeds=len(feeds),
    )


async def _record(
    connection: Driver, tenant_id: int, command: Command, events: Sequence[tuple[str, Event]]
) -> None:
    for start in range(0, len(events), CHUNK):
        one = Command(
            f"{command.command_id}/{start // CHUNK}", command.occurred_at, command.known_at, command.actor
        )
        await record(connection, tenant_id, one, events[start : start + CHUNK])
