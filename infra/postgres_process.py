"""PostgreSQL's processes: which ones are ours, starting one, ending them.

A process counts as ours only if its working folder is exactly our data folder (the server and all its
children stay there); a pid file alone proves nothing, because pids are reused.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import psutil
import structlog

from infra.durable_files import sync_folder
from infra.processes import send, wait_ended
from infra.server_errors import EmbeddedServerError

if TYPE_CHECKING:
    from infra.service_user import Account, Site

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # no PG* variable of the caller gets in
PROGRAMS = frozenset({"postgres", "initdb"})
ORPHANS_MAY_FINISH_S = 3.0  # orphans notice the loss of their postmaster at the next wait, normally at once
FAST_STOP_S = 300.0  # the closing checkpoint of a big shared_buffers on a slow disk

log = structlog.get_logger(__name__)


class _AsAccount(TypedDict):
    user: int | None
    group: int | None
    extra_groups: list[int] | None


@dataclass(frozen=True, slots=True)
class PidFile:
    """What `postmaster.pid` says: process id, TCP port, and whether connections are accepted."""

    pid: int
    port: int
    ready: bool


def read_pid_file(data: Path) -> PidFile | None:
    """Reads `postmaster.pid`; None while it is missing or not yet complete."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return PidFile(int(lines[0]), int(lines[3]), lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def processes_in(folder: Path) -> list[psutil.Process]:
    """The PostgreSQL processes whose working folder is exactly `folder`, zombies not counted."""
    found = []
    for process in psutil.process_iter():
        try:
            # Children rename themselves to "postgres: checkpointer " and so on.
            words = process.cmdline()
            name = words[0] if words else ""
            ours = name.startswith("postgres: ") or Path(name).name in PROGRAMS
            if ours and process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue  # ended meanwhile, or another user's
    return found


def find_postmaster(data: Path) -> psutil.Process | None:
    """The running server whose data folder is exactly `data`."""
    for process in processes_in(data):
        if _is_postmaster(process, data):
            return process
    return None


def _is_postmaster(process: psutil.Process, data: Path) -> bool:
    try:
        return process.cmdline()[1:3] == ["-D", str(data)]
    except psutil.Error:
        return False


def end_leftovers(folder: Path) -> None:
    """Ends what a killed server or initdb left running in `folder`; they hold its shared memory."""
    left = wait_ended(
        [process for process in processes_in(folder) if not _is_postmaster(process, folder)],
        ORPHANS_MAY_FINISH_S,
    )
    stop_postmaster(folder)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in left:
            log.warning("postgres_orphan_ended", pid=process.pid, folder=str(folder), signal=number.name)
            send(process, number)
        left = wait_ended(left, ORPHANS_MAY_FINISH_S)


def stop_postmaster(data: Path) -> None:
    """Stops the server of `data`, if one runs, in fast mode: clients are cut off, nothing committed is lost."""
    postmaster = find_postmaster(data)
    if postmaster is None:
        return
    for number, patience in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        send(postmaster, number)
        if not wait_ended([postmaster], patience):
            log.info("postgres_stopped", data=str(data), signal=number.name)
            return
        log.warning("postgres_stop_overdue", data=str(data), signal=number.name)


def spawn(site: "Site", options: dict[str, str], console: Path) -> int:
    """Starts the server in a session of its own and gives its pid; what it prints goes to `console`.

    A shell in between hands the server over to init: so it never becomes our zombie when another user of
    it stops it, and the terminal's Ctrl-C does not reach it.
    """
    command = [str(site.bin / "postgres"), "-D", str(site.data)]
    command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with console.open("wb") as output:
        shell = subprocess.run(  # noqa: S603 - our own wheel's program; the words are passed, not pasted
            ["/bin/sh", "-c", '"$@" </dev/null >&2 & echo $!', "sh", *command],
            cwd=site.data,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
            umask=0o077,
            check=True,
            **_as_account(site.account),
        )
    return int(shell.stdout)


def initdb(site: "Site", user: str, password: str) -> None:
    """Makes the data folder, whole or not at all: initdb works in a sibling that is renamed when done.

    Raises:
        EmbeddedServerError: initdb failed; its output is in the message.
    """
    site.data.parent.mkdir(parents=True, exist_ok=True)
    for stale in site.data.parent.glob(f"{site.data.name}.initdb-*"):
        end_leftovers(stale / "data")  # initdb outlives a killed caller
        shutil.rmtree(stale)
        log.info("interrupted_initdb_removed", folder=str(stale))
    work = Path(tempfile.mkdtemp(dir=site.data.parent, prefix=f"{site.data.name}.initdb-"))
    folder, secret = work / "data", work / "password"
    folder.mkdir(mode=0o700)
    secret.touch(mode=0o600)
    secret.write_text(password + "\n")
    if site.account is not None:
        for path in (work, folder, secret):
            os.chown(path, site.account.uid, site.account.gid)
    words = [
        "--auth=scram-sha-256",
        f"--username={user}",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--locale=C",
    ]
    words += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums"]
    done = subprocess.run(  # noqa: S603 - our own wheel's program
        [str(site.bin / "initdb"), "-D", str(folder), *words],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=0o077,
        check=False,
        **_as_account(site.account),
    )
    if done.returncode:
        shutil.rmtree(work)
        raise EmbeddedServerError(
            "initdb could not make the database.",
            where=f"{site.data}\n{done.stdout.decode('utf-8', 'replace').strip()}",
            remedy="See to what initdb complains of (disk space, permissions), then start again.",
        )
    folder.rename(site.data)
    shutil.rmtree(work)
    sync_folder(site.data.parent)  # initdb syncs its files; the rename is ours to sync
    log.info("postgres_created", data=str(site.data))


def _as_account(account: "Account | None") -> _AsAccount:
    if account is None:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}
