"""One API process: a socket of its own or one inherited, and an end within ten seconds whatever happens.

Several processes may serve one socket: whoever starts them binds it and hands its descriptor on (`--fd`); the kernel
gives each connection to one of them. SIGTERM, Ctrl-C and a cut lifeline all mean: take no more, finish what runs, end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog
import uvicorn

from api.app import create_app
from api.guard import is_loopback
from domain.errors import Problem, Refused
from infra.clock import now
from infra.databases import open_ledger
from infra.lifeline import lifeline_cut, tell_ready
from infra.settings import Settings
from ledger.database import API, open_database
from ledger.ledger import Ledger

DRAIN_S = 7
"""What runs may take so long to finish."""
ASK_S = 0.3
"""Who was connected when the drain began has so long to ask."""
CLOSE_S = 1.0
"""The pool may take so long to close."""
END_S = 9.5
"""After so long the process ends, even if something blocks it."""
WAIT_FOR_CONNECTION_S = 2.0
CONNECT_S = 2.0
"""A request that finds the database away is told so within the sum of both, not half a minute later."""
BACKLOG = 2048
POOL_SIZE = 10

log = structlog.get_logger("api")


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on the loopback.

    Raises:
        Refused: the host is not the loopback's, or the port cannot be had.
    """
    if not is_loopback(host):
        raise Refused([Problem("--host", host, "not_loopback")])
    name = "127.0.0.1" if host.lower() == "localhost" else host.strip("[]")
    listening = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((name, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise Refused([Problem("--port", str(port), "port_unusable", {"why": str(error)})]) from error
    listening.listen(BACKLOG)
    return listening


def inherited(descriptor: int) -> socket.socket:
    """The listening socket another process bound and left open for this one.

    Raises:
        Refused: the descriptor is no such socket, or it is not bound to the loopback.
    """
    try:
        listening = socket.socket(fileno=descriptor)
        name = listening.getsockname()
    except (OSError, OverflowError) as error:
        raise Refused([Problem("--fd", str(descriptor), "port_unusable", {"why": str(error)})]) from error
    if not isinstance(name, tuple) or not is_loopback(str(name[0])):
        raise Refused([Problem("--fd", f"{descriptor}: {name}", "not_loopback")])
    return listening


async def serve(settings: Settings, listening: socket.socket) -> None:
    """Serve until SIGTERM, SIGINT or a cut lifeline."""
    async with _ledger(settings) as ledger:
        server = _Server(
            uvicorn.Config(
                create_app(settings, ledger, clock=now),
                log_config=None,
                access_log=False,  # paths name guides and members
                server_header=False,
                timeout_graceful_shutdown=DRAIN_S,
                timeout_keep_alive=30,
                backlog=BACKLOG,
                h11_max_incomplete_event_size=64 * 1024,
            )
        )
        watching = asyncio.create_task(_watch(server))
        try:
            await server.serve(sockets=[listening])
        finally:
            watching.cancel()
            log.info("api_stopped")


class _Server(uvicorn.Server):
    """uvicorn's, with its ends tied to ours: signals drain it, and the process ends by itself afterwards."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT as requests to drain; uvicorn's own would raise them again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                # From here on nothing but closing is left, and a second signal must not stop that.
                signal.signal(number, signal.SIG_IGN)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and say so."""
        await super().startup(sockets)
        for one in sockets or []:
            host, port = one.getsockname()[:2]
            log.info("api_started", address=f"http://{f'[{host}]' if ':' in host else host}:{port}")
        tell_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, let those ask whom this process took last, then finish what runs.

        uvicorn's own would at once hang up on whoever is connected and has not been heard yet: in rolling restarts
        under load a few connections were reset by it.
        """
        for server in self.servers:
            server.close()
        await asyncio.sleep(ASK_S)
        await super().shutdown(sockets)

    def drain(self) -> None:
        """Take no more, finish what runs."""
        if self.should_exit:
            return
        log.info("api_draining")
        self.should_exit = True
        # A thread, so that nothing that blocks the loop can keep the process.
        last = threading.Timer(END_S, os._exit, (1,))
        last.daemon = True
        last.start()


async def _watch(server: _Server) -> None:
    await lifeline_cut()
    server.drain()


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger through a pool that gives up fast.

    A database of yours may be away when this process starts: its requests are told so until it is there, and
    migrating it is not for a process of which there are several.
    """
    if settings.database_url is None:
        async with open_ledger(settings) as (_, urls), _pool(settings, urls.api) as ledger:
            yield ledger
    else:
        async with _pool(settings, settings.database_api_url or settings.database_url) as ledger:
            yield ledger


@asynccontextmanager
async def _pool(settings: Settings, url: str) -> AsyncIterator[Ledger]:
    engine = open_database(
        url,
        tenant_id=settings.tenant_id,
        role=API,
        pool_size=POOL_SIZE,
        wait_s=WAIT_FOR_CONNECTION_S,
        connect_s=CONNECT_S,
    )
    try:
        yield Ledger(engine, settings.tenant_id)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await engine.dispose()
