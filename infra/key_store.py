"""Where members' keys lie: a small SQLite file of the home, or a PostgreSQL of its own by setting.

Never in the PostgreSQL that holds the ledger: its backups, its log and every copy of it then hold sealed texts only,
and destroying one key makes all of them unreadable for one member (docs/privacy.md).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from infra.durable_files import sync_folder, write_durably
from infra.settings import Settings
from ledger.member_keys import KEY_BYTES, MemberKeys

FILE = Path("keys") / "members.db"
"""The key store, below a home or beside its backups."""
COPIES = Path("keys") / "copies"
"""Below a home: one a line, the files that backups copied the key store to."""
BUSY_S = 20.0
_ASKED_AT_ONCE = 20_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS member_key (
    tenant_id INTEGER NOT NULL,
    member_id BLOB NOT NULL,
    key       BLOB,
    PRIMARY KEY (tenant_id, member_id)
) WITHOUT ROWID"""
_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class SqliteKeys:
    """One brand's keys in a file; several processes and threads may use it at once.

    Args:
        path: the file; it and its folder are made where they are missing, for nobody else to read.
        tenant_id: the brand.
        copies: a file that lists copies of this one, from which keys are destroyed, too.
    """

    def __init__(self, path: Path, tenant_id: int, *, copies: Path | None = None) -> None:
        self.path = path
        self._tenant_id = tenant_id
        self._copies = copies
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        """Without anything of what is in it."""
        return f"SqliteKeys({str(self.path)!r})"

    async def get_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys that are there."""
        return await self._in_thread(lambda connection: self._read(connection, members)) if members else {}

    async def make_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys, made where there was none; on the disk when it answers. Destroyed ones are left out."""
        return await self._in_thread(lambda connection: self._make(connection, members)) if members else {}

    async def destroy(self, member: UUID) -> None:
        """Destroy a key here and in every copy that can be reached; again changes nothing.

        A copy that cannot be reached is replaced by the next backup to its folder.
        """
        await self._in_thread(lambda connection: _destroy(connection, [(self._tenant_id, member.bytes)]))
        for copy in self._known_copies():
            if not copy.is_file():
                log.warning("key_copy_away", copy=str(copy))
                continue
            other = SqliteKeys(copy, self._tenant_id)
            try:
                await other.destroy(member)
            finally:
                other.close()

    async def destroyed(self) -> frozenset[UUID]:
        """Members whose keys were destroyed."""
        query = "SELECT member_id FROM member_key WHERE tenant_id = ? AND key IS NULL"
        return await self._in_thread(
            lambda connection: frozenset(
                UUID(bytes=member) for (member,) in connection.execute(query, (self._tenant_id,))
            )
        )

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _in_thread(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def run() -> _T:
            with self._turn:
                if self._connection is None:
                    self._connection = _opened(self.path)
                return work(self._connection)

        return await asyncio.to_thread(run)

    def _read(self, connection: sqlite3.Connection, members: Collection[UUID]) -> dict[UUID, bytes]:
        found: dict[UUID, bytes] = {}
        asked = [member.bytes for member in members]
        for first in range(0, len(asked), _ASKED_AT_ONCE):
            some = asked[first : first + _ASKED_AT_ONCE]
            marks = ",".join("?" * len(some))
            found.update(
                (UUID(bytes=member), key)
                for member, key in connection.execute(
                    f"SELECT member_id, key FROM member_key WHERE tenant_id = ? AND key IS NOT NULL"
                    f" AND member_id IN ({marks})",
                    (self._tenant_id, *some),
                )
            )
        return found

    def _make(self, connection: sqlite3.Connection, members: Collection[UUID]) -> dict[UUID, bytes]:
        found = self._read(connection, members)
        missing = sorted(set(members) - set(found))
        if not missing:
            return found
        with connection:
            connection.executemany(
                "INSERT INTO member_key (tenant_id, member_id, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                ((self._tenant_id, member.bytes, secrets.token_bytes(KEY_BYTES)) for member in missing),
            )
        return found | self._read(connection, missing)

    def _known_copies(self) -> list[Path]:
        if self._copies is None or not self._copies.exists():
            return []
        return [Path(line) for line in self._copies.read_text(encoding="utf-8").splitlines() if line]


class PostgresKeys:
    """One brand's keys in a PostgreSQL of their own, for several machines.

    Args:
        url: `postgresql://…` of a login that may make a table there; not the ledger's database.
        tenant_id: the brand.
    """

    def __init__(self, url: str, tenant_id: int) -> None:
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._tenant_id = tenant_id
        self._pool: asyncpg.Pool | None = None
        self._opening: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    def __repr__(self) -> str:
        """Without the password."""
        return f"PostgresKeys({self._tenant_id})"

    async def get_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys that are there."""
        rows = await (await self._ready()).fetch(
            "SELECT member_id, key FROM member_key WHERE tenant_id = $1 AND member_id = ANY($2) AND key IS NOT NULL",
            self._tenant_id,
            list(members),
        )
        return {UUID(str(row["member_id"])): bytes(row["key"]) for row in rows}

    async def make_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys, made where there was none; committed when it answers. Destroyed ones are left out."""
        found = await self.get_many(members)
        missing = sorted(set(members) - set(found))
        if not missing:
            return found
        await (await self._ready()).execute(
            "INSERT INTO member_key (tenant_id, member_id, key)"
            " SELECT $1, * FROM unnest($2::uuid[], $3::bytea[]) ON CONFLICT DO NOTHING",
            self._tenant_id,
            missing,
            [secrets.token_bytes(KEY_BYTES) for _ in missing],
        )
        return found | await self.get_many(missing)

    async def destroy(self, member: UUID) -> None:
        """Destroy a key for good; again changes nothing. Backups of this database are its keeper's to prune."""
        await (await self._ready()).execute(
            "INSERT INTO member_key (tenant_id, member_id, key) VALUES ($1, $2, NULL)"
            " ON CONFLICT (tenant_id, member_id) DO UPDATE SET key = NULL",
            self._tenant_id,
            member,
        )

    async def destroyed(self) -> frozenset[UUID]:
        """Members whose keys were destroyed."""
        rows = await (await self._ready()).fetch(
            "SELECT member_id FROM member_key WHERE tenant_id = $1 AND key IS NULL", self._tenant_id
        )
        return frozenset(UUID(str(row["member_id"])) for row in rows)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    async def _ready(self) -> asyncpg.Pool:
        loop = asyncio.get_running_loop()
        if self._opening is None or self._opening[0] is not loop:
            self._pool, self._opening = None, (loop, asyncio.Lock())
        async with self._opening[1]:
            if self._pool is None:
                pool = await asyncpg.create_pool(self._url, min_size=0, max_size=5, command_timeout=60)
                async with pool.acquire() as connection, connection.transaction():
                    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.member_key'))")
                    await connection.execute(
                        "CREATE TABLE IF NOT EXISTS member_key (tenant_id integer NOT NULL, member_id uuid NOT NULL,"
                        " key bytea, PRIMARY KEY (tenant_id, member_id))"
                    )
                self._pool = pool
        return self._pool


def open_keys(settings: Settings) -> MemberKeys:
    """The key store of the settings; nothing is made or connected to before it is first asked."""
    return keys_in(settings.home.absolute(), settings.keys_url, settings.tenant_id)


def keys_in(home: Path, keys_url: str | None, tenant_id: int) -> MemberKeys:
    """A brand's key store in a home, or where the setting says."""
    if keys_url is not None:
        return PostgresKeys(keys_url, tenant_id)
    return SqliteKeys(home / FILE, tenant_id, copies=home / COPIES)


async def close_keys(keys: MemberKeys) -> None:
    """Let go of a key store; it opens again when it is asked again."""
    if isinstance(keys, SqliteKeys):
        await asyncio.to_thread(keys.close)
    elif isinstance(keys, PostgresKeys):
        await keys.close()


def copy_keys(home: Path, beside: Path) -> Path | None:
    """Copy the home's key store to `beside`/keys, in the place of the copy before; None: there is no store.

    One copy, always of now: a dated one would bring back what was erased since. The home remembers where it lies, so
    that an erasure reaches it.
    """
    source, target = home / FILE, beside / FILE
    if not source.exists():
        return None
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    _remember_copy(home, target)  # first: an erasure from now on reaches the copy, or is in it
    try:
        _touch(part)
        with closing(_opened(source)) as store, closing(sqlite3.connect(part)) as copy:
            store.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        descriptor = os.open(part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for left in _beside(target):
            left.unlink(missing_ok=True)
        part.rename(target)
        sync_folder(target.parent)
        with closing(_opened(source)) as store, closing(_opened(target)) as copy:
            # Who was erased while the copy was made: that erasure reached the file that was replaced.
            _destroy(
                copy,
                store.execute("SELECT tenant_id, member_id FROM member_key WHERE key IS NULL").fetchall(),
            )
    finally:
        part.unlink(missing_ok=True)
    return target


def bring_keys(backup: Path, home: Path) -> bool:
    """Add the keys of the copy beside a backup to a home's; False: there is no copy.

    What the home knows already is current and stays, and whose key was destroyed in either is destroyed: who was
    erased since the backup stays unreadable.
    """
    copy = backup.absolute().parent / FILE
    if not copy.exists():
        return False
    with closing(_opened(copy)) as theirs, closing(_opened(home / FILE)) as mine, mine:
        mine.executemany(
            "INSERT INTO member_key (tenant_id, member_id, key) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET key = NULL WHERE excluded.key IS NULL",
            theirs.execute("SELECT tenant_id, member_id, key FROM member_key"),
        )
    return True


def _remember_copy(home: Path, copy: Path) -> None:
    listed = home / COPIES
    known = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    if str(copy.absolute()) not in known:
        write_durably(listed, "".join(f"{line}\n" for line in [*known, copy.absolute()]), mode=0o600)


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _touch(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a key that is lost is data that is lost
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(_SCHEMA)
    return connection


def _destroy(connection: sqlite3.Connection, members: Sequence[tuple[int, bytes]]) -> None:
    with connection:
        connection.executemany(
            "INSERT INTO member_key (tenant_id, member_id, key) VALUES (?, ?, NULL)"
            " ON CONFLICT DO UPDATE SET key = NULL",
            members,
        )
    # The page with the key is overwritten (secure_delete) when the log is folded in, and the log is emptied.
    if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        log.warning("key_log_not_emptied")


def _touch(path: Path) -> None:
    """SQLite gives the files beside it the same permissions."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _beside(path: Path) -> Iterator[Path]:
    """The log and the shared memory of a database."""
    for suffix in ("-wal", "-shm"):
        yield path.with_name(path.name + suffix)
