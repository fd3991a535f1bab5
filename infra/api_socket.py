"""The socket the API's processes share: held by the supervisor, so that no restart of theirs loses a connection."""

from __future__ import annotations

import socket
from pathlib import Path

from domain.errors import Problem, Refused
from infra.durable_files import write_durably
from infra.edge_settings import bindable
from infra.processes import HOST
from infra.stable_ports import can_listen, stable_port

PORT = 8400
BACKLOG = 2_048


def refuse_taken(port: int | None, host: str = HOST) -> None:
    """Refuse a port asked for that another program listens on, before anything is started or made."""
    if port is not None and not can_listen(port, bindable(host)):
        raise Refused([Problem("--port", str(port), "port_taken")])


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket on exactly this address; `::` takes IPv6 alone, so that no client has two addresses.

    Raises:
        Refused: the port cannot be had there.
    """
    name = bindable(host)
    listening = socket.socket(socket.AF_INET6 if ":" in name else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((name, port))
        listening.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listening.close()
        raise Refused([Problem("--port", str(port), "port_unusable", {"why": str(error)})]) from error
    return listening


def listen(home: Path, port: int | None = None, host: str = HOST) -> socket.socket:
    """A listening socket on the host; its port is the one asked for, or the last one, or 8400, or any.

    Raises:
        Refused: the port asked for is taken (`port_taken`), or cannot be had (`port_unusable`).
    """
    refuse_taken(port, host)
    record = home / "run" / "api.port"
    made = listen_on(host, port or stable_port(record, wished=PORT, host=bindable(host)))
    try:
        if port is not None:
            write_durably(record, str(port))  # the next start has it without being asked
    except BaseException:
        made.close()
        raise
    return made


def address_of(listening: socket.socket, *, has_tls: bool) -> str:
    """The URL under which this machine reaches the socket."""
    host, port = listening.getsockname()[:2]
    reached = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    scheme = "https" if has_tls else "http"
    return f"{scheme}://{f'[{reached}]' if ':' in reached else reached}:{port}"
