"""Where members' keys lie: a small SQLite file of the home, or a PostgreSQL of its own by setting.

Never in the PostgreSQL that holds the ledger: its backups, its log and every copy of it then hold sealed texts only,
and destroying one key makes all of them unreadable for one member (docs/privacy.md).
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.engine import make_url

from infra.key_copies import destroy_in_copies
from infra.key_file import FILE, destroy_in, opened
from infra.settings import Settings
from ledger.member_keys import KEY_BYTES, MemberKeys

_ASKED_AT_ONCE = 20_000
_LOCK_S = 5
_LEFT = "SELECT n_dead_tup FROM pg_stat_all_tables WHERE relid = 'member_key'::regclass"
log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class SqliteKeys:
    """One brand's keys in a file; several processes and threads may use it at once.

    Args:
        path: the file; it and its folder are made when the first key is, for nobody else to read.
        tenant_id: the brand.
        home: knows the copies of this file, from which keys are destroyed, too.
    """

    def __init__(self, path: Path, tenant_id: int, *, home: Path | None = None) -> None:
        self.path = path
        self.home = home
        self._tenant_id = tenant_id
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        """Without anything of what is in it."""
        return f"SqliteKeys({str(self.path)!r})"

    async def get_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys that are there."""
        if not members:
            return {}
        return await self._in_thread(lambda connection: self._read(connection, members), where_missing={})

    async def make_many(self, members: Collection[UUID]) -> dict[UUID, bytes]:
        """The keys, made where there was none; on the disk when it answers. Destroyed ones are left out."""
        return await self._in_thread(lambda connection: self._make(connection, members)) if members else {}

    async def destroy(self, member: UUID) -> int:
        """Destroy a key here and in every copy that can be reached; gives how many copies were not.

        Again changes nothing here. The next backup to a copy that was not reached destroys it there.
        """
        await self._in_thread(lambda connection: destroy_in(connection, [(self._tenant_id, member.bytes)]))
        if self.home is None:
            return 0
        return await asyncio.to_thread(destroy_in_copies, self.home, self._tenant_id, member.bytes)

    async def destroyed(self) -> frozenset[UUID]:
        """Members whose keys were destroyed."""
        query = "SELECT member_id FROM member_key WHERE tenant_id = ? AND key IS NULL"
        return await self._in_thread(
            lambda connection: frozenset(
                UUID(bytes=member) for (member,) in connection.execute(query, (self._tenant_id,))
            ),
            where_missing=frozenset(),
        )

    async def others(self) -> dict[UUID, list[bytes]]:
        """Keys of a copy that differ from the member's here."""
        query = "SELECT member_id, key FROM other_key WHERE tenant_id = ?"

        def read(connection: sqlite3.Connection) -> dict[UUID, list[bytes]]:
            found: defaultdict[UUID, list[bytes]] = defaultdict(list)
            for member, key in connection.execute(query, (self._tenant_id,)):
                found[UUID(bytes=member)].append(key)
            return dict(found)

        return await self._in_thread(read, where_missing={})

    async def prefer(self, member: UUID, key: bytes) -> None:
        """Take one of a member's other keys; the one that was taken before is kept as another."""
        whose = (self._tenant_id, member.bytes)

        def swap(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute(
                    "INSERT OR IGNORE INTO other_key SELECT tenant_id, member_id, key FROM member_key"
                    " WHERE tenant_id = ? AND member_id = ? AND key IS NOT NULL",
                    whose,
                )
                # A key that was destroyed meanwhile stays so.
                connection.execute(
                    "UPDATE member_key SET key = ? WHERE tenant_id = ? AND member_id = ? AND key IS NOT NULL",
                    (key, *whose),
                )
                connection.execute(
                    "DELETE FROM other_key WHERE tenant_id = ? AND member_id = ? AND key = ?", (*whose, key)
                )

        await self._in_thread(swap)

    def close(self) -> None:
        """Let go of the file."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    async def _in_thread(
        self, work: Callable[[sqlite3.Connection], _T], *, where_missing: _T | None = None
    ) -> _T:
        def run() -> _T:
            with self._turn:
                if self._connection is None:
                    if where_missing is not None and not self.path.exists():
                        return (
                            where_missing  # reading makes no store: an empty one would hide that it is lost
                        )
                    self._connection = opened(self.path)
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

    async def destroy(self, member: UUID) -> int:
        """Destroy a key for good; again changes nothing. Backups and log of this server are its keeper's to prune.

        PostgreSQL leaves the row before in its file until the table is vacuumed, so it is. What keeps that from happening,
        as a transaction that still sees the row, leaves the key there: it counts as a copy that was not reached.
        """
        pool = await self._ready()
        await pool.execute(
            "INSERT INTO member_key (tenant_id, member_id, key) VALUES ($1, $2, NULL)"
            " ON CONFLICT (tenant_id, member_id) DO UPDATE SET key = NULL",
            self._tenant_id,
            member,
        )
        return await self._emptied(pool)

    async def _emptied(self, pool: asyncpg.Pool) -> int:
        """Leave nothing in the table's file but its rows; 1: something was left.

        FULL writes a new file: a plain VACUUM frees the place of a row and leaves the bytes that were there, unless others
        move over it. The plain one then counts what a transaction elsewhere still sees.
        """
        try:
            async with pool.acquire() as connection:
                await connection.execute(
                    f"SET lock_timeout = '{_LOCK_S}s'"
                )  # whoever asks for keys waits behind it
                await connection.execute("VACUUM (FULL) member_key")
                await connection.execute("VACUUM member_key")
                left = await connection.fetchval(_LEFT)
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            log.warning("key_store_not_vacuumed", why=f"{type(error).__name__}: {error}")
            return 1
        if left:
            log.warning("key_store_not_vacuumed", why="a transaction still sees what was there", rows=left)
        return int(bool(left))

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
    return SqliteKeys(home / FILE, tenant_id, home=home)


async def close_keys(keys: MemberKeys) -> None:
    """Let go of a key store; it opens again when it is asked again."""
    if isinstance(keys, SqliteKeys):
        await asyncio.to_thread(keys.close)
    elif isinstance(keys, PostgresKeys):
        await keys.close()
