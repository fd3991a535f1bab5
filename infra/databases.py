"""Databases: made, migrated and opened; embedded by default, yours by setting."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta

import asyncpg
import structlog

from domain.errors import NotFound, Problem
from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress, running_postgres
from infra.key_standing import settle_keys
from infra.key_store import close_keys, open_keys
from infra.settings import Settings
from ledger.database import API, WORKER, open_database
from ledger.ledger import Ledger
from ledger.migrate import is_migrated, migrate
from ledger.people import count_plain, seal_plain
from ledger.pool import connect_arguments

MONTHS_AHEAD = timedelta(days=100)
LOCK_TIMEOUT_S = 10
log = structlog.get_logger(__name__)

_PERSONAL = ("member_person", "member_note")
_TO_BE_WRITTEN_ANEW = "plain texts were sealed: to be written anew"
_ANEW_BY_HAND = "VACUUM FULL daogou.member_person, daogou.member_note"
_ROUNDS = 4096  # what PostgreSQL takes itself; our passwords are 256 random bits, so more would add nothing


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """The login that migrates, and those that the worker and the API run as."""

    admin: str
    worker: str
    api: str


async def provide_embedded(
    server: EmbeddedPostgres,
    address: PostgresAddress,
    database: str,
    *,
    fresh: bool = False,
    template: str | None = None,
    create: bool = True,
) -> DatabaseUrls:
    """Make sure `database` exists on the embedded server, migrated, with the passwords of worker and API set.

    Args:
        server: the running server.
        address: its superuser.
        database: name; created where it is missing.
        fresh: drop it first. What was in it is gone.
        template: copy this database instead of starting empty; nobody may be connected to it.
        create: make it where it is missing; otherwise a missing one is refused.
    """
    connection = await asyncpg.connect(address.url("postgres"))
    try:
        name = _quoted(database)
        # Several processes may start at once; the lock goes with the connection.
        await connection.execute("SELECT pg_advisory_lock(hashtext('daogou.provide'))")
        if fresh:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", database):
            if not create:
                raise NotFound(Problem("--database", database, "unknown_database"))
            source = f" TEMPLATE {_quoted(template)} STRATEGY FILE_COPY" if template else ""
            await connection.execute(f"CREATE DATABASE {name}{source}")
        await migrate(address.url(database))
        passwords = {role: server.role_password(role) for role in (WORKER, API)}
        for role, password in passwords.items():
            await _ensure_password(connection, role, password)
    finally:
        await connection.close()
    logins = {role: address.url(database, user=role, password=told) for role, told in passwords.items()}
    return DatabaseUrls(address.url(database), logins[WORKER], logins[API])


@asynccontextmanager
async def open_ledger(
    settings: Settings,
    *,
    fresh: bool = False,
    template: str | None = None,
    create: bool = True,
    id_secret: bytes | None = None,
) -> AsyncIterator[tuple[Ledger, DatabaseUrls]]:
    """Open the ledger of `settings`, starting the embedded server for as long where no other is set.

    Args:
        settings: where.
        fresh: begin with an empty database (embedded only).
        template: begin with a copy of this database (embedded only).
        create: make the database where it is missing (embedded only).
        id_secret: keys the ids of a new tenant; random where nothing is given. A rehearsal gives its own,
            so that the same seed gives the same ids.
    """
    with ExitStack() as stack:
        if settings.database_url is not None:
            urls = DatabaseUrls(
                settings.database_admin_url or settings.database_url,
                settings.database_url,
                settings.database_api_url or settings.database_url,
            )
            if not await is_migrated(urls.worker):
                await migrate(urls.admin)
        else:
            server, address = stack.enter_context(running_postgres(settings.home))
            urls = await provide_embedded(
                server, address, settings.database, fresh=fresh, template=template, create=create
            )
        engine = open_database(urls.worker, tenant_id=settings.tenant_id)
        keys = open_keys(settings)
        try:
            ledger = Ledger(engine, settings.tenant_id, keys=keys)
            await ensure_tenant(ledger, id_secret or secrets.token_bytes(32))
            await ensure_months_ahead(ledger, now().date())
            await settle_keys(ledger, now())
            await seal_what_is_plain(ledger, urls.admin)
            yield ledger, urls
        finally:
            await engine.dispose()
            await close_keys(keys)


async def ensure_tenant(ledger: Ledger, id_secret: bytes, *, name: str = "daogou") -> None:
    """Give the brand its row, once; its id secret never changes afterwards."""
    async with ledger.connection() as connection:
        # One statement, so that there never is a brand without its secret.
        await connection.execute(
            "WITH secret AS (INSERT INTO tenant_secret (tenant_id, id_secret) VALUES ($1, $3) ON CONFLICT DO NOTHING)"
            " INSERT INTO tenant (tenant_id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            ledger.tenant_id,
            name,
            id_secret,
        )


async def ensure_months(ledger: Ledger, first: date, last: date) -> None:
    """Make the ledger's monthly partitions ahead of time, so that no writer has to."""
    async with ledger.connection() as connection:
        await connection.execute("SELECT ensure_event_partitions($1, $2)", first, last)


async def ensure_months_ahead(ledger: Ledger, today: date) -> None:
    """The months that a running system needs: last month's, for what is recorded late, to those ahead."""
    await ensure_months(ledger, today - timedelta(days=31), today + MONTHS_AHEAD)


async def seal_what_is_plain(ledger: Ledger, admin_url: str) -> int:
    """Seal personal texts that a version before the keys wrote, once; gives the number of rows.

    The tables are then written anew, for a page keeps what was updated in it. A mark on each says that this is still to
    be done: where it cannot be now, the next start does it.
    """
    plain = await count_plain(ledger)
    if not plain and not await _marked(ledger):
        return 0
    connection = await asyncpg.connect(**connect_arguments(admin_url))
    try:
        if owned := await _owns(connection):
            for table in _PERSONAL if plain else ():
                await connection.execute(f"COMMENT ON TABLE daogou.{table} IS '{_TO_BE_WRITTEN_ANEW}'")
        sealed = await seal_plain(ledger)
        if owned:
            await _write_anew(connection)
        else:
            # Without the owner's login: what was plain lies unseen in the pages until they are used again.
            log.warning("plain_texts_left_in_pages", remedy=_ANEW_BY_HAND)
    finally:
        await connection.close()
    log.info("personal_texts_sealed", rows=sealed)
    return sealed


async def _marked(ledger: Ledger) -> bool:
    async with ledger.connection() as connection:
        return bool(
            await connection.fetchval(
                "SELECT bool_or(obj_description(('daogou.' || t)::regclass, 'pg_class') = $2)"
                " FROM unnest($1::text[]) AS t",
                list(_PERSONAL),
                _TO_BE_WRITTEN_ANEW,
            )
        )


async def _owns(connection: asyncpg.Connection) -> bool:
    try:
        await connection.execute("SET ROLE daogou_owner")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


async def _write_anew(connection: asyncpg.Connection) -> None:
    """Free the pages of what was plain; whoever reads for long is not made to wait behind it."""
    await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
    for table in _PERSONAL:
        try:
            await connection.execute(f"VACUUM FULL daogou.{table}")
            await connection.execute(f"COMMENT ON TABLE daogou.{table} IS NULL")
        except asyncpg.LockNotAvailableError:
            log.warning(
                "plain_texts_left_in_pages", table=table, remedy=f"the next start, or {_ANEW_BY_HAND}"
            )


async def read_id_secret(ledger: Ledger) -> bytes:
    """The secret that keys the brand's ids."""
    async with ledger.connection() as connection:
        return bytes(
            await connection.fetchval(
                "SELECT id_secret FROM tenant_secret WHERE tenant_id = $1", ledger.tenant_id
            )
        )


async def _ensure_password(connection: asyncpg.Connection, role: str, password: str) -> None:
    """Set the role's password unless it is that already; only a verifier is sent, for statements get logged."""
    stored = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role)
    if stored is None or not _verifies(stored, password):
        verifier = scram_verifier(password, salt=secrets.token_bytes(16))
        await connection.execute(f"ALTER ROLE {role} PASSWORD '{verifier}'")


def scram_verifier(password: str, *, salt: bytes, rounds: int = _ROUNDS) -> str:
    """What PostgreSQL stores of an ASCII password for SCRAM-SHA-256; it cannot be logged in with."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    told = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${rounds}:{told[0]}${told[1]}:{told[2]}"


def _verifies(stored: str, password: str) -> bool:
    kind, _, rest = stored.partition("$")
    rounds, _, salt = rest.partition("$")[0].partition(":")
    if kind != "SCRAM-SHA-256":
        return False
    again = scram_verifier(password, salt=base64.b64decode(salt), rounds=int(rounds))
    return hmac.compare_digest(again, stored)


def _quoted(name: str) -> str:
    if not name.replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"database: {name!r} is not a name of letters, digits, - and _")
    return f'"{name}"'
