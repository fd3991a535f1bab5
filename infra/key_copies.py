"""Copies of the members' keys: made by backups, remembered by the home, reached by erasures, brought back."""

from __future__ import annotations

import fcntl
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import structlog

from domain.errors import Problem, Refused
from infra.durable_files import sync_folder, write_durably
from infra.key_file import FILE, beside, destroy_in, destroyed_in, is_sound, leave_whole, merge, opened, touch

COPIES = Path("keys") / "copies"
"""Below a home: one a line, the files that backups copied the key store to; relative to the home if below it."""
USUAL = Path("backups") / FILE
"""Below a home: where backups copy it to if nobody says otherwise."""

WAIT_S = 20.0
"""So long one waits for another who writes a copy; a copy takes some milliseconds."""
_PART = ".part"
_UNREADABLE = ".unreadable-"

log = structlog.get_logger(__name__)


def copy_keys(home: Path, folder: Path) -> Path | None:
    """Copy the home's key store to `folder`/keys, over the copy before; None: there is no store.

    One copy, always of now: a dated one would bring back what was erased since. What the copy before holds and the
    home lacks stays in it: the home's store may have been lost. Whose key was destroyed in either is destroyed in
    both. The home remembers where the copy lies, so that an erasure reaches it.
    """
    source, target = home / FILE, folder / FILE
    if not source.exists():
        return None
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remember_copy(home, target)  # first: an erasure from now on reaches the copy, or is in it
    with _alone(target) as alone:
        if not alone:
            raise TimeoutError(f"{target}: another backup has been copying the keys there for too long")
        _sweep(target)
        return _copied(source, target)


def _copied(source: Path, target: Path) -> Path:
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}{_PART}")
    before = _before(target)
    try:
        touch(part)
        with closing(opened(source)) as store, closing(sqlite3.connect(part)) as copy:
            if before:
                destroy_in(store, destroyed_in(target))
            store.backup(copy)
            leave_whole(copy)
            if before and (differing := merge(copy, target)):
                log.error("member_keys_differ", copy=str(target), keys=differing)
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for left in beside(target):
            left.unlink(missing_ok=True)
        part.rename(target)
        sync_folder(target.parent)
        # Who was erased while the copy was made: that erasure reached the file that was replaced.
        _destroy_in_copy(target, destroyed_in(source))
    finally:
        part.unlink(missing_ok=True)
    return target


def bring_keys(backup: Path, home: Path) -> bool:
    """Add the keys of the copy beside a backup to a home's; False: there is no copy.

    Raises:
        Refused: the copy cannot be read.
    """
    copy = backup.absolute().parent / FILE
    if not copy.exists():
        return False
    if not is_sound(copy):
        raise Refused([Problem("FOLDER", str(backup), "restore_damaged", {"what": str(copy)})])
    bring_from(copy, home)
    return True


def bring_from(copy: Path, home: Path) -> None:
    """Add the keys of a copy to a home's.

    Whose key was destroyed in either is destroyed: who was erased since the copy was made stays unreadable. Where both
    have a key and they differ, both are kept; opening the ledger finds out which one opens what is sealed.
    """
    with closing(opened(home / FILE)) as mine:
        differing = merge(mine, copy)
    if differing:
        log.error("member_keys_differ", copy=str(copy), keys=differing)


def known_copies(home: Path) -> list[Path]:
    """The copies that the home remembers, and the usual one if it is there."""
    listed = [home / line for line in _lines(home)]
    usual = home / USUAL
    return [*listed, usual] if usual.is_file() and usual not in listed else listed


def destroy_in_copies(home: Path, tenant_id: int, member: bytes) -> int:
    """Destroy a member's key in every known copy; gives how many were not reached. Nothing is raised."""
    try:
        copies = known_copies(home)
    except (OSError, ValueError) as error:
        log.warning("key_copies_unknown", why=str(error))
        return 1
    missed = 0
    for copy in copies:
        try:
            _destroy_in_copy(copy, [(tenant_id, member)])
        except (OSError, sqlite3.Error) as error:
            log.warning("key_copy_not_reached", copy=str(copy), why=str(error))
            missed += 1
        missed += _destroy_beside(copy, [(tenant_id, member)])
    return missed


def _destroy_beside(copy: Path, members: list[tuple[int, bytes]]) -> int:
    """The same in what backups left beside a copy: parts of killed ones, and copies that could not be read.

    A part goes; whoever is writing one just now is waited for, and reads who was erased at its end. A copy that was put
    aside counts as missed unless it can be read by now: the key may be in a page of it that cannot.
    """
    missed = 0
    try:
        if _parts(copy):
            with _alone(copy) as alone:
                if alone:
                    _sweep(copy)
                else:
                    missed += 1
        for aside in sorted(copy.parent.glob(f"{copy.name}{_UNREADABLE}*")):
            if is_sound(aside):
                _destroy_in_copy(aside, members)
            else:
                log.warning(
                    "key_copy_not_reached", copy=str(aside), why="it cannot be read: mend or remove it"
                )
                missed += 1
    except (OSError, sqlite3.Error) as error:
        log.warning("key_copy_not_reached", copy=str(copy.parent), why=str(error))
        missed += 1
    return missed


def _parts(copy: Path) -> list[Path]:
    return sorted(copy.parent.glob(f"{copy.name}.*{_PART}*"))


def _sweep(copy: Path) -> None:
    """Remove what killed backups left; call it alone (`_alone`)."""
    for part in _parts(copy):
        log.warning("key_copy_part_removed", part=str(part))
        part.unlink(missing_ok=True)


@contextmanager
def _alone(copy: Path) -> Iterator[bool]:
    """Whether nobody else writes this copy meanwhile; the lock is on its folder, and goes with the process that holds it."""
    if not copy.parent.is_dir():
        yield True
        return
    folder = os.open(copy.parent, os.O_RDONLY)
    try:
        ends = time.monotonic() + WAIT_S
        while not (alone := _locked(folder)) and time.monotonic() < ends:
            time.sleep(0.05)  # flock waits for ever or not at all
        yield alone
    finally:
        os.close(folder)


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks: what is swept is then whatever is there
        log.warning("key_copy_not_locked", why=str(error))
    return True


def _destroy_in_copy(copy: Path, members: list[tuple[int, bytes]]) -> None:
    if not copy.is_file():
        raise FileNotFoundError(f"{copy}: no such file")
    with closing(opened(copy)) as connection:
        destroy_in(connection, members)
        with suppress(sqlite3.OperationalError):  # somebody reads it just now
            leave_whole(connection)


def _before(target: Path) -> bool:
    """Whether there is a copy already; one that cannot be read is put aside, never overwritten."""
    if not target.exists():
        return False
    if is_sound(target):
        return True
    aside = target.with_name(f"{target.name}{_UNREADABLE}{secrets.token_hex(4)}")
    target.rename(aside)
    log.error(
        "key_copy_unreadable", moved_to=str(aside), remedy="no erasure reaches it: mend it or remove it"
    )
    return False


def _lines(home: Path) -> list[str]:
    listed = home / COPIES
    if not listed.exists():
        return []
    return [line for line in listed.read_text(encoding="utf-8").splitlines() if line]


def _remember_copy(home: Path, copy: Path) -> None:
    root, there = home.resolve(), copy.resolve()
    line = str(there.relative_to(root) if there.is_relative_to(root) else there)
    known = _lines(home)
    if line not in known:
        write_durably(home / COPIES, "".join(f"{one}\n" for one in [*known, line]), mode=0o600)
