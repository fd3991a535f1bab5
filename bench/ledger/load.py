"""Load from a process of its own: a lean HTTP/1.1 client for our side, bare asyncpg for the other.

Everything a run needs is made before it starts, so that what is timed is the asking and the answering alone. Both sides
keep as many requests in flight as they have connections.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

import asyncpg

from domain.check_in import Outcome
from infra.processes import HOST

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Report:
    """A check-in to be sent: of which item, by whom, under which key."""

    task_id: UUID
    guide: str
    token: str
    outcome: Outcome
    key: str

    def request(self, port: int) -> bytes:
        """The bytes a phone would send."""
        body = json.dumps({"performed_by": self.guide, "channel": "phone", "outcome": self.outcome}).encode()
        head = (
            f"POST /v1/tasks/{self.task_id}/check-ins HTTP/1.1\r\nHost: {HOST}:{port}\r\n"
            f"Authorization: Bearer {self.token}\r\nIdempotency-Key: {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as the product sent it."""

    method: str
    query: str
    arguments: tuple[Any, ...]

    @property
    def items(self) -> int:
        """How many check-ins it is about."""
        return len(self.arguments[0])


@dataclass(frozen=True, slots=True)
class Ran:
    """A run: how many were answered as wanted in how many seconds, each with its own time."""

    done: int
    seconds: float
    each: tuple[float, ...]
    cpu: float
    """Seconds of processor time the load itself took."""

    @property
    def per_second(self) -> float:
        """Requests answered a second."""
        return self.done / self.seconds


class Line(asyncio.Protocol):
    """One keep-alive connection with at most one request in flight."""

    def __init__(self) -> None:
        self._read = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP connection has
        self._transport = transport

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; gives status and body of its answer."""
        assert self._transport is not None  # noqa: S101 - asked once connected
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Give the answer to whoever asked once it is whole."""
        self._read += data
        end = self._read.find(END_OF_HEAD)
        if end < 0 or self._answer is None:
            return
        head = bytes(self._read[:end]).lower()
        at = head.find(LENGTH)
        length = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        whole = end + len(END_OF_HEAD) + length
        if len(self._read) < whole:
            return
        body = bytes(self._read[whole - length : whole])
        del self._read[:whole]
        answer, self._answer = self._answer, None
        answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever asked."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


async def open_lines(port: int, count: int) -> list[Line]:
    """So many connections to the API."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Line, HOST, port))[1] for _ in range(count)]


async def _ask_all(port: int, reports: list[Report], clients: int, wanted: int) -> Ran:
    requests = [report.request(port) for report in reports]
    lines = await open_lines(port, clients)
    times: list[float] = []
    waiting = iter(requests)

    async def go(line: Line) -> None:
        for request in waiting:
            began = perf_counter()
            status, body = await line.ask(request)
            times.append(perf_counter() - began)
            if status != wanted:
                raise SystemExit(f"a check-in was answered {status}: {body[:500]!r}")

    began, used = perf_counter(), process_time()
    await asyncio.gather(*(go(line) for line in lines))
    spent, used = perf_counter() - began, process_time() - used
    for line in lines:
        line.close()
    return Ran(len(times), spent, tuple(times), used)


def ask_all(port: int, reports: list[Report], clients: int, wanted: int = 201) -> Ran:
    """Send the reports over so many connections; every answer must have the wanted status."""
    return asyncio.run(_ask_all(port, reports, clients, wanted))


async def _replay_all(
    url: str, settings: dict[str, str], work: list[tuple[Statement, ...]], clients: int
) -> Ran:
    connections = [await asyncpg.connect(url, server_settings=settings) for _ in range(clients)]
    times: list[float] = []
    for connection, statements in zip(
        connections, work, strict=False
    ):  # prepared and planned before the clock starts
        for one in statements:
            await getattr(connection, one.method)(one.query, *one.arguments)
    work = work[clients:]
    waiting = iter(work)

    async def go(connection: asyncpg.Connection) -> None:
        for statements in waiting:
            began = perf_counter()
            for one in statements:
                await getattr(connection, one.method)(one.query, *one.arguments)
            times.append(perf_counter() - began)

    began, used = perf_counter(), process_time()
    await asyncio.gather(*(go(connection) for connection in connections))
    spent, used = perf_counter() - began, process_time() - used
    for connection in connections:
        await connection.close()
    return Ran(sum(statements[0].items for statements in work), spent, tuple(times), used)


def replay_all(url: str, settings: dict[str, str], work: list[tuple[Statement, ...]], clients: int) -> Ran:
    """Send the statements, those that belong together after each other, over so many bare connections.

    The first of each connection only warms it up.
    """
    return asyncio.run(_replay_all(url, settings, work, clients))


async def in_own_process(run: Callable[..., Ran], *arguments: Any) -> Ran:
    """Run a load in a fresh process, so that it shares no interpreter with anything."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return await asyncio.get_running_loop().run_in_executor(pool, run, *arguments)
