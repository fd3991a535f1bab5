"""Temporal's dev server as `daogou up` holds it: durable, on the same ports, never left behind for long."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from temporalio.client import Client

from infra.logs import ROTATED_KEPT, RotatingLog
from infra.processes import alive, wait_ended
from infra.server_errors import EmbeddedServerError
from infra.stable_ports import can_listen, stable_port
from infra.temporal_process import TemporalProcess

ROOT = Path(__file__).resolve().parent.parent

OWNER = """
import asyncio, sys
from pathlib import Path
from infra.temporal_process import TemporalProcess

async def main():
    server = TemporalProcess(Path(sys.argv[1]))
    await server.start()
    print(server.identity.pid, server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[TemporalProcess]:
    # Its own ports from the first start on: the wished ones are also those of every test that runs beside this one.
    (tmp_path / "run").mkdir()
    main = stable_port(tmp_path / "run" / "temporal.port")
    stable_port(tmp_path / "run" / "temporal-ui.port", avoid=frozenset({main}))
    made = TemporalProcess(tmp_path)
    try:
        yield made
    finally:
        await made.stop()
        made.close()


def pid_of(server: TemporalProcess) -> int:
    assert server.identity is not None
    return server.identity.pid


async def test_killed_and_started_again_it_has_its_ports_and_its_workflows(server: TemporalProcess) -> None:
    await server.start()
    before = (server.address, server.ui)
    client = await Client.connect(server.address)
    await client.start_workflow("Waits", id="kept", task_queue="nobody-polls")

    os.kill(pid_of(server), signal.SIGKILL)
    assert await server.ended() == -signal.SIGKILL
    assert server.identity is None
    await server.start()

    assert (server.address, server.ui) == before
    described = await (await Client.connect(server.address)).get_workflow_handle("kept").describe()
    assert described.id == "kept"


async def test_a_port_that_is_taken_by_now_is_left_to_its_taker(server: TemporalProcess) -> None:
    await server.start()
    port = server.port
    await server.stop()
    with socket.create_server(("127.0.0.1", port)):
        await server.start()
        assert server.port != port


async def test_a_port_taken_between_the_look_and_the_start_is_left_to_its_taker(
    server: TemporalProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        looked: list[int] = []

        def once_too_late(record: Path, **wish: Any) -> int:
            looked.append(taker.getsockname()[1] if not looked else stable_port(record, **wish))
            return looked[-1]

        monkeypatch.setattr("infra.temporal_process.stable_port", once_too_late)
        await server.start()
    assert server.port in looked[1:]
    assert server.identity is not None


async def test_stopped_it_leaves_no_process_and_no_record(server: TemporalProcess, tmp_path: Path) -> None:
    await server.start()
    process = psutil.Process(pid_of(server))
    assert list((tmp_path / "run").glob("temporal-*.json"))
    assert await server.stop()
    assert not alive(process)
    assert not list((tmp_path / "run").glob("temporal-*.json"))


async def test_the_server_of_a_killed_owner_is_ended_by_the_next_start_which_has_its_port(
    server: TemporalProcess, tmp_path: Path
) -> None:
    pid, port = await asyncio.to_thread(kill_an_owner, tmp_path)
    orphan = psutil.Process(pid) if psutil.pid_exists(pid) else None
    await server.start()
    assert orphan is None or not await asyncio.to_thread(wait_ended, [orphan], 5.0)
    assert server.port == port


def kill_an_owner(home: Path) -> tuple[int, int]:
    """Pid and port of a server whose owner was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        line = next(line for line in owner.stdout if line.split() and line.split()[0].isdigit())
        owner.kill()
    pid, port = line.split()
    return int(pid), int(port)


async def test_a_server_that_cannot_start_is_told_with_its_last_words(
    server: TemporalProcess, tmp_path: Path
) -> None:
    (tmp_path / "temporal").mkdir()
    (tmp_path / "temporal" / "daogou.db").write_text("this is no database" * 100)
    with pytest.raises(EmbeddedServerError, match="Temporal's dev server does not start") as told:
        await server.start()
    assert "temporal.log" in told.value.where
    assert "temporal/" in told.value.remedy
    assert server.identity is None


async def test_its_words_are_json_lines_of_its_log(server: TemporalProcess, tmp_path: Path) -> None:
    await server.start()
    await server.stop()
    lines = (tmp_path / "logs" / "temporal.log").read_text().splitlines()
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_log_is_rotated_and_only_the_newest_parts_are_kept(tmp_path: Path) -> None:
    import logging  # noqa: PLC0415 - of this test alone

    path = tmp_path / "logs" / "x.log"
    one, other = RotatingLog(path, max_bytes=1_000), RotatingLog(path, max_bytes=1_000)
    try:
        for number in range(400):
            record = logging.LogRecord(
                "x", logging.INFO, __file__, 1, f"line {number:04} " + "." * 50, None, None
            )
            (one, other)[number % 2].emit(record)
    finally:
        one.close()
        other.close()
    files = sorted(path.parent.iterdir())
    assert len(files) == 1 + ROTATED_KEPT
    assert all(file.stat().st_size <= 1_000 for file in files)
    written = [path.with_name(f"x.log.{number}") for number in range(ROTATED_KEPT, 0, -1)] + [path]
    lines = [line.split()[1] for file in written for line in file.read_text().splitlines()]
    assert lines == [f"{number:04}" for number in range(400 - len(lines), 400)], (
        "no line of either writer is lost"
    )


def test_a_stable_port_is_the_recorded_one_while_it_is_free(tmp_path: Path) -> None:
    record = tmp_path / "x.port"
    first = stable_port(record)
    assert stable_port(record, wished=1) == first
    with socket.create_server(("127.0.0.1", first)):
        assert not can_listen(first)
        assert (second := stable_port(record)) != first
    assert stable_port(record) == second
