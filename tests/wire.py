"""A wire between the driver and PostgreSQL: counts what goes over it, and can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

STARTUP = 196608
"""What a startup message names: version 3.0 of the protocol."""


@dataclass
class Wire:
    """`round_trips` counts what the server is asked to answer: simple queries and Syncs."""

    url: str
    round_trips: int = 0
    loses_answer_of: int | None = None
    """Which round trip's answer never arrives, though the server has done what it was asked."""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: nothing gets through to the server."""
    cuts: set[asyncio.StreamWriter] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.held.set()

    def cut(self) -> None:
        """Break every connection off."""
        for writer in self.cuts:
            writer.transport.abort()


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """A wire to the server of `url`; its own url leads through it."""
    far = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(far.hostname, far.port)
        made.cuts |= {writer, back}
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await asyncio.gather(_count(made, reader, back), _pass_on(made, there, writer))
        finally:
            made.cuts -= {writer, back}
            writer.close()
            back.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    made = Wire(url.replace(f":{far.port}/", f":{port}/"))
    try:
        yield made
    finally:
        server.close()
        made.cut()
        await server.wait_closed()


async def _count(made: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    typed = False
    while True:
        kind = await reader.readexactly(1) if typed else b""
        length = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(length) - 4)
        if not typed:
            typed = int.from_bytes(body[:4]) == STARTUP  # else it asks for TLS, and starts up afterwards
        await made.held.wait()
        made.round_trips += kind in {b"Q", b"S"}
        writer.write(kind + length + body)
        await writer.drain()


async def _pass_on(made: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        if made.round_trips == made.loses_answer_of:
            made.loses_answer_of = None
            made.cut()
            return
        writer.write(data)
        await writer.drain()
    writer.close()
