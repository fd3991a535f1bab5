"""Databases: provided to many at once, without secrets in a log, and opened without superuser powers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from infra.databases import WORKER, open_ledger, provide_embedded, scram_verifier
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress, running_postgres
from infra.settings import Settings
from ledger.migrate import is_migrated
from tests.conftest import LedgerDatabase, drop_database

Server = tuple[EmbeddedPostgres, PostgresAddress]


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    # Statements are logged as a slow one would be.
    settings = {"shared_buffers": "16MB", "log_statement": "all", "log_min_duration_statement": "0"}
    with running_postgres(tmp_path / ".daogou", settings=settings) as running:
        yield running


@pytest_asyncio.fixture
async def mine(postgres: Server) -> AsyncIterator[str]:
    """The name of a database that does not exist yet."""
    name = f"mine_{secrets.token_hex(6)}"
    yield name
    await drop_database(postgres[1], name)


async def ask(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_many_may_provide_at_once_and_no_log_holds_the_password(fresh_server: Server) -> None:
    server, address = fresh_server
    given = await asyncio.gather(*(provide_embedded(server, address, "daogou") for _ in range(8)))
    assert len(set(given)) == 1
    assert await ask(given[0].worker, "SELECT current_user") == WORKER
    folder = Path(str(await ask(address.url("postgres"), "SHOW data_directory")))
    logs = "".join(path.read_text() for path in (folder / "log").iterdir())
    assert "ALTER ROLE daogou_worker" in logs
    assert server.role_password(WORKER) not in logs


async def test_a_password_that_holds_is_not_set_again_and_a_lost_one_is(
    postgres: Server, template: str
) -> None:
    server, address = postgres
    stored = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{WORKER}'"
    before = await ask(address.url("postgres"), stored)
    urls = await provide_embedded(server, address, template)
    assert await ask(address.url("postgres"), stored) == before
    await ask(address.url("postgres"), f"ALTER ROLE {WORKER} PASSWORD NULL")
    await provide_embedded(server, address, template)
    assert await ask(urls.worker, "SELECT current_user") == WORKER


def test_the_verifier_is_the_one_of_the_standard() -> None:
    # The exchange of RFC 7677, section 3: user "user", password "pencil".
    salt = bytes.fromhex("5b6d99689d12358eec a04b141236fa81".replace(" ", ""))
    told = scram_verifier("pencil", salt=salt)
    assert told == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
        "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def settings(url: str, tenant_id: int = 1) -> Settings:
    return Settings(home=Path("/nowhere"), database_url=url, database_admin_url=url, tenant_id=tenant_id)


async def test_the_worker_alone_opens_a_database_that_is_migrated(ledger_database: LedgerDatabase) -> None:
    assert await is_migrated(ledger_database.worker_url)
    async with (
        open_ledger(settings(ledger_database.worker_url)) as (ledger, _),
        ledger.connection() as connection,
    ):
        assert await connection.fetchval("SELECT session_user || ' ' || current_user") == f"{WORKER} {WORKER}"


async def test_a_login_that_owns_the_database_migrates_it_and_works_as_the_worker(
    postgres: Server, template: str, mine: str
) -> None:
    _, address = postgres
    password = secrets.token_urlsafe()
    login = f"login_{secrets.token_hex(6)}"
    for statement in (
        f"CREATE ROLE {login} LOGIN CREATEROLE PASSWORD '{password}'",
        f"GRANT daogou_owner, daogou_worker, daogou_api, daogou_reader TO {login} WITH ADMIN TRUE, SET FALSE",
        f"CREATE DATABASE {mine} OWNER {login}",
    ):
        await ask(address.url("postgres"), statement)
    url = address.url(mine, user=login, password=password)
    try:
        assert not await is_migrated(url)
        async with open_ledger(settings(url)) as (ledger, _), ledger.connection() as connection:
            assert (
                await connection.fetchval("SELECT session_user || ' ' || current_user") == f"{login} {WORKER}"
            )
        assert await is_migrated(url)
    finally:
        await drop_database(address, mine)
        admin = await asyncpg.connect(address.url("postgres"))
        for role in (WORKER, "daogou_owner", "daogou_api", "daogou_reader"):
            await admin.execute(f"REVOKE {role} FROM {login} CASCADE")
        await admin.execute(f"DROP ROLE {login}")
        await admin.close()
