"""How far a backup and the WAL kept since can bring a database: from its end to the last commit that is kept.

PostgreSQL itself finds out only while recovering, and then it is an error deep in a log. Here the segments
that follow the backup's own are counted up to the first that is missing, and the last commit is looked up
in them, so that an instant that cannot be had is refused before anything is made.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.backup_record import BackupRecord
from infra.postgres_programs import run_program
from infra.wal_archive import SUFFIX, kept_segments

_COMMIT = re.compile(r"lsn: ([0-9A-F]+/[0-9A-F]+), .*desc: COMMIT(?:_PREPARED)? (\S+ \S+) UTC")


@dataclass(frozen=True, slots=True)
class RecoveryRange:
    """What can be reached: any instant from `first` (the backup's end) to `last` (the last commit kept).

    `last_lsn` is where that commit lies; None: no commit is kept after the backup. `segments` hold the way
    there. `missing` is the first segment not there although later ones are.
    """

    first: datetime
    last: datetime
    last_lsn: str | None
    segments: tuple[str, ...]
    missing: str | None


def recovery_range(record: BackupRecord, archive: Path | None, programs: Path) -> RecoveryRange:
    """Look through the archive; nothing is changed.

    Args:
        record: the backup.
        archive: where its WAL went on being kept; None or gone: only the backup itself can be had.
        programs: the folder of PostgreSQL's programs.
    """
    timeline = f"{record.timeline:08X}"
    kept = [] if archive is None else [name for name in kept_segments(archive) if name[:8] == timeline]
    later = {name for name in kept if name >= record.segment_after(1)}
    run: list[str] = []
    while (name := record.segment_after(len(run) + 1)) in later:
        run.append(name)
    missing = None if len(run) == len(later) else record.segment_after(len(run) + 1)
    if archive is not None:
        for at in range(len(run) - 1, -1, -1):
            commit = _last_commit(archive / f"{run[at]}{SUFFIX}", programs)
            if commit is not None and commit[0] >= record.ended_at:
                return RecoveryRange(record.ended_at, commit[0], commit[1], tuple(run[: at + 1]), missing)
    return RecoveryRange(record.ended_at, record.ended_at, None, (), missing)


def _last_commit(segment: Path, programs: Path) -> tuple[datetime, str] | None:
    """Instant and place of the last commit whose record begins in the segment; None where none can be read."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / segment.name.removesuffix(SUFFIX)
        try:
            with gzip.open(segment) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return None  # damaged: what is in it cannot be had
        # It fails at the segment's end, for the next one is not there; what it read before is what counts.
        told = run_program(programs / "pg_waldump", "--rmgr=Transaction", str(plain), may_fail=True)
    found = None
    for match in _COMMIT.finditer(told):
        found = (datetime.fromisoformat(match[2]).replace(tzinfo=UTC), match[1])
    return found
