"""One file of members' keys: opened, merged with another one, keys destroyed in it.

Of two different keys of one member neither is dropped: the second lies in `other_key`, until it is known which one
opens what is sealed. Destroying takes both.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import structlog

FILE = Path("keys") / "members.db"
"""The key store, below a home or beside its backups."""
BUSY_S = 20.0

_TABLES = (
    """CREATE TABLE IF NOT EXISTS member_key (
        tenant_id INTEGER NOT NULL,
        member_id BLOB NOT NULL,
        key       BLOB,
        PRIMARY KEY (tenant_id, member_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS other_key (
        tenant_id INTEGER NOT NULL,
        member_id BLOB NOT NULL,
        key       BLOB NOT NULL,
        PRIMARY KEY (tenant_id, member_id, key)
    ) WITHOUT ROWID""",
)
_ADD = """
INSERT INTO main.member_key (tenant_id, member_id, key)
SELECT tenant_id, member_id, key FROM theirs.member_key WHERE true
ON CONFLICT (tenant_id, member_id) DO UPDATE SET key = NULL WHERE excluded.key IS NULL"""
_ADD_OTHERS = """
INSERT OR IGNORE INTO main.other_key (tenant_id, member_id, key)
SELECT t.tenant_id, t.member_id, t.key FROM theirs.{table} t
JOIN main.member_key m ON m.tenant_id = t.tenant_id AND m.member_id = t.member_id
WHERE t.key <> m.key"""
_NO_OTHERS_OF_DESTROYED = """
DELETE FROM main.other_key WHERE EXISTS (
    SELECT 1 FROM main.member_key m WHERE m.tenant_id = other_key.tenant_id
    AND m.member_id = other_key.member_id AND m.key IS NULL)"""

log = structlog.get_logger(__name__)


def opened(path: Path) -> sqlite3.Connection:
    """A key file, made with its folder where it is missing, for nobody else to read."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    touch(path)
    connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # a key that is lost is data that is lost
        connection.execute("PRAGMA secure_delete = ON")
        for table in _TABLES:
            connection.execute(table)
    except BaseException:
        connection.close()
        raise
    return connection


def destroy_in(connection: sqlite3.Connection, members: Sequence[tuple[int, bytes]]) -> None:
    """Destroy keys, of (tenant, member); once they are gone nothing is raised any more."""
    with connection:
        connection.executemany(
            "INSERT INTO member_key (tenant_id, member_id, key) VALUES (?, ?, NULL)"
            " ON CONFLICT DO UPDATE SET key = NULL",
            members,
        )
        connection.executemany("DELETE FROM other_key WHERE tenant_id = ? AND member_id = ?", members)
    _empty_log(connection)


def destroyed_in(path: Path) -> list[tuple[int, bytes]]:
    """Tenant and member of every key that a file says was destroyed."""
    with closing(_read_only(path)) as connection:
        if not _has(connection, "main", "member_key"):
            return []
        return connection.execute("SELECT tenant_id, member_id FROM member_key WHERE key IS NULL").fetchall()


def merge(into: sqlite3.Connection, source: Path) -> int:
    """Add what another file holds: keys that are missing, and marks of destroyed ones, which win.

    Returns:
        How many keys differ from those of `into`; they were added to `other_key`.
    """
    into.execute("ATTACH DATABASE ? AS theirs", (str(source),))
    try:
        differing = 0
        with into:
            if _has(into, "theirs", "member_key"):
                into.execute(_ADD)
            for table in ("member_key", "other_key"):
                if _has(into, "theirs", table):
                    differing += into.execute(_ADD_OTHERS.format(table=table)).rowcount
            into.execute(_NO_OTHERS_OF_DESTROYED)
    finally:
        into.execute("DETACH DATABASE theirs")
    _empty_log(into)
    return differing


def is_sound(path: Path) -> bool:
    """Whether a file can be read as SQLite's."""
    try:
        with closing(_read_only(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False


def leave_whole(connection: sqlite3.Connection) -> None:
    """Leave one file, without a log beside it: it can be copied, and read where nothing may be written."""
    connection.execute("PRAGMA journal_mode = DELETE")


def touch(path: Path) -> None:
    """Make a file for its owner alone; SQLite gives the files beside it the same permissions."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def beside(path: Path) -> Iterator[Path]:
    """The log and the shared memory of a database."""
    for suffix in ("-wal", "-shm"):
        yield path.with_name(path.name + suffix)


def _empty_log(connection: sqlite3.Connection) -> None:
    # The page with the key is overwritten (secure_delete) when the log is folded in, and the log is emptied.
    try:
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        busy = str(error)
    if busy:
        log.warning("key_log_not_emptied", why=busy)


def _has(connection: sqlite3.Connection, schema: str, table: str) -> bool:
    query = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(query, (table,)).fetchone() is not None


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
