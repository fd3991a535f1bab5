"""Ports that stay the same from start to start, so that clients find a server again after it was killed."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from infra.durable_files import write_durably
from infra.processes import HOST, free_port

TRIES = 50
BELOW_EPHEMERAL = range(15_000, 32_000)
"""Where no client's own end of a connection lies: one that knocks at a server that is away for a moment could
otherwise take its port, or even connect to itself."""


def stable_port(
    record: Path, *, wished: int | None = None, avoid: frozenset[int] = frozenset(), host: str = HOST
) -> int:
    """The port last used if it can be had, else the wished one, else any free one; written to `record`.

    Args:
        record: a file below `run/` that keeps the number.
        wished: taken where nothing is recorded or that port is another's by now.
        avoid: ports somebody else is about to take.
        host: the address it is for.
    """
    candidates = [port for port in (_read(record), wished) if port is not None]
    candidates += random.sample(BELOW_EPHEMERAL, TRIES)
    port = next((port for port in candidates if port not in avoid and can_listen(port, host)), None)
    if port is None:
        port = free_port()
    if port != _read(record):
        write_durably(record, str(port))
    return port


def can_listen(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on `port` of this address at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: without it, connections of the last server still fading out would count as a user.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def _read(record: Path) -> int | None:
    try:
        port = int(record.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return port if 0 < port < 65_536 else None
