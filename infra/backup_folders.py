"""The folders backups lie in: half-made ones, whole ones, and which are kept.

A backup grows in `.<name>.<token>.daogou-partial`, which is locked for as long as anybody writes to it, and
is renamed when it is whole. One that nobody holds was left by a killed run, and goes.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from infra.backup_record import RECORD, BackupRecord, read_record
from infra.durable_files import sync_folder

PARTIAL = ".daogou-partial"

log = structlog.get_logger(__name__)


@contextmanager
def growing(target: Path) -> Iterator[tuple[Path, int]]:
    """A folder beside `target` to make a backup in, and the descriptor that locks it; removed unless renamed.

    Whoever inherits the descriptor keeps the folder locked, so a pg_basebackup that outlives a killed run
    is not swept away from under its feet.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(target.parent):  # so that nobody sweeps the folder between its making and its locking
        sweep(target.parent)
        folder = _aside(target)
        folder.mkdir(mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield folder, descriptor
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)  # renamed by now if all went well


def sweep(parent: Path) -> None:
    """Remove what killed runs left half made, or half removed."""
    for folder in parent.glob(f".*{PARTIAL}"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue  # another backup is at work
        else:
            shutil.rmtree(folder)
            log.info("interrupted_backup_removed", folder=str(folder))
        finally:
            os.close(descriptor)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep a backup from being removed while it is read."""
    with (folder / RECORD).open("rb") as record:
        fcntl.flock(record, fcntl.LOCK_SH)
        yield


def backups_in(parent: Path, system_identifier: str) -> dict[Path, BackupRecord]:
    """The whole backups of one cluster (in any of its lives) in a folder, the oldest first."""
    found = {}
    for path in parent.iterdir() if parent.is_dir() else ():
        if path.name.endswith(PARTIAL) or not path.is_dir():
            continue
        try:
            record = read_record(path)
        except (ValueError, OSError):
            continue  # not one of ours, or not one to judge
        if record is not None and record.system_identifier == system_identifier:
            found[path] = record
    return dict(sorted(found.items(), key=lambda item: (item[1].ended_at, item[0])))


def remove(folder: Path) -> bool:
    """Remove a backup; False if somebody is restoring from it. Killed in the middle, the next sweep ends it."""
    with (folder / RECORD).open("rb") as record:
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        gone = _aside(folder)
        folder.rename(gone)
    sync_folder(folder.parent)
    shutil.rmtree(gone)
    log.info("old_backup_removed", folder=str(folder))
    return True


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{secrets.token_hex(4)}{PARTIAL}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
