"""What each role may do, whoever logs in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import polars as pl
import pytest
import pytest_asyncio

from imports.loading import import_frame
from imports.report import Kind, Tenant
from infra.databases import ensure_tenant, read_id_secret
from ledger.database import open_database
from ledger.door import Driver
from ledger.ledger import Ledger
from tests.brand import Brand, at
from tests.conftest import ID_SECRET, LedgerDatabase

NEVER_CHANGED = (
    "purchase",
    "check_in",
    "plan_check",
    "import_batch",
    "category",
    "list_item",
    "outbox",
    "member_note",
    "system_record",
    "system_record_also",
    "feed_message",
    "feed_terms",
    "staff_answer",
    "feed_watermark",
)
WRITERS = ("daogou_worker", "daogou_api")


@pytest_asyncio.fixture
async def admin(database: LedgerDatabase) -> AsyncIterator[Driver]:
    connection = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": "daogou", "daogou.tenant": "1"}
    )
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def second(database: LedgerDatabase) -> AsyncIterator[Ledger]:
    """Tenant 2, opened with the login of a superuser."""
    engine = open_database(database.admin_url, tenant_id=2, pool_size=1)
    yield Ledger(engine, 2)
    await engine.dispose()


async def test_a_superusers_login_works_as_the_worker(second: Ledger) -> None:
    async with second.connection() as connection:
        assert await connection.fetchval("SELECT current_user") == "daogou_worker"
        assert not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")


async def test_a_login_that_is_no_worker_is_refused(database: LedgerDatabase, admin: Driver) -> None:
    await admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        host = database.admin_url.rpartition("@")[2]
        engine = open_database(f"postgresql://stranger:stranger@{host}", tenant_id=1, pool_size=1)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied to set role"):
            async with Ledger(engine, 1).connection():
                pass
        await engine.dispose()
    finally:
        await admin.execute("DROP ROLE stranger")


async def test_another_tenants_store_can_be_neither_seen_nor_referred_to(
    second: Ledger, brand: Brand
) -> None:
    await brand.open_store()
    await brand.hire()
    await ensure_tenant(second, ID_SECRET)
    async with second.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM store") == 0
    report = await import_frame(
        second.engine,
        Tenant(2, ID_SECRET),
        Kind.GUIDES,
        pl.DataFrame({"code": ["G9"], "name": ["Li"], "store": ["S1"]}),
        known_at=at(2),
        actor="hq",
    )
    assert report.refused
    assert [bad.code for bad in report.bad] == ["import.unknown_store"]


@pytest.mark.parametrize("role", WRITERS)
@pytest.mark.parametrize("table", NEVER_CHANGED)
async def test_what_was_reported_or_imported_is_never_changed(admin: Driver, role: str, table: str) -> None:
    await admin.execute(f"SET ROLE {role}")
    for change in (f"UPDATE {table} SET tenant_id = 1", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await admin.execute(change)


async def test_the_queue_of_positions_and_windows_that_are_over_are_all_that_is_ever_emptied(
    admin: Driver,
) -> None:
    granted = await admin.fetch(
        "SELECT DISTINCT table_name::text FROM information_schema.role_table_grants"
        " WHERE table_schema = 'daogou' AND privilege_type IN ('DELETE', 'TRUNCATE')"
        " AND grantee IN ('daogou_worker', 'daogou_api', 'daogou_reader')"
    )
    assert sorted(row["table_name"] for row in granted) == ["event_pending", "sign_in_window"]


@pytest.mark.parametrize(
    "table", ["tenant", "import_batch", "purchase", "category", "store", "guide", "member"]
)
async def test_the_api_imports_nothing(admin: Driver, table: str) -> None:
    await admin.execute("SET ROLE daogou_api")
    assert await admin.fetchval("SELECT has_table_privilege($1, 'SELECT')", table)
    assert not await admin.fetchval("SELECT has_table_privilege($1, 'INSERT, UPDATE, DELETE')", table)


async def test_only_the_worker_reads_the_secret_and_nobody_changes_it(ledger: Ledger, admin: Driver) -> None:
    assert await read_id_secret(ledger) == ID_SECRET
    await ensure_tenant(ledger, b"another")
    assert await read_id_secret(ledger) == ID_SECRET
    may: dict[str, Any] = {
        role: await admin.fetchval(
            "SELECT array_agg(p ORDER BY p) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p"
            " WHERE has_table_privilege($1, 'tenant_secret', p)",
            role,
        )
        for role in ("daogou_worker", "daogou_api", "daogou_reader")
    }
    assert may == {"daogou_worker": ["INSERT", "SELECT"], "daogou_api": None, "daogou_reader": None}
    assert "id_secret" not in await admin.fetchval(
        "SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = 'tenant'::regclass"
    )
