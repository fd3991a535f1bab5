"""Bring a database to the newest schema, beside whoever is working on it: decision 10."""

from __future__ import annotations

import asyncio
from importlib.resources import files

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import pool, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.door import Driver

LOCK_TIMEOUT_S = 0.9
"""How long a migration waits for each table: whoever comes to it, or to one it has already, meanwhile waits behind.

Less than PostgreSQL's `deadlock_timeout` of 1 s: where somebody who has the one table comes to the other, the migration has
given way before he is found to be in a deadlock and loses his work.
"""
TRIES = 60
"""How often a migration that did not get its tables is tried again."""
_BETWEEN_TRIES_S = 1.0
_MAY_NOT = "42501"
_NO_TABLE = "42P01"
_AGAIN = frozenset({"55P03", "40P01"})
"""Locked by somebody; or each waited for the other, and it was the migration that gave way."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("ledger.migrations")))
    return config


def _upgrade(connection: Connection, to: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _is_newer(connection: Connection) -> bool:
    """Whether a later version has migrated already; what it made stays."""
    fresh = connection.execute(text("SELECT to_regclass('public.daogou_migration')")).scalar() is None
    connection.commit()  # else all migrations would run in the transaction of this question
    if fresh:
        return False
    stands = set(connection.execute(text("SELECT version_num FROM public.daogou_migration")).scalars())
    connection.commit()
    return bool(stands - known_revisions())


def _engine(url: str, lock_timeout_s: float = LOCK_TIMEOUT_S) -> AsyncEngine:
    settings = {"lock_timeout": f"{lock_timeout_s * 1000:.0f}ms", "statement_timeout": "300s"}
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        poolclass=pool.NullPool,
        connect_args={"server_settings": settings},
    )


async def is_migrated(url: str) -> bool:
    """Whether the database has the newest schema, as far as this login can see; a worker's can."""
    engine = _engine(url)
    try:
        async with engine.connect() as connection:
            stands = await connection.execute(text("SELECT version_num FROM public.daogou_migration"))
            return serves(set(stands.scalars()))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in {_MAY_NOT, _NO_TABLE}:
            return False
        raise
    finally:
        await engine.dispose()


def known_revisions() -> frozenset[str]:
    """Every schema this code can bring to the newest one, the newest included."""
    return frozenset(one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def newest_schema() -> set[str]:
    """The versions a database of this code stands at."""
    return set(ScriptDirectory.from_config(_config()).get_heads())


def serves(stands: set[str]) -> bool:
    """Whether this code can work on a database that stands there: at its newest schema, or at one that came later.

    Migrations are safe beside the version before them, so what runs goes on while the next version rolls out.
    """
    return newest_schema() <= stands or bool(stands - known_revisions())


async def stands_at(connection: Driver) -> set[str]:
    """The versions the database of a connection stands at."""
    rows = await connection.fetch("SELECT version_num FROM public.daogou_migration")
    return {row["version_num"] for row in rows}


async def migrate(admin_url: str, *, to: str = "head", lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
    """Run every missing migration, in one transaction each; running it again changes nothing.

    One that does not get a table in time, or is in a deadlock, lets everybody through and is tried again; those before it
    are done.

    Args:
        admin_url: a login that may create roles, or is already a member of `daogou_owner`.
        to: the last one to run.
        lock_timeout_s: how long it, and so whoever comes after it, waits for a table.
    """
    engine = _engine(admin_url, lock_timeout_s)
    try:
        async with engine.connect() as connection:
            # Whoever migrates just now is waited for, as long as one migration may take.
            await connection.execute(text("SELECT set_config('lock_timeout', '300s', false)"))
            await connection.execute(text("SELECT pg_advisory_lock(hashtext('daogou.migrate'))"))
            await connection.execute(text("RESET lock_timeout"))
            await connection.commit()
            if not await connection.run_sync(_is_newer):
                await _upgrade_beside(connection, to)
            await connection.commit()
    finally:
        await engine.dispose()


async def _upgrade_beside(connection: AsyncConnection, to: str) -> None:
    for left in reversed(range(TRIES)):
        try:
            await connection.run_sync(_upgrade, to)
        except (DBAPIError, asyncpg.PostgresError) as error:  # a script goes to the driver itself
            if getattr(getattr(error, "orig", error), "sqlstate", None) not in _AGAIN or not left:
                raise
            await connection.rollback()
            await asyncio.sleep(_BETWEEN_TRIES_S)
        else:
            return
