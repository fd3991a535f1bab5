"""Real processes on real sockets: the database lost and back, draining, one socket for two, loopback only."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest

from api.serve import bind
from domain.errors import Refused
from infra.databases import provide_embedded
from infra.embedded_postgres import running_postgres
from tests.conftest import LedgerDatabase

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
    # Down already when the process starts.
    with served(tmp_path, urls.worker, "--port", "0") as one:
        async with httpx.AsyncClient(base_url=one.url, timeout=10) as http:
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
    with served(tmp_path, ledger_database.worker_url, "--port", "0") as one:
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
    holder = await _hold(ledger_database, "LOCK TABLE daogou.plan IN ACCESS EXCLUSIVE MODE")
    try:
        with served(tmp_path, ledger_database.worker_url, "--port", "0") as one:
            async with httpx.AsyncClient(base_url=one.url, timeout=20) as http:
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
    holder = await _hold(ledger_database, "LOCK TABLE daogou.plan IN ACCESS EXCLUSIVE MODE")
    try:
        with served(tmp_path, ledger_database.worker_url, "--port", "0") as one:
            async with httpx.AsyncClient(base_url=one.url, timeout=20) as http:
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
            ledger_database.worker_url,
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
            served(tmp_path, ledger_database.worker_url, *options, name="one", pass_fds=(number,)) as one,
            served(tmp_path, ledger_database.worker_url, *options, name="two", pass_fds=(number,)) as two,
        ):

            async def ask() -> int:
                async with httpx.AsyncClient(base_url=url) as http:
                    return (await http.get("/health/ready")).status_code

            assert set(await asyncio.gather(*(ask() for _ in range(40)))) == {200}
            one.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(one.process.wait, 10) == 0
            assert set(await asyncio.gather(*(ask() for _ in range(40)))) == {200}
            assert two.process.poll() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])  # noqa: S104 - refused
def test_any_other_address_than_the_loopback_is_refused(host: str) -> None:
    with pytest.raises(Refused) as refusal:
        bind(host, 0)
    assert [(problem.field, problem.code) for problem in refusal.value.problems] == [
        ("--host", "not_loopback")
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


def test_a_refused_address_is_said_with_its_remedy(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "api", "--host", "10.0.0.1"],
        cwd=ROOT,
        env={**os.environ, "DAOGOU_HOME": str(tmp_path), "DATABASE_URL": "postgresql://127.0.0.1:1/x"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert re.search(r"--host 10\.0\.0\.1: .*127\.0\.0\.1", ended.stderr)


def test_an_inherited_socket_must_be_bound_to_the_loopback(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:  # noqa: S104 - that it is refused is the test
        ended = subprocess.run(
            [sys.executable, "-m", "api", "--fd", str(everywhere.fileno())],
            cwd=ROOT,
            pass_fds=(everywhere.fileno(),),
            env={**os.environ, "DAOGOU_HOME": str(tmp_path), "DATABASE_URL": "postgresql://127.0.0.1:1/x"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert (ended.returncode, "--fd" in ended.stderr) == (2, True)
