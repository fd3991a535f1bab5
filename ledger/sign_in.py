"""Signing in: attempts are counted per window, failures per account, and whoever proved themselves is let in or not.

Everything here runs where nobody is signed on yet, or on the asker's own account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.events import SignInRefused
from domain.policy import ON_PHONE, Right, Role, rights_of
from ledger.devices import DEVICE_FOR
from ledger.door import Driver, command_used, lock_heads
from ledger.ledger import Command, account_stream, record

WINDOW = timedelta(minutes=1)
MOST_IN_WINDOW = 30
"""Attempts a window, right or wrong, from one address or on one bound phone: a shop's guides share one."""
WINDOWS_KEPT = timedelta(hours=1)
FAILURES_TO_LOCK = 10
FIRST_LOCK, LONGEST_LOCK = timedelta(minutes=15), timedelta(days=1)
"""Each further ten failures lock twice as long."""
NOBODY = "anybody"
"""Who asks where nobody is signed in."""
UNKNOWN = "sign-in/unknown"
"""Stream of the attempts as somebody who does not exist; which name was tried is not kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An account that somebody says to be, and what is kept of its secret."""

    account_id: UUID
    hash: str | None
    device_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A role one has now, and where; an empty place: the brand or oneself."""

    role: Role
    place: str


@dataclass(frozen=True, slots=True)
class Who:
    """An account as its owner sees it."""

    account_id: UUID
    login: str
    name: str
    guide: str | None
    """Code of the guide the account is."""
    roles: tuple[Held, ...]
    must_change: bool
    pin_must_change: bool

    @property
    def rights(self) -> frozenset[Right]:
        """What the roles allow, wherever they hold."""
        return rights_of(frozenset(held.role for held in self.roles))


async def count_attempt(
    connection: Driver, tenant_id: int, tried: str, at: datetime, *, most: int = MOST_IN_WINDOW
) -> timedelta:
    """Count an attempt; zero, or how long to wait where there were too many.

    Args:
        connection: for upkeep; one statement, and one more where a window opens.
        tenant_id: the brand.
        tried: from where, e.g. `address/203.0.113.7`; only a keyed digest of it is kept.
        at: now.
        most: so many within the window are let through.
    """
    row = await connection.fetchrow(
        "INSERT INTO sign_in_window AS w (tenant_id, subject, opened_at, attempts)"
        " VALUES ($1, sign_in_subject($2), $3, 1) ON CONFLICT (tenant_id, subject) DO UPDATE SET"
        " attempts = CASE WHEN w.opened_at <= $3 - $4::interval THEN 1 ELSE w.attempts + 1 END,"
        " opened_at = CASE WHEN w.opened_at <= $3 - $4::interval THEN $3 ELSE w.opened_at END"
        " RETURNING opened_at, attempts",
        tenant_id,
        tried,
        at,
        WINDOW,
    )
    if row["attempts"] == 1:
        await connection.execute(
            "DELETE FROM sign_in_window WHERE tenant_id = $1 AND opened_at < $2", tenant_id, at - WINDOWS_KEPT
        )
    if row["attempts"] <= most:
        return timedelta(0)
    opened_at: datetime = row["opened_at"]
    return max(timedelta(seconds=1), min(WINDOW, opened_at + WINDOW - at))


async def find_by_login(connection: Driver, tenant_id: int, login: str) -> Kept | None:
    """The account with this login (in lower case)."""
    row = await connection.fetchrow(
        "SELECT account_id, password FROM account WHERE tenant_id = $1 AND login = $2", tenant_id, login
    )
    return None if row is None else Kept(row["account_id"], row["password"])


async def find_by_guide(
    connection: Driver, tenant_id: int, phone: bytes, guide: str, at: datetime
) -> Kept | None:
    """The account of an active guide of the store whose bound phone has this SHA-256."""
    row = await connection.fetchrow(
        "SELECT a.account_id, a.pin, d.device_id FROM device d"
        " JOIN guide g ON g.tenant_id = d.tenant_id AND g.store_id = d.store_id AND g.active"
        " JOIN account a ON a.tenant_id = g.tenant_id AND a.guide_id = g.guide_id"
        " WHERE d.tenant_id = $1 AND d.hash = $2 AND d.ended_at IS NULL AND d.bound_at > $4 AND g.code = $3"
        " ORDER BY a.active DESC, a.pin IS NULL, a.created_at LIMIT 1",
        tenant_id,
        phone,
        guide,
        at - DEVICE_FOR,
    )
    return None if row is None else Kept(row["account_id"], row["pin"], row["device_id"])


async def refuse_unknown(
    connection: Driver, tenant_id: int, way: str, at: datetime, *, why: str = "unknown"
) -> None:
    """Note that somebody nobody knows was turned away; once a minute, way and reason: nobody fills the ledger.

    Args:
        connection: for upkeep.
        tenant_id: the brand.
        way: password, pin, device_code, token, oidc or wecom.
        at: now.
        why: unknown (who it was said to be does not exist), too_many, or the code of the problem that was answered.
    """
    named = way if why == "unknown" else f"{way}/{why}"
    command = Command(f"{UNKNOWN}/{named}/{at:%Y%m%d%H%M}", at, at, NOBODY)
    if not await command_used(connection, tenant_id, command.command_id):
        event = SignInRefused(way=way, why=why)
        await record(connection, tenant_id, command, [(UNKNOWN, event)])


async def judge(
    connection: Driver, tenant_id: int, said: Kept, way: str, *, proven: bool, at: datetime, attempt: UUID
) -> str | None:
    """Let an account in, or say why not; the failure is counted and noted. Call it in a transaction, which commits.

    The account is locked while it is judged, so of many guesses at once no more than ten are heard. Passwords and PINs
    are counted apart: whoever guesses the one from outside locks the other on no phone.

    Args:
        connection: for upkeep or the account's own.
        tenant_id: the brand.
        said: who was said to be, with the hash the secret was held against.
        way: password or pin.
        proven: whether the secret was right.
        at: now.
        attempt: names this attempt.

    Returns:
        None: welcome. Else shut, locked, none (there is no such secret) or wrong.
    """
    stream = account_stream(said.account_id)
    own = {"password": "", "pin": "pin_"}[way]
    # The stream before the row, as every command locks them.
    await lock_heads(connection, tenant_id, [stream])
    row = await connection.fetchrow(
        f"SELECT {_column(way)} AS kept, active, {own}failures AS failures, {own}locked_until AS locked_until FROM account"
        " WHERE tenant_id = $1 AND account_id = $2 FOR UPDATE",
        tenant_id,
        said.account_id,
    )
    why = _why_not(row["active"], row["locked_until"], row["kept"], said.hash, proven=proven, at=at)
    failures, locked_until = row["failures"], row["locked_until"]
    if why == "wrong":
        failures += 1
        if failures % FAILURES_TO_LOCK == 0:
            locked_until = at + min(FIRST_LOCK * 2 ** min(failures // FAILURES_TO_LOCK - 1, 10), LONGEST_LOCK)
    elif why is None:
        failures, locked_until = 0, None
    await connection.execute(
        f"UPDATE account SET {own}failures = $3, {own}locked_until = $4 WHERE tenant_id = $1 AND account_id = $2",
        tenant_id,
        said.account_id,
        failures,
        locked_until,
    )
    if why is not None:
        # Failures end in a lock; what is refused behind it is noted once a minute.
        name = str(attempt) if why == "wrong" else f"{why}/{at:%Y%m%d%H%M}"
        command = Command(f"{stream}/sign-in-refused/{way}/{name}", at, at, NOBODY)
        await record(connection, tenant_id, command, [(stream, SignInRefused(way=way, why=why))])
    return why


async def hash_anew(connection: Driver, tenant_id: int, account_id: UUID, way: str, hashed: str) -> None:
    """Keep the same secret under today's parameters."""
    await connection.execute(
        f"UPDATE account SET {_column(way)} = $3 WHERE tenant_id = $1 AND account_id = $2",
        tenant_id,
        account_id,
        hashed,
    )


async def read_who(
    connection: Driver, tenant_id: int, account_id: UUID, at: datetime, *, on_phone: bool = False
) -> Who:
    """An account and the roles it has at an instant; `on_phone`: those that count in a session on a bound phone."""
    row = await connection.fetchrow(
        "SELECT a.login, a.name, a.must_change, a.pin_must_change, g.code FROM account a"
        " LEFT JOIN guide g ON g.tenant_id = a.tenant_id AND g.guide_id = a.guide_id"
        " WHERE a.tenant_id = $1 AND a.account_id = $2",
        tenant_id,
        account_id,
    )
    held = await connection.fetch(
        "SELECT DISTINCT role, place FROM role_grant WHERE tenant_id = $1 AND account_id = $2"
        " AND starts_at <= $3 AND (ends_at IS NULL OR ends_at > $3) AND (NOT $4 OR role = ANY ($5::text[]))"
        " ORDER BY role, place",
        tenant_id,
        account_id,
        at,
        on_phone,
        [role.value for role in ON_PHONE],
    )
    return Who(
        account_id=account_id,
        login=row["login"],
        name=row["name"],
        guide=row["code"],
        roles=tuple(Held(Role(one["role"]), one["place"]) for one in held),
        must_change=row["must_change"],
        pin_must_change=row["pin_must_change"],
    )


def _why_not(
    active: bool,
    locked_until: datetime | None,
    kept: str | None,
    held: str | None,
    *,
    proven: bool,
    at: datetime,
) -> str | None:
    if not active:
        return "shut"
    if locked_until is not None and locked_until > at:
        return "locked"
    if kept is None:
        return "none"
    # A secret that was changed meanwhile proves nothing any more.
    return None if proven and kept == held else "wrong"


def _column(way: str) -> str:
    return {"password": "password", "pin": "pin"}[way]
