"""Fixtures on real servers: one PostgreSQL for the whole run, a database of its own for each test that asks."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
import structlog

from infra.databases import DatabaseUrls, ensure_tenant, provide_embedded
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress, running_postgres
from infra.key_store import SqliteKeys
from infra.service_user import SERVICE_ROOT
from ledger.database import open_database
from ledger.ledger import Ledger

ID_SECRET = b"tests"
NOT_FLUSHED = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""Of the server most tests share: nobody pulls its plug. What must outlive a kill is tested on servers as the product
starts them, where all of this is on; here a copy of the template and its end take half the time."""
TEMPLATE = "daogou_template"
LONGEST_FIRST = (
    "test_chaos.py",
    "test_demo.py",
    "test_matrix.py",
    "test_backup.py",
    "test_up.py",
    "test_erase.py",
    "test_first_day.py",
    "test_fuzz.py",
    "test_serve.py",
    "test_first_account.py",
    "test_bench_ledger.py",
    "test_account.py",
    "test_day.py",
    "test_embedded_servers.py",
    "test_openapi.py",
    "test_up_edge.py",
    "test_worker.py",
    "test_rehearsal.py",
    "test_live_day.py",
    "test_docker.py",
    "test_lost_servers.py",
)
"""Files that take a minute or more, the longest first: begun last, one of them would keep a core waiting."""

# By itself structlog draws a trace with all its variables, which takes seconds and shows what a log never should.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ],
    cache_logger_on_first_use=False,
)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: the longest files mostly wait, for the hours of a day or for a server's start."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; the others keep their order."""
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@dataclass(frozen=True)
class LedgerDatabase:
    """A migrated database with tenant 1, and its logins."""

    urls: DatabaseUrls
    ledger: Ledger
    id_secret: bytes = ID_SECRET

    @property
    def admin_url(self) -> str:
        return self.urls.admin

    @property
    def worker_url(self) -> str:
        return self.urls.worker


@pytest.fixture(scope="session", autouse=True)
def _no_data_stays_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield  # as root, the data of a home lies elsewhere, and the tests' homes are all below one folder
    for marker in SERVICE_ROOT.glob("*.home"):
        try:
            home_of = Path(marker.read_text().strip())
        except FileNotFoundError:
            continue  # another run beside this one cleans up too
        if home_of.is_relative_to(tmp_path_factory.getbasetemp().resolve()):
            shutil.rmtree(marker.with_suffix(""), ignore_errors=True)
            marker.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("daogou-home")


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[tuple[EmbeddedPostgres, PostgresAddress]]:
    with running_postgres(home, settings=NOT_FLUSHED) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def template(postgres: tuple[EmbeddedPostgres, PostgresAddress]) -> str:
    server, address = postgres
    await provide_embedded(server, address, TEMPLATE)
    return TEMPLATE


async def drop_database(address: PostgresAddress, name: str) -> None:
    connection = await asyncpg.connect(address.url("postgres"))
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def ledger_database(
    postgres: tuple[EmbeddedPostgres, PostgresAddress], template: str, tmp_path: Path
) -> AsyncIterator[LedgerDatabase]:
    server, address = postgres
    name = f"test_{secrets.token_hex(6)}"
    urls = await provide_embedded(server, address, name, template=template)
    engine = open_database(urls.worker, tenant_id=1)
    keys = SqliteKeys(tmp_path / "keys" / "members.db", 1)
    ledger = Ledger(engine, 1, keys=keys)
    await ensure_tenant(ledger, ID_SECRET)
    try:
        yield LedgerDatabase(urls, ledger)
    finally:
        await engine.dispose()
        keys.close()
        await drop_database(address, name)
