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
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime

import asyncpg
import structlog
import uvicorn
from sqlalchemy.engine import make_url

from api.app import create_app
from domain.errors import Problem, Refused
from infra.api_socket import BACKLOG, listen_on
from infra.clock import now
from infra.databases import open_ledger
from infra.edge_settings import Edge, refuse_unsafe
from infra.key_store import open_keys
from infra.lifeline import lifeline_cut, tell_ready
from infra.settings import Settings
from infra.sign_in_settings import refuse_unusable
from ledger.database import API, DATABASE_LOST, WORKER, open_database
from ledger.ledger import Ledger
from ledger.pool import connect_arguments

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
POOL_SIZE = 10

log = structlog.get_logger("api")


def bind(host: str, port: int, edge: Edge | None = None) -> socket.socket:
    """A listening socket.

    Args:
        host: a loopback address, or another one where `edge` has somebody encrypt.
        port: 0: any.
        edge: the settings; None: those of nothing set.

    Raises:
        Refused: the address is not safe to bind (`infra.edge_settings`), or the port cannot be had.
    """
    refuse_unsafe(edge or Edge(), host, field="--host")
    return listen_on(host, port)


def inherited(descriptor: int, edge: Edge | None = None) -> socket.socket:
    """The listening socket another process bound and left open for this one.

    Raises:
        Refused: the descriptor is no such socket, or what it is bound to is not safe to serve.
    """
    try:
        listening = socket.socket(fileno=descriptor)
        name = listening.getsockname()
    except (OSError, OverflowError) as error:
        raise Refused([Problem("--fd", str(descriptor), "port_unusable", {"why": str(error)})]) from error
    refuse_unsafe(edge or Edge(), str(name[0]) if isinstance(name, tuple) else str(name), field="--fd")
    return listening


async def serve(settings: Settings, listening: socket.socket, *, clock: Callable[[], datetime] = now) -> None:
    """Serve until SIGTERM, SIGINT or a cut lifeline.

    Args:
        settings: of this process.
        listening: what `bind` or `inherited` gave.
        clock: the present instant; another than `infra.clock.now` only where a benchmark's day is served.

    Raises:
        Refused: a provider of sign-ins is set halfway, or the database's login is not the API's.
    """
    edge = settings.edge
    refuse_unusable(settings.oidc, settings.wecom, edge.public_url)
    if edge.allow_plain_http:
        log.warning("plain_http_allowed", remedy="set TLS or a trusted proxy, unset DAOGOU_ALLOW_PLAIN_HTTP")
    async with _ledger(settings) as ledger:
        server = _Server(
            uvicorn.Config(
                create_app(settings, ledger, clock=clock),
                log_config=None,
                access_log=False,  # paths name guides and members
                server_header=False,
                timeout_graceful_shutdown=DRAIN_S,
                timeout_keep_alive=30,
                backlog=BACKLOG,
                h11_max_incomplete_event_size=64 * 1024,
                # uvicorn's default believes whoever asks from the loopback; the application believes whom it is told to.
                proxy_headers=False,
                ssl_certfile=edge.tls_cert,
                ssl_keyfile=edge.tls_key,
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
            scheme = "https" if self.config.is_ssl else "http"
            log.info("api_started", address=f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")
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
        setting = "DATABASE_URL" if settings.database_api_url is None else "DATABASE_API_URL"
        url = settings.database_api_url or settings.database_url
        await _check_login(setting, url)
        async with _pool(settings, url) as ledger:
            yield ledger


async def _check_login(setting: str, url: str) -> None:
    """Refuse a login that may not work as the API, and warn of one that may do more; a database that is away may.

    Raises:
        Refused: it is no member of `daogou_api`.
    """
    try:
        connection = await asyncpg.connect(
            **connect_arguments(url), timeout=CONNECT_S, server_settings={"role": API}
        )
    except asyncpg.InsufficientPrivilegeError as error:
        login = make_url(url).username or ""
        raise Refused([Problem(setting, login, "login_not_the_apis", {"role": API})]) from error
    except DATABASE_LOST:
        return  # each request says so until it is there
    try:
        if await connection.fetchval("SELECT pg_has_role(session_user, $1, 'MEMBER')", WORKER):
            log.warning(
                "database_login_may_do_more", setting=setting, remedy=f"let it be a member of {API} only"
            )
    except asyncpg.PostgresError:
        return
    finally:
        await connection.close(timeout=CLOSE_S)


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
        yield Ledger(engine, settings.tenant_id, keys=open_keys(settings))
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await engine.dispose()
