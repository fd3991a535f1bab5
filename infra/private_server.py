"""A PostgreSQL that recovers a restored cluster before anybody else may see it.

It listens on a Unix socket in a folder only its account and we may enter, and there it asks for no
password: whoever restores need not know the one the cluster had, and no backup has to hold one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from infra.embedded_postgres import PATIENCE_S
from infra.postgres_process import end_leftovers, read_pid_file, spawn, stop_postmaster
from infra.processes import alive
from infra.server_errors import EmbeddedServerError, log_tail
from infra.service_user import Site

PORT = 5432  # names the socket; no TCP port is opened
_TRUSTING = "local all postgres trust\n"


@contextmanager
def private_server(site: Site, console: Path, settings: Mapping[str, str]) -> Iterator[Path]:
    """Run the cluster in `site` while the block runs; gives the socket's folder once recovery has ended.

    Args:
        site: programs, data folder and account.
        console: file for what the server says.
        settings: how it recovers.

    Raises:
        EmbeddedServerError: it ended while recovering, or got stuck; its last words are in the message.
    """
    # A socket's path may be 107 bytes at most: not below the home, which may lie deep. For root the data's
    # own folder is short, and open to the account.
    near = None if site.account is None else site.data.parent
    login = Path(tempfile.mkdtemp(prefix=f"{site.data.name}.login-" if near else "daogou-", dir=near))
    try:
        rules = login / "hba.conf"
        rules.write_text(_TRUSTING)
        if site.account is not None:
            for path in (login, rules):
                os.chown(path, site.account.uid, site.account.gid)
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(login),
            "unix_socket_permissions": "0700",
            "hba_file": str(rules),
            "port": str(PORT),
            "logging_collector": "off",
            "log_timezone": "UTC",
            "timezone": "UTC",
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",
            "autovacuum": "off",
            "jit": "off",
            **settings,
        }
        console.parent.mkdir(parents=True, exist_ok=True)
        try:
            server = psutil.Process(spawn(site, options, console))
        except psutil.NoSuchProcess:
            raise _ended(console) from None
        _wait_recovered(site, server, console)
        yield login
    finally:
        stop_postmaster(site.data)
        end_leftovers(site.data)
        shutil.rmtree(login, ignore_errors=True)


def _wait_recovered(site: Site, server: psutil.Process, console: Path) -> None:
    said, since = "", time.monotonic()
    while alive(server):
        file = read_pid_file(site.data)
        if file is not None and file.pid == server.pid and file.ready:
            return
        if (now := log_tail(console)) != said:
            said, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE_S:
            raise EmbeddedServerError(
                f"PostgreSQL does not end its recovery; its log has been silent for {PATIENCE_S:.0f} s.",
                where=said,
                remedy="Look at the last log lines and at the machine's disk, then restore again.",
            )
        time.sleep(0.02)
    raise _ended(console)


def _ended(console: Path) -> EmbeddedServerError:
    return EmbeddedServerError(
        "PostgreSQL ended while recovering; nothing was put in its place.",
        where=log_tail(console),
        remedy="The last log lines say why: a damaged WAL segment, for instance. Try another instant or backup.",
    )
