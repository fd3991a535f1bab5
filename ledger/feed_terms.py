"""The terms a source is taken on: which kinds it may tell, since when. None: it has ended.

They are only ever added to, so an answer as of the past is what it was, whatever ended or began again since. A source without
terms may tell everything: it is of before there were any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from domain.confirmation import KINDS
from domain.errors import Problem, Refused
from ledger.door import Driver

LATEST = """
SELECT t.kinds FROM feed_terms t WHERE t.tenant_id = $1 AND t.source = {source} AND t.known_at <= $2
ORDER BY t.known_at DESC, t.number DESC LIMIT 1"""
"""The terms of a source as of $2."""


async def add_terms(
    connection: Driver, tenant_id: int, source: str, kinds: Collection[str], at: datetime
) -> None:
    """From now on the source may tell these kinds; none: it has ended. Call it with the source's row locked."""
    await connection.execute(
        "INSERT INTO feed_terms (tenant_id, source, number, known_at, kinds) SELECT $1, $2, count(*) + 1, $3, $4"
        " FROM feed_terms WHERE tenant_id = $1 AND source = $2",
        tenant_id,
        source,
        at,
        list(kinds),
    )


async def kinds_at(connection: Driver, tenant_id: int, source: str, at: datetime) -> tuple[str, ...]:
    """Which kinds a source may tell at an instant."""
    kinds = await connection.fetchval(LATEST.format(source="$3"), tenant_id, at, source)
    return KINDS if kinds is None else tuple(kinds)


def check_told(source: str, told: Iterable[tuple[str, str]], may: Collection[str]) -> None:
    """A source tells what it is registered for and nothing else.

    Args:
        source: whose they are.
        told: field and kind of each thing it tells.
        may: from `kinds_at`.

    Raises:
        Refused: one problem for each that it may not tell.
    """
    params = {"source": source, "kinds": ",".join(may)}
    problems = [Problem(field, kind, "kind_not_of_source", params) for field, kind in told if kind not in may]
    if problems:
        raise Refused(problems)


async def take_file(connection: Driver, tenant_id: int, source: str, kind: str, at: datetime) -> None:
    """Note a source whose data comes by file: it may tell what was imported of it. Call it in a transaction.

    A source that sends may tell by file what it may send. One that has ended is not begun again by a file.

    Raises:
        Refused: it sends, and was not registered for this kind.
    """
    new = await connection.fetchval(
        "INSERT INTO feed (tenant_id, source, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true",
        tenant_id,
        source,
        at,
    )
    if new:
        await add_terms(connection, tenant_id, source, [kind], at)
        return
    await connection.execute(
        "SELECT FROM feed WHERE tenant_id = $1 AND source = $2 FOR UPDATE", tenant_id, source
    )
    may = await kinds_at(connection, tenant_id, source, at)
    if not may or kind in may:
        return
    await check_file(connection, tenant_id, source, kind, at)
    await add_terms(connection, tenant_id, source, [one for one in KINDS if one == kind or one in may], at)


async def check_file(connection: Driver, tenant_id: int, source: str, kind: str, at: datetime) -> None:
    """A file of a source that sends holds what the source may send.

    Raises:
        Refused: it was not registered for this kind.
    """
    sends = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM feed_secret WHERE tenant_id = $1 AND source = $2)", tenant_id, source
    )
    may = await kinds_at(connection, tenant_id, source, at) if sends else ()
    if may:
        check_told(source, [("--source", kind)], may)
