"""Projections are folds of the events: a rebuild changes nothing that is right and mends everything that is not."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from uuid import UUID

import asyncpg
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import Refused
from domain.identifiers import personal_id
from imports.loading import import_frame
from imports.report import ImportReport, Kind, Tenant
from infra.databases import ensure_tenant
from ledger.database import DATABASE_LOST, open_database
from ledger.folding.comparing import PROJECTIONS, Difference, differences
from ledger.folding.rebuilding import Rebuilt, owner, rebuild
from ledger.ledger import Ledger
from tests.brand import Brand, at
from tests.conftest import ID_SECRET, LedgerDatabase
from tests.histories import History, Step, steps
from tests.shared_database import empty

CHEAP = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def found(ledger: Ledger) -> list[Difference]:
    async with ledger.connection() as connection, connection.transaction(isolation="repeatable_read"):
        return [one async for one in differences(connection, ledger.tenant_id)]


async def rebuilt(database: LedgerDatabase, *only: str, **options: Any) -> dict[str, Rebuilt]:
    async with owner(database.admin_url) as connection:
        return {one.projection: one for one in await rebuild(connection, 1, only=only, **options)}


async def lived(
    database: LedgerDatabase, history: list[Step], *, canary: bool = False, apart: bool = False
) -> History:
    await empty(database)
    await ensure_tenant(database.ledger, ID_SECRET)
    told = History(Brand(database.ledger))
    await told.begin(canary=canary, apart=apart)
    await told.go(history)
    return told


@CHEAP
@given(history=st.lists(steps, min_size=6, max_size=30), canary=st.booleans())
async def test_a_rebuild_of_any_history_changes_nothing(
    shared_database: LedgerDatabase, history: list[Step], canary: bool
) -> None:
    await lived(shared_database, history, canary=canary)
    assert await found(shared_database.ledger) == []
    for one in (await rebuilt(shared_database)).values():
        assert (one.differing, one.before, one.told) == (0, one.after, one.before), one.projection


OTHERWISE = {
    "integer": "{0} + 1",
    "bigint": "{0} + 1",
    "boolean": "NOT {0}",
    "date": "coalesce({0} + 1, '2026-03-01')",
    "timestamp with time zone": "coalesce({0} + interval '1 microsecond', '2026-03-01')",
    "uuid": "gen_random_uuid()",
    "text": "coalesce({0}, '') || 'x'",
    "jsonb": """'{{"forged": 2.0}}'""",
    "ARRAY": "array_append({0}, 'x')",
    "tstzmultirange": "tstzmultirange(tstzrange('2026-01-01', '2026-01-02')) + {0}",
}
CHECKED = {
    ("plan", "status"): "CASE status WHEN 'running' THEN 'paused' ELSE 'running' END",
    ("plan_cycle", "state"): "CASE state WHEN 'running' THEN 'settled' ELSE 'running' END",
    ("task", "state"): "CASE state WHEN 'open' THEN 'done' ELSE 'open' END",
    ("guide_day", "state"): "CASE state WHEN 'cut' THEN 'closed' ELSE 'cut' END",
    ("import_batch", "kind"): "CASE kind WHEN 'stores' THEN 'guides' ELSE 'stores' END",
    ("role_grant", "role"): "CASE role WHEN 'hq' THEN 'owner' ELSE 'hq' END",
}
"""Columns that take some values only."""
KEYS_THAT_CHECK = {"kind", "purpose", "scope"}
DRAFTS = {"guide_day": "state <> 'cut'", "list_item": "EXISTS (SELECT FROM guide_day d WHERE d.guide_id = k.guide_id"
          " AND d.business_date = k.business_date AND d.state <> 'cut')", "consent": "version > 0",
          "message_stop": "version > 0"}  # fmt: skip
"""Rows that no event tells may be anything."""

damages = st.tuples(
    st.sampled_from(PROJECTIONS),
    st.sampled_from(["update", "delete", "insert"]),
    st.integers(0, 50),
    st.integers(0, 30),
)
TOLD = {"member": "opted_out_at, erased_at, member_id"}


async def rows_of(connection: asyncpg.Connection) -> dict[str, list[str]]:
    return {
        one.table: [
            row[0] for row in await connection.fetch(f"SELECT (k.*)::text FROM {one.table} k ORDER BY 1")
        ]
        for one in PROJECTIONS
    }


async def damage(connection: asyncpg.Connection, what: tuple[Any, str, int, int]) -> str | None:
    """Do something to a row behind the ledger's back; None: there is no such row."""
    projection, how, row, column = what
    table = projection.table
    how = "update" if projection.in_part else how
    kinds = dict(
        await connection.fetch(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'daogou' AND table_name = $1",
            table,
        )
    )
    where = DRAFTS.get(table, "true")
    one = await connection.fetchval(
        f"SELECT k.ctid FROM {table} k WHERE {where} ORDER BY k::text OFFSET $1 LIMIT 1", row
    )
    if one is None:
        return None
    columns = [name for name in projection.columns if name not in projection.key]
    if how == "delete":
        done = await connection.execute(f"DELETE FROM {table} WHERE ctid = $1", one)
    elif how == "update":
        name = columns[column % len(columns)]
        value = CHECKED.get((table, name)) or OTHERWISE[kinds[name]].format(name)
        done = await connection.execute(f"UPDATE {table} SET {name} = {value} WHERE ctid = $1", one)
    else:
        names = [name for name in projection.key if name not in KEYS_THAT_CHECK and name != "tenant_id"]
        if not names:
            return None
        forged = names[column % len(names)]
        listed = [name for name in kinds if name != forged]
        step = {"integer": "+ 1000", "date": "+ 300", "timestamp with time zone": "+ interval '1 hour'"}
        value = (
            "gen_random_uuid()"
            if kinds[forged] == "uuid"
            else f"{forged} {step.get(kinds[forged], chr(124) * 2 + ' chr(120)')}"
        )
        try:
            done = await connection.execute(
                f"INSERT INTO {table} ({forged}, {', '.join(listed)}) SELECT {value}, {', '.join(listed)}"
                f" FROM {table} WHERE ctid = $1",
                one,
            )
        except asyncpg.UniqueViolationError:
            return None
    assert done.endswith("1")
    return table


@CHEAP
@given(
    history=st.lists(steps, min_size=10, max_size=25),
    damaged=st.lists(damages, min_size=1, max_size=8),
)
async def test_whatever_is_changed_behind_the_ledgers_back_is_named_and_mended(
    shared_database: LedgerDatabase, history: list[Step], damaged: list[Any]
) -> None:
    await lived(
        shared_database, [*history, ("account", 0, 0), ("account", 3, 1), ("morning", 0, 0), ("switch", 1, 0)]
    )
    async with owner(shared_database.admin_url) as forger:
        before = await rows_of(forger)
        for one in damaged:
            standing = await rows_of(forger)
            async with forger.transaction():
                await damage(forger, one)
            if await rows_of(forger) != standing:
                touched = {
                    table for table, rows in standing.items() if (await rows_of(forger))[table] != rows
                }
                # Damage may undo damage; what still differs is named.
                differ = {table for table, rows in before.items() if (await rows_of(forger))[table] != rows}
                named = {one.table for one in await found(shared_database.ledger)}
                assert named >= touched & differ
                assert named <= differ | {"list_item"}
        results = await rebuilt(shared_database)
        assert {name for name, one in results.items() if one.left} == set()
        assert await rows_of(forger) == before
    assert await found(shared_database.ledger) == []


WEEK: list[Step] = [
    ("morning", 0, 0), ("clock_in", 0, 0), ("report", 0, 0), ("report", 1, 1), ("report", 2, 4), ("pause", 0, 0),
    ("resume", 0, 0), ("evening", 0, 0), ("next_day", 0, 0), ("morning", 0, 0), ("report", 3, 5), ("buy", 1, 1),
    ("evening", 0, 0), ("check", 1, 0), ("morning", 0, 0), ("report", 0, 1), ("report", 2, 0),
]  # fmt: skip


@pytest.fixture
async def week(shared_database: LedgerDatabase) -> Brand:
    """A cycle that was checked, and one that has begun."""
    return (await lived(shared_database, WEEK)).brand


async def test_a_dry_run_counts_what_differs_and_changes_nothing(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    async with owner(shared_database.admin_url) as forger:
        await forger.execute("UPDATE task SET due_on = due_on + 1")
        before = await rows_of(forger)
        results = await rebuilt(shared_database, dry_run=True)
        assert results["task"].differing == results["task"].rows > 0
        assert (results["task"].before == results["task"].told, results["plan"].differing) == (False, 0)
        assert await rows_of(forger) == before
    kinds = {(one.table, one.kind) for one in await found(week.ledger)}
    assert kinds == {("task", "item differs from its events: due_on")}


async def test_only_what_is_named_is_rebuilt(shared_database: LedgerDatabase, week: Brand) -> None:
    async with owner(shared_database.admin_url) as forger:
        await forger.execute("UPDATE task SET attempts = 9; UPDATE plan SET cycle = 9")
    assert set(await rebuilt(shared_database, "plan")) == {"plan"}
    assert {one.table for one in await found(week.ledger)} == {"task"}
    with pytest.raises(Refused) as caught:
        await rebuilt(shared_database, "tasks")
    assert caught.value.problems[0].code == "unknown_projection"


async def test_another_brands_rows_stay(shared_database: LedgerDatabase, week: Brand) -> None:
    async with owner(shared_database.admin_url) as forger:
        await forger.execute(
            "INSERT INTO plan SELECT 2, plan_id, status, spec, cycle, version, launched_at, canary, paused, ended_at FROM plan"
        )
        await forger.execute("DELETE FROM plan WHERE tenant_id = 1")
        await rebuilt(shared_database)
        assert await forger.fetch("SELECT tenant_id FROM plan ORDER BY 1") == [(1,), (2,)]


async def test_emptied_projections_come_back_whole(shared_database: LedgerDatabase, week: Brand) -> None:
    full = [
        one
        for one in PROJECTIONS
        if not one.in_part and one.table not in {"guide_day", "list_item", "consent"}
    ]
    async with owner(shared_database.admin_url) as forger:
        before = await rows_of(forger)
        for one in full:
            await forger.execute(f"DELETE FROM {one.table}")
        results = await rebuilt(shared_database)
        assert await rows_of(forger) == before
    assert all(results[one.table].after == results[one.table].told for one in full)


async def test_the_running_code_may_look_and_change_nothing(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    async with week.ledger.connection() as connection:
        assert not any(one.differing for one in await rebuild(connection, 1, dry_run=True))
    await week.execute("UPDATE plan SET cycle = 9")
    async with week.ledger.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await rebuild(connection, 1)


async def test_readers_keep_the_old_rows_until_the_swap_and_a_killed_one_leaves_nothing_half(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    async with owner(shared_database.admin_url) as forger, owner(shared_database.admin_url) as other:
        lost = await forger.fetchrow("DELETE FROM check_in WHERE version = 2 RETURNING *")
        await forger.execute("UPDATE plan_member SET grade = 'D'; UPDATE task SET attempts = 9")
        damaged = await rows_of(forger)
        await forger.execute("RESET ROLE")
        held = other.transaction()
        await held.start()
        # The rebuild comes to put this row back, last of all, and waits for whoever is just writing it.
        await other.execute(
            f"INSERT INTO check_in ({', '.join(lost.keys())}) VALUES ({', '.join(f'${n + 1}' for n in range(len(lost)))})",
            *lost.values(),
        )
        rebuilding = asyncio.create_task(rebuilt(shared_database))
        waiting = None
        while waiting is None:
            assert not rebuilding.done()
            waiting = await forger.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'daogou rebuild' AND wait_event_type = 'Lock'"
            )
        assert await rows_of(forger) == damaged
        await forger.fetchval("SELECT pg_terminate_backend($1)", waiting)
        with pytest.raises(DATABASE_LOST):
            await rebuilding
        await held.rollback()
        assert await rows_of(forger) == damaged
        await rebuilt(shared_database)
    assert await found(week.ledger) == []


async def test_check_ins_that_go_on_meanwhile_are_not_lost(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    items = await week.rows("SELECT task_id, guide_id FROM task WHERE state = 'open' ORDER BY task_id")
    taken: list[UUID] = []

    async def work() -> None:
        for number, (task, guide) in enumerate(items):
            try:
                await week.report(
                    task, guide, at(4, 11, number), "interested", grade="B", next_on=at(5).date()
                )
                taken.append(task)
            except Refused:
                continue

    async def damage_and_mend() -> None:
        async with owner(shared_database.admin_url) as forger:
            for _ in range(3):
                await forger.execute("UPDATE plan_member SET tried = '[]', why = 'forged'")
                await forger.execute("UPDATE task SET bought_at = now() WHERE state <> 'open'")
                await rebuilt(shared_database)

    await asyncio.gather(work(), damage_and_mend())
    assert taken
    assert await found(week.ledger) == []
    kept = await week.rows("SELECT task_id FROM check_in WHERE business_date = '2026-03-04'")
    assert {row[0] for row in kept} >= set(taken)


async def test_an_opt_out_that_is_imported_between_fold_and_swap_stays(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    when = at(4, 11)
    loaded: list[ImportReport] = []

    async def load() -> None:
        engine = open_database(shared_database.urls.worker, tenant_id=1)
        told = pl.DataFrame({"code": ["M1"], "store": ["S1"], "opted_out_at": [when]})
        tenant = Tenant(1, ID_SECRET, keys=week.ledger.keys)
        loaded.append(await import_frame(engine, tenant, Kind.MEMBERS, told, known_at=when, actor="hq"))
        await engine.dispose()

    def meanwhile(stage: str, _table: str) -> None:
        if stage == "mend":
            loading = threading.Thread(target=lambda: asyncio.run(load()))
            loading.start()
            loading.join()

    member = personal_id(week.secret, "member", "M1")
    async with owner(shared_database.admin_url) as forger:
        await forger.execute("UPDATE member SET opted_out_at = $2 WHERE member_id = $1", member, at(20))
        await rebuild(forger, 1, on_progress=meanwhile)
    assert [one.rows_new for one in loaded] == [1], loaded
    assert await week.value("SELECT opted_out_at FROM member WHERE member_id = $1", member) == when
    assert await found(week.ledger) == []


async def test_two_rebuilds_do_not_run_at_once(shared_database: LedgerDatabase, week: Brand) -> None:
    async with owner(shared_database.admin_url) as first:
        await first.execute("SELECT pg_advisory_lock(hashtext('daogou.rebuild'), 1)")
        with pytest.raises(Refused) as caught:
            await rebuilt(shared_database)
    assert caught.value.problems[0].code == "rebuild_running"


async def test_a_payload_that_cannot_be_read_stops_a_rebuild_and_is_a_difference(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    async with owner(shared_database.admin_url) as forger:
        await forger.execute("RESET ROLE; SET session_replication_role = replica")
        await forger.execute(
            """UPDATE event SET payload = payload || '{"due_on": "never"}' WHERE type = 'task_created'"""
        )
        await forger.execute("UPDATE plan SET cycle = 9")
        with pytest.raises(Refused) as caught:
            await rebuilt(shared_database)
        assert caught.value.problems[0].code == "event_unreadable"
        assert await forger.fetchval("SELECT cycle FROM plan") == 9
    assert {one.table for one in await found(week.ledger)} == {"plan", "task"}


async def test_an_event_of_a_later_version_of_this_software_stops_a_rebuild(
    shared_database: LedgerDatabase, week: Brand
) -> None:
    async with owner(shared_database.admin_url) as forger:
        await forger.execute("RESET ROLE; SET session_replication_role = replica")
        await forger.execute("UPDATE event SET schema_version = 9 WHERE type = 'list_published'")
        with pytest.raises(Refused) as caught:
            await rebuilt(shared_database)
    assert caught.value.problems[0].code == "event_of_newer_version"
    assert (await found(week.ledger))[0].kind == "event of a newer version than this daogou reads"
