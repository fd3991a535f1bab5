"""A restored cluster's first hour: its schema made current, its chains verified, its passwords changed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import asyncpg

from activities.asked import Asked
from activities.members import erase_again
from infra.backup import last_event
from infra.databases import ensure_months_ahead, scram_verifier
from infra.embedded_postgres import SUPERUSER
from infra.private_server import PORT
from ledger.anchors import Anchor
from ledger.database import open_database
from ledger.ending_access import EndedAccess, end_all_access
from ledger.ledger import Command, Ledger
from ledger.member_keys import MemberKeys
from ledger.migrate import migrate
from ledger.outbox import stop_messages
from ledger.verify import Standing, Verification, verify
from ledger.verify_beside import Beside

ACTOR = "daogou"
STOP_REASON = "restored_from_backup"
"""A code the screens word (`outbox.stop_reasons`)."""


@dataclass(frozen=True, slots=True)
class RestoredLedger:
    """What is in it: the last event's position and instant, and whether everything verifies."""

    position: int
    last_event_at: datetime | None
    verification: Verification
    erased_again: int = 0
    """Members who were erased after the point of recovery, and now are again."""
    access: EndedAccess = field(default_factory=EndedAccess)
    """What opened something at the backup, and does so no more."""
    anchors_after: int = 0
    """Anchors that tell of what came after the point of recovery, or of another line: not held against it."""


async def examine(
    login: Path,
    database: str,
    *,
    as_of: datetime,
    keys: Callable[[int], MemberKeys],
    anchors: Callable[[int], Sequence[Anchor]],
    on_progress: Callable[[int, int], None],
) -> RestoredLedger:
    """Migrate and verify the ledger of every tenant in a database reached through the socket in `login`.

    Notes are opened with the keys, and copies of seals from outside the database compared as far as they tell of what was
    before the point of recovery; the verification says what was not.

    Then every tenant's messages are stopped, as of `as_of`: a stop given after the ledger's end is forgotten,
    and so is what was sent since. All access ends: what was taken back since would open again. And whoever was erased
    since is erased again: the key store remembers them.
    """
    url = f"postgresql://{SUPERUSER}@/{database}?host={login}&port={PORT}"
    await migrate(url)
    connection = await _connect(login, database, {"search_path": "daogou", "jit": "off"})
    try:
        last = await last_event(connection)
        tenants = [
            row["tenant_id"] for row in await connection.fetch("SELECT tenant_id FROM tenant ORDER BY 1")
        ]
        total = await connection.fetchval("SELECT count(*) FROM event")
        on_progress(0, total)
        parts: list[Verification] = []
        held = {tenant: keys(tenant) for tenant in tenants}
        passed_over = 0
        for tenant in tenants:
            before = sum(part.events for part in parts)

            def told(done: int, before: int = before) -> None:
                on_progress(before + done, total)

            kept = anchors(tenant)
            before_it = await _of_before(connection, tenant, kept)
            passed_over += len(kept) - len(before_it)
            parts.append(
                await verify(connection, tenant, anchors=before_it, keys=held[tenant], on_progress=told)
            )
        on_progress(total, total)
        erased, access = 0, EndedAccess()
        for tenant in tenants:
            await _stop_messages(url, tenant, as_of)
            access += await _end_access(url, tenant, as_of)
            erased += await _erase_again(url, tenant, as_of, held[tenant])
        together = _together(parts)
        return RestoredLedger(last["position"], last["last_event_at"], together, erased, access, passed_over)
    finally:
        await connection.close()


async def _of_before(connection: asyncpg.Connection, tenant: int, anchors: Sequence[Anchor]) -> list[Anchor]:
    """Those of the ledger up to where it ends: a later one, or one sealed later in another line, contradicts nothing."""
    end = await connection.fetchrow(
        "SELECT coalesce(max(p.position), 0) AS position,"
        " greatest((SELECT max(e.known_at) FROM event e WHERE e.tenant_id = $1),"
        "          (SELECT max(s.sealed_at) FROM seal s WHERE s.tenant_id = $1)) AS at"
        " FROM event_position p WHERE p.tenant_id = $1",
        tenant,
    )
    return [
        one for one in anchors
        if one.position <= end["position"] and end["at"] is not None and one.sealed_at <= end["at"]
    ]  # fmt: skip


async def _stop_messages(url: str, tenant: int, as_of: datetime) -> None:
    engine = open_database(url, tenant_id=tenant, pool_size=1)
    try:
        ledger = Ledger(engine, tenant)
        await ensure_months_ahead(ledger, as_of.date())  # the backup may be older than the months it made
        command = Command(f"messages/restored/{as_of.isoformat()}", as_of, as_of, ACTOR)
        await stop_messages(ledger, command, STOP_REASON)
    finally:
        await engine.dispose()


async def _end_access(url: str, tenant: int, as_of: datetime) -> EndedAccess:
    engine = open_database(url, tenant_id=tenant, pool_size=1)
    try:
        command = Command(f"access/restored/{as_of.isoformat()}", as_of, as_of, ACTOR)
        return await end_all_access(Ledger(engine, tenant), command, STOP_REASON)
    finally:
        await engine.dispose()


async def _erase_again(url: str, tenant: int, as_of: datetime, keys: MemberKeys) -> int:
    engine = open_database(url, tenant_id=tenant, pool_size=1)
    try:
        ledger = Ledger(engine, tenant, keys=keys)
        return await erase_again(ledger, Asked(None, as_of, ACTOR), STOP_REASON)
    finally:
        await engine.dispose()


async def change_passwords(login: Path, password: str) -> None:
    """Give the superuser `password`; take every other role's away: who needs one is given a new one.

    Only verifiers are sent, for statements may be logged.
    """
    connection = await _connect(login, "postgres", {})
    try:
        roles = await connection.fetch(
            "SELECT quote_ident(rolname) AS name FROM pg_authid WHERE rolpassword IS NOT NULL AND rolname <> $1",
            SUPERUSER,
        )
        async with connection.transaction():
            for role in roles:
                await connection.execute(f"ALTER ROLE {role['name']} PASSWORD NULL")
            verifier = scram_verifier(password, salt=secrets.token_bytes(16))
            await connection.execute(f"ALTER ROLE {SUPERUSER} PASSWORD '{verifier}'")
    finally:
        await connection.close()


async def _connect(login: Path, database: str, settings: dict[str, str]) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=str(login), port=PORT, user=SUPERUSER, database=database, server_settings=settings
    )


def _together(parts: list[Verification]) -> Verification:
    return Verification(
        streams=sum(part.streams for part in parts),
        events=sum(part.events for part in parts),
        positions=sum(part.positions for part in parts),
        found=sum(part.found for part in parts),
        differences=tuple(difference for part in parts for difference in part.differences),
        standing=_least(parts),
        beside=sum((part.beside for part in parts), Beside()),
    )


def _least(parts: list[Verification]) -> Standing:
    """How far all of it is anchored: of several brands, that of the one with the most that is not."""
    if not parts:
        return Standing()
    least = max(parts, key=lambda part: part.standing.unanchored).standing
    return replace(least, unanchored=sum(part.standing.unanchored for part in parts))
