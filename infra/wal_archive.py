"""The write-ahead log (WAL) of a home's PostgreSQL, kept segment by segment for point-in-time recovery.

It lies beside the data folder in `<data>.wal`, because the account PostgreSQL runs as must write there:
`.daogou/postgres.wal`, or below `/var/lib/daogou` for root. Inside it there is one folder for each life of
the database: a restore begins a new life, whose log must never be mixed with that of the old one (both go on
from the same point). `current` names the folder of the present life.

A segment is kept as `<name>.gz`. It is written under another name, brought to the disk, then renamed; one
that is there already is compared, and never replaced by a different one. Where that fails (folder gone, disk
full), PostgreSQL keeps the segment in `pg_wal`, tries again every minute and loses nothing, but `pg_wal`
grows meanwhile; `daogou backup` says so (`ArchiveState`).
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shlex
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
import structlog

from infra.cluster_swap import COMING, CURRENT, archive_root
from infra.durable_files import sync_folder, write_durably
from infra.service_user import Site, locate

ARCHIVE_TIMEOUT_S = 60
"""A segment that is not full is closed and kept after so long: at most so much is lost with the machine."""
SUFFIX = ".gz"
SEGMENT = re.compile(r"[0-9A-F]{24}")
_COPY = (
    'f={folder}/%f.gz; p="$f.part";'
    ' if [ -e "$f" ]; then gzip -dc < "$f" | cmp -s - "%p" && exit 0;'
    ' echo "a different %f is in the archive: $f" >&2; exit 1; fi;'
    ' umask 077 && gzip -1 < "%p" > "$p" && sync "$p" && mv "$p" "$f" && sync {folder}'
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """How the archive of a running server does.

    `waiting` segments are closed and not yet kept; `failed_at` is set while the last try failed.
    """

    folder: Path | None
    kept_until: datetime | None
    waiting: int
    failed_at: datetime | None


def archive_settings(home: Path) -> dict[str, str]:
    """From now on the home's server keeps its WAL, whoever starts it; the settings with which it does.

    For `running_postgres(home, settings=...)`; call it before. A server that runs already goes on without.

    Raises:
        EmbeddedServerError: the home cannot be used by this user.
        OSError: the folder cannot be made.
    """
    home = home.resolve()
    (home / "run").mkdir(parents=True, exist_ok=True)
    with (home / "run" / "postgres.start").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        site = locate(home)
        root = archive_root(site.data)
        _make_folder(root, site)
        if not site.data.exists():
            begin_life(site)  # a database yet to be made has nothing in common with what was kept before
        return kept_settings(site)


def kept_settings(site: Site) -> dict[str, str]:
    """The settings of a home whose WAL is kept; none where it is not. Call it under the start lock."""
    if not archive_root(site.data).exists():
        return {}
    folder = archive_folder(site) or begin_life(site)
    quoted = shlex.quote(str(folder)).replace("%", "%%")
    return {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_timeout": str(ARCHIVE_TIMEOUT_S),
        "archive_command": _COPY.format(folder=quoted),
    }


def archive_folder(site: Site) -> Path | None:
    """Where the present life's WAL is kept; None where none is."""
    root = archive_root(site.data)
    try:
        name = (root / CURRENT).read_text().strip()
    except FileNotFoundError:
        return None
    return root / name


def begin_life(site: Site) -> Path:
    """A new, empty folder for what the database in `site` is from now on; nothing old is removed."""
    return _new_life(site, CURRENT)


def prepare_life(site: Site) -> Path:
    """A folder for the cluster that is about to be put in the place of the one in `site` (`cluster_swap`)."""
    return _new_life(site, COMING)


def discard_coming_life(data: Path) -> None:
    """A restore that prepared a life was killed before it counted: the old one goes on."""
    named = archive_root(data) / COMING
    if named.exists():
        with suppress(OSError):  # somebody's file is in it: it may stay
            (archive_root(data) / named.read_text().strip()).rmdir()
        named.unlink()


def _new_life(site: Site, named_by: str) -> Path:
    root = archive_root(site.data)
    _make_folder(root, site)
    folder = root / secrets.token_hex(4)
    _make_folder(folder, site)
    write_durably(root / named_by, f"{folder.name}\n", mode=0o600)
    return folder


def kept_segments(folder: Path) -> list[str]:
    """Names of the segments in an archive, in order; empty where there is no such folder."""
    try:
        names = [path.name.removesuffix(SUFFIX) for path in folder.iterdir() if path.name.endswith(SUFFIX)]
    except FileNotFoundError:
        return []
    return sorted(name for name in names if SEGMENT.fullmatch(name))


def prune_before(folder: Path, first: str | None) -> int:
    """Remove the segments before `first` (all: None); gives how many."""
    gone = [name for name in kept_segments(folder) if first is None or name < first]
    for name in gone:
        (folder / f"{name}{SUFFIX}").unlink(missing_ok=True)
    if gone:
        log.info("wal_pruned", folder=str(folder), segments=len(gone), first_kept=first)
    return len(gone)


async def archive_state(connection: asyncpg.Connection, site: Site) -> ArchiveState:
    """Ask the running server, as its superuser."""
    if await connection.fetchval("SHOW archive_mode") == "off":
        return ArchiveState(None, None, 0, None)
    row = await connection.fetchrow(
        "SELECT last_archived_time, last_failed_time,"
        " (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') AS waiting"
        " FROM pg_stat_archiver"
    )
    kept, failed = row["last_archived_time"], row["last_failed_time"]
    failing = failed is not None and (kept is None or failed > kept)
    return ArchiveState(archive_folder(site), kept, int(row["waiting"]), failed if failing else None)


def _make_folder(folder: Path, site: Site) -> None:
    if folder.exists():
        return
    folder.mkdir(mode=0o700)
    if site.account is not None:
        os.chown(folder, site.account.uid, site.account.gid)
    sync_folder(folder.parent)
