"""Stores, guides and members from the stage into their tables: new rows in, changed rows changed.

Only columns the file brings are touched. An opt-out is never lifted here: an empty cell leaves it, an
earlier instant moves it forward in time; lifting it is a decision with a reason, not an import.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import polars as pl

from imports.decided_staff import send_home
from imports.facts import Outcome, batch_of_root
from imports.report import Kind, Progress, Tenant
from imports.staging import root_of, stage
from ledger.door import Driver
from ledger.people import COLUMNS
from ledger.sealing import Seal


@dataclass(frozen=True, slots=True)
class _Master:
    """Where a kind's columns go: to the table everybody reads, or to the one with personal data."""

    table: str
    id_column: str
    main: tuple[str, ...]
    person_table: str | None = None
    person: tuple[str, ...] = ()
    erased_too: bool = False
    """Whether rows may be of somebody who was erased, and then stay as they are."""


_MASTERS = {
    Kind.STORES: _Master(
        "store",
        "store_id",
        ("code", "name", "region", "dealer", "latitude", "longitude", "time_zone", "opens_at", "closes_at"),
    ),
    Kind.GUIDES: _Master(
        "guide",
        "guide_id",
        ("code", "store_id", "skills", "performance", "active", "on_leave_from", "on_leave_to"),
        "guide_person",
        ("name", "phone"),
    ),
    Kind.MEMBERS: _Master(
        "member",
        "member_id",
        ("home_store_id", "latitude", "longitude", "tags", "opted_out_at"),
        "member_person",
        ("code_sealed", "name_sealed", "phone_sealed"),
        erased_too=True,
    ),
}
_TYPES = {
    "latitude": "double precision",
    "longitude": "double precision",
    "opens_at": "time",
    "closes_at": "time",
    "store_id": "uuid",
    "home_store_id": "uuid",
    "skills": "text[]",
    "tags": "text[]",
    "performance": "integer",
    "active": "boolean",
    "on_leave_from": "date",
    "on_leave_to": "date",
    "opted_out_at": "timestamptz",
    "opted_out": "boolean",
    "id": "uuid",
    "code_sealed": "bytea",
    "name_sealed": "bytea",
    "phone_sealed": "bytea",
}  # all others are text


async def sealed_members(tenant: Tenant, rows: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Members' rows with their personal texts sealed, and how many rows are of members that were erased.

    Those are left out: whose key was destroyed gets no other one (and `load_masters` looks at the ledger's own mark, for
    a key store can be lost). Sealing is some 5 microseconds a text; the keys are
    asked for, and made where there is none, once for all rows.
    """
    members = [UUID(member) for member in rows["id"]]
    keys = await tenant.keys.make_many(members)
    texts = [column for column in COLUMNS if column in rows.columns]

    def sealed() -> pl.DataFrame:
        left = rows.filter(pl.Series([member in keys for member in members], dtype=pl.Boolean))
        there = [Seal(keys[member], tenant.tenant_id, member) for member in members if member in keys]
        return left.with_columns(
            pl.Series(
                column,
                # As COPY reads bytea.
                [
                    None if text is None else f"\\x{seal.close(column, text.encode()).hex()}"
                    for seal, text in zip(there, left[column], strict=True)
                ],
                dtype=pl.String,
            ).alias(f"{column}_sealed")
            for column in texts
        ).drop(texts)

    left = await asyncio.to_thread(sealed)
    return left, rows.height - left.height


async def load_masters(
    connection: Driver,
    kind: Kind,
    tenant: Tenant,
    rows: pl.DataFrame,
    *,
    batch_id: int,
    known_at: datetime,
    on_progress: Progress,
) -> Outcome:
    """Insert or update what differs; call it inside the import's transaction.

    Args:
        connection: the driver's connection, in a transaction.
        kind: stores, guides or members.
        tenant: the brand, and the secret that keys the batch's root: codes, names and phones can be guessed,
            and a plain digest of them would say when a guess is right.
        rows: what `check_people` answered; of members, what `sealed_members` made of it.
        batch_id: the batch that new and changed rows will belong to.
        known_at: the instant of an opt-out the file says no more of than "yes".
        on_progress: told of stages and rows.
    """
    master, tenant_id = _MASTERS[kind], tenant.tenant_id
    staged = rows.drop("line")
    ddl = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in staged.columns)
    await stage(connection, ddl, staged, kind.value, on_progress)
    await connection.execute("ANALYZE stage")
    if "home_store_id" in staged.columns:
        await send_home(connection, tenant_id)
    opting_out = "opted_out" in staged.columns
    if opting_out:
        await _settle_opt_outs(connection, tenant_id, known_at)
    await connection.execute(_delete_same(master, staged.columns), tenant_id)
    changed = [str(row["id"]) for row in await connection.fetch("SELECT id FROM stage")]
    new = staged.filter(pl.col("id").is_in(changed))
    root = root_of(kind.value, new, key=tenant.id_secret)
    if not changed:
        return Outcome(0, staged.height, root)
    if await batch_of_root(connection, tenant_id, kind.value, root) is not None:
        # Back to what an earlier batch said, after another one changed it: a batch of its own.
        root = root_of(f"{kind.value} {batch_id}", new, key=tenant.id_secret)
    on_progress("insert", 0, len(changed))
    if opting_out:
        await connection.execute(_NOTE_OPT_OUTS, tenant_id, known_at)
    await connection.execute(_upsert(master, staged.columns), tenant_id, batch_id)
    if master.person_table is not None:
        await connection.execute(_upsert_person(master, staged.columns), tenant_id)
    on_progress("insert", len(changed), len(changed))
    return Outcome(len(changed), staged.height - len(changed), root)


async def _settle_opt_outs(connection: Driver, tenant_id: int, known_at: datetime) -> None:
    """Turn yes into an instant and keep whatever opt-out is the earliest.

    One from before the member opted in again is over; a bare yes is heard anew.
    """
    await connection.execute(
        """UPDATE stage s SET opted_out_at = least(m.opted_out_at,
               CASE WHEN c.given_at IS NULL OR s.opted_out_at > c.given_at THEN s.opted_out_at END,
               CASE WHEN s.opted_out AND m.opted_out_at IS NULL THEN $2::timestamptz END)
           FROM stage t LEFT JOIN member m ON m.tenant_id = $1 AND m.member_id = t.id
           LEFT JOIN (SELECT member_id, max(occurred_at) AS given_at FROM consent
                      WHERE tenant_id = $1 AND purpose = 'contact' AND given GROUP BY 1) c ON c.member_id = t.id
           WHERE t.id = s.id""",
        tenant_id,
        known_at,
    )


_NOTE_OPT_OUTS = """
INSERT INTO consent (tenant_id, member_id, purpose, given, source, occurred_at, known_at)
SELECT $1, s.id, 'contact', false, 'import', s.opted_out_at, $2
FROM stage s LEFT JOIN member m ON m.tenant_id = $1 AND m.member_id = s.id
WHERE s.opted_out_at IS NOT NULL AND s.opted_out_at IS DISTINCT FROM m.opted_out_at
ON CONFLICT DO NOTHING"""


_NOT_ERASED = """AND NOT EXISTS (
    SELECT FROM member m WHERE m.tenant_id = $1 AND m.member_id = stage.id AND m.erased_at IS NOT NULL) """


def _delete_same(master: _Master, there: list[str]) -> str:
    main = [name for name in master.main if name in there]
    person = [name for name in master.person if name in there]
    join = ""
    if master.person_table is not None:
        join = f"JOIN {master.person_table} p ON p.tenant_id = m.tenant_id AND p.{master.id_column} = m.{master.id_column}"
    pairs = [("m", name) for name in main] + [("p", name) for name in person]
    same = " AND ".join(f"{table}.{name} IS NOT DISTINCT FROM s.{name}" for table, name in pairs)
    return (
        f"DELETE FROM stage s USING {master.table} m {join} "
        f"WHERE m.tenant_id = $1 AND m.{master.id_column} = s.id AND {same}"
    )


def _upsert(master: _Master, there: list[str]) -> str:
    names = [name for name in master.main if name in there]
    listed = "".join(f", {name}" for name in names)
    changes = ", ".join(f"{name} = EXCLUDED.{name}" for name in [*names, "batch_id"])
    # Who is not erased is locked by this: an erasure from now on waits, and finds what this import wrote.
    left = f" WHERE {master.table}.erased_at IS NULL" if master.erased_too else ""
    return (
        f"INSERT INTO {master.table} (tenant_id, {master.id_column}{listed}, batch_id) "
        f"SELECT $1, id{listed}, $2 FROM stage "
        f"ON CONFLICT (tenant_id, {master.id_column}) DO UPDATE SET {changes}{left}"
    )


def _upsert_person(master: _Master, there: list[str]) -> str:
    names = [name for name in master.person if name in there]
    listed = "".join(f", {name}" for name in names)
    changed = [f"{name} = EXCLUDED.{name}" for name in names]
    # What a version before the keys wrote in plain text is out of date now.
    changed += [f"{name.removesuffix('_sealed')} = NULL" for name in names if name.endswith("_sealed")]
    changes = ", ".join(changed)
    left = _NOT_ERASED if master.erased_too else ""
    return (
        f"INSERT INTO {master.person_table} (tenant_id, {master.id_column}{listed}) "
        f"SELECT $1, id{listed} FROM stage WHERE true {left}"
        f"ON CONFLICT (tenant_id, {master.id_column}) DO UPDATE SET {changes}"
    )
