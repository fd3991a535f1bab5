"""The worker's entry point: it says what is wrong, starts on real servers, and drains."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import worker as worker_module
from infra import worker_loops as loops_module
from infra.databases import open_ledger
from infra.embedded_postgres import SETTINGS, EmbeddedPostgres, running_postgres
from infra.embedded_temporal import dev_server
from infra.postgres_process import end_leftovers, find_postmaster, spawn
from infra.service_user import locate
from infra.settings import Settings, read_settings
from ledger.door import Driver
from ledger.sequencer import sequence
from tests.brand import Brand, plan

ROOT = Path(__file__).resolve().parent.parent


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "DATABASE_"))
    }
    return kept | {"DAOGOU_HOME": str(home)} | more


def worker(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "worker.py", *arguments],
        cwd=ROOT,
        env=environment(home, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_check_says_what_is_set(tmp_path: Path) -> None:
    done = worker(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    assert "embedded PostgreSQL" in done.stdout
    assert "TEMPORAL_ADDRESS: not set" in done.stdout


def test_check_names_a_database_that_does_not_answer(tmp_path: Path) -> None:
    done = worker(tmp_path, "check", DATABASE_URL="postgresql://nobody:wrong@127.0.0.1:9/none")
    assert done.returncode == 1
    assert "database:" in done.stderr
    assert "Traceback" not in done.stderr
    assert "wrong" not in done.stdout + done.stderr, "a password is never printed"


def test_run_without_temporal_says_what_to_set(tmp_path: Path) -> None:
    done = worker(tmp_path, "run")
    assert done.returncode == 1
    assert "TEMPORAL_ADDRESS is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_with_a_temporal_that_does_not_answer_says_so(tmp_path: Path) -> None:
    done = worker(tmp_path, "run", TEMPORAL_ADDRESS="127.0.0.1:9")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


async def test_run_with_a_postgresql_that_answers_but_serves_nobody_says_so(tmp_path: Path) -> None:
    # As one does that recovers after a crash: the driver's error, not one of the network.
    with running_postgres(tmp_path) as (_, address):
        url = address.url("missing")
        done = await asyncio.to_thread(
            worker, tmp_path, "run", DATABASE_URL=url, TEMPORAL_ADDRESS="127.0.0.1:9"
        )
    assert done.returncode == 1
    assert "worker_not_started" in done.stderr
    assert "Traceback" not in done.stderr


async def test_run_polls_until_sigterm_and_drains_within_ten_seconds(tmp_path: Path) -> None:
    async with dev_server(tmp_path) as server:
        address = server.client.service_client.config.target_host
        code, logged = await asyncio.to_thread(run_and_terminate, tmp_path, address)
    assert code == 0
    assert "worker_stopped" in logged


def run_and_terminate(home: Path, temporal: str) -> tuple[int, str]:
    """Exit code of a worker that is told to end once it has started, and what it logged from then on."""
    process = subprocess.Popen(
        [sys.executable, "worker.py", "run"],
        cwd=ROOT,
        env=environment(home, TEMPORAL_ADDRESS=temporal),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "worker_started" in line:
                break
        else:
            pytest.fail("the worker ended before it started")
        process.send_signal(signal.SIGTERM)
        logged = process.communicate(timeout=10)[1]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return process.returncode, logged


async def test_the_sequencer_goes_on_after_postgresql_was_killed_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, placed = threading.Event(), asyncio.Event()

    async def place(connection: Driver, tenant_id: int) -> int:
        number = await sequence(connection, tenant_id)
        if number:
            placed.set()
        return number

    def warn(event: str, **_: object) -> None:
        if event == "sequencer_waits":
            waits.set()

    monkeypatch.setattr(loops_module, "sequence", place)
    monkeypatch.setattr(loops_module, "log", SimpleNamespace(warning=warn))
    async with open_ledger(Settings(home=tmp_path)) as (ledger, _):
        with running_postgres(tmp_path) as (server, address):
            sequencer = asyncio.create_task(loops_module.run_sequencer(ledger))
            await Brand(ledger).launch(plan())
            async with asyncio.timeout(60):
                await placed.wait()
                await asyncio.to_thread(kill_and_start_again, server, tmp_path, address.port, waits)
                placed.clear()
                await Brand(ledger).launch(plan(plan="p2"))
                await placed.wait()
            assert not sequencer.done()
            sequencer.cancel()


def kill_and_start_again(server: EmbeddedPostgres, home: Path, port: int, waits: threading.Event) -> None:
    """On the same port, as a service manager would; not before the sequencer has noticed."""
    site = locate(home)
    postmaster = find_postmaster(site.data)
    assert postmaster is not None
    postmaster.kill()
    end_leftovers(site.data)
    assert waits.wait(30), "sequencer_waits was not logged"
    (site.data / "postmaster.pid").unlink(missing_ok=True)
    spawn(site, {**SETTINGS, "port": str(port)}, home / "run" / "postgres.console.log")
    assert server.start().port == port


async def test_a_sequencer_that_ends_ends_the_worker_with_exit_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_connection: Driver, _tenant_id: int) -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(loops_module, "sequence", broken)
    async with dev_server(tmp_path) as server:
        address = server.client.service_client.config.target_host
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        with pytest.raises(SystemExit) as ended:
            await worker_module._run(Settings(home=tmp_path, temporal_address=address))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)
    assert ended.value.code == 1


def test_settings_default_to_this_machine() -> None:
    settings = read_settings({})
    assert settings.database_url is None
    assert settings.temporal_address is None
    assert settings.language == "zh"
