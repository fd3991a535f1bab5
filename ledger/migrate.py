"""Bring a database to the newest schema."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import pool, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ledger.door import Driver

_MAY_NOT = "42501"
_NO_TABLE = "42P01"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("ledger.migrations")))
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _is_newer(connection: Connection) -> bool:
    """Whether a later version has migrated already; what it made stays."""
    if connection.execute(text("SELECT to_regclass('public.daogou_migration')")).scalar() is None:
        return False
    stands = set(connection.execute(text("SELECT version_num FROM public.daogou_migration")).scalars())
    connection.commit()
    return bool(stands - known_revisions())


def _engine(url: str) -> AsyncEngine:
    return create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        poolclass=pool.NullPool,
        connect_args={"server_settings": {"lock_timeout": "10s", "statement_timeout": "300s"}},
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


async def migrate(admin_url: str) -> None:
    """Run every missing migration, in one transaction each; running it again changes nothing.

    Args:
        admin_url: a login that may create roles, or is already a member of `daogou_owner`.
    """
    engine = _engine(admin_url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(hashtext('daogou.migrate'))"))
            await connection.commit()
            if not await connection.run_sync(_is_newer):
                await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()
