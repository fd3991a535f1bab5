"""Migrates a PostgreSQL of yours ahead of the code that needs it, and lets that code log in: worker and API."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sqlalchemy import pool
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from domain.errors import Unavailable
from infra.databases import scram_verifier
from infra.settings import Settings
from ledger.database import API, WORKER
from ledger.migrate import is_migrated, migrate

_LOGIN_REFUSED = frozenset({"28P01", "28000"})  # wrong or no password; not allowed to log in


@dataclass(frozen=True, slots=True)
class Login:
    """A login of the running code, which works."""

    name: str
    """The role that logs in."""
    password_set: bool
    """Whether that role was given the password of its URL, because it could not log in with it."""


async def migrate_ahead(settings: Settings) -> list[Login]:
    """Run every missing migration with DATABASE_ADMIN_URL, then see that DATABASE_URL and DATABASE_API_URL can log in.

    The first migration makes `daogou_worker` and `daogou_api` without a password. Where a URL names its role, the
    password becomes the one given there; what is sent is a verifier, for statements get logged. Other logins are
    their owner's business and left alone.

    Raises:
        Unavailable: DATABASE_URL is not set, or a login is refused and not ours to mend. No message holds a password.
    """
    if settings.database_url is None:
        raise Unavailable(
            "DATABASE_URL is not set: set it to the database to migrate (the embedded one is migrated when it starts)"
        )
    admin = settings.database_admin_url or settings.database_url
    await migrate(admin)
    logins = [await _let_in("DATABASE_URL", settings.database_url, WORKER, admin)]
    if settings.database_api_url is not None:
        logins.append(await _let_in("DATABASE_API_URL", settings.database_api_url, API, admin))
    return logins


async def _let_in(setting: str, url: str, role: str, admin: str) -> Login:
    login = make_url(url)
    if await _sees_the_schema(login):
        return Login(login.username or "", password_set=False)
    if login.username == role and login.password:
        await _set_password(make_url(admin), role, str(login.password), setting)
        if await _sees_the_schema(login):
            return Login(role, password_set=True)
    raise Unavailable(
        f"{setting}: {login.username!r} cannot log in, or does not see the schema: "
        f"correct its password, or make it a member of {role}"
    )


async def _sees_the_schema(url: URL) -> bool:
    try:
        return await is_migrated(url.render_as_string(hide_password=False))
    except Exception as error:
        # Refused while connecting, so the driver's own error comes through, wrapped or not.
        if getattr(getattr(error, "orig", error), "sqlstate", None) in _LOGIN_REFUSED:
            return False
        raise


async def _set_password(admin: URL, role: str, password: str, setting: str) -> None:
    try:
        verifier = scram_verifier(password, salt=secrets.token_bytes(16))
    except UnicodeEncodeError:
        raise Unavailable(f"{setting}: the password must be of ASCII letters, digits and signs") from None
    engine = create_async_engine(
        admin.set(drivername="postgresql+asyncpg"), poolclass=pool.NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{verifier}'")
    finally:
        await engine.dispose()
