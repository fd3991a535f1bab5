from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import polars as pl
import pytest
from brand import Brand, Database, execute_as_admin
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

from imports.report import Kind
from ledger.database import open_database
from ledger.migrate import migrate


# --- until tests/conftest.py brings `ledger_database`: remove from here ...
@pytest.fixture(scope="session")
async def _template() -> AsyncIterator[str]:
    admin = os.environ.get("DAOGOU_TEST_ADMIN_URL")
    if not admin:
        pytest.skip("DAOGOU_TEST_ADMIN_URL names no PostgreSQL")
    name = f"imports_template_{os.getpid()}"
    await execute_as_admin(admin, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    url = make_url(admin).set(database=name).render_as_string(hide_password=False)
    await migrate(url)
    await execute_as_admin(
        url,
        "INSERT INTO daogou.tenant VALUES (1, 'tests', 'import tests', NULL)",
        "SELECT daogou.ensure_event_partitions('2025-12-01', '2026-12-31')",
    )
    yield name
    await execute_as_admin(admin, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def ledger_database(_template: str) -> AsyncIterator[Database]:
    admin = os.environ["DAOGOU_TEST_ADMIN_URL"]
    name = f"imports_test_{os.getpid()}"
    await execute_as_admin(admin, f"CREATE DATABASE {name} TEMPLATE {_template}")
    url = make_url(admin).set(database=name).render_as_string(hide_password=False)
    yield Database(url, url)
    await execute_as_admin(admin, f"DROP DATABASE {name} WITH (FORCE)")


# --- ... to here


@pytest.fixture
async def brand(ledger_database: Database, tmp_path: Path) -> AsyncIterator[Brand]:
    """Two stores, a guide and three members, ready for purchases."""
    engine = open_database(ledger_database.worker_url, tenant_id=1, pool_size=2)

    @event.listens_for(engine.sync_engine, "connect")
    def become_worker(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET ROLE daogou_worker")
        cursor.close()
        connection.commit()

    brand = Brand(engine, tmp_path)
    await brand.load(
        Kind.STORES,
        pl.DataFrame(
            {"code": ["S1", "S2"], "name": ["One", "Two"], "time_zone": ["Asia/Shanghai", "America/New_York"]}
        ),
    )
    await brand.load(Kind.GUIDES, pl.DataFrame({"code": ["G1"], "name": ["Li"], "store": ["S1"]}))
    await brand.load(Kind.MEMBERS, pl.DataFrame({"code": ["M1", "M2", "M3"], "store": ["S1", "S1", None]}))
    yield brand
    await engine.dispose()
