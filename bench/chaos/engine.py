"""`daogou up` of one day: started, started again when it ends, looked at, ended; exactly this one."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos import faults
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.key_store import close_keys, keys_in
from infra.processes import HOST
from infra.server_records import Identity
from infra.service_user import POINTER, SERVICE_ROOT
from infra.settings import DEFAULT_DATABASE
from infra.up_state import PartState, UpState, read_running
from ledger.database import WORKER, open_database
from ledger.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
LAYER = Path(__file__).resolve().parent / "layer"
TENANT = 1
LOOK_S = 0.1
END_S = 60.0
CONSOLE_LINES = 40
FOREIGN = ("TEMPORAL_", "DATABASE_", "DAOGOU_", "CHAOS_", "PYTHONPATH")


@dataclass(frozen=True, slots=True)
class Layer:
    """The fault layer's settings: where it writes down what it did, the seed, the chance of a write to fail."""

    folder: Path
    seed: int
    rate: float

    def environment(self) -> dict[str, str]:
        """What turns it on in a process."""
        return {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(LAYER))),
            faults.FOLDER: str(self.folder),
            faults.SEED: str(self.seed),
            faults.RATE: str(self.rate),
        }


@dataclass
class Engine:
    """One home and the `up` that runs for it."""

    home: Path
    workers: int
    apis: int
    port: int
    layer: Layer | None = None
    ended: list[int] = field(default_factory=list)
    """Exit codes of every `up` that ended while it was to run; -9 are our kills."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """Where requests go; the same from start to start."""
        return f"http://{HOST}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Ours without what would lead elsewhere, and the fault layer."""
        told = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return told | {"PYTHONPATH": str(ROOT)} | (self.layer.environment() if self.layer else {})

    def command(self, *words: str) -> list[str]:
        """A command line of `daogou` for this home."""
        return [sys.executable, "-P", "-m", "cli.main", "--home", str(self.home), *words]

    def state(self) -> UpState | None:
        """What `run/up.json` says of our own `up`; None while it does not run."""
        state = read_running(self.home)
        return state if state and self._process and state.process.pid == self._process.pid else None

    def part(self, name: str) -> PartState | None:
        """A part that runs and does its work, `up` itself among them; None while it does not."""
        state = self.state()
        if state is None:
            return None
        if name == "up":
            return (
                PartState(name="up", process=state.process, ready=True) if state.status == "running" else None
            )
        found = next((part for part in state.parts if part.name == name), None)
        if found is None or not found.ready or found.process is None or found.process.process() is None:
            return None
        return found

    def healthy(self) -> bool:
        """Whether everything runs."""
        names = ["up", "postgresql", "temporal"]
        names += [f"worker-{number}" for number in range(1, self.workers + 1)]
        names += [f"api-{number}" for number in range(1, self.apis + 1)]
        return all(self.part(name) is not None for name in names)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep it running while the block does."""
        keeping = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await asyncio.to_thread(self._end)

    async def _keep(self) -> None:
        while True:
            self._process = self._start()
            while (code := self._process.poll()) is None:  # noqa: ASYNC110 - it is no event of this loop
                await asyncio.sleep(LOOK_S)
            self.ended.append(code)

    def _start(self) -> subprocess.Popen[bytes]:
        words = (
            "up",
            "--background",
            "--workers",
            str(self.workers),
            "--apis",
            str(self.apis),
            "--port",
            str(self.port),
        )
        self._console.parent.mkdir(parents=True, exist_ok=True)
        with self._console.open("ab") as console:
            return subprocess.Popen(  # noqa: S603 - ourselves
                self.command(*words),
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    @property
    def _console(self) -> Path:
        return self.home / "logs" / "up.console.log"

    def said(self) -> tuple[str, ...]:
        """The last words on the console of `up`."""
        lines = self._console.read_text(encoding="utf-8", errors="replace").splitlines()
        return tuple(lines[-CONSOLE_LINES:])

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Ledger]:
        """The ledger as the driver reads it, without the fault layer; outages are the reader's to wait out."""
        state = self.state()
        if state is None or state.database_port is None:
            raise ConnectionError("the engine does not run")
        password = await asyncio.to_thread(EmbeddedPostgres(self.home).role_password, WORKER)
        url = PostgresAddress(HOST, state.database_port, WORKER, password).url(DEFAULT_DATABASE)
        engine = open_database(url, tenant_id=TENANT, pool_size=2, connect_s=5.0)
        keys = keys_in(self.home, None, TENANT)
        try:
            yield Ledger(engine, TENANT, keys=keys)
        finally:
            await engine.dispose()
            await close_keys(keys)

    def kill(self, process: Identity) -> bool:
        """Kill -9, if that very process still runs; gives whether it did."""
        found = process.process()
        if found is None:
            return False
        with suppress(ProcessLookupError):
            found.send_signal(signal.SIGKILL)
            return True
        return False


def remove_home(home: Path) -> None:
    """Remove a home and, where root runs PostgreSQL as another user, the data of it that lies elsewhere."""
    pointer = home / POINTER
    if pointer.exists():
        folder = Path(pointer.read_text(encoding="utf-8").strip()).parent
        if folder.parent == SERVICE_ROOT:
            shutil.rmtree(folder, ignore_errors=True)
            (SERVICE_ROOT / f"{folder.name}.home").unlink(missing_ok=True)
    shutil.rmtree(home, ignore_errors=True)
