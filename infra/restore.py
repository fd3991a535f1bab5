"""`daogou restore`: a backup brought to life in a home, up to its end or to a later instant.

Everything happens in a folder beside the data folder: unpacking, checking every file against the manifest,
recovery, verification of the ledger. Only what came through is moved into place, so a restore that is
refused, fails or is killed leaves the home as it was. What it replaces is moved aside, never deleted.

A restored ledger sends nothing until a person says so: what it sent after its instant it no longer knows of.

The restored cluster gets the superuser's password of the home it goes to, and no other role keeps one. That
is better than keeping passwords in the backup: a lost backup opens no running server, and a restore needs
nothing but the backup.
"""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import os
import secrets
import shlex
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Literal

import structlog

from domain.errors import Problem, Refused
from infra.anchor_file import anchors_kept, set_anchors_aside
from infra.backup import OnStage
from infra.backup_folders import in_use
from infra.backup_record import BackupRecord, instant_text, read_record
from infra.cluster_swap import archive_root, incoming, replace_cluster
from infra.durable_files import sync_folder
from infra.embedded_postgres import SUPERUSER, EmbeddedPostgres
from infra.key_copies import bring_keys
from infra.key_file import FILE
from infra.key_store import keys_in
from infra.postgres_process import end_leftovers
from infra.postgres_programs import run_program
from infra.private_server import private_server
from infra.processes import run_until_terminated
from infra.recovery_range import RecoveryRange, recovery_range
from infra.restored_ledger import RestoredLedger, change_passwords, examine
from infra.server_errors import EmbeddedServerError
from infra.service_user import Account, Site, locate, programs
from infra.wal_archive import SUFFIX, discard_coming_life, prepare_life
from ledger.migrate import known_revisions

Target = datetime | Literal["latest"] | None
"""An instant; the last commit that is kept; None: the backup's own end."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What stands in the home now; `aside` is where the database went that stood there before."""

    home: Path
    record: BackupRecord
    reach: RecoveryRange
    ledger: RestoredLedger
    aside: Path | None
    seconds: float
    anchors: Path | None = None
    """Where the home's anchors went: they still tell of what came after the point of recovery."""


def restore(  # noqa: PLR0913 - the options of a command, all by name
    folder: Path,
    *,
    into: Path,
    at: Target,
    wal: Path | None,
    replace: bool,
    as_of: datetime,
    on_stage: OnStage,
    keys_url: str | None = None,
    anchors: Path | None = None,
) -> Restored:
    """Restore a backup into a home.

    Args:
        folder: the backup.
        into: the home; made where it is missing.
        at: where recovery ends.
        wal: the archive, where it is not where the backup says.
        replace: move a database that is in the home aside.
        as_of: the present instant.
        on_stage: told how far it is.
        keys_url: where the members' keys are, if not in the home. Those of the copy beside the backup are added to
            the home's; who was erased in either stays so.
        anchors: a file of anchors that is not in the home.

    Raises:
        Refused: it cannot be done as asked; what can is in the problem, and nothing was changed.
        EmbeddedServerError: PostgreSQL failed; what stood in the home stands there still.
    """
    clock = monotonic()
    record = _read(folder)
    _check_versions(folder, record)
    if wal is not None and not wal.is_dir():
        raise Refused([Problem("--wal", str(wal), "restore_no_wal_folder")])
    archive = wal or (None if record.archive is None else Path(record.archive))
    reach = recovery_range(record, archive, programs())
    _check_instant(at, reach, as_of)
    home = into.resolve()
    try:
        with in_use(folder), _alone(home, replace=replace) as site:
            _sweep(site.data)
            work = site.data.with_name(f"{site.data.name}.restore-{secrets.token_hex(4)}")
            new = not (home / FILE).exists()
            if keys_url is None:
                bring_keys(folder, home)
            try:
                there = Site(site.bin, work, site.account)
                on_stage("restore_unpack", 0, 1)
                _unpack(folder, there)
                on_stage("restore_unpack", 1, 1)
                ledger = _recover(
                    there,
                    home,
                    record,
                    _target(at, reach),
                    archive,
                    reach,
                    as_of,
                    on_stage,
                    keys_url=keys_url,
                    anchors=anchors,
                )
                if archive_root(site.data).exists():
                    prepare_life(
                        site
                    )  # its log goes on from where the old one does, and must not mix with it
                aside = site.data.with_name(f"{site.data.name}.replaced-{as_of:%Y%m%dT%H%M%S.%fZ}")
                replaced = replace_cluster(site.data, work, aside)
                moved = set_anchors_aside(home, as_of)
                new = False
            finally:
                if new:
                    (home / FILE).unlink(missing_ok=True)  # the home is left as it was
                _remove(work)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Refused([Problem("--into", str(into), "restore_home_unusable", {"why": why})]) from error
    log.info("backup_restored", folder=str(folder), home=str(home), position=ledger.position)
    return Restored(home, record, reach, ledger, replaced, monotonic() - clock, moved)


def _read(folder: Path) -> BackupRecord:
    try:
        record = read_record(folder)
    except (ValueError, OSError) as error:
        raise Refused([Problem("FOLDER", str(folder), "restore_record_unreadable")]) from error
    if record is None:
        raise Refused([Problem("FOLDER", str(folder), "restore_not_a_backup")])
    return record


def _check_versions(folder: Path, record: BackupRecord) -> None:
    here = run_program(programs() / "postgres", "--version").split()[-1]
    if record.postgres.partition(".")[0] != here.partition(".")[0]:
        told = {"made": record.postgres, "here": here}
        raise Refused([Problem("FOLDER", str(folder), "restore_other_postgres", told)])
    if record.revision and record.revision not in known_revisions():
        told = {"revision": record.revision}
        raise Refused([Problem("FOLDER", str(folder), "restore_newer_schema", told)])


def _check_instant(at: Target, reach: RecoveryRange, as_of: datetime) -> None:
    """Refuse what cannot be reached, and say what can."""
    if not isinstance(at, datetime):
        return
    value = instant_text(at)
    told = {"first": instant_text(reach.first), "last": instant_text(reach.last), "now": instant_text(as_of)}
    if at > as_of:
        raise Refused([Problem("--at", value, "restore_in_future", told)])
    if at < reach.first and reach.last_lsn is None:
        raise Refused([Problem("--at", value, "restore_only_backup", told)])
    if at < reach.first:
        raise Refused([Problem("--at", value, "restore_before_backup", told)])
    if at > reach.last and reach.missing is not None:
        raise Refused([Problem("--at", value, "restore_wal_gap", told | {"missing": reach.missing})])
    if at > reach.last and reach.last_lsn is None:
        raise Refused([Problem("--at", value, "restore_without_wal", told)])
    if at > reach.last:
        raise Refused([Problem("--at", value, "restore_after_wal", told)])


def _target(at: Target, reach: RecoveryRange) -> dict[str, str]:
    """Where recovery ends. PostgreSQL fails where it cannot get there, rather than stopping short."""
    if at is None or reach.last_lsn is None:
        return {"recovery_target": "immediate"}
    if isinstance(at, datetime) and at < reach.last:
        return {"recovery_target_time": at.isoformat(sep=" ")}
    return {"recovery_target_lsn": reach.last_lsn}  # no later commit would show that the instant is passed


@contextmanager
def _alone(home: Path, *, replace: bool) -> Iterator[Site]:
    """Keep everybody else from the home's PostgreSQL while the block runs."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    with (
        (home / "run" / "postgres.start").open("a") as start,
        (home / "run" / "postgres.users").open("a") as users,
    ):
        fcntl.flock(start, fcntl.LOCK_EX)
        site = locate(home)
        if site.data.exists() and not replace:
            raise Refused([Problem("--into", str(home), "restore_home_taken")])
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused([Problem("--into", str(home), "restore_home_in_use")]) from error
        end_leftovers(site.data)  # stops the server a killed user left, too
        yield site


def _sweep(data: Path) -> None:
    """Remove what a killed restore left: its server first, which may still be recovering."""
    left = list(data.parent.glob(f"{data.name}.restore-*"))
    if data.exists() and incoming(data).exists():
        left.append(incoming(data))
    discard_coming_life(data)
    for folder in left:
        _remove(folder)
        log.info("interrupted_restore_removed", folder=str(folder))


def _remove(folder: Path) -> None:
    end_leftovers(folder)
    for one in (folder, _log_of(folder)):
        shutil.rmtree(one, ignore_errors=not one.exists())


def _log_of(work: Path) -> Path:
    """Where the segments lie that are to be recovered from, readable by the server's account."""
    return work.with_name(f"{work.name}.log")


def _unpack(folder: Path, site: Site) -> None:
    """Unpack a backup into the data folder of `site` and check all of it.

    Raises:
        Refused: it is not as it was when it was made.
    """
    work = site.data
    work.mkdir(mode=0o700)
    try:
        for name, where in (("base.tar.gz", work), ("pg_wal.tar.gz", work / "pg_wal")):
            with tarfile.open(folder / name, "r:gz") as archive:
                archive.extractall(where, filter="data")
        shutil.copyfile(folder / "backup_manifest", work / "backup_manifest")
        run_program(site.bin / "pg_verifybackup", "--exit-on-error", "--quiet", str(work))
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, FileNotFoundError) as error:
        raise Refused([Problem("FOLDER", str(folder), "restore_damaged", {"what": str(error)})]) from error
    except EmbeddedServerError as error:
        raise Refused([Problem("FOLDER", str(folder), "restore_damaged", {"what": error.where})]) from error
    (work / "recovery.signal").touch()
    for path in (work, *work.rglob("*")):
        _settle(path, site.account)


def _settle(path: Path, account: Account | None) -> None:
    """Make a file or folder the server's, for nobody else to read, and bring it to the disk."""
    path.chmod(0o700 if path.is_dir() else 0o600)
    if account is not None:
        os.chown(path, account.uid, account.gid)
    sync_folder(path)  # a file is synced the same way


def _recover(  # noqa: PLR0913 - one caller, which has them all
    site: Site,
    home: Path,
    record: BackupRecord,
    target: dict[str, str],
    archive: Path | None,
    reach: RecoveryRange,
    as_of: datetime,
    on_stage: OnStage,
    *,
    keys_url: str | None,
    anchors: Path | None,
) -> RestoredLedger:
    """Bring the cluster in `site` to the target, stop its messages and give it the home's password."""
    command = "false"
    if archive is not None and "recovery_target" not in target:
        staged = _stage(archive, reach, site)
        quoted = shlex.quote(str(staged)).replace("%", "%%")
        command = f'gzip -dc < {quoted}/%f{SUFFIX} > "%p"'
    settings = {
        **target,
        "restore_command": command,
        "recovery_target_action": "promote",
        "recovery_target_timeline": "current",
        "hot_standby": "off",  # nobody gets in before it has ended
        "archive_mode": "off",
    }
    password = EmbeddedPostgres(home).role_password(SUPERUSER)
    on_stage("restore_recover", 0, 1)
    with private_server(site, home / "run" / "restore.console.log", settings) as login:
        on_stage("restore_recover", 1, 1)
        ledger = run_until_terminated(
            examine(
                login,
                record.database,
                as_of=as_of,
                keys=lambda tenant: keys_in(home, keys_url, tenant),
                anchors=lambda tenant: anchors_kept(home, record.database, tenant, anchors),
                on_progress=lambda done, total: on_stage("verify", done, total),
            )
        )
        asyncio.run(change_passwords(login, password))
    return ledger


def _stage(archive: Path, reach: RecoveryRange, site: Site) -> Path:
    """Copy the segments to where the server's account can read them, wherever the archive lies."""
    staged = _log_of(site.data)
    staged.mkdir(mode=0o700)
    for name in reach.segments:
        shutil.copyfile(archive / f"{name}{SUFFIX}", staged / f"{name}{SUFFIX}")
    if site.account is not None:
        for path in (staged, *staged.iterdir()):
            os.chown(path, site.account.uid, site.account.gid)
    return staged
