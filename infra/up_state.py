"""What runs for a home: `run/up.json`, written by `daogou up`, read by `status`, `down`, `restart` and commands.

No password is in it. One `up` a home: it holds a lock on `run/up.lock`, which dies with it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

import psutil
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from domain.errors import Problem, Refused
from infra.durable_files import write_durably
from infra.processes import HOST
from infra.server_records import Identity
from infra.settings import Settings

Status = Literal["starting", "running", "restarting", "draining"]
log = structlog.get_logger(__name__)


class PartState(BaseModel):
    """One process of an `up`: a server, a worker or an API process."""

    model_config = ConfigDict(frozen=True)

    name: str
    """postgresql, temporal, worker-1 …, api-1 …"""
    process: Identity | None = None
    """None while it is away."""
    since: datetime | None = None
    restarts: int = 0
    """How often it was started again after it had ended by itself."""
    ready: bool = False


class UpState(BaseModel):
    """One `daogou up`; a value that is None is not run by it (an address of `database` has no password)."""

    model_config = ConfigDict(frozen=True)

    process: Identity
    since: datetime
    status: Status
    api: str | None = None
    """Under which this machine reaches it."""
    api_public: str | None = None
    """Under which everybody does, where that is another one."""
    api_cert: str | None = None
    """File of the certificate it shows, if it encrypts."""
    temporal: str | None = None
    temporal_ui: str | None = None
    database: str | None = None
    database_port: int | None = None
    """Of the embedded server; None where DATABASE_URL is used."""
    workers: int = 1
    apis: int = 1
    rolled: int = 0
    """How many rolling restarts have come to an end."""
    rolled_ok: bool = True
    """Whether the last of them replaced every process."""
    parts: tuple[PartState, ...] = ()

    def processes(self, kind: str) -> set[int]:
        """Pids of the parts `worker` or `api`."""
        return {
            part.process.pid
            for part in self.parts
            if part.process is not None and part.name.startswith(f"{kind}-")
        }


def write_state(home: Path, state: UpState) -> None:
    """Replace `run/up.json`, readable by its owner only."""
    write_durably(_path(home), state.model_dump_json(indent=1), mode=0o600)


def read_left(home: Path) -> UpState | None:
    """The last written state, whether that `up` still runs or not; None if there is none."""
    try:
        return UpState.model_validate_json(_path(home).read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        log.warning("up_state_unreadable", path=str(_path(home)), reason=str(error))
        return None


def read_running(home: Path) -> UpState | None:
    """The state of the `up` that runs for this home; None if none does."""
    state = read_left(home)
    return state if state is not None and state.process.process() is not None else None


def forget_state(home: Path) -> None:
    """Nothing runs any more."""
    _path(home).unlink(missing_ok=True)


@contextmanager
def sole_up(home: Path) -> Iterator[None]:
    """Be the one `up` of the home while the block runs.

    Raises:
        Refused: another one is (`up_runs_already`, told where).
    """
    (home / "run").mkdir(parents=True, exist_ok=True)
    with (home / "run" / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused([up_runs_already(read_running(home))]) from error
        yield


def up_runs_already(other: UpState | None) -> Problem:
    """The problem of a second `up`; None: the first has not written yet where it is."""
    pid = "" if other is None else str(other.process.pid)
    api = None if other is None else other.api
    return Problem("up", pid, "up_runs_already", {"api": api or "—"})


def this_process() -> Identity:
    """Who we are."""
    return Identity.of(psutil.Process())


def _path(home: Path) -> Path:
    return home / "run" / "up.json"


def database_shown(settings: Settings, port: int | None) -> str | None:
    """The database's address without a password; `port` is the embedded server's, if it is that one."""
    if settings.database_url is None:
        return None if port is None else f"postgresql://{HOST}:{port}/{settings.database}"
    try:
        return make_url(settings.database_url).set(password=None, query={}).render_as_string()
    except (ArgumentError, ValueError):
        return None
