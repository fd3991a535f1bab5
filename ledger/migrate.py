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
            return set(stands.scalars()) == set(ScriptDirectory.from_config(_config()).get_heads())
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in {_MAY_NOT, _NO_TABLE}:
            return False
        raise
    finally:
        await engine.dispose()


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
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()
