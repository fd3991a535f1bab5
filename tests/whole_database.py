"""Everything a database holds, as text: for what must be nowhere in it."""

from __future__ import annotations

import asyncpg

_TABLES = """
SELECT relname::text FROM pg_class WHERE relnamespace = 'daogou'::regnamespace AND relkind = 'r' ORDER BY 1"""


async def tables_that_hold(admin_url: str, *texts: str) -> list[str]:
    """The tables in which one of these texts stands, plain or in bytes."""
    connection = await asyncpg.connect(admin_url)
    try:
        found = []
        for (table,) in await connection.fetch(_TABLES):
            whole = await connection.fetchval(f"SELECT string_agg(t::text, ' ') FROM daogou.{table} t") or ""
            if any(text in whole or text.encode().hex() in whole for text in texts):
                found.append(table)
        return found
    finally:
        await connection.close()
