"""Signing in and one's own secrets: attempts are counted, secrets are checked, sessions begin.

Who is turned away learns nothing but that: a wrong secret, a login nobody has, a shut and a locked account get the
same answer after the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from uuid import UUID, uuid4

from activities.password_rules import normalised, password_problem, pin_problem
from activities.passwords import hash_secret, is_dated, proves
from activities.sessions import Session, begin_session, digest
from domain.errors import Problem, Refused
from domain.logins import login_of
from ledger.accounts import set_secret
from ledger.asking import Asker
from ledger.devices import find_device
from ledger.door import Driver, lock_heads
from ledger.ledger import Command, Ledger, account_stream
from ledger.own_sessions import end_own_session, session_shown
from ledger.sign_in import (
    Kept,
    Who,
    count_attempt,
    find_by_guide,
    find_by_login,
    hash_anew,
    judge,
    read_who,
    refuse_unknown,
)

REFUSED_AFTER_S = 0.25
"""No refusal is answered sooner, whatever was found out on the way."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Somebody has signed in."""

    session: Session
    who: Who
    must_change: bool


async def wait_for_attempt(
    ledger: Ledger, address: str, at: datetime, *, way: str, phone: str | None = None
) -> timedelta:
    """Count an attempt by the bound phone it is made on, or else by its address; zero, or how long to wait.

    Args:
        ledger: for upkeep.
        address: of the client; of IPv6 the network counts, for every client has 2**64 of them.
        at: now.
        way: what is tried: password, pin, device_code, oidc or wecom.
        phone: the secret a phone shows. One that is bound is counted by itself, so that nobody can keep a shop waiting
            from elsewhere, nor another device behind the shop's address.
    """
    async with ledger.connection() as connection:
        device = None if phone is None else await find_device(connection, ledger.tenant_id, digest(phone), at)
        tried = f"address/{_network(address)}" if device is None else f"device/{device}"
        wait = await count_attempt(connection, ledger.tenant_id, tried, at)
    if wait:
        await note_refusal(ledger, way, "too_many", at)
    return wait


async def note_refusal(ledger: Ledger, way: str, why: str, at: datetime) -> None:
    """Note, once a minute, that somebody nobody knows was turned away; `ledger` is for upkeep."""
    async with ledger.transaction() as connection:
        await refuse_unknown(connection, ledger.tenant_id, way, at, why=why)


async def sign_in_by_password(
    ledger: Ledger, login: str, password: str, at: datetime, *, shown: str | None
) -> Welcome | None:
    """Begin a session; None: turned away.

    Args:
        ledger: for upkeep.
        login: in any case.
        password: as typed.
        at: now.
        shown: the secret of the session this browser has had until now, which ends.
    """

    async def find(connection: Driver) -> Kept | None:
        return await find_by_login(connection, ledger.tenant_id, login_of(login))

    return await _sign_in(ledger, "password", find, password, at, shown)


async def sign_in_by_pin(
    ledger: Ledger, phone: str, guide: str, pin: str, at: datetime, *, shown: str | None
) -> Welcome | None:
    """Begin a session of a guide on a bound phone; None: turned away.

    Args:
        ledger: for upkeep.
        phone: the secret the phone shows.
        guide: code of the guide.
        pin: as typed.
        at: now.
        shown: as for a password; on a shared phone the session of whoever had it before.
    """

    async def find(connection: Driver) -> Kept | None:
        return await find_by_guide(connection, ledger.tenant_id, digest(phone), guide, at)

    return await _sign_in(ledger, "pin", find, pin, at, shown)


async def change_password(ledger: Ledger, asker: Asker, old: str, new: str, at: datetime) -> None:
    """Change one's own password; every other session ends.

    Args:
        ledger: the asker's.
        asker: who asks, in a session.
        old: the present one.
        new: as typed.
        at: now.

    The old one is judged first, counted and locked as at the sign-in: whoever does not know it learns nothing of whether
    it was right by what is said of the new one.

    Raises:
        Refused: the old one is wrong, or the new one is against the rules.
    """
    async with ledger.connection() as connection:
        who = await read_who(connection, ledger.tenant_id, asker.account_id, at)
    problem = password_problem(new, who.login, field="new")
    await _change(ledger, asker, "password", old, new, at, problem)


async def change_pin(ledger: Ledger, asker: Asker, old: str, new: str, at: datetime) -> None:
    """Change one's own PIN; as `change_password`."""
    await _change(ledger, asker, "pin", old, new, at, pin_problem(new, field="new"))


async def _sign_in(
    ledger: Ledger,
    way: str,
    find: Callable[[Driver], Awaitable[Kept | None]],
    secret: str,
    at: datetime,
    shown: str | None,
) -> Welcome | None:
    async with _refusing_evenly() as refused:
        async with ledger.connection() as connection:
            said = await find(connection)
        proven = await proves(secret, None if said is None else said.hash)
        anew = await hash_secret(secret) if proven and said and is_dated(said.hash or "") else None
        async with ledger.transaction() as connection:
            if said is None:
                await refuse_unknown(connection, ledger.tenant_id, way, at)
                refused()
                return None
            await lock_both(connection, ledger.tenant_id, said, shown)
            why = await judge(connection, ledger.tenant_id, said, way, proven=proven, at=at, attempt=uuid4())
            if why is not None:
                refused()
                return None
            if anew is not None:
                await hash_anew(connection, ledger.tenant_id, said.account_id, way, anew)
            return await welcome(connection, ledger.tenant_id, said, way, at, shown)


async def lock_both(connection: Driver, tenant_id: int, said: Kept, shown: str | None) -> None:
    """Lock the account that signs in, and that of the session its browser has had, in the order every command does.

    Two guides who swap phones end each other's session: locked one after the other, each would wait for the other.
    """
    before = None if shown is None else await session_shown(connection, tenant_id, digest(shown))
    accounts = {said.account_id} | ({before[0]} if before else set())
    await lock_heads(connection, tenant_id, [account_stream(one) for one in sorted(accounts)])


async def welcome(
    connection: Driver, tenant_id: int, said: Kept, way: str, at: datetime, shown: str | None
) -> Welcome:
    """Begin a session of an account that has proved itself; the one this browser has had until now ends.

    Both are locked (`lock_both`), and whether the account is open was read after that.
    """
    before = None if shown is None else await session_shown(connection, tenant_id, digest(shown))
    if before is not None:
        account_id, credential_id = before
        stream = account_stream(account_id)
        command = Command(f"{stream}/session/{credential_id}/end", at, at, account_stream(said.account_id))
        await end_own_session(
            connection, tenant_id, command, account_id, credential_id, why="signed_in_again"
        )
    session = await begin_session(
        connection, tenant_id, said.account_id, way=way, at=at, device_id=said.device_id
    )
    who = await read_who(connection, tenant_id, said.account_id, at, on_phone=said.device_id is not None)
    return Welcome(session, who, who.must_change if way == "password" else who.pin_must_change)


async def _change(
    ledger: Ledger, asker: Asker, kind: str, old: str, new: str, at: datetime, problem: Problem | None
) -> None:
    async with ledger.connection() as connection:
        kept = await connection.fetchval(
            f"SELECT {_COLUMNS[kind]} FROM account WHERE tenant_id = $1 AND account_id = $2",
            ledger.tenant_id,
            asker.account_id,
        )
    proven = await proves(old, kept)
    if normalised(old) == normalised(new):
        problem = Problem("new", "", "secret_same")
    # Whether the old one was right is not to be told by the time either.
    hashed = await hash_secret(new) if problem is None else None
    attempt = uuid4()
    async with ledger.transaction() as connection:
        said = Kept(asker.account_id, kept)
        why = await judge(connection, ledger.tenant_id, said, kind, proven=proven, at=at, attempt=attempt)
        if why is None and hashed is not None:
            command = Command(f"{asker.actor}/{kind}/{attempt}", at, at, asker.actor)
            await set_secret(
                connection,
                ledger.tenant_id,
                command,
                asker.account_id,
                kind,
                hashed,
                keep=asker.credential_id,
            )
    if why is not None:
        raise Refused([Problem("old", "", "secret_locked" if why == "locked" else "wrong_old_secret")])
    if problem is not None:
        raise Refused([problem])


_COLUMNS = {"password": "password", "pin": "pin"}


@asynccontextmanager
async def _refusing_evenly() -> AsyncIterator[Callable[[], None]]:
    began, is_refused = time.monotonic(), False

    def refused() -> None:
        nonlocal is_refused
        is_refused = True

    yield refused
    if is_refused:
        await asyncio.sleep(max(0.0, REFUSED_AFTER_S - (time.monotonic() - began)))


def _network(address: str) -> str:
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or (int(found) >> 64))
    return address


def command_of(asker: Asker, what: str, at: datetime, *, thing: UUID | None = None) -> Command:
    """A command of the asker's that is done once and not sent again, or once a thing."""
    return Command(f"{asker.actor}/{what}/{thing or uuid4()}", at, at, asker.actor)
