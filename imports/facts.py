"""Purchases from the stage into the fact table, and the proof that a batch still is what it was.

Measured (docs/performance.md): rows sorted by the primary key go in fastest, because that index then only
grows at its right end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from domain.errors import NotFound, Problem
from imports.checking import Findings
from imports.purchases import KEY, STAGED
from imports.report import LISTED, BadRow, Kind, Progress
from imports.returned import without_too_many
from imports.staging import root_of, stage, start_root
from ledger.door import Driver

_DDL = """basket text COLLATE "C", product text COLLATE "C", member_id uuid, store_id uuid, category_id integer,
    guide_id uuid, occurred_us bigint, quantity numeric(12, 3), value_minor bigint, return_of text"""
_PAGES_A_SLICE = 2_000  # some 100,000 rows: a step of the progress bar

_OVERLAP = """
SELECT s.basket, s.product, p.is_return,
       (p.member_id, p.store_id, p.category_id, p.guide_id, p.occurred_at, p.quantity, p.value_minor, p.return_of)
       IS NOT DISTINCT FROM
       (s.member_id, s.store_id, s.category_id, s.guide_id,
        timestamptz 'epoch' + s.occurred_us * interval '1 microsecond', s.quantity, s.value_minor, s.return_of) AS same
FROM stage s JOIN purchase p
  ON p.tenant_id = $1 AND p.basket = s.basket AND p.product = s.product AND p.is_return = (s.quantity < 0)"""

_INSERT = """
INSERT INTO purchase (tenant_id, basket, product, is_return, member_id, store_id, category_id, guide_id, occurred_at,
                      known_at, quantity, value_minor, return_of, batch_id)
SELECT $1, basket, product, quantity < 0, member_id, store_id, category_id, guide_id,
       timestamptz 'epoch' + occurred_us * interval '1 microsecond',
       coalesce($2, timestamptz 'epoch' + occurred_us * interval '1 microsecond'),
       quantity, value_minor, return_of, $3
FROM stage s WHERE s.ctid >= '({first},0)'::tid AND s.ctid < '({last},0)'::tid {only_new}"""

_ONLY_NEW = """AND NOT EXISTS (SELECT FROM purchase p WHERE p.tenant_id = $1 AND p.basket = s.basket
    AND p.product = s.product AND p.is_return = (s.quantity < 0))"""

# The columns of STAGED as the stage's CSV writes them, so that the same digest comes out.
_AS_STAGED = """
SELECT basket, product, member_id, store_id, category_id, guide_id,
       (extract(epoch FROM occurred_at) * 1000000)::bigint, quantity, value_minor, return_of
FROM purchase WHERE tenant_id = $1 AND batch_id = $2 ORDER BY basket, product, is_return"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What loading did: `written` rows under `root`, `same` rows that stood there already.

    `earlier` is the batch that had imported exactly these rows before.
    """

    written: int
    same: int
    root: str
    earlier: int | None = None


async def load_purchases(
    connection: Driver,
    tenant_id: int,
    kind: Kind,
    rows: pl.DataFrame,
    *,
    batch_id: int,
    known_at: datetime | None,
    findings: Findings,
    on_progress: Progress,
) -> Outcome:
    """Insert the rows that are not there yet; call it inside the import's transaction.

    Args:
        connection: the driver's connection, in a transaction.
        tenant_id: the brand.
        kind: purchases or returns.
        rows: `CheckedPurchases.rows`, sorted by key.
        batch_id: the batch they will belong to.
        known_at: when they became known; None for when they occurred.
        findings: takes rows that contradict what was imported before; nothing is inserted for them.
        on_progress: told of stages and rows.
    """
    rows = await _with_categories(connection, tenant_id, rows)
    staged = rows.select(STAGED)
    name = kind.value
    # Only a batch of as many rows can be the same batch; without one, hash while staging and not before.
    if await connection.fetchval(
        "SELECT EXISTS (SELECT FROM import_batch WHERE tenant_id = $1 AND kind = $2 AND rows_new = $3)",
        tenant_id, name, rows.height,
    ):  # fmt: skip
        root = root_of(name, staged)
        earlier = await batch_of_root(connection, tenant_id, name, root)
        if earlier is not None:
            return Outcome(0, rows.height, root, earlier)
    first_ever = not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM purchase WHERE tenant_id = $1)", tenant_id
    )
    root = await stage(connection, _DDL, staged, name, on_progress)
    good = await without_too_many(connection, tenant_id, rows, findings)
    if good.height < rows.height:
        rows = good
        root = root_of(name, rows.select(STAGED))
    if first_ever:
        await _insert(
            connection, tenant_id, batch_id, known_at, rows.height, only_new="", on_progress=on_progress
        )
        return Outcome(rows.height, 0, root)
    await connection.execute("ANALYZE stage")
    overlap = await connection.fetch(_OVERLAP, tenant_id)
    if not overlap:
        await _insert(
            connection, tenant_id, batch_id, known_at, rows.height, only_new="", on_progress=on_progress
        )
        return Outcome(rows.height, 0, root)
    schema = {"basket": pl.String, "product": pl.String, "is_return": pl.Boolean, "same": pl.Boolean}
    there = pl.DataFrame([tuple(row) for row in overlap], schema=schema, orient="row")
    differing = rows.join(there.filter(~pl.col("same")), on=KEY, how="semi").sort("line")
    shown = differing.head(LISTED).select("line", pl.concat_str("basket", "product", separator=" / "))
    findings.add(
        [BadRow(line, "basket", value, "import.differs_from_before") for line, value in shown.iter_rows()],
        rows=differing.height,
        problems=differing.height,
    )
    new = rows.join(there, on=KEY, how="anti", maintain_order="left")
    if new.height:
        await _insert(
            connection, tenant_id, batch_id, known_at, new.height, only_new=_ONLY_NEW, on_progress=on_progress
        )
    return Outcome(new.height, there.height - differing.height, root_of(name, new.select(STAGED)))


async def recompute_root(connection: Driver, tenant_id: int, batch_id: int) -> str:
    """The root of a batch of purchases or returns from the fact table as it stands now (hex).

    It equals `import_batch.root` and the `imported` event's as long as no row of the batch was changed,
    removed or added.

    Raises:
        NotFound: there is no such batch of purchases or returns.
    """
    found = await connection.fetchval(
        "SELECT kind FROM import_batch WHERE tenant_id = $1 AND batch_id = $2 AND kind IN ('purchases', 'returns')",
        tenant_id,
        batch_id,
    )
    if not found:
        raise NotFound(Problem(field="batch", value=str(batch_id), code="import.unknown_batch"))
    digest = start_root(found)
    await connection.copy_from_query(_AS_STAGED, tenant_id, batch_id, output=into(digest), format="csv")
    return digest.hexdigest()


async def batch_of_root(connection: Driver, tenant_id: int, kind: str, root: str) -> int | None:
    """The batch that bears this root, or None."""
    found: int | None = await connection.fetchval(
        "SELECT batch_id FROM import_batch WHERE tenant_id = $1 AND kind = $2 AND root = $3",
        tenant_id,
        kind,
        root,
    )
    return found


def into(digest: hashlib._Hash) -> Callable[[bytes], object]:
    """Where a COPY out of the database goes to be hashed."""

    async def write(data: bytes) -> None:
        digest.update(data)

    return write


async def _insert(
    connection: Driver,
    tenant_id: int,
    batch_id: int,
    known_at: datetime | None,
    total: int,
    *,
    only_new: str,
    on_progress: Progress,
) -> None:
    pages = await connection.fetchval("SELECT pg_relation_size('stage') / current_setting('block_size')::int")
    for first in range(0, pages, _PAGES_A_SLICE):
        last = first + _PAGES_A_SLICE
        statement = _INSERT.format(first=first, last=last, only_new=only_new)
        await connection.execute(statement, tenant_id, known_at, batch_id)
        on_progress("insert", total * min(last, pages) // pages, total)


async def _with_categories(connection: Driver, tenant_id: int, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with category_id; names never seen get the next numbers in the order of their names."""
    names = rows["category"].unique().sort().to_list()
    await connection.execute(
        """INSERT INTO category (tenant_id, category_id, name)
        SELECT $1, (SELECT coalesce(max(category_id), 0) FROM category WHERE tenant_id = $1)
                   + row_number() OVER (ORDER BY n COLLATE "C"), n
        FROM unnest($2::text[]) AS n
        WHERE NOT EXISTS (SELECT FROM category c WHERE c.tenant_id = $1 AND c.name = n)""",
        tenant_id,
        names,
    )
    known = await connection.fetch(
        "SELECT name, category_id FROM category WHERE tenant_id = $1 AND name = ANY($2)", tenant_id, names
    )
    schema = {"category": pl.String, "category_id": pl.Int32}
    ids = pl.DataFrame([tuple(row) for row in known], schema=schema, orient="row")
    return rows.join(ids, on="category", how="left", maintain_order="left")
