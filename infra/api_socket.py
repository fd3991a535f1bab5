"""The socket the API's processes share: held by the supervisor, so that no restart of theirs loses a connection."""

from __future__ import annotations

import socket
from pathlib import Path

from domain.errors import Problem, Refused
from infra.durable_files import write_durably
from infra.processes import HOST
from infra.stable_ports import can_listen, stable_port

PORT = 8400
BACKLOG = 2_048


def refuse_taken(port: int | None) -> None:
    """Refuse a port asked for that another program listens on, before anything is started or made."""
    if port is not None and not can_listen(port):
        raise Refused([Problem("--port", str(port), "port_taken")])


def listen(home: Path, port: int | None = None) -> socket.socket:
    """A listening socket on the loopback; its port is the one asked for, or the last one, or 8400, or any.

    Raises:
        Refused: the port asked for is taken (`port_taken`).
    """
    refuse_taken(port)
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        record = home / "run" / "api.port"
        made.bind((HOST, port or stable_port(record, wished=PORT)))
        made.listen(BACKLOG)
        if port is not None:
            write_durably(record, str(port))  # the next start has it without being asked
    except BaseException:
        made.close()
        raise
    return made
