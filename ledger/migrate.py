"""Bring a database to the newest schema."""

from __future__ import annotations

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import pool, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("ledger.migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(admin_url: str) -> None:
    """Run every missing migration, in one transaction each; running it again changes nothing.

    Args:
        admin_url: a login that may create roles, or is already a member of `daogou_owner`.
    """
    engine = create_async_engine(
        make_url(admin_url).set(drivername="postgresql+asyncpg"),
        poolclass=pool.NullPool,
        connect_args={"server_settings": {"lock_timeout": "10s", "statement_timeout": "300s"}},
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(hashtext('daogou.migrate'))"))
            await connection.commit()
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()
