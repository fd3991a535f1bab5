"""Real processes on real sockets: the database lost and back, draining, one socket for two, addresses and who encrypts."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from api.serve import bind
from bench.identity import issue_identity
from domain.errors import Refused
from domain.policy import Role
from infra.clock import now
from infra.databases import ensure_tenant, provide_embedded
from infra.edge_settings import Edge
from infra.embedded_postgres import running_postgres
from ledger.account_places import Grant
from ledger.database import open_database
from ledger.ledger import Ledger
from tests.certificates import write_certificate
from tests.conftest import ID_SECRET, LedgerDatabase

ROOT = Path(__file__).resolve().parent.parent.parent
CHECK_IN = {"performed_by": "G1", "channel": "phone", "outcome": "interested"}


@dataclass
class Served:
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return str(next(line["address"] for line in self.lines() if line.get("event") == "api_started"))

    def lines(self) -> list[dict[str, str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def says(self, event: str) -> bool:
        return any(line.get("event") == event for line in self.lines())


@contextmanager
def served(
    folder: Path,
    url: str,
    *options: str,
    name: str = "api",
    pass_fds: tuple[int, ...] = (),
    **environment: str,
) -> Iterator[Served]:
    log = folder / f"{name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "api", *options],
            cwd=ROOT,
            stderr=stream,
            pass_fds=pass_fds,
            env={**os.environ, "DATABASE_URL": url, "DAOGOU_HOME": str(folder)} | environment,
        )
    try:
        one = Served(process, log)
        wait_until(lambda: one.says("api_started") or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield one
    finally:
        process.kill()
        process.wait()


async def signed_in(ledger: Ledger) -> dict[str, str]:
    """Headers of somebody of HQ."""
    return {"Authorization": f"Bearer {await issue_identity(ledger, 'hq', Grant(Role.HQ), at=now())}"}


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.02)


async def until(ask: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not await ask():
        assert time.monotonic() < deadline, "not within the time"
        await asyncio.sleep(0.05)


async def test_with_the_database_down_every_route_says_when_to_retry_and_recovers_by_itself(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with running_postgres(home) as (server, address):
        urls = await provide_embedded(server, address, "daogou")
        port = address.port
        engine = open_database(urls.worker, tenant_id=1)
        await ensure_tenant(Ledger(engine, 1), ID_SECRET)
        headers = await signed_in(Ledger(engine, 1))
        await engine.dispose()
    # Down already when the process starts.
    with served(tmp_path, urls.api, "--port", "0") as one:
        async with httpx.AsyncClient(base_url=one.url, timeout=10, headers=headers) as http:
            assert (await http.get("/metrics")).status_code == 503
            for _ in range(2):
                for method, path, body in (
                    ("GET", "/v1/plans", None),
                    ("GET", "/v1/guides/G1/today", None),
                    ("POST", f"/v1/tasks/{'0' * 8}-0000-8000-8000-{'0' * 12}/check-ins", CHECK_IN),
                    ("POST", "/v1/outbox/stop", {"reason": "r"}),
                    ("GET", "/health/ready", None),
                ):
                    began = time.monotonic()
                    answer = await http.request(method, path, json=body, headers={"Idempotency-Key": "a"})
                    assert answer.status_code == 503, (path, answer.text)
                    assert int(answer.headers["retry-after"]) >= 1
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.json()["problems"][0]["code"] == "database_away"
                    assert time.monotonic() - began < 5
                assert (await http.get("/health/live")).status_code == 200
                with running_postgres(home) as (_, again):
                    assert again.port == port

                    async def recovered() -> bool:
                        return (await http.get("/v1/plans")).status_code == 200

                    await until(recovered)
                    assert (await http.get("/health/ready")).status_code == 200
                    assert (await http.get("/metrics")).status_code == 200


async def test_a_database_that_is_not_migrated_is_not_ready(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    admin = await asyncpg.connect(ledger_database.admin_url)
    try:
        await admin.execute("UPDATE public.daogou_migration SET version_num = '0001'")
    finally:
        await admin.close()
    with served(tmp_path, ledger_database.urls.api, "--port", "0") as one:
        async with httpx.AsyncClient(base_url=one.url) as http:
            answer = await http.get("/health/ready")
    assert (answer.status_code, answer.json()["problems"][0]["code"]) == (503, "database_not_migrated")


async def _hold(database: LedgerDatabase, statement: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute("BEGIN")
    await connection.execute(statement)
    return connection


async def _waiting(connection: asyncpg.Connection) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN"
            " (SELECT pid FROM pg_stat_activity WHERE datname = current_database())"
        )
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_request_in_flight_is_finished_before_the_process_ends(
    tmp_path: Path, ledger_database: LedgerDatabase, number: signal.Signals
) -> None:
    headers = await signed_in(ledger_database.ledger)
    holder = await _hold(ledger_database, "LOCK TABLE daogou.plan IN ACCESS EXCLUSIVE MODE")
    try:
        with served(tmp_path, ledger_database.urls.api, "--port", "0") as one:
            async with httpx.AsyncClient(base_url=one.url, timeout=20, headers=headers) as http:
                asked = asyncio.create_task(http.get("/v1/plans"))
                await until(lambda: _waiting(holder))
                one.process.send_signal(number)
                began = time.monotonic()
                wait_until(lambda: one.says("api_draining"))
                async with httpx.AsyncClient(base_url=one.url) as other:

                    async def closed() -> bool:
                        try:
                            await other.get("/health/live")
                        except httpx.TransportError:
                            return True
                        return False

                    await until(closed)
                assert not asked.done()
                await holder.execute("ROLLBACK")
                assert (await asked).status_code == 200
            assert await asyncio.to_thread(one.process.wait, 10) == 0
            assert time.monotonic() - began < 10
            assert one.says("api_stopped")
    finally:
        await holder.close()


async def test_a_request_that_never_ends_does_not_keep_the_process_longer_than_ten_seconds(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    headers = await signed_in(ledger_database.ledger)
    holder = await _hold(ledger_database, "LOCK TABLE daogou.plan IN ACCESS EXCLUSIVE MODE")
    try:
        with served(tmp_path, ledger_database.urls.api, "--port", "0") as one:
            async with httpx.AsyncClient(base_url=one.url, timeout=20, headers=headers) as http:
                asked = asyncio.create_task(http.get("/v1/plans"))
                await until(lambda: _waiting(holder))
                one.process.send_signal(signal.SIGTERM)
                began = time.monotonic()
                await asyncio.to_thread(one.process.wait, 15)
                assert time.monotonic() - began < 10
                await asyncio.wait([asked])
                if asked.exception() is None:
                    assert asked.result().status_code >= 500
    finally:
        await holder.close()


async def test_a_process_whose_supervisor_is_gone_drains(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    reading, writing = os.pipe()
    try:
        with served(
            tmp_path,
            ledger_database.urls.api,
            "--port",
            "0",
            pass_fds=(reading,),
            DAOGOU_LIFELINE=str(reading),
        ) as one:
            assert one.process.poll() is None
            os.close(writing)
            assert await asyncio.to_thread(one.process.wait, 10) == 0
    finally:
        os.close(reading)


async def test_two_processes_serve_one_socket_and_one_may_end(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        options = ("--fd", str(number))
        with (
            served(tmp_path, ledger_database.urls.api, *options, name="one", pass_fds=(number,)) as one,
            served(tmp_path, ledger_database.urls.api, *options, name="two", pass_fds=(number,)) as two,
        ):

            async def ask() -> int:
                async with httpx.AsyncClient(base_url=url) as http:
                    return (await http.get("/health/ready")).status_code

            assert set(await asyncio.gather(*(ask() for _ in range(40)))) == {200}
            one.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(one.process.wait, 10) == 0
            assert set(await asyncio.gather(*(ask() for _ in range(40)))) == {200}
            assert two.process.poll() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1"])  # noqa: S104 - refused
def test_another_address_than_the_loopback_is_refused_where_nobody_encrypts(host: str) -> None:
    with pytest.raises(Refused) as refusal:
        bind(host, 0)
    assert [(problem.field, problem.value, problem.code) for problem in refusal.value.problems] == [
        ("--host", host, "bind_without_tls"),
        ("DAOGOU_PUBLIC_URL", "", "public_url_missing"),
    ]


@pytest.mark.parametrize("host", ["example.org", "", "127.0.0.1.evil"])
def test_what_is_no_address_is_refused_whoever_encrypts(host: str) -> None:
    edge = Edge(public_url="https://shop.example", trusted_proxies=("10.0.0.2",))
    with pytest.raises(Refused) as refusal:
        bind(host, 0, edge)
    assert [(problem.field, problem.code) for problem in refusal.value.problems] == [
        ("--host", "host_not_an_address")
    ]


@pytest.mark.parametrize(
    ("host", "bound"), [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1")]
)
def test_every_name_of_the_loopback_can_be_bound(host: str, bound: str) -> None:
    with bind(host, 0) as listening:
        assert listening.getsockname()[0] == bound
        with pytest.raises(Refused) as refusal:
            bind(host, listening.getsockname()[1])
    assert refusal.value.problems[0].code == "port_unusable"


def refused_start(home: Path, *options: str, pass_fds: tuple[int, ...] = (), **environment: str) -> str:
    """What a process says that refuses to start."""
    ended = subprocess.run(
        [sys.executable, "-m", "api", *options],
        cwd=ROOT,
        pass_fds=pass_fds,
        env={**os.environ, "DAOGOU_HOME": str(home), "DATABASE_URL": "postgresql://127.0.0.1:1/x"}
        | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def test_a_refused_address_is_said_with_its_remedy(tmp_path: Path) -> None:
    for options, told in ((("--host", "10.0.0.1"), {}), ((), {"DAOGOU_API_HOST": "10.0.0.1"})):
        said = refused_start(tmp_path, *options, **told)
        assert re.search(r"--host 10\.0\.0\.1: .*DAOGOU_TLS_CERT.*127\.0\.0\.1", said)


def test_an_inherited_socket_must_be_safe_to_serve_too(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:  # noqa: S104 - that it is refused is the test
        number = everywhere.fileno()
        said = refused_start(tmp_path, "--fd", str(number), pass_fds=(number,))
    assert "--fd 0.0.0.0: " in said


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    cert, key = write_certificate(tmp_path, "shop.example", password=b"typed")
    said = refused_start(tmp_path, "--port", "0", DAOGOU_TLS_CERT=str(cert), DAOGOU_TLS_KEY=str(key))
    assert f"DAOGOU_TLS_CERT {cert}: " in said


def test_a_provider_that_is_set_halfway_keeps_the_process_from_starting(tmp_path: Path) -> None:
    said = refused_start(tmp_path, "--port", "0", DAOGOU_OIDC_ISSUER="https://id.example")
    assert "DAOGOU_OIDC_CLIENT_SECRET" in said
    assert "DAOGOU_PUBLIC_URL" in said


async def test_a_login_that_is_not_the_apis_is_refused_and_one_that_may_do_more_is_told(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    urls = ledger_database.urls
    said = await asyncio.to_thread(refused_start, tmp_path, "--port", "0", DATABASE_URL=urls.worker)
    assert re.search(r"DATABASE_URL daogou_worker: .*DATABASE_API_URL", said)
    with served(tmp_path, urls.worker, "--port", "0", DATABASE_API_URL=urls.api) as one:
        assert not one.says("database_login_may_do_more")
    with served(tmp_path, urls.admin, "--port", "0", name="more") as one:
        assert one.says("database_login_may_do_more")


def this_machine() -> str:
    """An address of this machine that is none of the loopback's."""
    listed = [one.address for addresses in psutil.net_if_addrs().values() for one in addresses]
    found = [one for one in listed if re.fullmatch(r"[0-9.]+", one) and not one.startswith("127.")]
    if not found:
        pytest.skip("this machine has no address but the loopback's")
    return found[0]


def old_client() -> ssl.SSLContext:
    """A client that offers TLS 1.1 at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    return context


async def test_with_its_own_certificate_it_serves_beyond_the_loopback(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    cert, key = write_certificate(tmp_path, "shop.example")
    told = {
        "DAOGOU_PUBLIC_URL": "https://shop.example",
        "DAOGOU_TLS_CERT": str(cert),
        "DAOGOU_TLS_KEY": str(key),
    }
    options = ("--port", "0", "--host", this_machine())
    with served(tmp_path, ledger_database.urls.api, *options, **told) as one:
        assert one.url.startswith(f"https://{this_machine()}:")
        trusting = ssl.create_default_context(cafile=cert)
        headers = await signed_in(ledger_database.ledger) | {"host": "shop.example"}
        async with httpx.AsyncClient(verify=trusting, headers=headers, trust_env=False) as http:
            name = {"sni_hostname": "shop.example"}
            answer = await http.get(f"{one.url}/v1/plans", extensions=name)
            assert answer.status_code == 200
            assert answer.headers["strict-transport-security"] == "max-age=63072000"
        at = (this_machine(), int(one.url.rpartition(":")[2]))
        offering = old_client()
        with socket.create_connection(at) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
            offering.wrap_socket(plain)
        offering.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(at) as plain, offering.wrap_socket(plain) as talking:
            assert talking.version() == "TLSv1.2"
        async with httpx.AsyncClient(trust_env=False) as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"{one.url.replace('https:', 'http:')}/health/live")


async def test_behind_a_proxy_the_clients_address_and_scheme_are_the_proxys_word(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    here = this_machine()
    told = {"DAOGOU_PUBLIC_URL": "https://shop.example", "DAOGOU_TRUSTED_PROXIES": here}
    by_proxy = {"host": "shop.example", "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "https"}
    headers = await signed_in(ledger_database.ledger)
    with served(tmp_path, ledger_database.urls.api, "--port", "0", "--host", "0.0.0.0", **told) as one:  # noqa: S104
        url = one.url.replace("0.0.0.0", here)  # noqa: S104
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            answer = await http.get("/v1/plans", headers=by_proxy)
            assert answer.status_code == 200
            assert "strict-transport-security" in answer.headers
            assert (await http.get("/v1/plans", headers={"host": "shop.example"})).status_code == 403
        local = one.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        async with httpx.AsyncClient(base_url=local, headers=headers, trust_env=False) as other:
            # From the loopback, which is not the proxy: its word is not taken, so the request is in the clear.
            assert (await other.get("/v1/plans", headers=by_proxy)).status_code == 403
            assert (await other.get("/v1/plans")).status_code == 200


async def test_plain_http_beyond_the_loopback_is_a_warning_in_the_log(
    tmp_path: Path, ledger_database: LedgerDatabase
) -> None:
    here = this_machine()
    told = {"DAOGOU_PUBLIC_URL": f"http://{here}", "DAOGOU_ALLOW_PLAIN_HTTP": "1"}
    with served(tmp_path, ledger_database.urls.api, "--port", "0", "--host", here, **told) as one:
        (warned,) = [line for line in one.lines() if line["event"] == "plain_http_allowed"]
        assert warned["level"] == "warning"
        async with httpx.AsyncClient(base_url=one.url, trust_env=False) as http:
            assert (await http.get("/v1/plans")).status_code == 401
