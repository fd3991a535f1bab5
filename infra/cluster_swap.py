"""Putting a restored cluster in the place of another, so that a kill leaves the old one or the new one, whole.

The new cluster waits beside the place (`incoming`), and so does the name of the WAL folder of its life
(`<data>.wal/coming`). Until the old cluster is moved aside nothing of either counts; from then on the place is
empty, and whoever starts next finishes it. So a cluster never keeps its WAL in a folder of another life.
"""

from __future__ import annotations

from pathlib import Path

import structlog

from infra.durable_files import sync_folder

CURRENT = "current"
COMING = "coming"

log = structlog.get_logger(__name__)


def archive_root(data: Path) -> Path:
    """The folder of all WAL archives of the cluster in `data`."""
    return data.with_name(f"{data.name}.wal")


def incoming(data: Path) -> Path:
    """Where a restored cluster waits, whole, while the one it replaces is moved out of its place."""
    return data.with_name(f"{data.name}.incoming")


def replace_cluster(data: Path, work: Path, aside: Path) -> Path | None:
    """Move `work` to `data`; gives where that went which stood there (`aside`; None: nothing did)."""
    work.rename(incoming(data))
    sync_folder(data.parent)
    replaced = data.exists()
    if replaced:
        data.rename(aside)
        sync_folder(data.parent)
    _move_in(data)
    return aside if replaced else None


def finish_replacing(data: Path) -> None:
    """A restore was killed on the way: the place is empty, and what belongs there is beside it."""
    if not data.exists() and incoming(data).exists():
        _move_in(data)
        log.warning("interrupted_restore_finished", data=str(data))


def _move_in(data: Path) -> None:
    """Its life first: killed in between, the place is still empty and this is done again."""
    root = archive_root(data)
    if (root / COMING).exists():
        (root / COMING).rename(root / CURRENT)
        sync_folder(root)
    incoming(data).rename(data)
    sync_folder(data.parent)
