"""`worker.py migrate` on a PostgreSQL of yours, and the secrets it reads from files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy.engine import make_url

import worker
from infra.databases import DatabaseUrls
from infra.embedded_postgres import PostgresAddress, running_postgres
from infra.settings import read_settings
from ledger.database import API, WORKER
from ledger.migrate import is_migrated


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresAddress]:
    """A server of its own: roles belong to a server, and these tests change a password."""
    home = tmp_path_factory.mktemp("migration") / ".daogou"
    settings = {"shared_buffers": "16MB", "log_statement": "all"}
    with running_postgres(home, settings=settings) as (_, address):
        yield address


@pytest.fixture
def empty(server: PostgresAddress) -> DatabaseUrls:
    """An empty database; its admin's login, and the one the worker is to have."""
    name = f"mine_{secrets.token_hex(6)}"
    ask(server.url("postgres"), f"CREATE DATABASE {name}")
    password = secrets.token_hex(16)
    return DatabaseUrls(
        server.url(name),
        server.url(name, user=WORKER, password=password),
        server.url(name, user=API, password=password),
    )


def ask(url: str, sql: str) -> object:
    async def asked() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(asked())


def migrate(tmp_path: Path, worker_url: str | None, admin_url: str | None = None) -> Result:
    told = {"DAOGOU_HOME": str(tmp_path), "DATABASE_URL": worker_url, "DATABASE_ADMIN_URL": admin_url}
    done = CliRunner().invoke(worker.main, ["migrate"], env=told)
    for url in (worker_url, admin_url):
        assert not url or str(make_url(url).password) not in done.output, "a password is never printed"
    return done


def test_it_migrates_and_lets_the_worker_in_with_the_password_of_its_url(
    tmp_path: Path, empty: DatabaseUrls, server: PostgresAddress
) -> None:
    done = migrate(tmp_path, empty.worker, empty.admin)
    assert done.exit_code == 0, done.output
    assert "password was set" in done.output
    assert asyncio.run(is_migrated(empty.worker))
    folder = Path(str(ask(server.url("postgres"), "SHOW data_directory")))
    logs = "".join(path.read_text() for path in (folder / "log").iterdir())
    assert "ALTER ROLE daogou_worker" in logs
    assert str(make_url(empty.worker).password) not in logs


def test_again_it_changes_nothing(tmp_path: Path, empty: DatabaseUrls) -> None:
    migrate(tmp_path, empty.worker, empty.admin)
    stored = f"SELECT rolpassword FROM pg_authid WHERE rolname = '{WORKER}'"
    before = ask(empty.admin, stored)
    done = migrate(tmp_path, empty.worker, empty.admin)
    assert done.exit_code == 0
    assert "it can log in" in done.output
    assert ask(empty.admin, stored) == before


def test_a_url_with_another_password_replaces_the_old_one(tmp_path: Path, empty: DatabaseUrls) -> None:
    migrate(tmp_path, empty.worker, empty.admin)
    rotated = make_url(empty.worker).set(password=secrets.token_hex(16)).render_as_string(hide_password=False)
    assert migrate(tmp_path, rotated, empty.admin).exit_code == 0
    assert asyncio.run(is_migrated(rotated))
    with pytest.raises(asyncpg.InvalidPasswordError):
        ask(empty.worker, "SELECT 1")


def test_another_login_is_not_given_a_password(tmp_path: Path, empty: DatabaseUrls) -> None:
    login = f"login_{secrets.token_hex(6)}"
    ask(empty.admin, f"CREATE ROLE {login} LOGIN")
    url = make_url(empty.worker).set(username=login).render_as_string(hide_password=False)
    done = migrate(tmp_path, url, empty.admin)
    assert done.exit_code == 1
    assert f"'{login}' cannot log in" in done.output
    assert ask(empty.admin, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{login}'") is None


def test_a_schema_of_a_later_version_is_left_alone_and_served(tmp_path: Path, empty: DatabaseUrls) -> None:
    migrate(tmp_path, empty.worker, empty.admin)
    ask(empty.admin, "UPDATE public.daogou_migration SET version_num = '9999'")
    assert migrate(tmp_path, empty.worker, empty.admin).exit_code == 0
    assert ask(empty.admin, "SELECT version_num FROM public.daogou_migration") == "9999"
    ask(empty.admin, "UPDATE public.daogou_migration SET version_num = '0001'")
    assert not asyncio.run(is_migrated(empty.worker))


@pytest.mark.parametrize(
    ("worker_url", "said"),
    [
        (None, "DATABASE_URL is not set"),
        ("postgresql://daogou_worker:secret@127.0.0.1:9/none", "ConnectionRefused"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, worker_url: str | None, said: str) -> None:
    done = migrate(tmp_path, worker_url)
    assert done.exit_code == 1
    assert said in done.output
    assert isinstance(done.exception, SystemExit)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://somebody@somewhere/db\n", encoding="utf-8")
    settings = read_settings({"DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.database_url == settings.database_admin_url == "postgresql://somebody@somewhere/db"


def test_a_secret_that_cannot_be_read_or_is_set_twice_is_refused(tmp_path: Path) -> None:
    missing = str(tmp_path / "none")
    with pytest.raises(
        ValueError, match=r"DATABASE_ADMIN_URL_FILE = .*none' cannot be read: FileNotFoundError"
    ):
        read_settings({"DATABASE_ADMIN_URL_FILE": missing})
    with pytest.raises(ValueError, match="DATABASE_URL and DATABASE_URL_FILE are both set"):
        read_settings({"DATABASE_URL": "postgresql://x", "DATABASE_URL_FILE": missing})


def test_a_url_in_another_drivers_words_is_refused_with_the_right_one() -> None:
    with pytest.raises(ValueError, match=r"DATABASE_URL: sslmode .* write ssl=require") as refused:
        read_settings({"DATABASE_URL": "postgresql://somebody:hidden@somewhere/db?sslmode=require"})
    assert "hidden" not in str(refused.value)
