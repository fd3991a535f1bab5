"""A Check counted again by `recount.sql`, which shares no code with the figures, beside what was stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import asyncpg

RECOUNT = Path(__file__).with_name("recount.sql").read_text(encoding="utf-8")
COUNTS = ("due", "followed_up", "succeeded", "revenue")

Rows = dict[str, list[int]]
"""By store or guide id, "" for none: due, followed up, succeeded, revenue."""


async def recount(url: str, plan: str, cycle: int, kind: str, window_days: int = 14) -> dict[str, Any]:
    """The total as columns; `stores` and `guides` as rows. Connects as the owner: no tenant is set."""
    connection = await asyncpg.connect(url)
    try:
        counted = dict(await connection.fetchrow(RECOUNT, plan, cycle, kind, window_days))
    finally:
        await connection.close()
    return counted | {name: json.loads(counted[name] or "{}") for name in ("stores", "guides")}


async def stored_rows(url: str, plan: str, cycle: int, kind: str) -> dict[str, Rows]:
    """The rows of the stored Check with somebody due, in the shape of the recount's."""
    connection = await asyncpg.connect(url)
    try:
        figures = json.loads(
            await connection.fetchval(
                "SELECT figures::text FROM daogou.plan_check WHERE plan_id = $1 AND cycle = $2 AND kind = $3",
                plan,
                cycle,
                kind,
            )
        )
    finally:
        await connection.close()
    return {
        name: {row[key] or "": [row[count] for count in COUNTS] for row in figures[name] if row["due"]}
        for name, key in (("stores", "store"), ("guides", "guide"))
    }
