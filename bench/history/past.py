"""Cycles a brand has behind it, written set-based: members, items, lists, check-ins, guide-days and purchases.

They are rows as the door and the closes of their days leave them. Their events are not written: none of what is measured
reads one, and at three kilobytes an item they would not fit beside the rest.

A table is emptied and filled in one transaction, without its indexes, which are built at its end; where the server's
`wal_level` is minimal nothing of that is logged. Two tables at a time, for two cores.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from bench.history.brand import TODAY, Shape, members_in_order, running_plan

CATEGORY = 1
AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Block:
    """A cycle of every plan: how many before the running one it was, whose it was, and its number there."""

    back: int
    prefix: str
    cycle: int


def blocks(shape: Shape, past: int) -> list[Block]:
    """The oldest first, the running one last."""
    made = []
    for back in range(past, 0, -1):
        plan = (back - 1) // shape.cycles_a_plan
        oldest = min(past, (plan + 1) * shape.cycles_a_plan)
        made.append(Block(back, "bench-" if plan == 0 else f"bench-old{plan}-", oldest - back + 1))
    return [*made, Block(0, "bench-", min(past, shape.cycles_a_plan) + 1)]


# What a row is, of the member m whose item is due on day d of block $1: plans $2 with cycle $3, first day $4, items a day
# $5, today $6.
_ITEM = "md5($1::int || '/' || m.guide_no || '/' || m.slot)::uuid"
_DUE = "($4::date + m.slot / $5::int)"
_DONE = f"({_DUE} < $6::date OR {_DUE} = $6::date AND m.slot % 2 = 0)"
_REACHED = "(m.guide_no + m.slot) % 5 <> 0"
_WHEN = f"(({_DUE} + time '10:00') AT TIME ZONE 'Asia/Shanghai' + (m.guide_no % 60) * interval '1 minute')"
_BOUGHT = f"(({_DUE} - 23 + time '12:00') AT TIME ZONE 'Asia/Shanghai')"

ROWS: Mapping[str, str] = {
    "plan_member": f"""
        INSERT INTO plan_member (tenant_id, plan_id, cycle, member_id, guide_id, strategy, why, value_minor, quadrant, grade,
                                 last_reached_at)
        SELECT 1, $2::text || m.plan_no, $3::int, m.member_id, m.guide_id, 'reception', 'last_served', 10000, 'regular_growth',
               CASE WHEN {_DONE} THEN 'B' END, CASE WHEN {_DONE} AND {_REACHED} THEN {_WHEN} END
        FROM bench_member m WHERE $1::int >= 0""",
    "task": f"""
        INSERT INTO task (tenant_id, task_id, plan_id, cycle, member_id, category_id, guide_id, run_out_on, due_on,
                          first_due_on, bought_at, state, attempts, last_attempt_on, known_at)
        SELECT 1, {_ITEM}, $2::text || m.plan_no, $3::int, m.member_id, {CATEGORY}, m.guide_id, {_DUE} + 5, {_DUE}, {_DUE},
               {_BOUGHT}, CASE WHEN NOT {_DONE} THEN 'open' WHEN {_REACHED} THEN 'done' ELSE 'unreached' END,
               CASE WHEN {_DONE} THEN 1 ELSE 0 END, CASE WHEN {_DONE} THEN {_DUE} END,
               ($4::date + time '08:30') AT TIME ZONE 'Asia/Shanghai'
        FROM bench_member m WHERE $1::int >= 0""",
    "check_in": f"""
        INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at, known_at,
                              business_date, channel, outcome, reached, grade)
        SELECT 1, {_ITEM}, 2, $2::text || m.plan_no, $3::int, m.member_id, m.guide_id, 'guide:' || m.guide_id, {_WHEN}, {_WHEN},
               {_DUE}, 'phone', CASE WHEN {_REACHED} THEN 'interested' ELSE 'no_answer' END, {_REACHED}, 'B'
        FROM bench_member m WHERE $1::int >= 0 AND {_DONE}""",
    "list_item": f"""
        INSERT INTO list_item (tenant_id, guide_id, business_date, rank, task_id)
        SELECT 1, m.guide_id, {_DUE}, m.slot % $5::int + 1, {_ITEM}
        FROM bench_member m WHERE $1::int >= 0 AND {_DUE} <= $6::date AND $2::text <> '' AND $3::int > 0""",
    # One more block, of those who bought again since: what comes of the contacts.
    "purchase": f"""
        INSERT INTO purchase (tenant_id, basket, product, is_return, member_id, store_id, category_id, guide_id, occurred_at,
                              known_at, quantity, value_minor, batch_id)
        SELECT 1, 'b' || $1::int || '-' || m.guide_no || '-' || m.slot, 'TIN-1', false, m.member_id, g.store_id, {CATEGORY},
               m.guide_id, {_BOUGHT}, {_BOUGHT}, 4, 10000, 1
        FROM bench_member m JOIN guide g ON g.tenant_id = 1 AND g.guide_id = m.guide_id
        WHERE {_BOUGHT} <= ($6::date + time '09:00') AT TIME ZONE 'Asia/Shanghai' AND $2::text <> '' AND $3::int > 0
        ORDER BY m.slot, m.guide_no""",
    "guide_day": f"""
        INSERT INTO guide_day (tenant_id, guide_id, business_date, time_zone, state, listed, done, reached, carried, opens_at,
                               closes_at, published_at, closed_at)
        SELECT 1, guide_id, day, 'Asia/Shanghai', CASE WHEN day < $6::date THEN 'closed' ELSE 'published' END, listed,
               CASE WHEN day < $6::date THEN listed END, CASE WHEN day < $6::date THEN reached END,
               CASE WHEN day < $6::date THEN 0 END, (day + time '09:00') AT TIME ZONE 'Asia/Shanghai',
               (day + time '21:00') AT TIME ZONE 'Asia/Shanghai', (day + time '09:00') AT TIME ZONE 'Asia/Shanghai',
               CASE WHEN day < $6::date THEN (day + time '21:00') AT TIME ZONE 'Asia/Shanghai' END
        FROM (
            SELECT m.guide_id, {_DUE} AS day, count(*) AS listed, count(*) FILTER (WHERE {_REACHED}) AS reached
            FROM bench_member m WHERE $1::int >= 0 AND $2::text <> '' AND $3::int > 0 GROUP BY 1, 2
        ) d WHERE day <= $6::date""",
}  # fmt: skip
"""By table; in the order of how long they take, so that two at a time end together."""


async def write_past(url: str, shape: Shape, past: int) -> None:
    """Let the brand have `past` cycles behind it and the running one at hand.

    Args:
        url: of a database that holds the brand and no cycle, as its superuser.
        shape: the brand's.
        past: cycles.
    """
    connection = await _connect(url)
    try:
        await _write_plans(connection, shape, past)
    finally:
        await connection.close()
    free = asyncio.Semaphore(AT_ONCE)

    async def fill(table: str) -> None:
        async with free:
            await _fill(url, table, shape, past)

    async with asyncio.TaskGroup() as group:
        for table in ROWS:
            group.create_task(fill(table))


async def _connect(url: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(url)
    await connection.execute("SET search_path = daogou, public; SET TIME ZONE 'UTC'")
    return connection


async def _write_plans(connection: asyncpg.Connection, shape: Shape, past: int) -> None:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS public.bench_member"
        " (guide_no integer, slot integer, guide_id uuid, member_id uuid, plan_no integer)"
    )
    await connection.copy_records_to_table(
        "bench_member", schema_name="public", records=members_in_order(shape)
    )
    await connection.execute("ANALYZE public.bench_member")
    await connection.execute(
        "INSERT INTO category (tenant_id, category_id, name) VALUES (1, $1, 'TIN')", CATEGORY
    )
    for block in blocks(shape, past):
        starts = shape.cycle_starts(block.back)
        for number in range(shape.plans):
            plan = f"{block.prefix}{number}"
            if block.prefix != "bench-" and block.cycle == 1:
                await connection.execute(
                    "INSERT INTO plan (tenant_id, plan_id, status, spec, cycle, version, launched_at, ended_at)"
                    " SELECT tenant_id, $2, 'closed', spec, $3, 2, launched_at, launched_at FROM plan"
                    " WHERE tenant_id = 1 AND plan_id = $1",
                    running_plan(number), plan, shape.cycles_a_plan,
                )  # fmt: skip
            # Windows of two weeks: the cycle before the running one is still open to what is bought.
            state = {0: "running", 1: "checked"}.get(block.back, "settled")
            await connection.execute(
                "INSERT INTO plan_cycle (tenant_id, plan_id, cycle, starts_on, ends_on, time_zone, state, days_per_unit,"
                " started_at) VALUES (1, $1, $2, $3::date, $3::date + $4::int - 1, 'Asia/Shanghai', $5, '{\"1\": \"7\"}', $3::date)",
                plan, block.cycle, starts, shape.days_a_cycle, state,
            )  # fmt: skip
    await connection.execute(
        "UPDATE plan SET cycle = $1 WHERE tenant_id = 1 AND status = 'running'",
        min(past, shape.cycles_a_plan) + 1,
    )


_INDEXES = """
SELECT coalesce(c.conname, i.relname) AS name, c.conname IS NOT NULL AS constrained,
       CASE WHEN c.oid IS NULL THEN pg_get_indexdef(x.indexrelid)
            ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', x.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
       END AS made
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_constraint c ON c.conindid = x.indexrelid AND c.contype IN ('p', 'u')
WHERE x.indrelid = ('daogou.' || $1)::regclass ORDER BY x.indisprimary DESC, 1"""


async def _fill(url: str, table: str, shape: Shape, past: int) -> None:
    connection = await _connect(url)
    try:
        async with connection.transaction():
            indexes = await connection.fetch(_INDEXES, table)
            await connection.execute(f"TRUNCATE {table}")
            for index in indexes:
                drop = f"ALTER TABLE {table} DROP CONSTRAINT" if index["constrained"] else "DROP INDEX"
                await connection.execute(f"{drop} {index['name']}")
            every = blocks(shape, past)
            for block in [*every, Block(-1, "bench-", every[-1].cycle)]:
                await connection.execute(
                    ROWS[table], block.back, block.prefix, block.cycle, shape.cycle_starts(block.back), shape.items_a_day,
                    TODAY, timeout=None,
                )  # fmt: skip
            for index in indexes:
                await connection.execute(index["made"], timeout=None)
        await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=None)
    finally:
        await connection.close()
