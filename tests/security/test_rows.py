"""Row-level security on its own, at the level of SQL: it agrees, row by row, with a rule in Python it knows nothing of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import asyncpg
import polars as pl
import pytest
import pytest_asyncio

from activities.sessions import digest
from domain.policy import Right
from imports.loading import import_frame
from imports.report import Kind, Tenant
from ledger.asking import sign_on
from ledger.database import API, driver_connection, open_database
from ledger.door import Driver
from tests.brand import MONDAY
from tests.conftest import ID_SECRET
from tests.security.conftest import Stage
from tests.security.reach import Reach, reach_of
from tests.security.row_rules import CHANGES, EMPTY, HIDDEN, SEES, Facts, Row
from tests.security.world import ASKERS, GUIDES, NOW, OTHERS, PAST, PAST_DAY

EVERYBODY = ASKERS | OTHERS


@pytest_asyncio.fixture(scope="session")
async def facts(stage: Stage) -> Facts:
    rows = {table: await stage.kept.rows(table) for table in stage.kept.tables}
    return Facts(stage.world, rows)


@pytest_asyncio.fixture(scope="session")
async def keys(stage: Stage) -> dict[str, list[str]]:
    """The columns of every table's primary key."""
    rows = await stage.kept.connection.fetch(
        "SELECT c.relname::text AS name, array_agg(a.attname::text ORDER BY a.attnum) AS columns FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indrelid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey)"
        " WHERE i.indisprimary AND c.relnamespace = 'daogou'::regnamespace GROUP BY 1"
    )
    return {row["name"]: list(row["columns"]) for row in rows}


@asynccontextmanager
async def signed_on(stage: Stage, login: str | None) -> AsyncIterator[Driver]:
    async with driver_connection(stage.served.engine) as connection:
        asker = await sign_on(connection, digest(stage.world.tokens[login] if login else "made up"), NOW)
        assert (asker is None) is (login is None)
        yield connection


async def seen(
    connection: Driver, table: str, columns: list[str], *, lock: str = ""
) -> set[tuple[Any, ...]] | None:
    """Keys of the rows a connection gets; None: it may not ask at all."""
    try:
        async with connection.transaction():
            rows = await connection.fetch(f"SELECT {', '.join(columns)} FROM {table} {lock}")
    except asyncpg.InsufficientPrivilegeError:
        return None
    return {tuple(row) for row in rows}


def expected(facts: Facts, reach: Reach, table: str, columns: list[str]) -> set[tuple[Any, ...]]:
    return keyed(columns, [r for r in facts.rows[table] if reach.sees_all or SEES[table](facts, reach, r)])


def changeable(facts: Facts, reach: Reach, table: str, columns: list[str]) -> set[tuple[Any, ...]]:
    """Rows that are both seen and may be changed."""
    rule = CHANGES.get(table)
    rows = [
        row
        for row in facts.rows[table]
        if reach.changes_all
        or (
            rule is not None
            and rule(facts, reach, row)
            and (reach.sees_all or SEES[table](facts, reach, row))
        )
    ]
    return keyed(columns, rows)


def keyed(columns: list[str], rows: list[Row]) -> set[tuple[Any, ...]]:
    return {tuple(row[column] for column in columns) for row in rows}


def test_every_table_has_its_rule_and_a_row_to_hold_it_against(facts: Facts) -> None:
    tables = set(facts.rows) - {"alembic_version"}
    assert tables - HIDDEN == set(SEES), (
        "tests/security/row_rules.py: SEES says who sees a row of each table. Give a new one its rule there, in words of"
        " Reach, and a row in tests/security/world.py; then its policies in the migration have something to agree with."
    )
    assert {table for table in tables if not facts.rows[table]} == EMPTY


async def test_row_level_security_is_on_for_every_table_and_partition(stage: Stage) -> None:
    rows = await stage.kept.connection.fetch(
        "SELECT c.relname::text, (SELECT array_agg(p.polname::text ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid)"
        " FROM pg_class c WHERE c.relnamespace = 'daogou'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND (NOT c.relrowsecurity OR NOT c.relispartition)"
    )
    held = ["asker_adds", "asker_changes", "asker_deletes", "asker_sees", "one_tenant"]
    assert {name: policies for name, policies in map(tuple, rows) if policies != held} == {}


@pytest.mark.parametrize("login", EVERYBODY)
async def test_the_rows_seen_are_those_of_the_policy(
    login: str, stage: Stage, facts: Facts, keys: dict[str, list[str]]
) -> None:
    reach = reach_of(EVERYBODY[login])
    async with signed_on(stage, login) as connection:
        for table in SEES:
            found = await seen(connection, table, keys[table])
            assert found == expected(facts, reach, table, keys[table]), f"{login} sees {table}"
        for table in HIDDEN:
            assert await seen(connection, table, keys[table]) is None


@pytest.mark.parametrize("login", EVERYBODY)
async def test_the_rows_that_may_be_changed_are_those_of_the_policy(
    login: str, stage: Stage, facts: Facts, keys: dict[str, list[str]]
) -> None:
    reach = reach_of(EVERYBODY[login])
    asked = set()
    async with signed_on(stage, login) as connection:
        for table in SEES:
            found = await seen(connection, table, keys[table], lock="FOR NO KEY UPDATE")
            if found is not None:
                asked.add(table)
                assert found == changeable(facts, reach, table, keys[table]), f"{login} changes {table}"
    assert asked >= set(CHANGES)


@pytest.mark.parametrize("tenant", ["1", "2", ""])
async def test_nobody_sees_nothing(stage: Stage, keys: dict[str, list[str]], tenant: str) -> None:
    async with signed_on(stage, None) as connection:
        await connection.execute("SELECT set_config('daogou.tenant', $1, false)", tenant)
        try:
            for table in SEES:
                assert not await seen(connection, table, keys[table]), table
        finally:
            await connection.execute("SELECT set_config('daogou.tenant', '1', false)")


async def test_a_connection_on_which_nobody_was_ever_signed_on_sees_nothing(
    stage: Stage, keys: dict[str, list[str]]
) -> None:
    async with fresh(stage) as connection:
        for table in SEES:
            assert not await seen(connection, table, keys[table]), table


@pytest.mark.parametrize("login", ["acc-hq", "acc-auditor", "acc-guide", "acc-organiser"])
async def test_whoever_stands_in_one_tenant_is_nobody_in_another(
    stage: Stage, keys: dict[str, list[str]], login: str
) -> None:
    """The second tenant has the same ids: a brand that moved, or one whose secret is known."""
    admin = stage.kept.connection
    copied = [table for table in SEES if table not in {"event_pending", "event"}]
    async with admin.transaction():
        await admin.execute("SET LOCAL session_replication_role = replica")
        for table in copied:
            await admin.execute(f"CREATE TEMP TABLE second AS SELECT * FROM daogou.{table}")
            await admin.execute("UPDATE second SET tenant_id = 2")
            await admin.execute(f"INSERT INTO daogou.{table} SELECT * FROM second")
            await admin.execute("DROP TABLE second")
    try:
        async with signed_on(stage, login) as connection:
            await connection.execute("SELECT set_config('daogou.tenant', '2', false)")
            try:
                for table in copied:
                    assert not await seen(connection, table, keys[table]), table
                    assert not await seen(connection, table, keys[table], lock="FOR NO KEY UPDATE"), table
            finally:
                await connection.execute("SELECT set_config('daogou.tenant', '1', false)")
    finally:
        async with admin.transaction():
            await admin.execute("SET LOCAL session_replication_role = replica")
            for table in copied:
                await admin.execute(f"DELETE FROM daogou.{table} WHERE tenant_id = 2")


async def test_a_connection_that_goes_back_to_the_pool_is_nobodys_for_whoever_shows_nothing(
    stage: Stage, keys: dict[str, list[str]]
) -> None:
    async with signed_on(stage, "acc-hq") as connection:
        assert await seen(connection, "store", keys["store"])
        assert await sign_on(connection, digest("made up"), NOW) is None
        assert not await seen(connection, "store", keys["store"])


@pytest.mark.parametrize("role", ["daogou_worker", "daogou_owner", "daogou_reader", "postgres"])
async def test_the_apis_login_can_be_nobody_else(
    stage: Stage, facts: Facts, keys: dict[str, list[str]], role: str
) -> None:
    async with signed_on(stage, "acc-guide") as connection:
        for statement in (f"SET ROLE {role}", f"SET SESSION AUTHORIZATION {role}"):
            with pytest.raises(asyncpg.PostgresError, match=r"permission denied|does not exist"):
                await connection.execute(statement)
        await connection.execute("RESET ROLE")
        await connection.execute("SET row_security = off")
        try:
            assert await connection.fetchval("SELECT current_user") == API
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch("SELECT member_id FROM member_person")
        finally:
            await connection.execute("SET row_security = on")
        reach = reach_of(EVERYBODY["acc-guide"])
        assert await seen(connection, "task", keys["task"]) == expected(facts, reach, "task", keys["task"])


async def test_partitions_give_nothing(stage: Stage) -> None:
    parts = await stage.kept.connection.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'daogou.event'::regclass"
    )
    assert parts
    async with signed_on(stage, "acc-hq") as connection:
        for part in parts:
            for statement in (
                f"SELECT 1 FROM {part['name']}",
                f"INSERT INTO {part['name']} DEFAULT VALUES",
                f"TRUNCATE {part['name']}",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


DEFINED_BY_THE_OWNER = {
    "acts_for_member": "answers yes or no of what the asker reaches, by an id that is asked for",
    "add_returns": "HQ's alone, see below",
    "acts_on_stream": "answers yes or no of what the asker reaches, by the name that is asked for",
    "apply_staff_changes_in_passing": "the same, or nothing",
    "apply_staff_changes": "moves what is due, whoever asks; it answers nothing of it",
    "cycle_in_reach": "answers yes or no of what the asker reaches, by what is asked for",
    "day_in_reach": "the same",
    "item_in_reach": "the same",
    "served_by": "the same",
    "check_in_reach": "cuts a Check to the asker's stores and guides, see below",
    "ensure_event_partitions": "makes a month's partition",
    "enter_guide": "HQ's alone, see below",
    "erase_member": "HQ's alone, see below",
    "erase_pictures": "HQ's alone, see below",
    "gives_pin": "answers yes or no of an account that is asked for by its id",
    "guide_id_for": "HQ's alone, see below",
    "lent_parts": "names of members' parts whose items the asker's guides have, see below",
    "items_to_report": "what a check-in needs of items in the asker's sight: tests/security/test_check_in_functions.py",
    "items_held": "ids of the items of a guide whom the asker may know by name; nothing for anybody else",
    "member_id_of": "a digest of what the asker says; of members it says nothing",
    "oldest_transaction_s": "one number of the server",
    "record_check_ins": "takes what the asker may report: tests/security/test_check_in_functions.py",
    "record_in_reach": "answers yes or no of what the asker reaches, by a guide and an instant that are asked for",
    "day_at": "a date and a time zone of a guide and an instant that are asked for: nothing of what was done",
    "record_superseded": "answers yes or no of a record by its name and revision, which whoever asks has just read",
    "rights_over": "answers yes or no of what the asker may report or correct, by ids that are asked for; see below",
    "sees_member": "answers yes or no of what the asker reaches, by an id that is asked for",
    "sees_stream": "the same of a stream",
    "set_opt_out": "HQ's alone, see below",
    "sign_in_subject": "a digest of what the asker says",
    "urges": "answers yes or no of whether the asker may urge a guide whose id is asked for; see below",
    "sign_on": "makes the asker whoever shows a credential",
    "supersede_check_in": "HQ's alone, see below",
    "stand_for_upkeep": "for what is nobody's own: the API's code decides when",
}
"""Functions above row-level security that the API may call, each with why it may."""


async def test_what_is_above_row_level_security_is_named_with_its_reason(stage: Stage) -> None:
    rows = await stage.kept.connection.fetch(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'daogou'::regnamespace AND prosecdef"
        " AND has_function_privilege('daogou_api', oid, 'EXECUTE')"
    )
    called = {row[0] for row in rows}
    assert called == set(DEFINED_BY_THE_OWNER), (
        "DEFINED_BY_THE_OWNER: what the owner defined sees every row of every brand. Say here why the API may call each"
        f" of {sorted(called - set(DEFINED_BY_THE_OWNER))}, and show in a test what it does for somebody out of reach."
    )


async def test_what_the_owner_defined_finds_the_callers_temporary_tables_last(stage: Stage) -> None:
    rows = await stage.kept.connection.fetch(
        "SELECT proname::text FROM pg_proc WHERE pronamespace = 'daogou'::regnamespace AND prosecdef"
        " AND NOT coalesce('search_path=daogou, pg_temp' = ANY (proconfig), false)"
    )
    assert rows == [], "what hangs on a table of the caller's would run as the owner"


@pytest.mark.parametrize("login", [login for login in EVERYBODY if login != "acc-hq"] + [None, "fresh"])
async def test_functions_of_hq_do_nothing_for_anybody_else(stage: Stage, login: str | None) -> None:
    member, done = stage.world.members["gui-iris"][0], stage.world.done["gui-iris"]
    async with fresh(stage) if login == "fresh" else signed_on(stage, login) as connection:
        for statement, arguments in (
            ("SELECT guide_id_for($1)", ["gui-iris"]),
            ("SELECT enter_guide($1, 'gui-forged', $1, 'x', NULL)", [member]),
            ("SELECT set_opt_out($1, $2)", [member, NOW]),
            ("SELECT erase_member($1, $2, 'x', 'x')", [member, NOW]),
            ("SELECT erase_pictures(ARRAY[$1::uuid])", [member]),
            ("SELECT add_returns('{k}', '{b1}', '{TIN-1}', '{1}', '{1}', ARRAY[$1::timestamptz], $1)", [NOW]),
            ("SELECT supersede_check_in($1, 3, 4, $2, 'x', NULL)", [done, NOW]),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement, *arguments)
    assert await stage.kept.changed() == []


@pytest.mark.parametrize("login", EVERYBODY)
async def test_whose_work_may_be_reported_and_corrected_is_as_the_policy_table_says(
    login: str, stage: Stage
) -> None:
    reach = reach_of(EVERYBODY[login])
    async with signed_on(stage, login) as connection:
        for (guide, guide_id), (holder, task), day in product(
            stage.world.guides.items(), stage.world.tasks.items(), (PAST_DAY, MONDAY)
        ):
            over = "SELECT works, amends FROM rights_over($1, $2, $3)"
            works, amends = await connection.fetchrow(over, task, guide_id, day)
            stood = PAST[guide].store if day == PAST_DAY and guide in PAST else GUIDES[guide].store
            in_sight = reach.sees_all or holder in reach.guides or GUIDES[holder].plan in reach.plans
            dated = guide == reach.myself or stood in reach.binds
            own = guide in reach.acts_for and dated and (guide == holder or in_sight)
            assert works is (reach.changes_all or own), (login, guide, holder, day)
            theirs = stood in reach.amends and guide == holder
            may = reach.changes_all and Right.AMEND_CLOSED_DAY in reach.rights
            assert amends is (may or theirs), (login, guide, holder, day)
            # The version before names no day.
            _, always = await connection.fetchrow("SELECT * FROM rights_over($1, $2)", task, guide_id)
            assert amends or not always


@pytest.mark.parametrize("login", EVERYBODY)
async def test_who_may_urge_whom_is_as_the_policy_table_says(login: str, stage: Stage) -> None:
    reach = reach_of(EVERYBODY[login])
    async with signed_on(stage, login) as connection:
        for guide, guide_id in stage.world.guides.items():
            answered = await connection.fetchval("SELECT urges($1, $2)", guide_id, NOW.date())
            theirs = GUIDES[guide].store in reach.amends or (
                reach.writes and GUIDES[guide].store in reach.binds
            )
            assert answered is (reach.changes_all or theirs), (login, guide)


async def test_a_lent_item_opens_its_members_part_to_who_has_it_and_to_nobody_else(put_back: Stage) -> None:
    world, forger = put_back.world, put_back.kept.connection
    _, member = world.members["gui-iris"]
    await forger.execute(
        "UPDATE daogou.task SET lent = true, guide_id = $2 WHERE task_id = $1",
        world.tasks["gui-iris"],
        world.guides["gui-lotus"],
    )
    opened = {}
    for login in ("acc-guide-lotus", "acc-guide-reads", "acc-service", "acc-manager-camellia"):
        async with signed_on(put_back, login) as connection:
            parts = len(await connection.fetchval("SELECT lent_parts('days')"))
            seen_ = [
                await connection.fetchval(f"SELECT count(*) FROM {table} WHERE member_id = $1", member)
                for table in ("plan_member", "member", "member_person")
            ]
            plans = await connection.fetchval(
                "SELECT count(*) FROM plan WHERE plan_id = $1", GUIDES["gui-iris"].plan
            )
            opened[login] = (parts, *seen_, plans)
    assert opened["acc-guide-lotus"] == (1, 1, 1, 1, 1)
    reach = {login: reach_of(EVERYBODY[login]) for login in opened}
    for login, found in opened.items():
        if "gui-lotus" not in reach[login].guides:
            assert found[:4] == (0, 0, 0, 0), login


@pytest.mark.parametrize("login", EVERYBODY)
async def test_the_items_of_a_guide_are_named_to_nobody_who_does_not_know_her(
    login: str, stage: Stage
) -> None:
    reach = reach_of(EVERYBODY[login])
    async with signed_on(stage, login) as connection:
        named = {
            guide
            for guide, guide_id in stage.world.guides.items()
            if await connection.fetchval("SELECT count(*) FROM items_held($1, 'infinity')", guide_id)
        }
    assert reach.sees_all or named <= reach.known_guides
    assert not reach.sees_all or named


@asynccontextmanager
async def fresh(stage: Stage) -> AsyncIterator[Driver]:
    """A connection of the API on which nobody was ever signed on."""
    engine = open_database(stage.database.urls.api, tenant_id=1, role=API, pool_size=1)
    try:
        async with driver_connection(engine) as connection:
            yield connection
    finally:
        await engine.dispose()


@pytest.mark.parametrize("login", EVERYBODY)
async def test_a_check_is_cut_to_the_askers_stores_and_guides(login: str, stage: Stage, facts: Facts) -> None:
    reach = reach_of(EVERYBODY[login])
    async with signed_on(stage, login) as connection:
        for name in ("pla-c1", "pla-c2"):
            figures: Any = await connection.fetchval(
                "SELECT jsonb_build_object('total', figures->'total' IS NOT NULL,"
                " 'stores', jsonb_path_query_array(figures, '$.stores[*].store'),"
                " 'guides', jsonb_path_query_array(figures, '$.guides[*].guide'))::text"
                " FROM check_in_reach($1, 1, 'provisional')",
                name,
            )
            text = figures or ""
            whole = reach.sees_all or name in reach.plans
            assert ('"total": true' in text) is whole
            for code, store in stage.world.stores.items():
                assert str(store) not in text or whole or code in reach.stores
            for code, guide in stage.world.guides.items():
                assert str(guide) not in text or whole or code in reach.guides


FORGED = {
    "a check-in of another store's guide": (
        "INSERT INTO check_in (tenant_id, task_id, version, plan_id, cycle, member_id, guide_id, actor, occurred_at,"
        " known_at, business_date, channel, outcome, reached) SELECT 1, task_id, 9, plan_id, cycle, member_id, guide_id,"
        " 'x', now(), now(), now()::date, 'phone', 'interested', true FROM kept_task"
    ),
    "an item of another store's guide": (
        "INSERT INTO task SELECT 1, gen_random_uuid(), plan_id, cycle, member_id, category_id, guide_id, run_out_on,"
        " due_on, first_due_on, bought_at, 'open', NULL, 0, NULL, known_at FROM kept_task"
    ),
    "an event of another store's item": (
        "INSERT INTO event (tenant_id, stream, version, occurred_at, known_at, actor, performed_by, cause, type,"
        " schema_version, body, hash, payload) SELECT 1, 'task/' || task_id, 9, now(), '2026-03-02', 'x', 'x', 'x', 'x',"
        " 1, '', '', '{}' FROM kept_task"
    ),
    "an event of another store's item, through the door": (
        "SELECT append_events(1, '{forged}', '{2026-03-02}', ARRAY['task/' || task_id], '{9}', ARRAY['task/' || task_id],"
        " '{0}', '{\"\"}', '{9}', '{\"\"}', ARRAY['task/' || task_id], '{9}', '{2026-03-02}', '{2026-03-02}', '{x}',"
        " '{x}', '{forged}', '{x}', '{1}', '{\"\"}', '{\"\"}', '{\"{}\"}') FROM kept_task"
    ),
    "a head of another store's stream": (
        "INSERT INTO stream_head SELECT 1, 'guide-day/' || guide_id || '/2030-01-01', 1, '' FROM kept_task"
    ),
    "a queue place of another store's stream": (
        "INSERT INTO event_pending (tenant_id, stream, version, known_at)"
        " SELECT 1, 'task/' || task_id, 9, now() FROM kept_task"
    ),
    "a role for oneself": (
        "INSERT INTO role_grant VALUES (1, gen_random_uuid(),"
        " current_setting('daogou.account')::uuid, 'hq', '', now(), NULL)"
    ),
    "a message": (
        "INSERT INTO outbox (tenant_id, purpose, kind, guide_id, content, created_at, expires_at)"
        " SELECT 1, 'forged', 'nudge', guide_id, '{}', now(), now() FROM kept_task"
    ),
    "a note on another store's member": (
        "INSERT INTO member_note (tenant_id, note_id, member_id)"
        " SELECT 1, gen_random_uuid(), member_id FROM kept_task"
    ),
    "another store's consent": (
        "INSERT INTO consent SELECT 1, member_id, 'phone', true, 'store', '', now(), now() FROM kept_task"
    ),
}


@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize(
    "login", ["acc-manager", "acc-guide", "acc-guide-reads", "acc-supervisor", "acc-dealer"]
)
async def test_nothing_is_added_beyond_ones_reach(stage: Stage, what: str, login: str) -> None:
    foreign = stage.world.tasks["gui-nerine"]
    row = await stage.kept.connection.fetchrow("SELECT * FROM daogou.task WHERE task_id = $1", foreign)
    columns = ", ".join(
        f"${number}::{_kind(value)} AS {name}" for number, (name, value) in enumerate(row.items(), 1)
    )
    async with signed_on(stage, login) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(
                f"WITH kept_task AS (SELECT {columns}) {FORGED[what]}"
                if "kept_task" in FORGED[what]
                else FORGED[what],
                *(row.values() if "kept_task" in FORGED[what] else ()),
            )
    assert await stage.kept.changed() == []


def _kind(value: Any) -> str:
    kinds = {
        "bool": "boolean",
        "int": "integer",
        "str": "text",
        "UUID": "uuid",
        "date": "date",
        "datetime": "timestamptz",
        "NoneType": "text",
    }
    return kinds[type(value).__name__]


@pytest.mark.parametrize("role", ["daogou_worker", "daogou_api"])
async def test_nothing_is_copied_into_a_table_with_row_level_security(stage: Stage, role: str) -> None:
    """PostgreSQL refuses it, so whoever brings sets in stages them first."""
    url = stage.database.urls.worker if role == "daogou_worker" else stage.database.urls.api
    connection = await asyncpg.connect(url, server_settings={"search_path": "daogou", "daogou.tenant": "1"})
    try:
        with pytest.raises((asyncpg.FeatureNotSupportedError, asyncpg.InsufficientPrivilegeError)):
            await connection.copy_records_to_table(
                "category",
                schema_name="daogou",
                columns=["tenant_id", "category_id", "name"],
                records=[(1, 99, "X")],
            )
    finally:
        await connection.close()


async def test_an_import_goes_through_row_level_security_as_the_worker(put_back: Stage) -> None:
    report = await import_frame(
        put_back.database.ledger.engine,
        Tenant(1, ID_SECRET),
        Kind.STORES,
        pl.DataFrame({"code": ["sto-dahlia"], "name": ["new"], "region": ["reg-north"]}),
        known_at=NOW,
        actor="hq",
    )
    assert (report.rows_new, report.refused) == (1, False)
    assert "store" in await put_back.kept.changed()
    # It is in the region from the next request on, and in nobody else's reach.
    for login, there in (("acc-supervisor", True), ("acc-manager", False), ("acc-dealer", False)):
        async with signed_on(put_back, login) as connection:
            found = await connection.fetchval("SELECT count(*) FROM store WHERE code = 'sto-dahlia'")
            assert bool(found) is there, login
