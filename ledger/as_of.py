"""The ledger as it stood: the folds fill tables of the projections' names, and the ordinary readers run on them.

    async with connection.transaction(isolation="repeatable_read"):
        as_of = await resolve(connection, tenant_id, position=None, at=then, now=now)
        await stand_then(connection, tenant_id, as_of, streams_of_guide(...))
        todays = await read_todays_list(connection, ...)     # of then

The tables are temporary and go with the transaction; what they do not hold (names, categories, purchases) is read where it
always is. Names are of today: who was erased has none, whenever one looks back to.

Cost: some forty statements, whatever the subject; rows grow with the events of the subject's own streams, each found by its
key, not with the ledger beside them. Temporary tables are catalogue rows: this is for people, not for a hot path.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from domain.errors import Problem, Refused
from ledger.door import Driver
from ledger.folding.complaints import CASE
from ledger.folding.days import DAY, ITEM_OF_LIST
from ledger.folding.items import CHECK_IN, CHECK_IN_SUPERSEDED, MEMBER, TASK
from ledger.folding.people import OPT_OUT
from ledger.folding.plans import CHECK, CYCLE, PLAN
from ledger.folding.projections import Projection
from ledger.folding.telling import Fields, Scope, forget, tell
from ledger.sequencer import last_position

FOLDED = (PLAN, CYCLE, CHECK, MEMBER, TASK, CHECK_IN, CHECK_IN_SUPERSEDED, DAY, ITEM_OF_LIST, CASE)
"""What stands again as it stood; everything else is as it is now."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """The moment that is looked back to.

    Events count up to `position` where there is one, else as far as they were known at `at`; purchases as far as they had
    occurred and were known at `at`.
    """

    at: datetime
    position: int | None = None
    at_named: bool = True
    """False where the instant is only that of the position's event."""
    standing_at: datetime | None = None
    """Where guides stood is that of this instant, `at` where there is none: a Check may run later than it counts."""
    placed: bool = True
    """Whether the asker sees positions; who sees a part of the ledger only does not."""


async def resolve(
    connection: Driver,
    tenant_id: int,
    *,
    position: int | None,
    at: datetime | None,
    now: datetime,
    placed: bool = True,
) -> AsOf:
    """The moment that a position, an instant or both name. A position alone stands for the instant its event was known.

    Two index lookups.

    Raises:
        Refused: neither is named, the instant is to come, or no event has that position.
    """
    if at is not None and at > now:
        raise Refused([Problem("at", at.isoformat(), "as_of_future", {"now": now.isoformat()})])
    if position is None:
        if at is None:
            raise Refused([Problem("at", "", "as_of_nothing")])
        return AsOf(at, placed=placed)
    if not placed:
        raise Refused([Problem("position", str(position), "as_of_unplaced")])
    known = await connection.fetchval(
        "SELECT known_at FROM event_position WHERE tenant_id = $1 AND position = $2", tenant_id, position
    )
    if known is None:
        last = await last_position(connection, tenant_id)
        raise Refused([Problem("position", str(position), "as_of_beyond", {"last": str(last)})])
    return AsOf(at or known, position, at_named=at is not None)


async def stand_then(
    connection: Driver, tenant_id: int, as_of: AsOf, streams: str, *arguments: Any
) -> int | None:
    """Let the projections' names mean what they held then, until the transaction ends; answers the last position in it.

    Call it once in a REPEATABLE READ transaction. Nothing of the ledger is written.

    Where the asker sees no positions, plans and cycles whose history they do not see either stand as they are now: they say
    what an item is about, not how it stood.

    Args:
        connection: of the ledger, its own or a request's: what row-level security hides stays hidden.
        tenant_id: the brand.
        as_of: the moment.
        streams: SQL of the streams that count, a column `stream`; $1 is the brand.
        *arguments: from $2 on.

    Raises:
        Refused: the database lets this login make no temporary tables.
    """
    # Another path, so that statements prepared before are planned anew and find the tables of then.
    await connection.execute("SET LOCAL search_path = pg_temp, daogou")
    try:
        await connection.execute(
            'CREATE TEMPORARY TABLE scope_stream (stream text COLLATE "C" PRIMARY KEY) ON COMMIT DROP'
        )
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refused([Problem("database", "", "as_of_no_temporary")]) from error
    await connection.execute(
        f"INSERT INTO scope_stream SELECT DISTINCT stream FROM ({streams}) s WHERE stream IS NOT NULL",
        tenant_id,
        *arguments,
    )
    await connection.execute("ANALYZE scope_stream")
    scope = Scope(
        some_streams=True,
        position=as_of.position,
        known_at=as_of.at if as_of.position is None else None,
        placed=as_of.placed,
    )
    await tell(connection, tenant_id, scope)
    for one in FOLDED:
        await _fill(connection, tenant_id, one)
    await connection.execute(_EVER)
    if not as_of.placed:
        await _keep_plans(connection, tenant_id)
    await _post_guides(connection, tenant_id, as_of)
    await _hear_members(connection, tenant_id, as_of)
    await forget(connection)
    return await _last(connection, tenant_id, as_of) if as_of.position is None else as_of.position


_REPORT = """tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at, business_date,
       channel, outcome, reached, grade, products, next_on, note_id, conflict"""
# As the view of this name (0010.sql), which goes on looking at the tables of today.
_EVER = f"""
CREATE TEMPORARY VIEW check_in_ever AS
SELECT {_REPORT}, 'infinity'::timestamptz AS superseded_at FROM pg_temp.check_in
UNION ALL SELECT {_REPORT}, superseded_at FROM pg_temp.check_in_superseded"""


async def _fill(connection: Driver, tenant_id: int, one: Projection) -> None:
    names = tuple(dict.fromkeys((*one.key, *one.columns)))
    told = [
        f"coalesce(t.{name}, {one.filled[name]})" if name in one.filled else f"t.{name}" for name in names
    ]
    await connection.execute(
        f"CREATE TEMPORARY TABLE {one.table} (LIKE daogou.{one.table} INCLUDING DEFAULTS) ON COMMIT DROP"
    )
    await connection.execute(
        f"INSERT INTO pg_temp.{one.table} (tenant_id, {', '.join(names)})"
        f" SELECT $1, {', '.join(told)} FROM ({one.told(Fields(careful=False))}) t",
        tenant_id,
    )
    await connection.execute(f"ANALYZE pg_temp.{one.table}")


async def _keep_plans(connection: Driver, tenant_id: int) -> None:
    for table in ("plan", "plan_cycle"):
        await connection.execute(
            f"INSERT INTO pg_temp.{table} SELECT k.* FROM daogou.{table} k WHERE k.tenant_id = $1"
            " AND k.plan_id IN (SELECT plan_id FROM pg_temp.task UNION SELECT plan_id FROM pg_temp.plan_member)"
            f" AND NOT EXISTS (SELECT FROM pg_temp.{table} t WHERE t.plan_id = k.plan_id)",
            tenant_id,
        )


async def _post_guides(connection: Driver, tenant_id: int, as_of: AsOf) -> None:
    """Let the guides concerned stand in the stores where they stood: before every posting that was put in force since.

    A posting decided after the position was not in force at it, whatever its day.
    """
    await connection.execute("CREATE TEMPORARY TABLE guide (LIKE daogou.guide) ON COMMIT DROP")
    await connection.execute(
        """
        INSERT INTO pg_temp.guide SELECT g.* FROM daogou.guide g
        WHERE g.tenant_id = $1 AND g.guide_id IN (
            SELECT guide_id FROM pg_temp.plan_member UNION SELECT runner_up FROM pg_temp.plan_member
            UNION SELECT guide_id FROM pg_temp.task UNION SELECT guide_id FROM pg_temp.check_in
            UNION SELECT guide_id FROM pg_temp.guide_day
            UNION SELECT split_part(stream, '/', 2)::uuid FROM scope_stream WHERE stream LIKE 'guide/%')""",
        tenant_id,
    )
    await connection.execute(
        """
        UPDATE pg_temp.guide g SET store_id = before.store_id
        FROM (
            SELECT DISTINCT ON (p.guide_id) p.guide_id, p.before_store_id AS store_id
            FROM pg_temp.guide g JOIN daogou.guide_posting p ON p.tenant_id = $1 AND p.guide_id = g.guide_id
            LEFT JOIN daogou.event_position e ON e.tenant_id = $1 AND e.stream = 'guide/' || p.guide_id
                 AND e.version = p.version
            WHERE p.applied_at IS NOT NULL AND p.before_store_id IS NOT NULL
              AND (p.applied_at > $2 OR e.position > $3 OR $3 IS NULL AND p.decided_at > $2)
            ORDER BY p.guide_id, p.applied_at, p.version
        ) before WHERE g.guide_id = before.guide_id""",
        tenant_id,
        as_of.standing_at or as_of.at,
        as_of.position,
    )


_OF_MEMBERS = "SELECT substr(stream, 8)::uuid FROM scope_stream WHERE stream LIKE 'member/%'"


async def _hear_members(connection: Driver, tenant_id: int, as_of: AsOf) -> None:
    """Let members whose stream is in the scope be opted out and erased as far as they were; the others stay as they are."""
    if not await connection.fetchval(f"SELECT EXISTS ({_OF_MEMBERS})"):
        return
    await connection.execute("CREATE TEMPORARY TABLE member (LIKE daogou.member) ON COMMIT DROP")
    await connection.execute(
        f"INSERT INTO pg_temp.member SELECT m.* FROM daogou.member m WHERE m.tenant_id = $1 AND m.member_id IN ({_OF_MEMBERS})",
        tenant_id,
    )
    fields = Fields(
        careful=False, facts=f"known_at <= '{as_of.at.isoformat()}' AND member_id IN ({_OF_MEMBERS})"
    )
    await connection.execute(
        f"UPDATE pg_temp.member m SET opted_out_at = t.opted_out_at, erased_at = t.erased_at"
        f" FROM ({OPT_OUT.told(fields)}) t WHERE t.member_id = m.member_id",
        tenant_id,
    )


async def _last(connection: Driver, tenant_id: int, as_of: AsOf) -> int | None:
    """The position of the last of the subject's events that count; None if they have none, or the asker sees none."""
    found = await connection.fetchval(
        "SELECT max(p.position) FROM scope_stream s JOIN daogou.event_position p"
        " ON p.tenant_id = $1 AND p.stream = s.stream WHERE p.known_at <= $2",
        tenant_id,
        as_of.at,
    )
    return None if found is None else int(found)
