"""The worker's entry point: it says what is wrong, starts on real servers, and drains."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.embedded_temporal import dev_server
from infra.settings import read_settings

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


def test_settings_default_to_this_machine() -> None:
    settings = read_settings({})
    assert settings.database_url is None
    assert settings.temporal_address is None
    assert settings.language == "zh"
