"""PostgreSQL out of a wheel: started when the first process needs it, stopped when the last one leaves.

Every user of the server holds a shared lock on `run/postgres.users`; whoever leaves and can take it
exclusively was the last and stops the server. Locks die with their process, so a killed user leaves a
running server at worst, and the next start attaches to it. Starting and leaving are serialised by
`run/postgres.start`. The locks follow forks: do not fork without exec while using the server.
"""

import asyncio
import fcntl
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote

import asyncpg
import psutil
import structlog

from infra.durable_files import write_durably
from infra.postgres_process import (
    end_leftovers,
    find_postmaster,
    initdb,
    read_pid_file,
    spawn,
    stop_postmaster,
)
from infra.processes import HOST, alive, terminate_as_exit
from infra.server_errors import EmbeddedServerError, log_tail
from infra.service_user import Site, locate
from infra.stable_ports import stable_port
from infra.wal_archive import kept_settings

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedServerError",
    "PostgresAddress",
    "running_postgres",
    "terminate_as_exit",
]

SUPERUSER = "postgres"
PATIENCE_S = 300.0  # crash recovery logs its progress every 10 s, so 5 silent minutes mean it is stuck
START_TRIES = 5
ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
PORT_TAKEN = "Address already in use"
SETTINGS: Mapping[str, str] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "autovacuum_naptime": "10s",  # a check-in on tables just filled takes twice as long until they are analysed
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",  # a file per weekday, begun anew: a week is kept
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """Where the server listens (loopback, TCP port) and its superuser with password."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def url(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """`postgresql://user:password@host:port/database`; the superuser's unless told otherwise."""
        name, secret = (self.user, self.password) if user is None else (user, password or "")
        return f"postgresql://{quote(name, '')}:{quote(secret, '')}@{self.host}:{self.port}/{quote(database, '')}"


class EmbeddedPostgres:
    """One user's hold on the PostgreSQL server of a home (the checkout's `.daogou` folder).

    `settings` override the server settings and count only if this user is the one to start the server.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self._home = home.resolve()
        self._settings = dict(settings or {})
        self._users: IO[str] | None = None
        self._site: Site | None = None

    def start(self) -> PostgresAddress:
        """Attaches to the running server, or makes and starts one; returns when it answers our password.

        Calling it again while started checks the server and starts it anew if it was killed.

        Raises:
            EmbeddedServerError: the server cannot be made, started or logged in to.
        """
        try:
            with self._serialised():
                if self._users is None:
                    self._users = (self._home / "run" / "postgres.users").open("a")
                    fcntl.flock(self._users, fcntl.LOCK_SH)
                self._site = locate(self._home)
                return self._attach_or_start(self._site)
        except BaseException as error:  # a signal in the middle of a start must not leave a server behind
            self.stop()
            if isinstance(error, OSError | subprocess.SubprocessError):
                raise EmbeddedServerError(
                    f"PostgreSQL cannot be set up: {error}",
                    where=str(self._home),
                    remedy="See that this user may write there and that the disk has room, then start again.",
                ) from error
            raise

    def stop(self) -> None:
        """Gives up this user's hold; the last user to leave stops the server. Does nothing if not started."""
        users, self._users = self._users, None
        if users is None:
            return
        with users, self._serialised():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            if self._site is not None:
                stop_postmaster(self._site.data)

    def process(self) -> psutil.Process | None:
        """The running server, as `start` left it; None if it has ended or was never started."""
        file = None if self._site is None else read_pid_file(self._site.data)
        try:
            process = None if file is None else psutil.Process(file.pid)
        except psutil.NoSuchProcess:
            return None
        return process if process is not None and alive(process) else None

    @property
    def left_pid_file(self) -> bool:
        """Whether the server that ended left its pid file: one that shuts down by itself removes it."""
        return self._site is not None and read_pid_file(self._site.data) is not None

    def role_password(self, role: str) -> str:
        """The role's password: random, made at the first call, kept in a file only we may read.

        Raises:
            ValueError: `role` is not a plain lower-case SQL name.
        """
        if not ROLE.fullmatch(role):
            raise ValueError(f"role {role!r} is not a plain lower-case SQL name")
        folder = self._home / "passwords"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / role
        with (folder / ".lock").open("a") as lock:  # two processes asking at once must get the same one
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                write_durably(path, secrets.token_urlsafe(32), mode=0o600)
        return path.read_text().strip()

    @contextmanager
    def _serialised(self) -> Iterator[None]:
        (self._home / "run").mkdir(parents=True, exist_ok=True)
        with (self._home / "run" / "postgres.start").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _attach_or_start(self, site: Site) -> PostgresAddress:
        password = self.role_password(SUPERUSER)
        console = self._home / "run" / "postgres.console.log"
        for _ in range(START_TRIES):
            postmaster = find_postmaster(site.data)
            if attached := postmaster is not None:
                log.info("postgres_attaching", data=str(site.data))
            else:
                postmaster = self._launch(site, password, console)
            address = postmaster and self._wait_ready(site, postmaster, console, password)
            if address:
                log.info("postgres_ready", data=str(site.data), port=address.port, attached=attached)
                return address
            if not attached and PORT_TAKEN not in _logs(site, console):
                break
        raise EmbeddedServerError(
            "PostgreSQL ended while starting.",
            where=_logs(site, console),
            remedy="The last log lines say why; mend that and start again.",
        )

    def _launch(self, site: Site, password: str, console: Path) -> psutil.Process | None:
        """Starts the server on the port it had last, if that is free; None if it ended at once."""
        end_leftovers(site.data)
        if not site.data.exists():
            initdb(site, SUPERUSER, password)
        # Nothing of ours runs any more, so a pid file is stale, whoever may have its pid by now.
        (site.data / "postmaster.pid").unlink(missing_ok=True)
        for old in (site.data / "log").glob("*.log"):
            old.rename(old.with_suffix(".old"))  # so that what a failed start reports is its own
        options = {
            **SETTINGS,
            "wal_compression": _wal_compression(site),
            **kept_settings(site),  # whoever starts it: a log with a hole in it is of no use
            **self._settings,
            "port": str(stable_port(self._home / "run" / "postgres.port")),
        }
        try:
            return psutil.Process(spawn(site, options, console))
        except psutil.NoSuchProcess:
            return None

    def _wait_ready(
        self, site: Site, postmaster: psutil.Process, console: Path, password: str
    ) -> PostgresAddress | None:
        """Waits while the server lives and its log moves, for crash recovery takes what it takes."""
        said, since = "", time.monotonic()
        while alive(postmaster):
            file = read_pid_file(site.data)
            if file is not None and file.pid == postmaster.pid and file.ready:
                address = PostgresAddress(HOST, file.port, SUPERUSER, password)
                if _answers(address, site):
                    return address
            if (now := _logs(site, console)) != said:
                said, since = now, time.monotonic()
            if time.monotonic() - since > PATIENCE_S:
                raise EmbeddedServerError(
                    f"PostgreSQL does not get ready; its log has been silent for {PATIENCE_S:.0f} s.",
                    where=said or str(site.data),
                    remedy="Look at the last log lines and at the machine's disk, then start again.",
                )
            time.sleep(0.02)
        return None


@contextmanager
def running_postgres(
    home: Path, *, settings: Mapping[str, str] | None = None
) -> Iterator[tuple[EmbeddedPostgres, PostgresAddress]]:
    """Holds the home's server while the block runs; gives the server and its address.

    Leaving needs the block to be unwound: enter `terminate_as_exit()` first, or SIGTERM skips it.
    """
    server = EmbeddedPostgres(home, settings=settings)
    try:
        yield server, server.start()
    finally:
        server.stop()


def _answers(address: PostgresAddress, site: Site) -> bool:
    """Whether a login works; in a thread of its own, for the caller may be inside an event loop."""

    async def log_in() -> None:
        connection = await asyncpg.connect(address.url("postgres"), ssl=False, timeout=10)
        await connection.close()

    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(log_in())).result()
    except asyncpg.InvalidAuthorizationSpecificationError as error:  # a wrong password is one of these
        raise EmbeddedServerError(
            "PostgreSQL runs but refuses this home's password.",
            where=str(site.data),
            remedy="Put the lost file passwords/postgres back, or remove the home folder to begin anew.",
        ) from error
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ):
        return False  # stopping, or out of connections for a moment; the caller waits on
    return True


def _logs(site: Site, console: Path) -> str:
    newest = sorted((site.data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
    return log_tail(console, *newest)


def _wal_compression(site: Site) -> str:
    command = [str(site.bin / "pg_config"), "--configure"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own wheel's
    return "lz4" if "--with-lz4" in built.stdout else "on"
