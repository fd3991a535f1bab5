"""What is kept held against what the events tell: every row of every projection that differs, with the columns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import asyncpg

from ledger.door import Driver
from ledger.folding.calendars import CALENDAR
from ledger.folding.complaints import CASE
from ledger.folding.days import ABSENCE, DAY, EVENING_RULE, ITEM_OF_LIST, URGE
from ledger.folding.items import CHECK_IN, CHECK_IN_SUPERSEDED, COLD_ITEM, MEMBER, TASK
from ledger.folding.people import (
    ACCOUNT,
    CLOSING,
    CONSENT,
    CONTACT_LIMIT,
    DAY_NORM,
    ERASURE,
    IMPORT_BATCH,
    MESSAGE_STOP,
    OPT_OUT,
    POSTING,
    ROLE_GRANT,
)
from ledger.folding.pictures import PICTURE
from ledger.folding.plans import CHECK, CYCLE, PLAN
from ledger.folding.projections import Projection
from ledger.folding.telling import Fields, Scope, forget, newer_than_known, tell

PROJECTIONS = (
    DAY, ITEM_OF_LIST, URGE, PLAN, CYCLE, CHECK, MEMBER, TASK, CHECK_IN, CHECK_IN_SUPERSEDED, IMPORT_BATCH, MESSAGE_STOP, ROLE_GRANT, ACCOUNT,
    CONSENT, OPT_OUT, ERASURE, POSTING, CLOSING, CALENDAR, ABSENCE, DAY_NORM, EVENING_RULE, CASE, COLD_ITEM, PICTURE,
    CONTACT_LIMIT,
)  # fmt: skip
"""In the order in which writers lock their rows: guides' days, plans, members of cycles, items."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that is not as its events tell.

    `version` is that of the newest event that counted, 0 where none did; `columns` are those that differ, none where
    the row is there without events or missing.
    """

    table: str
    stream: str
    version: int
    kind: str
    columns: tuple[str, ...] = ()


class Sql:
    """The queries over one projection; knows which columns are text, for those are compared by their bytes."""

    def __init__(
        self, projection: Projection, text_columns: frozenset[str], *, careful: bool = False
    ) -> None:
        self.projection = projection
        self._text = text_columns
        self._told = projection.told(Fields(careful))

    def _same(self, column: str) -> str:
        told, kept = f"t.{column}", f"k.{column}"
        if column in self.projection.as_text:
            return f"{told}::text IS DISTINCT FROM {kept}::text"
        if column in self.projection.untold:
            told = f"coalesce({told}, {kept})"
        collated = ' COLLATE "C"' if column in self._text else ""
        return f"{told} IS DISTINCT FROM {kept}{collated}"

    @property
    def _join(self) -> str:
        return " AND ".join(
            f"t.{name} = k.{name}" + (' COLLATE "C"' if name in self._text else "")
            for name in self.projection.key
        )

    def _both(self, *, among: str | None = None) -> str:
        p = self.projection
        kept = ", ".join(dict.fromkeys((*p.key, *p.columns, *(("state",) if p.table == "guide_day" else ()))))
        told, where = f"SELECT *, true AS is_told FROM ({self._told}) t", "WHERE k.tenant_id = $1"
        if among is not None:
            keys = " AND ".join(f"a.{name} = {{0}}.{name}" for name in p.key)
            told += f" WHERE EXISTS (SELECT FROM {among} a WHERE {keys.format('t')})"
            where += f" AND EXISTS (SELECT FROM {among} a WHERE {keys.format('k')})"
        return f"({told}) t FULL JOIN (SELECT {kept}, true AS is_kept FROM daogou.{p.table} k {where}) k ON {self._join}"

    @property
    def _differs(self) -> str:
        p = self.projection
        changed = " OR ".join(self._same(name) for name in p.columns)
        return (
            f"(is_told IS NULL AND NOT ({p.unfounded}) OR is_kept IS NULL"
            f" OR is_told AND is_kept AND ({changed or 'false'}))"
        )

    def counted(self) -> str:
        """Rows kept, rows that differ, and an order-independent checksum of both sides; $1 is the brand."""
        p = self.projection
        names = tuple(dict.fromkeys((*p.key, *p.columns)))
        told = [f"coalesce(t.{name}, k.{name})" if name in p.untold else f"t.{name}" for name in names]
        told_hash = f"hash_record_extended(ROW({', '.join(told)}), 0)"
        kept_hash = f"hash_record_extended(ROW({', '.join(f'k.{name}' for name in names)}), 0)"
        rightly = f"CASE WHEN is_told THEN {told_hash} ELSE {kept_hash} END"
        sums = (
            f"coalesce(sum({kept_hash}) FILTER (WHERE is_kept), 0) AS kept",
            f"coalesce(sum({rightly}) FILTER (WHERE is_told OR {p.unfounded}), 0) AS told",
        )
        return (
            f"SELECT count(*) FILTER (WHERE is_kept) AS rows, count(*) FILTER (WHERE {self._differs}) AS differing,"
            f" {', '.join(sums)} FROM {self._both()}"
        )

    def checksum(self) -> str:
        """The checksum of what is kept; $1 is the brand."""
        p = self.projection
        names = dict.fromkeys((*p.key, *p.columns))
        return (
            f"SELECT coalesce(sum(hash_record_extended(ROW({', '.join(f'k.{name}' for name in names)}), 0)), 0)"
            f" FROM daogou.{p.table} k WHERE k.tenant_id = $1"
        )

    def differing(self, *, among: str | None = None) -> str:
        """The rows that differ: `found_stream`, `found_version`, `found_kind`, `found_columns`, key and told columns.

        Args:
            among: a table with keys; others are not looked at.
        """
        p = self.projection
        keys = ", ".join(f"coalesce(t.{name}, k.{name}) AS {name}" for name in p.key)
        told = "".join(f", t.{name}" for name in p.columns if name not in p.key)
        changed = ", ".join(f"CASE WHEN {self._same(name)} THEN '{name}' END" for name in p.columns)
        return f"""
SELECT coalesce(t.told_stream, {p.stream}) COLLATE "C" AS found_stream, coalesce(t.told_version, 0) AS found_version,
       CASE WHEN is_told IS NULL THEN 'extra' WHEN is_kept IS NULL THEN 'missing' ELSE 'differs' END AS found_kind,
       CASE WHEN is_told AND is_kept THEN array_remove(ARRAY[{changed}]::text[], NULL) ELSE '{{}}' END AS found_columns,
       {keys}{told}
FROM {self._both(among=among)} WHERE {self._differs}"""


async def queries(connection: Driver, *, careful: bool = False) -> list[Sql]:
    """The queries over every projection."""
    rows = await connection.fetch(
        """
        SELECT c.relname AS table, array_agg(a.attname::text) AS columns FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attcollation <> 0
        WHERE c.relnamespace = 'daogou'::regnamespace AND c.relname = ANY($1) GROUP BY 1""",
        [one.table for one in PROJECTIONS],
    )
    text = {row["table"]: frozenset(row["columns"]) for row in rows}
    return [Sql(one, text.get(one.table, frozenset()), careful=careful) for one in PROJECTIONS]


async def differences(connection: Driver, tenant_id: int) -> AsyncIterator[Difference]:
    """Every row of every projection that is not as the events tell it, projection by projection.

    Call it in a REPEATABLE READ transaction that may write temporary tables (not READ ONLY), so that events and rows
    are of one snapshot. A payload that cannot be read is a difference of what rests on it.
    """
    await connection.execute("SET LOCAL work_mem = '64MB'")
    if not await _readable(connection, tell(connection, tenant_id, Scope())):
        await tell(connection, tenant_id, Scope(), careful=True)
    for kind, version in await newer_than_known(connection):
        yield Difference("event", kind, version, "event of a newer version than this daogou reads")
    careful = await queries(connection, careful=True)
    for quick, slow in zip(await queries(connection), careful, strict=True):
        one, sql = quick.projection, quick
        counted = await _readable(connection, connection.fetchrow(quick.counted(), tenant_id))
        if not counted:
            sql = slow
            counted = await connection.fetchrow(slow.counted(), tenant_id)
        if not counted["differing"]:
            continue
        async for row in connection.cursor(
            f"SELECT found_stream, found_version, found_kind, found_columns FROM ({sql.differing()}) d ORDER BY 1, 2, 3, 4",
            tenant_id,
            prefetch=1_000,
        ):
            yield Difference(
                one.table,
                row["found_stream"],
                row["found_version"],
                said(one, row["found_kind"], row["found_columns"]),
                tuple(row["found_columns"]),
            )
    await forget(connection)


async def _readable(connection: Driver, work: Awaitable[Any]) -> Any:
    """What the work answers, True where it answers nothing; None if a payload cannot be read."""
    try:
        async with connection.transaction():
            answer = await work
    except asyncpg.DataError:
        return None
    return True if answer is None else answer


def said(projection: Projection, kind: str, columns: list[str]) -> str:
    """How a difference is called."""
    if kind == "extra":
        return f"{projection.label} without its events"
    if kind == "missing":
        return f"{projection.label} of the events is missing"
    return f"{projection.label} differs from its events: {', '.join(columns)}"
