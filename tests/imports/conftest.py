from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import polars as pl
import pytest

from imports.report import Kind
from ledger.database import open_database
from tests.imports.brand import Brand, Database


@pytest.fixture
async def brand(ledger_database: Database, tmp_path: Path) -> AsyncIterator[Brand]:
    """Two stores, a guide and three members, ready for purchases."""
    engine = open_database(ledger_database.worker_url, tenant_id=1, pool_size=2)
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
