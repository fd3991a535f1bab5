"""`daogou backup`: a whole copy of the embedded PostgreSQL while it works, verified, and all or nothing.

The cluster's passwords are not in it: those in the catalogue are one-way verifiers, and a restore gives the
restored cluster those of the home it goes to.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import monotonic
from typing import Any

import asyncpg
import structlog

from domain.errors import NotFound, Problem, Refused
from infra.backup_folders import backups_in, growing, remove
from infra.backup_record import BackupRecord, write_record
from infra.backup_standing import FOLDER, note_backup
from infra.clock import now
from infra.durable_files import sync_folder
from infra.embedded_postgres import PostgresAddress, running_postgres
from infra.key_copies import copy_keys
from infra.postgres_programs import run_program
from infra.service_user import Site, locate
from infra.settings import Settings
from infra.wal_archive import ArchiveState, archive_state, prune_before

KEEP = 7

OnStage = Callable[[str, int, int], None]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: where, how big, how long it took, and what was removed for it."""

    folder: Path
    record: BackupRecord
    size: int
    seconds: float
    archive: ArchiveState
    removed: tuple[Path, ...]
    segments_removed: int
    keys: Path | None = None
    """The one current copy of the members' keys beside it; None: there are none, or they are not in the home."""


def back_up(settings: Settings, *, to: Path | None, keep: int | None, on_stage: OnStage) -> Backup:
    """Back up the embedded PostgreSQL of the settings' home, starting it for as long if none runs.

    Args:
        settings: the home, and the database that must be in it.
        to: the folder to make; None: one named by the instant in the home's `backups`.
        keep: how many backups to keep where this one goes, itself included. None: 7 in the home's
            `backups`, all elsewhere, for what lies there is not only ours to judge.
        on_stage: told how far it is.

    Raises:
        Refused: the database is not the embedded one, or the folder cannot be made; nothing was changed.
        NotFound: there is no database of that name.
        EmbeddedServerError: PostgreSQL or one of its programs failed; no backup was made.
    """
    refuse_managed(settings, "backup")
    began, clock = now(), monotonic()
    home = settings.home.resolve()
    target = (to or home / FOLDER / f"{began:%Y-%m-%dT%H%M%SZ}").absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Refused([Problem("--to", str(target), "backup_folder_taken")])
    site = site_of(home)
    if site is None or not site.data.exists():
        raise Refused([Problem("--home", str(settings.home), "backup_without_database")])
    with running_postgres(home) as (_, address):
        told = asyncio.run(_ask(address, settings.database, site))
        try:
            with growing(target) as (work, lock):
                on_stage("backup", 0, 1)
                _copy(site, address, work, lock)
                on_stage("backup", 1, 1)
                on_stage("backup_verify", 0, 1)
                manifest = _verified(site, work)
                record = _record(told, manifest, began=began, ended=now())
                write_record(work, record)
                size = sum(path.stat().st_size for path in work.iterdir())
                with suppress(FileNotFoundError):
                    target.rmdir()  # an empty folder may stand in the name's place
                work.rename(target)
                sync_folder(target.parent)
                on_stage("backup_verify", 1, 1)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Refused([Problem("--to", str(target), "backup_folder_unusable", {"why": why})]) from error
        archive = asyncio.run(_archive(address, site))
    # After the copying: whoever's data is in the backup has a key in the copy.
    keys = copy_keys(home, target.parent) if settings.keys_url is None else None
    note_backup(home, record)
    removed, segments = _prune(home, target, record, keep if to or keep else KEEP)
    log.info("backup_made", folder=str(target), bytes=size, position=record.position, removed=len(removed))
    return Backup(target, record, size, monotonic() - clock, archive, removed, segments, keys)


def refuse_managed(settings: Settings, command: str) -> None:
    """A PostgreSQL of yours is backed up by whoever runs it; only the embedded one is ours to copy."""
    if settings.database_url is not None:
        raise Refused([Problem("DATABASE_URL", "", "backup_managed", {"command": command})])


def site_of(home: Path) -> Site | None:
    """Where the home's PostgreSQL lives; None where there never was any."""
    if not (home / "passwords").exists():
        return None
    (home / "run").mkdir(parents=True, exist_ok=True)
    with (home / "run" / "postgres.start").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return locate(home)


async def _ask(address: PostgresAddress, database: str, site: Site) -> dict[str, Any]:
    """What the record says of the database before the copying begins."""
    try:
        connection = await asyncpg.connect(address.url(database))
    except asyncpg.InvalidCatalogNameError as error:
        raise NotFound(Problem("--database", database, "unknown_database")) from error
    try:
        settings = await connection.fetchrow(
            "SELECT current_setting('server_version') AS postgres,"
            " (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size') AS segment_bytes"
        )
        archive = (await archive_state(connection, site)).folder
        told = {"database": database, "revision": "", "position": 0, "last_event_at": None, **settings}
        told["archive"] = None if archive is None else str(archive)
        if await connection.fetchval("SELECT to_regclass('daogou.event') IS NOT NULL"):
            told |= dict(await last_event(connection))
            told["revision"] = await connection.fetchval("SELECT version_num FROM public.daogou_migration")
        return told
    finally:
        await connection.close()


async def last_event(connection: asyncpg.Connection) -> asyncpg.Record:
    """`position` and `last_event_at` of a ledger, over all its tenants; asked as a superuser."""
    return await connection.fetchrow(
        "SELECT (SELECT coalesce(max(position), 0) FROM daogou.event_position) AS position,"
        " (SELECT max(known_at) FROM daogou.event) AS last_event_at"
    )


async def _archive(address: PostgresAddress, site: Site) -> ArchiveState:
    connection = await asyncpg.connect(address.url("postgres"))
    try:
        return await archive_state(connection, site)
    finally:
        await connection.close()


def _copy(site: Site, address: PostgresAddress, work: Path, lock: int) -> None:
    """`base.tar.gz`, `pg_wal.tar.gz` (the log written meanwhile) and `backup_manifest`, on the disk."""
    run_program(
        site.bin / "pg_basebackup",
        f"--pgdata={work}",
        "--format=tar",
        "--compress=client-gzip:1",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--manifest-checksums=SHA256",
        "--label=daogou backup",
        f"--host={address.host}",
        f"--port={address.port}",
        f"--username={address.user}",
        "--no-password",
        environment={"PGPASSWORD": address.password},
        keep_open=[lock],
    )


def _verified(site: Site, work: Path) -> dict[str, Any]:
    """Read every file back against the manifest, and the log record by record; gives the manifest."""
    run_program(site.bin / "pg_verifybackup", "--no-parse-wal", "--exit-on-error", "--quiet", str(work))
    manifest: dict[str, Any] = json.loads((work / "backup_manifest").read_text(encoding="utf-8"))
    # pg_verifybackup cannot read the log in an archive; this is what it does with one that is not.
    with tempfile.TemporaryDirectory(dir=work) as unpacked:
        with tarfile.open(work / "pg_wal.tar.gz") as archive:
            archive.extractall(unpacked, filter="data")
        for part in manifest["WAL-Ranges"]:
            run_program(
                site.bin / "pg_waldump",
                "--quiet",
                f"--path={unpacked}",
                f"--timeline={part['Timeline']}",
                f"--start={part['Start-LSN']}",
                f"--end={part['End-LSN']}",
            )
    return manifest


def _record(
    told: dict[str, Any], manifest: dict[str, Any], *, began: datetime, ended: datetime
) -> BackupRecord:
    part = manifest["WAL-Ranges"][-1]
    return BackupRecord(
        began_at=began,
        ended_at=ended,
        daogou=_version(),
        system_identifier=str(manifest["System-Identifier"]),
        timeline=part["Timeline"],
        start_lsn=part["Start-LSN"],
        end_lsn=part["End-LSN"],
        **told,
    )


def _prune(home: Path, target: Path, record: BackupRecord, keep: int | None) -> tuple[tuple[Path, ...], int]:
    """Remove backups beyond `keep`, then the WAL that no known backup needs any more."""
    own, beside = home / FOLDER, target.parent
    there = backups_in(beside, record.system_identifier)
    surplus = [] if keep is None else [path for path in list(there)[:-keep] if path != target]
    gone = {path: there[path] for path in surplus if remove(path)}
    known = backups_in(own, record.system_identifier) | backups_in(beside, record.system_identifier)
    segments = 0
    for archive in {one.archive for one in (record, *gone.values()) if one.archive is not None}:
        needed = [one.first_segment for one in known.values() if one.archive == archive]
        segments += prune_before(Path(archive), min(needed, default=None))
    return tuple(gone), segments


def _version() -> str:
    try:
        return version("daogou")
    except PackageNotFoundError:
        return ""  # run from a checkout that is not installed
