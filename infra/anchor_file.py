"""The anchor file: every seal as one line outside the database, appended and never changed.

By default it lies in the home, `anchors/<database>-<tenant>.jsonl`: on the same machine, but not in the database. With
DAOGOU_ANCHORS it lies where you say: a mount of another machine, or one that only appends, is worth more.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from domain.errors import Refused
from infra.durable_files import sync_folder
from infra.settings import Settings
from ledger.anchors import Anchor, anchor_line, read_anchors
from ledger.seals import Seal

FOLDER = "anchors"
"""Below the home."""
log = structlog.get_logger(__name__)
_TAIL_BYTES = 4_096
"""Some fifteen lines: what other workers may have appended meanwhile is among them."""


def anchor_path(settings: Settings) -> Path:
    """Where this ledger's anchors are."""
    if settings.anchors is not None:
        return settings.anchors
    database = settings.database
    if settings.database_url is not None:
        database = urlsplit(settings.database_url).path.strip("/") or "database"
    return settings.home / FOLDER / f"{database}-{settings.tenant_id}.jsonl"


def set_anchors_aside(home: Path, as_of: datetime) -> Path | None:
    """Move a home's anchors aside: the ledger was restored, and they tell of what may be lost. None: there are none."""
    folder = home / FOLDER
    if not folder.is_dir():
        return None
    return folder.rename(home / f"{FOLDER}.replaced-{as_of:%Y%m%dT%H%M%S.%fZ}")


def anchors_kept(home: Path, database: str, tenant_id: int, elsewhere: Path | None) -> list[Anchor]:
    """Every anchor of a ledger that a home has, those that restores moved aside too, and of the file elsewhere.

    A file with a line that is no anchor is passed over: what is found is held against a ledger, nothing rests on it.
    """
    name = f"{database}-{tenant_id}.jsonl"
    paths = [home / FOLDER / name, *sorted(home.glob(f"{FOLDER}.replaced-*/{name}"))]
    found: list[Anchor] = []
    for path in (*paths, *((elsewhere,) if elsewhere is not None else ())):
        try:
            found += _read(path, tenant_id)
        except (Refused, OSError) as error:
            log.warning("anchors_unreadable", path=str(path), why=str(error))
    return found


async def append_anchor(path: Path, seal: Seal, tenant_id: int) -> bool:
    """Append a seal, unless it is there; it is on the disk when this returns.

    Raises:
        OSError: the folder is away, or full.
    """
    return await asyncio.to_thread(_append, path, seal, tenant_id)


async def read_anchor_file(path: Path, tenant_id: int) -> list[Anchor]:
    """Every anchor of a file; none where there is no file.

    Raises:
        Refused: a line is no anchor of this brand's.
    """
    return await asyncio.to_thread(_read, path, tenant_id)


def _read(path: Path, tenant_id: int) -> list[Anchor]:
    try:
        return read_anchors(path.read_text(encoding="utf-8", errors="replace"), tenant_id, str(path))
    except FileNotFoundError:
        return []


def _append(path: Path, seal: Seal, tenant_id: int) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = not path.exists()
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # workers of one machine share the file
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        tail = file.read().decode(errors="replace")
        if seal.seal_hash.hex() in tail:
            return False
        # What a killed writer left half is ended, so that this line stands alone.
        torn = tail and not tail.endswith("\n")
        file.write((("\n" if torn else "") + anchor_line(seal, tenant_id) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())
    if new:
        sync_folder(path.parent)
    return True
