"""Who may log in to the ledger's database as whom: the API as itself and nobody else, everybody by SCRAM."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from pydantic import BaseModel, SecretStr
from sqlalchemy.engine import make_url

from infra.child_environment import child_environment
from infra.databases import DatabaseUrls
from infra.settings import Settings, read_settings
from ledger.database import API, WORKER
from tests.conftest import LedgerDatabase

OURS = {
    "PATH": "/bin",
    "DATABASE_URL": "postgresql://mine:inherited@db/x",
    "DATABASE_URL_FILE": "/run/secrets/inherited",
    "DATABASE_ADMIN_URL": "postgresql://admin:inherited@db/x",
    "DATABASE_ADMIN_URL_FILE": "/run/secrets/inherited",
    "DAOGOU_OIDC_CLIENT_SECRET": "of the provider",
    "DAOGOU_WECOM_SECRET": "of wecom",
    "DAOGOU_TLS_KEY": "/etc/key.pem",
    "DAOGOU_PUBLIC_URL": "https://shop.example",
}


def child(urls: DatabaseUrls, *, admin: bool) -> dict[str, str]:
    return child_environment(
        OURS,
        Settings(home=Path("home")),
        urls=urls,
        admin=admin,
        temporal="127.0.0.1:7233",
        log_file=Path("log"),
    )


def test_the_api_is_told_no_login_but_its_own(ledger_database: LedgerDatabase) -> None:
    urls = ledger_database.urls
    told = child(urls, admin=False)
    everything = "\n".join(told.values())
    for other in (urls.worker, urls.admin):
        assert other not in everything
        assert str(make_url(other).password) not in everything
    assert "inherited" not in everything
    settings = read_settings(told)
    assert {settings.database_url, settings.database_admin_url, settings.database_api_url} == {urls.api}
    assert told["DAOGOU_OIDC_CLIENT_SECRET"] == "of the provider"  # noqa: S105 - a made-up one
    assert told["DAOGOU_PUBLIC_URL"] == "https://shop.example"


def test_a_worker_is_told_nothing_of_those_who_vouch_for_people(ledger_database: LedgerDatabase) -> None:
    told = child(ledger_database.urls, admin=True)
    assert read_settings(told).database_url == ledger_database.urls.worker
    assert not any(name.startswith(("DAOGOU_OIDC_", "DAOGOU_WECOM_", "DAOGOU_TLS_")) for name in told)


async def test_the_apis_login_cannot_become_anybody_else(ledger_database: LedgerDatabase) -> None:
    connection = await asyncpg.connect(ledger_database.urls.api)
    try:
        assert await connection.fetchval("SELECT session_user") == API
        for role in (WORKER, "daogou_owner", "daogou_reader", "postgres"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET SESSION AUTHORIZATION {role}")
        held = await connection.fetch(
            "SELECT rolname FROM pg_roles WHERE pg_has_role($1, oid, 'MEMBER') AND rolname <> $1", API
        )
        assert held == []
        can = await connection.fetchrow(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles"
            " WHERE rolname = $1",
            API,
        )
        assert not any(can.values())
        tables = await connection.fetchval(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'daogou' AND (tableowner = $1"
            " OR has_table_privilege($1, quote_ident(schemaname) || '.' || quote_ident(tablename), 'TRUNCATE'))",
            API,
        )
        assert tables == 0
    finally:
        await connection.close()


async def test_the_workers_login_is_no_superuser_and_above_no_row(ledger_database: LedgerDatabase) -> None:
    connection = await asyncpg.connect(ledger_database.urls.worker)
    try:
        can = await connection.fetchrow(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = session_user"
        )
        assert not any(can.values())
        for role in ("daogou_owner", "postgres"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {role}")
    finally:
        await connection.close()


async def test_the_embedded_server_lets_everybody_in_by_scram_only(
    ledger_database: LedgerDatabase, tmp_path: Path
) -> None:
    admin = await asyncpg.connect(ledger_database.admin_url)
    try:
        rules = await admin.fetch("SELECT auth_method, error FROM pg_hba_file_rules")
        assert rules
        assert {(rule["auth_method"], rule["error"]) for rule in rules} == {("scram-sha-256", None)}
        assert await admin.fetchval("SHOW password_encryption") == "scram-sha-256"
        assert await admin.fetchval("SHOW listen_addresses") == "127.0.0.1"
        kept = await admin.fetch("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin")
    finally:
        await admin.close()
    passwords = {row["rolname"]: row["rolpassword"] for row in kept}
    assert all(told is None or told.startswith("SCRAM-SHA-256$") for told in passwords.values())
    assert passwords["daogou_reader"] is None, "a role nobody uses cannot be logged in as"
    for url in (ledger_database.urls.admin, ledger_database.urls.worker, ledger_database.urls.api):
        for wrong in ("", "postgres", "daogou"):
            tried = make_url(url).set(password=wrong).render_as_string(hide_password=False)
            with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
                await asyncpg.connect(tried, passfile=tmp_path / "none")


def secrets_in(model: BaseModel) -> list[str]:
    """Names of fields whose value could be a secret."""
    found = []
    for name, value in model:
        if isinstance(value, BaseModel):
            found += secrets_in(value)
        elif isinstance(value, SecretStr) or (isinstance(value, str) and "://" in value):
            found.append(name)
    return found


def test_no_secret_has_a_default() -> None:
    assert secrets_in(read_settings({})) == []
    with_files = read_settings({"DAOGOU_OIDC_ISSUER": "https://id.example", "DAOGOU_WECOM_CORP_ID": "ww1"})
    assert with_files.oidc is not None
    assert with_files.wecom is not None
    assert not with_files.oidc.client_secret
    assert not with_files.wecom.secret
