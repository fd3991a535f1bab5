"""Phones of stores on which guides sign in with a PIN: codes that bind them, the phones, and the guides' PINs.

Whose phones one binds is asked of the database (`binds`), which also holds every row to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.errors import NotFound, Problem, Refused
from domain.events import AccountCreated, DeviceBound, DeviceCodeMade, DeviceEnded
from domain.identifiers import derived_id
from domain.policy import POLICY, Right, Role
from ledger.account_list import rights_held
from ledger.account_places import Grant
from ledger.accounts import beyond, grant_role, lock_accounts, set_secret
from ledger.door import Driver
from ledger.guides import unknown_guide
from ledger.ledger import Command, account_stream, record

CODE_FOR = timedelta(minutes=15)
DEVICE_FOR = timedelta(days=180)
"""A phone keeps its secret so long; then it is bound again."""
_MINE = "((SELECT changes_all()) OR {store} = ANY ((SELECT reach('binds'))::uuid[]))"


@dataclass(frozen=True, slots=True)
class Device:
    """A bound phone."""

    device_id: UUID
    store: str
    """Code."""
    name: str
    bound_at: datetime


@dataclass(frozen=True, slots=True)
class Bound:
    """What a phone that was just bound is told."""

    device_id: UUID
    store: str
    store_name: str
    name: str


def device_stream(device_id: UUID) -> str:
    """The stream of a phone."""
    return f"device/{device_id}"


async def make_code(
    connection: Driver, tenant_id: int, *, store: str, name: str, made_by: UUID, hash_: bytes, at: datetime
) -> tuple[datetime, bool]:
    """Keep a code that binds one phone of a store; an older one for a phone of this name binds nothing any more.

    Returns:
        Until when it binds, and whether there was an older one.

    Raises:
        Refused: no such store, or not one whose phones the asker binds; or it is closed.
    """
    found = await connection.fetchrow(
        "SELECT s.store_id, c.last_on FROM store s"
        " LEFT JOIN store_closing c ON c.tenant_id = s.tenant_id AND c.store_id = s.store_id AND c.from_at <= $3"
        f" WHERE s.tenant_id = $1 AND s.code = $2 AND {_MINE.format(store='s.store_id')}",
        tenant_id,
        store,
        at,
    )
    if found is None:
        raise Refused([Problem("store", store, "unknown_store", {"nearest": "—"})])
    if found["last_on"] is not None:
        raise Refused([Problem("store", store, "store_is_closed", {"last_on": found["last_on"].isoformat()})])
    expires_at = at + CODE_FOR
    maker = account_stream(made_by)
    event = DeviceCodeMade(store=found["store_id"], expires_at=expires_at)
    await record(
        connection, tenant_id, Command(f"{maker}/device-code/{hash_.hex()}", at, at, maker), [(maker, event)]
    )
    older = await connection.fetch(
        "UPDATE device_code SET expires_at = $4 WHERE tenant_id = $1 AND store_id = $2 AND name = $3"
        " AND used_at IS NULL AND expires_at > $4 RETURNING true",
        tenant_id,
        found["store_id"],
        name,
        at,
    )
    await connection.execute(
        "INSERT INTO device_code (tenant_id, hash, store_id, made_by, name, expires_at)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        tenant_id,
        hash_,
        found["store_id"],
        made_by,
        name,
        expires_at,
    )
    return expires_at, bool(older)


async def bind(
    connection: Driver, tenant_id: int, *, code: bytes, device_id: UUID, secret: bytes, at: datetime
) -> Bound | None:
    """Bind a phone by a code, which is used up; call it in a transaction for upkeep.

    Args:
        connection: for upkeep.
        tenant_id: the brand.
        code: SHA-256 of the code.
        device_id: the phone's id to be.
        secret: SHA-256 of what the phone will show.
        at: now.

    Returns:
        None, and noted: no such code, or it was used, is too old, the store is closed, or whoever made it may not bind
            this store's phones any more.
    """
    row = await connection.fetchrow(
        """
        UPDATE device_code c SET used_at = $3 FROM store s
        WHERE c.tenant_id = $1 AND c.hash = $2 AND c.used_at IS NULL AND c.expires_at > $3
          AND s.tenant_id = c.tenant_id AND s.store_id = c.store_id
          AND NOT EXISTS (SELECT FROM store_closing x WHERE x.tenant_id = $1 AND x.store_id = c.store_id AND x.from_at <= $3)
          AND EXISTS (SELECT FROM role_grant g JOIN account a ON a.tenant_id = g.tenant_id AND a.account_id = g.account_id
                      WHERE g.tenant_id = $1 AND g.account_id = c.made_by AND a.active
                        AND g.starts_at <= $3 AND (g.ends_at IS NULL OR g.ends_at > $3)
                        AND (g.role = 'hq' OR g.role = 'store_manager' AND g.place = s.code))
        RETURNING c.store_id, c.made_by, c.name, s.code, s.name AS store_name""",
        tenant_id,
        code,
        at,
    )
    if row is None:
        return None
    await connection.execute(
        "INSERT INTO device (tenant_id, device_id, store_id, name, hash, bound_at) VALUES ($1, $2, $3, $4, $5, $6)",
        tenant_id,
        device_id,
        row["store_id"],
        row["name"],
        secret,
        at,
    )
    command = Command(f"{device_stream(device_id)}/bind", at, at, account_stream(row["made_by"]))
    event = DeviceBound(store=row["store_id"], made_by=row["made_by"])
    await record(connection, tenant_id, command, [(device_stream(device_id), event)])
    return Bound(device_id, row["code"], row["store_name"], row["name"])


async def find_device(connection: Driver, tenant_id: int, secret: bytes, at: datetime) -> UUID | None:
    """The phone that is bound under this SHA-256; None: none is, or it has ended."""
    device: UUID | None = await connection.fetchval(
        "SELECT device_id FROM device WHERE tenant_id = $1 AND hash = $2 AND ended_at IS NULL AND bound_at > $3",
        tenant_id,
        secret,
        at - DEVICE_FOR,
    )
    return device


async def list_devices(
    connection: Driver, tenant_id: int, store: str | None, at: datetime, limit: int
) -> list[Device]:
    """The phones in reach that are bound at an instant, of one store or all, newest first."""
    rows = await connection.fetch(
        "SELECT d.device_id, s.code AS store, d.name, d.bound_at FROM device d"
        " JOIN store s ON s.tenant_id = d.tenant_id AND s.store_id = d.store_id"
        f" WHERE d.tenant_id = $1 AND d.ended_at IS NULL AND d.bound_at > $4 AND {_MINE.format(store='d.store_id')}"
        " AND ($2::text IS NULL OR s.code = $2) ORDER BY d.bound_at DESC, d.device_id LIMIT $3",
        tenant_id,
        store,
        limit,
        at - DEVICE_FOR,
    )
    return [Device(**dict(row)) for row in rows]


async def end_device(
    connection: Driver, tenant_id: int, command: Command, device_id: UUID, *, reason: str
) -> None:
    """Bind a phone no more and end the sessions on it; call it in a transaction.

    Raises:
        NotFound: no such phone, not one the asker binds, or it has ended.
    """
    found = await connection.fetchval(
        "SELECT true FROM device WHERE tenant_id = $1 AND device_id = $2 AND ended_at IS NULL"
        f" AND {_MINE.format(store='store_id')}",
        tenant_id,
        device_id,
    )
    if not found:
        raise NotFound(Problem("device", str(device_id), "unknown_device"))
    event = DeviceEnded(reason=reason)
    await record(connection, tenant_id, command, [(device_stream(device_id), event)])
    await connection.execute(
        "UPDATE device SET ended_at = $3 WHERE tenant_id = $1 AND device_id = $2",
        tenant_id,
        device_id,
        command.known_at,
    )
    await connection.execute(
        "UPDATE credential SET ended_at = $3 WHERE tenant_id = $1 AND device_id = $2 AND ended_at IS NULL",
        tenant_id,
        device_id,
        command.known_at,
    )


async def give_pin(
    connection: Driver,
    tenant_id: int,
    command: Command,
    guide: str,
    *,
    login: str,
    pin: str,
    rights: frozenset[Right],
) -> UUID:
    """Give a guide a PIN that opens nothing but its change, and an account where there is none; in a transaction.

    Args:
        connection: the asker's.
        tenant_id: the brand.
        command: who, when.
        guide: code of a guide at work.
        login: of the account to be.
        pin: argon2id of it.
        rights: the asker's own; an account that may do more, now or later, gets no PIN from them.

    Raises:
        NotFound: no such guide, or not one of a store whose phones the asker binds.
        Refused: she is not at work; or the account is shut, has other roles, so that its PIN is HQ's to give, or may do more than the asker.
    """
    found = await connection.fetchrow(
        "SELECT g.guide_id, g.active, p.name FROM guide g"
        " LEFT JOIN guide_person p ON p.tenant_id = g.tenant_id AND p.guide_id = g.guide_id"
        f" WHERE g.tenant_id = $1 AND g.code = $2 AND {_MINE.format(store='g.store_id')}",
        tenant_id,
        guide,
    )
    if found is None:
        raise unknown_guide(guide)
    if not found["active"]:
        since = await _away_since(connection, tenant_id, found["guide_id"], command.known_at)
        raise Refused([Problem("guide", guide, "guide_not_at_work", {"since": since})])
    await lock_accounts(connection, tenant_id)  # a guide has one account, whoever opens it
    account = await connection.fetchrow(
        "SELECT account_id, active, (SELECT changes_all()) OR gives_pin(account_id, guide_id) AS mine FROM account"
        " WHERE tenant_id = $1 AND guide_id = $2 ORDER BY active DESC, pin IS NULL, created_at LIMIT 1",
        tenant_id,
        found["guide_id"],
    )
    # Whoever is not at HQ sees no grants: what they may give a PIN to at all is a guide and nothing else (`gives_pin`).
    held = POLICY[Role.GUIDE]
    if account is not None:
        held |= await rights_held(
            connection, tenant_id, account["account_id"], at=command.known_at, later=True
        )
    if account is not None and account["active"] and not account["mine"]:
        raise Refused([Problem("guide", guide, "pin_is_for_hq")])
    if problems := beyond("guide", guide, held, rights):
        raise Refused(problems)
    if account is None:
        account_id = await _open_account(
            connection, tenant_id, command, found["guide_id"], login, found["name"] or guide
        )
    elif not account["active"]:
        raise Refused([Problem("guide", guide, "account_shut")])
    else:
        account_id = account["account_id"]
    await set_secret(connection, tenant_id, command, account_id, "pin", pin, must_change=True)
    return account_id


async def _away_since(connection: Driver, tenant_id: int, guide_id: UUID, at: datetime) -> str:
    """The first day on which a guide who left works no more; a dash where a file said so without a day."""
    day = await connection.fetchval(
        "SELECT from_on FROM guide_posting WHERE tenant_id = $1 AND guide_id = $2 AND superseded_at IS NULL"
        " AND store_id IS NULL AND from_at <= $3 ORDER BY from_on DESC, version DESC LIMIT 1",
        tenant_id,
        guide_id,
        at,
    )
    return "—" if day is None else str(day.isoformat())


async def _open_account(
    connection: Driver, tenant_id: int, command: Command, guide_id: UUID, login: str, name: str
) -> UUID:
    """The account of a guide who signs in by PIN only; one a guide, whoever comes first."""
    account_id = derived_id("account of guide", str(guide_id))
    # The row first: row-level security looks into it to see whose stream it is.
    await connection.execute(
        "INSERT INTO account (tenant_id, account_id, login, name, guide_id, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        tenant_id,
        account_id,
        login,
        name,
        guide_id,
        command.known_at,
    )
    made = Command(f"{account_stream(account_id)}/open", command.occurred_at, command.known_at, command.actor)
    event = AccountCreated(account=account_id, guide=guide_id)
    appended = await record(connection, tenant_id, made, [(account_stream(account_id), event)])
    if not appended.duplicate:
        told = Command(f"{made.command_id}/grant", command.occurred_at, command.known_at, command.actor)
        grant_id = derived_id("grant of guide", str(account_id))
        await grant_role(connection, tenant_id, told, account_id, grant_id, Grant(Role.GUIDE), reason="")
    return account_id
