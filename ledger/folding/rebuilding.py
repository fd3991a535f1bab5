"""Projections built anew from the events while everything runs, and put in place in one short transaction.

In one snapshot, without a lock, every row is folded from the events and held against what is kept. Then one
transaction locks the rows that differ and the heads of the streams that tell them, in the order in which writers lock
them, folds those once more where anything was appended meanwhile, and changes nothing but the difference. Its commit is the
swap: readers see all of the old rows or all of the new ones and never wait; a writer waits only for a row that was
wrong. Killed at any point, nothing or everything has changed.

Rows that are right are not touched, so the cost of the swap is that of the damage. The fold costs what `telling` says
and a hash join a projection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import asyncpg
from sqlalchemy.engine import make_url

from domain.errors import Problem, Refused
from ledger.door import Driver
from ledger.folding.comparing import PROJECTIONS, Sql, queries
from ledger.folding.projections import Projection
from ledger.folding.telling import Scope, forget, newer_than_known, tell
from ledger.sequencer import last_position

TRIES = 3
"""How often the swap is tried again because it and a writer waited for each other."""
_SETTINGS = {
    "search_path": "daogou",
    "application_name": "daogou rebuild",
    "timezone": "UTC",
    "jit": "off",
    "work_mem": "64MB",
    "temp_buffers": "64MB",
    "lock_timeout": "30s",
}

Progress = Callable[[str, str], None]
"""Told of a stage (fold, compare, mend) and the projection it is about, empty where it is about all."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of one projection. Checksums are of the rows, whatever their order.

    `differing` rows were not as the events tell. `left` holds what no event tells, so that it can neither be put back
    nor taken away; everything else is put right, unless this was a dry run.
    """

    projection: str
    rows: int
    differing: int
    left: int
    before: str
    told: str
    after: str


@asynccontextmanager
async def owner(admin_url: str) -> AsyncIterator[Driver]:
    """A connection that may change any projection: the login that migrates, as the owner of the tables."""
    connection = await asyncpg.connect(
        make_url(admin_url).set(drivername="postgresql").render_as_string(hide_password=False),
        server_settings=_SETTINGS,
    )
    try:
        await connection.execute("SET ROLE daogou_owner")
        yield connection
    finally:
        await connection.close()


async def rebuild(
    connection: Driver,
    tenant_id: int,
    *,
    only: Collection[str] = (),
    dry_run: bool = False,
    on_progress: Progress = lambda _stage, _table: None,
) -> list[Rebuilt]:
    """Build projections anew from the events and put right what differs.

    Args:
        connection: the owner's (`owner`), for nothing else while this runs. For a dry run the worker's will do.
        tenant_id: the brand.
        only: tables to look at; none named: all.
        dry_run: look and change nothing.
        on_progress: told what is being done.

    Raises:
        Refused: an unknown projection; or the ledger holds what this version cannot read, so nothing was changed.
    """
    unknown = sorted(set(only) - {one.table for one in PROJECTIONS})
    if unknown:
        known = ", ".join(one.table for one in PROJECTIONS)
        raise Refused(
            [Problem("PROJECTION", name, "unknown_projection", {"known": known}) for name in unknown]
        )
    if not await connection.fetchval(
        "SELECT pg_try_advisory_lock(hashtext('daogou.rebuild'), $1)", tenant_id
    ):
        raise Refused([Problem("rebuild", "", "rebuild_running")])
    chosen = [one for one in await queries(connection) if not only or one.projection.table in only]
    try:
        with _unreadable_refused():
            async with connection.transaction(isolation="repeatable_read"):
                await connection.execute("SET LOCAL statement_timeout = 0")
                standing = await last_position(connection, tenant_id)
                on_progress("fold", "")
                await _told(connection, tenant_id, Scope())
                seen = [await _compared(connection, tenant_id, one, on_progress) for one in chosen]
        wrong = [one for one, found in zip(chosen, seen, strict=True) if found.differing]
        if dry_run or not wrong:
            return seen
        on_progress("mend", "")
        with _unreadable_refused():
            await _swap(connection, tenant_id, wrong, standing)
        return [
            await _after(connection, tenant_id, one, found) for one, found in zip(chosen, seen, strict=True)
        ]
    finally:
        await _clean_up(connection, tenant_id, chosen)


@contextmanager
def _unreadable_refused() -> Iterator[None]:
    try:
        yield
    except asyncpg.DataError as error:
        raise Refused([Problem("event", "", "event_unreadable", {"reason": str(error)})]) from error


async def _told(connection: Driver, tenant_id: int, scope: Scope) -> None:
    await tell(connection, tenant_id, scope)
    if newer := await newer_than_known(connection):
        raise Refused(
            [
                Problem("event", kind, "event_of_newer_version", {"version": str(version)})
                for kind, version in newer
            ]
        )


async def _compared(connection: Driver, tenant_id: int, sql: Sql, on_progress: Progress) -> Rebuilt:
    table = sql.projection.table
    on_progress("compare", table)
    counted = await connection.fetchrow(sql.counted(), tenant_id)
    if counted["differing"]:
        await connection.execute(f"CREATE TEMPORARY TABLE {_wrong(table)} AS {sql.differing()}", tenant_id)
        await connection.execute(f"ANALYZE {_wrong(table)}")
    before, told = _checksum(counted["kept"]), _checksum(counted["told"])
    left = await _left(connection, sql.projection) if counted["differing"] else 0
    return Rebuilt(table, counted["rows"], counted["differing"], left, before, told, before)


async def _left(connection: Driver, projection: Projection) -> int:
    if not projection.in_part:
        return 0
    return int(
        await connection.fetchval(
            f"SELECT count(*) FROM {_wrong(projection.table)} WHERE found_kind <> 'differs'"
        )
    )


def _wrong(table: str) -> str:
    return f"wrong_{table}"


def _checksum(value: int) -> str:
    return f"{int(value) % 2**64:016x}"


async def _swap(connection: Driver, tenant_id: int, wrong: Sequence[Sql], standing: int) -> None:
    for tries in reversed(range(TRIES)):
        try:
            async with connection.transaction():
                await _lock(connection, tenant_id, wrong, standing)
                if await _appended_since(connection, tenant_id, standing):
                    await _fold_again(connection, tenant_id, wrong)
                for one in wrong:
                    await _mend(connection, tenant_id, one.projection)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if not tries:
                raise
        else:
            return


async def _lock(connection: Driver, tenant_id: int, wrong: Sequence[Sql], standing: int) -> None:
    """Lock the wrong rows, then the heads of every stream that tells them: `scope_stream` names those."""
    for one in wrong:
        keys = one.projection.key
        await connection.execute(
            f"SELECT FROM daogou.{one.projection.table} k WHERE k.tenant_id = $1 AND EXISTS ("
            f"SELECT FROM {_wrong(one.projection.table)} w WHERE {' AND '.join(f'w.{name} = k.{name}' for name in keys)})"
            f" ORDER BY {', '.join(f'k.{name}' for name in keys)} FOR UPDATE",
            tenant_id,
        )
    streams = [f"SELECT found_stream AS stream FROM {_wrong(one.projection.table)}" for one in wrong]
    if any(one.projection.table == "plan_member" for one in wrong):
        # A member's row rests on the reports of all of the member's items in the plan, also of those made since.
        streams.append(
            "SELECT 'task/' || i.task_id FROM told_item i WHERE i.type = 'task_created' AND EXISTS ("
            "SELECT FROM wrong_plan_member w WHERE w.plan_id = i.plan_id AND w.member_id = i.member_id)"
        )
        streams.append(
            f"SELECT e.stream FROM ({_SINCE}) s JOIN daogou.event e ON e.tenant_id = $1 AND e.stream = s.stream"
            " AND e.version = s.version AND e.known_at = s.known_at AND e.type = 'task_created' AND EXISTS ("
            "SELECT FROM wrong_plan_member w WHERE w.plan_id = e.payload->>'plan'"
            " AND w.member_id::text = e.payload->>'member')"
        )
    await connection.execute("DROP TABLE IF EXISTS scope_stream")
    placed = (standing,) if len(streams) > len(wrong) else ()
    await connection.execute(
        f'CREATE TEMPORARY TABLE scope_stream AS SELECT DISTINCT stream COLLATE "C" AS stream FROM'
        f" ({' UNION ALL '.join(streams)}) s",
        *((tenant_id, *placed) if placed else ()),
    )
    await connection.execute("ANALYZE scope_stream")
    await connection.execute(
        "SELECT FROM daogou.stream_head h WHERE h.tenant_id = $1 AND EXISTS ("
        "SELECT FROM scope_stream s WHERE s.stream = h.stream) ORDER BY h.stream FOR UPDATE",
        tenant_id,
    )


_SINCE = """
SELECT stream, version, known_at FROM daogou.event_position WHERE tenant_id = $1 AND position > $2
UNION ALL SELECT stream, version, known_at FROM daogou.event_pending WHERE tenant_id = $1"""


async def _appended_since(connection: Driver, tenant_id: int, standing: int) -> bool:
    """Whether anything was, to whatever stream: a row may also rest on facts that an import's event commits to."""
    return bool(await connection.fetchval(f"SELECT EXISTS (SELECT FROM ({_SINCE}) s)", tenant_id, standing))


async def _fold_again(connection: Driver, tenant_id: int, wrong: Sequence[Sql]) -> None:
    """Hold the same rows once more against their streams, which nobody appends to now."""
    await forget(connection)
    await _told(connection, tenant_id, Scope(some_streams=True))
    for one in wrong:
        table = _wrong(one.projection.table)
        await connection.execute(f"CREATE TEMPORARY TABLE again AS {one.differing(among=table)}", tenant_id)
        await connection.execute(f"DROP TABLE {table}")
        await connection.execute(f"ALTER TABLE again RENAME TO {table}")


async def _mend(connection: Driver, tenant_id: int, projection: Projection) -> None:
    """Change what differs."""
    table, wrong = projection.table, _wrong(projection.table)
    same = " AND ".join(f"k.{name} = t.{name}" for name in projection.key)
    changed = [name for name in projection.columns if name not in projection.key]
    if not projection.in_part:
        gone = ("extra", "differs") if projection.renewed else ("extra",)
        await connection.execute(
            f"DELETE FROM daogou.{table} k USING {wrong} t WHERE k.tenant_id = $1 AND {same} AND t.found_kind = ANY($2)",
            tenant_id,
            gone,
        )
    if not projection.renewed:
        told = (f"{name} = {_or_kept(projection, name)}" for name in changed)
        await connection.execute(
            f"UPDATE daogou.{table} k SET {', '.join(told)} FROM {wrong} t"
            f" WHERE k.tenant_id = $1 AND {same} AND t.found_kind = 'differs'",
            tenant_id,
        )
    if not projection.in_part:
        await _put_back(connection, tenant_id, projection)


async def _put_back(connection: Driver, tenant_id: int, projection: Projection) -> None:
    names = [name for name in dict.fromkeys((*projection.key, *projection.columns)) if name != "tenant_id"]
    filled = projection.filled
    values = [f"coalesce(t.{name}, {filled[name]})" if name in filled else f"t.{name}" for name in names]
    more = [name for name in filled if name not in names]
    await connection.execute(
        f"INSERT INTO daogou.{projection.table} (tenant_id, {', '.join([*names, *more])})"
        f" SELECT $1, {', '.join([*values, *(filled[name] for name in more)])} FROM {_wrong(projection.table)} t"
        " WHERE t.found_kind = ANY($2)",
        tenant_id,
        ("missing", "differs") if projection.renewed else ("missing",),
    )


def _or_kept(projection: Projection, name: str) -> str:
    return f"coalesce(t.{name}, k.{name})" if name in projection.untold else f"t.{name}"


async def _after(connection: Driver, tenant_id: int, sql: Sql, found: Rebuilt) -> Rebuilt:
    if not found.differing:
        return found
    return replace(
        found,
        left=await _left(connection, sql.projection),
        after=_checksum(await connection.fetchval(sql.checksum(), tenant_id)),
    )


async def _clean_up(connection: Driver, tenant_id: int, chosen: Sequence[Sql]) -> None:
    if connection.is_closed():
        return
    await forget(connection)
    tables = ["scope_stream", *(_wrong(one.projection.table) for one in chosen)]
    await connection.execute(f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{table}' for table in tables)}")
    await connection.execute("SELECT pg_advisory_unlock(hashtext('daogou.rebuild'), $1)", tenant_id)
