"""Migrates a PostgreSQL of yours ahead of the code that needs it, and lets that code log in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import pool
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from domain.errors import Unavailable
from infra.databases import scram_verifier
from infra.settings import Settings
from ledger.database import WORKER
from ledger.migrate import is_migrated, migrate

_LOGIN_REFUSED = frozenset({"28P01", "28000"})  # wrong or no password; not allowed to log in


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done to the database; the schema is the newest in any case."""

    login: str
    """The role that DATABASE_URL logs in as."""
    password_set: bool
    """Whether that role was given the password of DATABASE_URL, because it could not log in with it."""


async def migrate_ahead(settings: Settings) -> Migrated:
    """Run every missing migration with DATABASE_ADMIN_URL, then see that DATABASE_URL can log in.

    The first migration makes `daogou_worker` without a password. When DATABASE_URL names that role, its password
    becomes the one given there; what is sent is a verifier, for statements get logged. Other logins are
    their owner's business and left alone.

    Raises:
        Unavailable: DATABASE_URL is not set, or the login is refused and not ours to mend. Neither message holds
            a password.
    """
    if settings.database_url is None:
        raise Unavailable(
            "DATABASE_URL is not set: set it to the database to migrate (the embedded one is migrated when it starts)"
        )
    admin = settings.database_admin_url or settings.database_url
    await migrate(admin)
    login = make_url(settings.database_url)
    if await _sees_the_schema(login):
        return Migrated(login.username or "", password_set=False)
    if login.username == WORKER and login.password:
        await _set_password(make_url(admin), str(login.password))
        if await _sees_the_schema(login):
            return Migrated(login.username, password_set=True)
    raise Unavailable(
        f"DATABASE_URL: {login.username!r} cannot log in, or does not see the schema: "
        f"correct its password, or make it a member of {WORKER}"
    )


async def _sees_the_schema(url: URL) -> bool:
    try:
        return await is_migrated(url.render_as_string(hide_password=False))
    except Exception as error:
        # Refused while connecting, so the driver's own error comes through, wrapped or not.
        if getattr(getattr(error, "orig", error), "sqlstate", None) in _LOGIN_REFUSED:
            return False
        raise


async def _set_password(admin: URL, password: str) -> None:
    try:
        verifier = scram_verifier(password, salt=secrets.token_bytes(16))
    except UnicodeEncodeError:
        raise Unavailable("DATABASE_URL: the password must be of ASCII letters, digits and signs") from None
    engine = create_async_engine(
        admin.set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"ALTER ROLE {WORKER} PASSWORD '{verifier}'")
    finally:
        await engine.dispose()
