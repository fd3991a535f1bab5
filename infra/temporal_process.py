"""Temporal's dev server as a part of `daogou up`: durable, tuned, on the same ports after every start.

A server of a killed `up` is ended by the next start rather than adopted: its output was a pipe of that `up`,
so it would fall silent, and die of it at its next word. Nothing is lost by it: its state is in the file.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from infra.core_logs import forward_core_logs
from infra.embedded_temporal import DEV_SERVER_TUNING, temporal_program
from infra.logs import RotatingLog
from infra.processes import HOST
from infra.server_errors import EmbeddedServerError
from infra.server_records import Identity, end_abandoned, write_record
from infra.settings import DEFAULT_DATABASE
from infra.stable_ports import can_listen, stable_port
from infra.supervised_process import SupervisedProcess

PORT, UI_PORT = 7233, 8233
"""Temporal's own; another free one where they are taken."""
NAMESPACE = "default"
STARTUP_S = 60.0
STARTS = 3
"""Attempts: between the look at a free port and its taking, another server may have been quicker."""
STOP_S = 10.0
LOOK_S = 0.05

log = structlog.get_logger(__name__)


class TemporalProcess:
    """The dev server of a home, kept in `temporal/<database>.db`; its words go to `logs/temporal.log`.

    A file for each database of the home: workflows of one would act on the other.
    """

    def __init__(self, home: Path, database: str = DEFAULT_DATABASE) -> None:
        self._home = home.resolve()
        self._file = self._home / "temporal" / f"{database}.db"
        self._words = _words_log(self._home / "logs" / "temporal.log")
        self._process: SupervisedProcess | None = None
        self._record: Path | None = None
        self.port = 0
        self.ui_port = 0

    @property
    def address(self) -> str:
        """Host and port of its front end."""
        return f"{HOST}:{self.port}"

    @property
    def ui(self) -> str:
        """Where its web pages are."""
        return f"http://{HOST}:{self.ui_port}"

    @property
    def identity(self) -> Identity | None:
        """The running process; None if it does not run."""
        return self._process.identity if self._process is not None and self._process.running else None

    async def start(self) -> None:
        """Start it and wait until its namespace answers.

        Raises:
            EmbeddedServerError: its program is missing, it ended while starting, or does not answer.
        """
        run = await asyncio.to_thread(end_abandoned, self._home)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(STARTS):
            await self._try_to_start(run)
            if self.identity is not None or (can_listen(self.port) and can_listen(self.ui_port)):
                break  # it runs, or its ports are not why it does not
            log.warning("temporal_port_taken", port=self.port, ui_port=self.ui_port)
        if self._process is None or not self._process.running:
            said = "" if self._process is None else "\n".join(self._process.said)
            raise EmbeddedServerError(
                "Temporal's dev server does not start.",
                where="\n".join(part for part in (str(self._home / "logs" / "temporal.log"), said) if part),
                remedy="Its last lines say why. Its state can be thrown away: move the folder temporal/ aside,"
                " start again and run `daogou resume`.",
            )
        log.info("temporal_ready", port=self.port, ui_port=self.ui_port, pid=self._process.pid)

    async def _try_to_start(self, run: Path) -> None:
        """Start it on ports that are free now and wait until it answers or has ended."""
        self.port = stable_port(run / "temporal.port", wished=PORT)
        self.ui_port = stable_port(run / "temporal-ui.port", wished=UI_PORT, avoid=frozenset({self.port}))
        self._process = process = await SupervisedProcess.start(
            _command(self._file, self.port, self.ui_port), _environment(os.environ), hear=self._hear
        )
        self._record = run / f"temporal-{os.getpid()}-{self.port}.json"
        with suppress(psutil.NoSuchProcess):  # if it is over already, there is nobody to record
            write_record(self._record, psutil.Process(process.pid))
        try:
            async with asyncio.timeout(STARTUP_S):
                answering = asyncio.create_task(_answers(self.address, process.pid, self.port))
                ended = asyncio.create_task(process.ended())
                try:
                    await asyncio.wait({answering, ended}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    answering.cancel()
                    ended.cancel()
        except TimeoutError:
            await self.stop()
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def ended(self) -> int:
        """Wait for its end; gives the exit code, or minus the signal that killed it."""
        return 0 if self._process is None else await self._process.ended()

    async def stop(self) -> bool:
        """Stop it, if it runs; gives whether it ended when asked to."""
        clean = True
        if self._process is not None and self._process.running:
            clean = await self._process.drain(STOP_S)
        if self._record is not None:
            self._record.unlink(missing_ok=True)
        return clean

    def close(self) -> None:
        """Close its log."""
        for handler in self._words.handlers[:]:
            self._words.removeHandler(handler)
            handler.close()

    def _hear(self, line: str) -> None:
        self._words.info(line if line.startswith("{") else json.dumps({"msg": line}))


def _words_log(path: Path) -> logging.Logger:
    """What Temporal says is JSON already and stays as it is."""
    words = logging.getLogger("daogou.temporal.words")
    words.propagate = False
    words.setLevel(logging.INFO)
    for old in words.handlers[:]:
        words.removeHandler(old)
        old.close()
    handler = RotatingLog(path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    words.addHandler(handler)
    return words


def _command(database: Path, port: int, ui_port: int) -> list[str]:
    words = [temporal_program("temporal"), "server", "start-dev", "--ip", HOST, "--port", str(port)]
    words += [
        "--ui-port",
        str(ui_port),
        "--db-filename",
        str(database),
        "--sqlite-pragma",
        "journal_mode=WAL",
    ]
    words += ["--log-format", "json", "--log-level", "warn"]
    for value in DEV_SERVER_TUNING:
        words += ["--dynamic-config-value", value]
    return words


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours without what would steer the `temporal` program (an address, a profile) or is a secret."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("TEMPORAL_", "DATABASE_", "PG", "DAOGOU_"))
    }


async def _answers(address: str, pid: int, port: int) -> None:
    """Return when the namespace of this very server answers; another one may have taken the port."""
    forward_core_logs()
    while True:
        try:
            if not _listens(pid, port):
                await asyncio.sleep(LOOK_S)
                continue
            client = await Client.connect(address, namespace=NAMESPACE)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        except (RPCError, RuntimeError):
            await asyncio.sleep(LOOK_S)
        else:
            return


def _listens(pid: int, port: int) -> bool:
    try:
        found = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in found)
