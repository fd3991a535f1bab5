"""`daogou up` on real processes: whatever dies comes back where it was, and it ends leaving nothing behind."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from domain.messages import PlanRun
from infra.api_socket import listen
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.embedded_temporal import dev_server
from infra.processes import alive, free_port, wait_ended
from infra.settings import Settings
from infra.up_health import healths
from infra.up_state import UpState, read_left, read_running
from workflows.options import PLANS
from workflows.plan import PlanWorkflow

ROOT = Path(__file__).resolve().parent.parent
DRAIN_S = 10.0


def daogou(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "--home", str(home), *arguments],
        cwd=ROOT,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def environment(**more: str) -> dict[str, str]:
    foreign = ("TEMPORAL_", "DATABASE_", "DAOGOU_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | more


def status(home: Path, **more: str) -> tuple[int, dict[str, Any]]:
    done = daogou(home, "status", "--json", **more)
    return done.returncode, json.loads(done.stdout)


def healthy(home: Path) -> bool:
    """What `status` ends with 0 for, without the price of a process for each look."""
    state = running(home)
    settings = Settings(home=home, temporal_address=state.temporal)
    return all(part.ok for part in asyncio.run(healths(settings, state)).values())


def running(home: Path) -> UpState:
    state = read_running(home)
    assert state is not None
    return state


def process_of(home: Path, name: str) -> psutil.Process:
    part = next(part for part in running(home).parts if part.name == name)
    assert part.process is not None
    return psutil.Process(part.process.pid)


def restarts(home: Path) -> dict[str, int]:
    return {part.name: part.restarts for part in running(home).parts}


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def started(home: Path, *options: str, **more: str) -> dict[str, Any]:
    """What `up --detach --json` answers once all is healthy."""
    done = daogou(home, "up", "--detach", "--json", *options, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def end(home: Path) -> None:
    """Ends the `up` of a test, however it went."""
    state = read_running(home)
    process = None if state is None else state.process.process()
    if process is not None:
        process.terminate()
        if wait_ended([process], 30):
            process.kill()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "home"


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[dict[str, Any]]:
    """An `up` with two workers and two API processes, which every test leaves healthy."""
    try:
        yield started(home, "--workers", "2", "--apis", "2")
    finally:
        end(home)


def test_status_has_the_addresses_and_the_health_of_each_part_and_no_password(
    engine: dict[str, Any], home: Path
) -> None:
    code, answer = status(home)
    assert code == 0
    assert answer["running"] is True
    assert answer["api"].startswith("http://127.0.0.1:")
    assert answer["temporal"].startswith("127.0.0.1:")
    assert answer["temporal_ui"].startswith("http://127.0.0.1:")
    assert urlsplit(answer["database"]).password is None
    assert urlsplit(answer["database"]).path == "/daogou"
    assert {name: part["ok"] for name, part in answer["health"].items()} == {
        "api": True,
        "worker": True,
        "temporal": True,
        "database": True,
    }
    names = [part["name"] for part in answer["parts"]]
    assert names == ["postgresql", "temporal", "worker-1", "worker-2", "api-1", "api-2"]
    assert addresses(answer) == addresses(engine)
    assert answer["backup"]["newest_at"] is None
    assert answer["backup"]["archive_bytes"] >= 0
    assert f"--home {home} backup" in "".join(daogou(home, "status").stdout.split("\n"))


def test_the_state_is_for_its_owner_only_and_secrets_are_in_no_file_of_the_run_or_its_logs(
    engine: dict[str, Any], home: Path
) -> None:
    assert (home / "run" / "up.json").stat().st_mode & 0o077 == 0
    passwords = [(home / "passwords" / name).read_text().strip() for name in ("postgres", "daogou_worker")]
    files = [*(home / "run").iterdir(), *(home / "logs").iterdir()]
    assert {"up.log", "worker-1.log", "api-1.log", "temporal.log"} <= {file.name for file in files}
    said = "".join(file.read_text(errors="replace") for file in files)
    assert not any(password in said for password in passwords)
    words = [" ".join(psutil.Process(pid).cmdline()) for pid in children(home)]
    assert not any(password in line for password in passwords for line in words)


def children(home: Path) -> set[int]:
    state = running(home)
    return state.processes("worker") | state.processes("api")


def test_a_second_up_is_refused_and_told_where_the_first_runs(engine: dict[str, Any], home: Path) -> None:
    done = daogou(home, "up", "--json")
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["error"]["problems"]
    assert problem["code"] == "up_runs_already"
    assert problem["value"] == str(running(home).process.pid)
    assert engine["api"] in problem["reason"]
    assert f"--home {home} down" in problem["remedy"]
    assert status(home)[0] == 0


@pytest.mark.parametrize("part", ["worker-1", "api-1", "temporal", "postgresql"])
def test_whatever_is_killed_comes_back_where_it_was(engine: dict[str, Any], home: Path, part: str) -> None:
    before, killed = restarts(home), process_of(home, part)
    killed.kill()
    assert not wait_ended([killed], 10)
    wait_for(lambda: restarts(home)[part] == before[part] + 1)
    wait_for(lambda: healthy(home))
    said = [json.loads(line) for line in (home / "logs" / "up.log").read_text().splitlines()]
    ended = next(line for line in reversed(said) if line.get("event") == "part_ended")
    assert (ended["part"], ended["pid"]) == (part, killed.pid)
    assert ended["how"] in {"SIGKILL", "killed"}
    assert addresses(status(home)[1]) == addresses(engine)
    if part in {"temporal", "postgresql"}:
        others = {name: number for name, number in restarts(home).items() if name != part}
        assert others == {name: before[name] for name in others}, "the others live through it"


def addresses(answer: dict[str, Any]) -> list[str]:
    return [answer[name] for name in ("api", "temporal", "temporal_ui", "database")]


@dataclass
class Asking:
    """Asks /health/live again and again, each time on a connection of its own."""

    url: str
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        at = urlsplit(self.url)
        while not self.done.is_set():
            connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=20)
            try:
                connection.request("GET", "/health/live")
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failed.append(f"status {answer.status}")
            except OSError as error:
                self.failed.append(repr(error))
            except http.client.HTTPException as error:
                self.failed.append(repr(error))
            finally:
                connection.close()
            self.asked += 1


def test_nobody_notices_a_rolling_restart(engine: dict[str, Any], home: Path) -> None:
    old = children(home)
    client = Asking(engine["api"])
    threads = [threading.Thread(target=client.ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: client.asked > 20)
        done = daogou(home, "restart", "--json")
        after = client.asked
        wait_for(lambda: client.asked > after + 20)
    finally:
        client.done.set()
        for thread in threads:
            thread.join(30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["replaced"] is True
    assert client.failed == []
    assert len(children(home)) == len(old) == 4
    assert not children(home) & old, "every process was replaced"
    assert not any(psutil.pid_exists(pid) and alive(psutil.Process(pid)) for pid in old)
    assert status(home)[0] == 0


def test_the_killed_up_leaves_no_worker_and_no_api_and_the_next_one_has_its_addresses(
    engine: dict[str, Any], home: Path
) -> None:
    up = psutil.Process(running(home).process.pid)
    orphans = [psutil.Process(pid) for pid in children(home)]
    up.kill()
    assert not wait_ended([up], 10)
    code, answer = status(home)
    assert (code, answer["running"]) == (3, False)
    assert not wait_ended(orphans, DRAIN_S), "they drain when the lifeline is cut"

    again = started(home, "--workers", "2", "--apis", "2")
    assert addresses(again) == addresses(engine)


def test_a_server_that_has_to_take_another_port_is_followed_by_workers_and_api(
    engine: dict[str, Any], home: Path
) -> None:
    before, old = status(home)[1], children(home)
    up, postgres = psutil.Process(running(home).process.pid), process_of(home, "postgresql")
    up.suspend()  # so that the port is taken before the supervisor sees that its server has gone
    try:
        postgres.kill()
        assert not wait_ended([postgres], 10)
        with socket.create_server(("127.0.0.1", port_of(before["database"]))):
            up.resume()
            wait_for(lambda: not children(home) & old and running(home).status == "running")
            wait_for(lambda: healthy(home))
    finally:
        up.resume()
    after = status(home)[1]
    assert port_of(after["database"]) != port_of(before["database"])
    assert after["api"] == before["api"]
    assert httpx.get(f"{after['api']}/health/ready").status_code == 200, "the API has the new address"


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


async def test_sigterm_drains_within_ten_seconds_even_when_an_activity_waits_for_ever(
    engine: dict[str, Any], home: Path
) -> None:
    state = running(home)
    port = port_of(str(state.database))
    password = EmbeddedPostgres(home).role_password("postgres")
    blocking = await asyncpg.connect(PostgresAddress("127.0.0.1", port, "postgres", password).url("daogou"))
    processes = [psutil.Process(part.process.pid) for part in state.parts if part.process is not None]
    up = psutil.Process(state.process.pid)
    try:
        await blocking.execute("BEGIN; LOCK TABLE daogou.plan IN ACCESS EXCLUSIVE MODE")
        client = await Client.connect(str(state.temporal), data_converter=pydantic_data_converter)
        await client.start_workflow(
            PlanWorkflow.run, PlanRun(plan_id="waits"), id="plan/waits", task_queue=PLANS
        )
        async with asyncio.timeout(30):
            while not await blocking.fetchval(  # noqa: ASYNC110 - PostgreSQL tells nobody of a lock waited for
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'daogou.plan'::regclass"
            ):
                await asyncio.sleep(0.05)
        began = time.monotonic()
        up.terminate()
        assert not await asyncio.to_thread(wait_ended, processes[2:], DRAIN_S), "workers and API"
        assert time.monotonic() - began < DRAIN_S
        assert not await asyncio.to_thread(wait_ended, [up, *processes], 30.0), "the servers after them"
    finally:
        blocking.terminate()
    said = (home / "logs" / "up.log").read_text()
    assert "part_killed" not in said, "they ended by themselves"
    assert read_left(home) is None


def test_not_running_is_told_with_how_to_start_and_is_no_error_to_down(tmp_path: Path) -> None:
    asked = daogou(tmp_path, "status")
    assert asked.returncode == 3
    assert "daogou" in asked.stdout
    assert " up" in asked.stdout
    code, answer = status(tmp_path)
    assert (code, answer["running"], answer["api"]) == (3, False, None)
    stopped = daogou(tmp_path, "down", "--json")
    assert stopped.returncode == 0
    assert json.loads(stopped.stdout) == {"was_running": False, "stopped": True}
    assert daogou(tmp_path, "restart").returncode == 3


async def test_with_a_temporal_of_yours_only_the_rest_is_embedded(tmp_path: Path) -> None:
    async with dev_server(tmp_path / "foreign") as foreign:
        address = foreign.client.service_client.config.target_host
        home = tmp_path / "home"
        try:
            answer = await asyncio.to_thread(started_and_stopped, home, address)
        finally:
            await asyncio.to_thread(end, home)
        assert await foreign.client.service_client.check_health(), "yours is not ours to stop"
    assert answer["temporal"] == address
    assert answer["temporal_ui"] is None
    assert [part["name"] for part in answer["parts"]] == ["postgresql", "worker-1"]


def started_and_stopped(home: Path, temporal: str) -> dict[str, Any]:
    answer = started(home, "--apis", "0", TEMPORAL_ADDRESS=temporal)
    stopped = daogou(home, "down", "--json", TEMPORAL_ADDRESS=temporal)
    assert stopped.returncode == 0, stopped.stdout
    assert json.loads(stopped.stdout)["stopped"] is True
    assert read_left(home) is None
    return answer


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"TEMPORAL_ADDRESS": "127.0.0.1:9"}, "temporal_unreachable"),
        ({"DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:9/none"}, "database_unreachable"),
    ],
)
def test_a_server_of_yours_that_does_not_answer_is_told_and_nothing_is_left_running(
    tmp_path: Path, given: dict[str, str], code: str
) -> None:
    done = daogou(tmp_path, "up", "--json", **given)
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["error"]["problems"]
    assert problem["code"] == code
    assert "secret" not in done.stdout + done.stderr
    assert read_left(tmp_path) is None
    here = str(tmp_path)
    assert not [process for process in psutil.process_iter() if uses(process, here)]


def uses(process: psutil.Process, folder: str) -> bool:
    try:
        return process.pid != os.getpid() and any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False


def test_a_port_asked_for_and_taken_is_refused(tmp_path: Path, taken_port: int) -> None:
    done = daogou(tmp_path, "up", "--json", "--workers", "0", "--port", str(taken_port))
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["error"]["problems"]
    assert (problem["code"], problem["value"]) == ("port_taken", str(taken_port))
    assert read_left(tmp_path) is None
    assert not (tmp_path / "run").exists(), "nothing was made for it"


def test_a_port_asked_for_is_had_again_by_the_next_start_that_asks_for_none(tmp_path: Path) -> None:
    asked = free_port()
    (tmp_path / "run").mkdir()
    for port in (asked, None):
        with listen(tmp_path, port) as held:
            assert held.getsockname()[1] == asked


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_ctrl_c_in_the_foreground_stops_it_and_says_so(tmp_path: Path) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "cli.main",
            "--home",
            str(tmp_path),
            "--lang",
            "en",
            "up",
            "--apis",
            "0",
            "--workers",
            "0",
        ],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as up:
        assert up.stdout is not None
        lines = []
        for line in up.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    said = "".join(lines)
    assert "daogou is up" in said
    assert "Stopped" in said
    assert read_left(tmp_path) is None
