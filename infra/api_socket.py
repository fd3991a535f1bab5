"""The socket the API's processes share: held by the supervisor, so that no restart of theirs loses a connection."""

from __future__ import annotations

import socket
from pathlib import Path

from domain.errors import Problem, Refused
from infra.processes import HOST
from infra.stable_ports import can_listen, stable_port

PORT = 8400
BACKLOG = 2_048


def listen(home: Path, port: int | None = None) -> socket.socket:
    """A listening socket on the loopback; its port is the one asked for, or the last one, or 8400, or any.

    Raises:
        Refused: the port asked for is taken (`port_taken`).
    """
    if port is not None and not can_listen(port):
        raise Refused([Problem("--port", str(port), "port_taken")])
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port or stable_port(home / "run" / "api.port", wished=PORT)))
        made.listen(BACKLOG)
    except BaseException:
        made.close()
        raise
    return made
