"""What a backup says about itself: `backup.json`, written last, so that a folder without it is no backup."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from infra.durable_files import write_durably

RECORD = "backup.json"
FORMAT = 1
_LSN = r"^[0-9A-F]{1,8}/[0-9A-F]{1,8}$"


class BackupRecord(BaseModel):
    """Neither secrets nor anything about people: when, of what, and where its log goes on."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    began_at: AwareDatetime
    """Every event acknowledged before is in it."""
    ended_at: AwareDatetime
    """The earliest instant recovery can reach, starting from it."""
    daogou: str
    postgres: str
    """The server's version, e.g. `18.1`; only the same major version can read the backup."""
    database: str
    revision: str
    """Of the schema."""
    position: int
    """Of the ledger's last event when it began; 0: none."""
    last_event_at: AwareDatetime | None
    system_identifier: str
    """PostgreSQL's own name of the cluster; a restore keeps it."""
    timeline: int
    start_lsn: str = Field(pattern=_LSN)
    end_lsn: str = Field(pattern=_LSN)
    segment_bytes: int = Field(gt=0)
    archive: str | None
    """Folder in which its WAL went on being kept; None: it was not."""

    @property
    def first_segment(self) -> str:
        """The WAL segment recovery begins with (contained in the backup)."""
        return self._segment(_number(self.start_lsn) // self.segment_bytes)

    def _segment(self, number: int) -> str:
        per_log = 0x1_0000_0000 // self.segment_bytes
        return f"{self.timeline:08X}{number // per_log:08X}{number % per_log:08X}"

    def segment_after(self, steps: int) -> str:
        """The name of the segment `steps` after the backup's last one; 1: the first not contained in it."""
        return self._segment((_number(self.end_lsn) - 1) // self.segment_bytes + steps)


def read_record(folder: Path) -> BackupRecord | None:
    """What the backup in `folder` says about itself; None where there is no whole backup.

    Raises:
        ValueError: there is a record, and it cannot be read.
    """
    try:
        text = (folder / RECORD).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return BackupRecord.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{folder / RECORD}: {error}") from error


def write_record(folder: Path, record: BackupRecord) -> None:
    """Write it, on the disk when it returns."""
    write_durably(folder / RECORD, record.model_dump_json(indent=2) + "\n", mode=0o600)


def _number(lsn: str) -> int:
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def instant_text(instant: datetime) -> str:
    """An instant as it may be given back to `--at`: ISO 8601 with its offset, to the microsecond."""
    return instant.isoformat().replace("+00:00", "Z")
