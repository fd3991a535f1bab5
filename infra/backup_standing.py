"""How far back the newest backup lies and how big the kept WAL has grown: what `daogou status` warns of.

Only files are looked at, no lock is taken and nothing is made, so it answers while a server starts or is away.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from infra.backup_record import BackupRecord, read_record, write_record
from infra.cluster_swap import CURRENT, archive_root
from infra.service_user import POINTER
from infra.settings import Settings

FOLDER = "backups"
OLD = timedelta(days=2)
"""Older than this, a backup is worth a warning: one a night is the rule, and one may fail."""


@dataclass(frozen=True, slots=True)
class BackupStanding:
    """`newest_at`: the end of the newest backup of the database's present life; None: there is none.

    `archive_bytes`: all kept WAL, of earlier lives too.
    """

    newest_at: datetime | None
    archive_bytes: int

    def wanting(self, at: datetime) -> bool:
        """Whether there is none, or it is old."""
        return self.newest_at is None or at - self.newest_at > OLD


def backup_standing(settings: Settings) -> BackupStanding | None:
    """Of the embedded PostgreSQL; None where yours is used, or where there is no database yet."""
    if settings.database_url is not None:
        return None
    home = settings.home.resolve()
    with suppress(OSError):
        data = _data(home)
        if not data.exists():
            return None
        root = archive_root(data)
        ended = [record.ended_at for record in _records(home) if record.archive == _archive(root)]
        size = sum(path.stat().st_size for path in root.rglob("*.gz")) if root.is_dir() else 0
        return BackupStanding(max(ended, default=None), size)
    return None


def note_backup(home: Path, record: BackupRecord) -> None:
    """Remember the newest backup wherever it went; one that cannot be noted is a backup all the same."""
    with suppress(OSError):
        write_record(home / "run", record)


def _records(home: Path) -> list[BackupRecord]:
    """The backups in the usual place, and the last one that was made wherever it went."""
    own = home / FOLDER
    found = []
    for folder in (home / "run", *(own.iterdir() if own.is_dir() else ())):
        with suppress(ValueError, OSError):  # not one of ours, or not one to judge
            if folder.name[:1] != "." and (record := read_record(folder)) is not None:
                found.append(record)
    return found


def _data(home: Path) -> Path:
    pointer = home / POINTER
    return Path(pointer.read_text(encoding="utf-8").strip()) if pointer.exists() else home / "postgres"


def _archive(root: Path) -> str | None:
    """The folder of the present life, as a backup names it; points in time begin with a backup of that life."""
    current = root / CURRENT
    return str(root / current.read_text(encoding="utf-8").strip()) if current.exists() else None
