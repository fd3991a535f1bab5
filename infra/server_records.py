"""Which servers were started for whom: records under `run/`, so that no server outlives a killed owner for long.

A record names the server and its owner by pid and creation time, so that a pid used again is nobody's.
"""

from __future__ import annotations

from pathlib import Path

import psutil
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from infra.durable_files import write_durably
from infra.processes import alive, send_until_ended

SAME_TIME_S = 2.0  # the kernel derives creation times from the clock, which may be set a little meanwhile

log = structlog.get_logger(__name__)


class Identity(BaseModel):
    """A process for good: its pid and when it was created (seconds since the epoch)."""

    model_config = ConfigDict(frozen=True)

    pid: int
    create_time: float

    @classmethod
    def of(cls, process: psutil.Process) -> Identity:
        """Who the process is.

        Raises:
            psutil.NoSuchProcess: it has ended and was reaped.
        """
        return cls(pid=process.pid, create_time=process.create_time())

    def process(self) -> psutil.Process | None:
        """The process if it still runs; None if it ended or its pid is another's by now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.create_time) < SAME_TIME_S
        except psutil.NoSuchProcess:
            return None
        return process if same and alive(process) else None


class Record(BaseModel):
    """One started server and the process that owns it."""

    model_config = ConfigDict(frozen=True)

    server: Identity
    owner: Identity


def write_record(path: Path, server: psutil.Process) -> None:
    """Record that this process started `server`."""
    record = Record(server=Identity.of(server), owner=Identity.of(psutil.Process()))
    write_durably(path, record.model_dump_json())


def read_record(path: Path) -> Record | None:
    """The record; None if it is gone or unreadable."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None  # another start was quicker
    except ValidationError as error:
        log.warning("temporal_record_unreadable", path=str(path), reason=str(error))
        return None


def end_recorded(path: Path) -> None:
    """End the server of the record if it still runs, and forget it."""
    record = read_record(path)
    if record is not None and (server := record.server.process()) is not None:
        send_until_ended(server)
    path.unlink(missing_ok=True)


def end_abandoned(home: Path) -> Path:
    """End the recorded Temporal servers whose owner is gone (exactly these, by pid and creation time).

    Returns:
        The folder `run/` of the home, made if it was missing.
    """
    run = home.resolve() / "run"
    run.mkdir(parents=True, exist_ok=True)
    for path in run.glob("temporal-*.json"):
        record = read_record(path)
        if record is not None:
            if record.owner.process() is not None:
                continue
            if (server := record.server.process()) is not None:
                log.warning("temporal_orphan_ended", pid=server.pid, owner=record.owner.pid)
                send_until_ended(server)
        path.unlink(missing_ok=True)
    return run
