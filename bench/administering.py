"""What a benchmark does as the superuser of its own server."""

from __future__ import annotations

import asyncpg
from sqlalchemy.engine import URL


async def administer(url: URL, *statements: str) -> None:
    """Run statements, each in its own transaction."""
    connection = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
