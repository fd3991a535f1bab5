"""The two servers below an `up`, PostgreSQL and Temporal: started, watched, started again, stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil

from infra.clock import now
from infra.embedded_postgres import EmbeddedPostgres, PostgresAddress
from infra.processes import alive
from infra.server_errors import EmbeddedServerError
from infra.server_records import Identity
from infra.supervised_slot import Pauses, Tell, how_ended
from infra.temporal_process import TemporalProcess
from infra.up_state import PartState
from infra.wal_archive import archive_settings

WATCH_S = 0.2
"""Between two looks at PostgreSQL, which is no child of ours: a read of /proc."""


class PostgresServer:
    """The embedded PostgreSQL as the supervisor sees it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._server: EmbeddedPostgres | None = None
        self.address: PostgresAddress | None = None
        self._process: psutil.Process | None = None
        self._starting: asyncio.Task[PostgresAddress] | None = None

    @property
    def identity(self) -> Identity | None:
        """Its process; None while it does not run."""
        process = self._process
        with suppress(psutil.NoSuchProcess):
            if process is not None and alive(process):
                return Identity.of(process)
        return None

    async def start(self) -> None:
        """Start it or attach to it; return when it answers.

        Raises:
            EmbeddedServerError: it cannot be started.
        """
        # Shielded: a thread cannot be cancelled; `stop` waits for it.
        self._starting = asyncio.create_task(asyncio.to_thread(self._start))
        self.address = await asyncio.shield(self._starting)
        self._process = await asyncio.to_thread(self.server.process)

    @property
    def server(self) -> EmbeddedPostgres:
        """Our hold on it.

        Raises:
            RuntimeError: before the first start.
        """
        if self._server is None:
            raise RuntimeError("PostgreSQL was not started yet")
        return self._server

    def _start(self) -> PostgresAddress:
        if self._server is None:
            self._server = EmbeddedPostgres(self._home, settings=archive_settings(self._home))
        return self._server.start()

    async def ended(self) -> str:
        """Wait for its end; gives how it ended as far as its files tell, for it is no child of ours."""
        while self._process is not None and alive(self._process):  # noqa: ASYNC110 - it is no event of this loop
            await asyncio.sleep(WATCH_S)
        return "killed" if await asyncio.to_thread(lambda: self.server.left_pid_file) else "shut down"

    async def stop(self) -> None:
        """Give up our hold on it; it stops unless another program uses it."""
        if self._starting is not None:
            await asyncio.wait({self._starting})
        if self._server is not None:
            await asyncio.to_thread(self._server.stop)


class KeptServer:
    """A server that is started again whenever it ends."""

    def __init__(
        self, name: str, server: PostgresServer | TemporalProcess, tell: Tell, changed: Callable[[], None]
    ) -> None:
        self.name = name
        self.up = asyncio.Event()
        self._server = server
        self._tell = tell
        self._changed = changed
        self._restarts = 0
        self._since: datetime | None = None
        self._pid: int | str = ""  # of the last one that ran, for the log once it is gone

    def state(self) -> PartState:
        """What `status` shows of it."""
        identity = self._server.identity
        return PartState(
            name=self.name,
            process=identity,
            since=None if identity is None else self._since,
            restarts=self._restarts,
            ready=self.up.is_set() and identity is not None,
        )

    async def start(self) -> None:
        """Start it for the first time.

        Raises:
            EmbeddedServerError: it cannot be started.
        """
        await self._server.start()
        self._since = now()
        identity = self._server.identity
        self._pid = "" if identity is None else identity.pid
        self.up.set()

    async def keep(self) -> None:
        """Start it again whenever it ends; until cancelled."""
        pauses, began = Pauses(), time.monotonic()
        while True:
            ended = await self._server.ended()
            how = ended if isinstance(ended, str) else how_ended(ended)
            self.up.clear()
            self._restarts += 1
            self._tell("part_ended", part=self.name, pid=self._pid, how=how)
            while True:
                await asyncio.sleep(pauses.after(time.monotonic() - began))
                began = time.monotonic()
                try:
                    await self.start()
                except EmbeddedServerError as error:
                    self._tell("part_not_started", part=self.name, why=error.what)
                except (OSError, psutil.Error) as error:  # a full disk, no memory: it may pass
                    self._tell("part_not_started", part=self.name, why=str(error))
                else:
                    break
            self._tell("part_ready", part=self.name, pid=self._pid)
            self._changed()
