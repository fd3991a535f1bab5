"""`daogou up`: one process that holds PostgreSQL, Temporal, the workers and the API processes together.

It decides nothing of the trade and is in nobody's way: requests go to the API's processes, work to the
workers. Killed, it takes workers and API with it through the lifeline; the servers are found by the next one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import structlog

from infra.api_socket import address_of, listen
from infra.child_environment import child_environment
from infra.clock import now
from infra.databases import DatabaseUrls, open_ledger, provide_embedded
from infra.first_account import FirstAccount, make_first_account
from infra.left_behind import end_left_behind
from infra.settings import Settings
from infra.supervised_process import SupervisedProcess, python
from infra.supervised_servers import KeptServer, PostgresServer
from infra.supervised_slot import DRAIN_S, Slot, Tell
from infra.temporal_client import connect
from infra.temporal_process import TemporalProcess
from infra.terminal import has_terminal
from infra.up_state import (
    Status,
    UpState,
    database_shown,
    forget_state,
    read_left,
    sole_up,
    this_process,
    write_state,
)
from ledger.database import API, WORKER

COMMANDS = {"worker": ("worker", "run"), "api": ("api",)}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """How many processes, and where the API listens; `port` None: 8400, or another one if that is taken."""

    workers: int = 1
    apis: int = 1
    port: int | None = None
    host: str | None = None
    """None: the one of the settings."""


class Supervisor:
    """One run of `daogou up`. `tell(event, **gaps)` hears what a person may want to know.

    `introduce` is told the first account, once, with its password; without it none is made.
    """

    def __init__(
        self,
        settings: Settings,
        options: UpOptions,
        tell: Tell,
        introduce: Callable[[FirstAccount], None] | None = None,
    ) -> None:
        home = settings.home.resolve()
        self._settings = settings.model_copy(update={"home": home})
        self._home = home
        self._options = options
        self._hear = tell
        self._introduce = introduce
        self._since = now()
        self._identity = this_process()
        self._status: Status = "starting"
        self._stop, self._roll_asked = asyncio.Event(), asyncio.Event()
        self._rolled, self._rolled_ok = 0, True
        self._postgres = PostgresServer(home) if settings.database_url is None else None
        self._temporal = (
            TemporalProcess(home, settings.database) if settings.temporal_address is None else None
        )
        self._servers: list[KeptServer] = []
        self._slots: list[Slot] = []
        self._children: list[SupervisedProcess] = []
        self._socket: socket.socket | None = None
        self._addresses: tuple[DatabaseUrls, str | None] | None = None
        self._lifeline = -1

    @property
    def state(self) -> UpState:
        """What `run/up.json` says."""
        address = self._postgres and self._postgres.address
        temporal = self._temporal.address if self._temporal else self._settings.temporal_address
        edge = self._settings.edge
        return UpState(
            process=self._identity,
            since=self._since,
            status=self._status,
            api=None if self._socket is None else address_of(self._socket, has_tls=edge.has_tls),
            api_public=edge.public_url if self._options.apis else None,
            api_cert=edge.tls_cert if edge.has_tls else None,
            temporal=temporal,
            temporal_ui=self._temporal.ui if self._temporal else None,
            database=database_shown(self._settings, address.port if address else None),
            database_port=address.port if address else None,
            workers=self._options.workers,
            apis=self._options.apis,
            rolled=self._rolled,
            rolled_ok=self._rolled_ok,
            parts=tuple(part.state() for part in self._parts),
        )

    @property
    def _parts(self) -> list[KeptServer | Slot]:
        return [*self._servers, *self._slots]

    async def run(self) -> None:
        """Start everything, keep it running until SIGTERM or Ctrl-C, and stop everything.

        Raises:
            Refused: another `up` runs, or the wished port is taken.
            Unavailable: TEMPORAL_ADDRESS does not answer.
            EmbeddedServerError: a server cannot be started.
            PartFailed: a worker or API process does not get ready.
        """
        with sole_up(self._home):
            self._listen_to_signals()
            left = read_left(self._home)
            self._save()
            reading, writing = os.pipe()
            self._lifeline = reading
            tasks: list[asyncio.Task[None]] = []
            stop = asyncio.create_task(self._stop.wait())
            try:
                if left is not None:
                    await asyncio.to_thread(end_left_behind, left)
                serve = asyncio.create_task(self._serve(tasks))
                await asyncio.wait({stop, serve}, return_when=asyncio.FIRST_COMPLETED)
                if serve.done():
                    await serve  # raises what went wrong
                serve.cancel()
                await asyncio.wait({serve})
            finally:
                stop.cancel()
                await self._end(tasks)
                os.close(writing)
                os.close(reading)
                forget_state(self._home)

    async def _serve(self, tasks: list[asyncio.Task[None]]) -> None:
        """Start it all; then only something that went wrong ends this."""
        if self._options.apis:
            self._socket = listen(
                self._home, self._options.port, self._options.host or self._settings.edge.host
            )
        await self._start_servers()
        await self._prepare_database()
        self._slots = [
            Slot(name := f"{kind}-{number}", partial(self._launch, kind, name), self._gate(kind), self._tell)
            for kind, many in (("worker", self._options.workers), ("api", self._options.apis))
            for number in range(1, many + 1)
        ]
        tasks += [asyncio.create_task(part.keep()) for part in self._parts]
        ready = asyncio.create_task(self._all_ready())
        await asyncio.wait({ready, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            self._status = "running"
            self._tell("up_ready")
            tasks.append(asyncio.create_task(self._roll_when_asked()))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        for task in tasks:
            if task.done():
                await task

    async def _start_servers(self) -> None:
        if self._postgres:
            self._servers.append(KeptServer("postgresql", self._postgres, self._tell, self._follow_addresses))
        if self._temporal:
            self._servers.append(KeptServer("temporal", self._temporal, self._tell, self._follow_addresses))
        else:
            await connect(self._settings)
        starts = [asyncio.create_task(server.start()) for server in self._servers]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            raise
        self._save()

    async def _prepare_database(self) -> None:
        """Migrated, with the brand's row, the months ahead and somebody who can sign in."""
        settings = self._settings
        if self._postgres and self._postgres.address:
            await provide_embedded(self._postgres.server, self._postgres.address, settings.database)
        self._follow_addresses()
        self._roll_asked.clear()
        urls = self._urls()
        known = {"database_url": urls.worker, "database_admin_url": urls.admin}
        async with open_ledger(settings.model_copy(update=known)) as (ledger, _):
            if self._introduce is not None and (first := await make_first_account(ledger, now())) is not None:
                self._introduce(first)

    def _urls(self) -> DatabaseUrls:
        if self._postgres and self._postgres.address:
            name, address = self._settings.database, self._postgres.address
            server = self._postgres.server
            worker, api = (
                address.url(name, user=role, password=server.role_password(role)) for role in (WORKER, API)
            )
            return DatabaseUrls(address.url(name), worker, api)
        url = self._settings.database_url or ""
        return DatabaseUrls(
            self._settings.database_admin_url or url, url, self._settings.database_api_url or url
        )

    async def _all_ready(self) -> None:
        for slot in self._slots:
            await slot.once_ready.wait()

    def _gate(self, kind: str) -> Callable[[], Awaitable[None]]:
        """A worker needs both servers; the API starts without, to say that it has to wait for them."""

        async def servers_up() -> None:
            for server in self._servers if kind == "worker" else ():
                await server.up.wait()

        return servers_up

    async def _launch(self, kind: str, name: str) -> SupervisedProcess:
        """Start a child with the addresses of the moment."""
        environment = child_environment(
            os.environ,
            self._settings,
            urls=self._urls(),
            # Migrations are the workers'; the API has no business with the login that may change the schema.
            admin=kind == "worker",
            temporal=self._temporal.address if self._temporal else None,
            log_file=self._home / "logs" / f"{name}.log",
        )
        passed: list[int] = []
        command = python(*COMMANDS[kind])
        if kind == "api" and self._socket is not None:
            passed = [self._socket.fileno()]
            command += ["--fd", str(passed[0])]
        child = await SupervisedProcess.start(
            command,
            environment,
            hear=lambda line: log.warning("child_said", part=name, line=line),
            lifeline=self._lifeline,
            pass_fds=passed,
        )
        self._children = [one for one in self._children if one.running] + [child]
        self._save()
        return child

    async def _roll_when_asked(self) -> None:
        while True:
            await self._roll_asked.wait()
            self._roll_asked.clear()
            self._status = "restarting"
            self._tell("roll_began")
            self._rolled_ok = True
            for slot in self._slots:
                if not await slot.replace():
                    self._rolled_ok = False  # what does not start is not put in anybody else's place either
                    break
            self._rolled += 1
            self._status = "running"
            self._tell("roll_ended" if self._rolled_ok else "roll_given_up")

    def _follow_addresses(self) -> None:
        """A server is back; if it had to take another port, everybody must learn of it."""
        known = self._addresses
        self._addresses = (self._urls(), self._temporal.address if self._temporal else None)
        if known != self._addresses:
            self._roll_asked.set()

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Drain workers and API together, then stop Temporal, then PostgreSQL."""
        self._status = "draining"
        self._tell("up_stopping")
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        names = {id(slot.child): slot for slot in self._slots}
        running = [child for child in self._children if child.running]
        await asyncio.gather(
            *(
                slot.drain(child) if (slot := names.get(id(child))) else child.drain(DRAIN_S)
                for child in running
            )
        )
        if self._socket is not None:
            self._socket.close()
        try:
            if self._temporal:
                await self._temporal.stop()
                self._temporal.close()
        finally:
            if self._postgres:
                await self._postgres.stop()
        self._hear("up_stopped")
        log.info("up_stopped")

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        terminal = has_terminal()

        def hang_up() -> None:
            # A terminal that closes says so with the signal `daogou restart` uses; then it is gone.
            (self._stop if terminal and not has_terminal() else self._roll_asked).set()

        loop.add_signal_handler(signal.SIGHUP, hang_up)

    def _tell(self, event: str, **gaps: str | int) -> None:
        log.info(event, **gaps)
        self._save()
        self._hear(event, **gaps)

    def _save(self) -> None:
        try:
            write_state(self._home, self.state)
        except OSError as error:  # a full disk stops nobody from working
            log.warning("up_state_not_written", reason=str(error))
