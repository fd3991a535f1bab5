"""No more is given back than was bought: a file's returns held against purchases, earlier returns and each other."""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from imports.checking import Findings
from imports.purchases import KEY
from imports.report import LISTED, BadRow
from ledger.door import Driver
from ledger.returns import TURN

# A return of a purchase nobody knows is not judged: a brand's records begin somewhere. Earlier returns are looked for
# among those of the purchase's member, by index.
_TOO_MANY = """
WITH new AS (
    SELECT s.* FROM stage s WHERE NOT EXISTS (
        SELECT FROM purchase p WHERE p.tenant_id = $1 AND p.basket = s.basket AND p.product = s.product
          AND p.is_return = (s.quantity < 0))
), told AS (
    SELECT coalesce(return_of, basket) AS basket, product, -sum(quantity) AS quantity
    FROM new WHERE quantity < 0 GROUP BY 1, 2
), bought AS (
    SELECT t.basket, t.product, t.quantity AS told, o.quantity, o.member_id
    FROM told t JOIN purchase o
      ON o.tenant_id = $1 AND o.basket = t.basket AND o.product = t.product AND NOT o.is_return
    UNION ALL
    SELECT t.basket, t.product, t.quantity, n.quantity, n.member_id
    FROM told t JOIN new n ON n.basket = t.basket AND n.product = t.product AND n.quantity >= 0
)
SELECT b.basket, b.product, b.quantity::text AS bought, b.told + coalesce(r.quantity, 0) AS all_returned
FROM bought b LEFT JOIN LATERAL (
    SELECT -sum(r.quantity) AS quantity FROM purchase r
    WHERE r.tenant_id = $1 AND r.member_id = b.member_id AND r.is_return AND r.product = b.product
      AND coalesce(r.return_of, r.basket) = b.basket) r ON true
WHERE b.told + coalesce(r.quantity, 0) > b.quantity"""
_THERE = """
SELECT p.basket, p.product, true FROM stage s JOIN purchase p
  ON p.tenant_id = $1 AND p.basket = s.basket AND p.product = s.product AND p.is_return
WHERE s.quantity < 0 AND (coalesce(s.return_of, s.basket), s.product) IN (SELECT * FROM unnest($2::text[], $3::text[]))"""
_KEEP_OUT = """
DELETE FROM stage s USING unnest($1::text[], $2::text[]) AS k(basket, product)
WHERE s.basket = k.basket AND s.product = k.product AND s.quantity < 0"""


async def without_too_many(
    connection: Driver, tenant_id: int, rows: pl.DataFrame, findings: Findings
) -> pl.DataFrame:
    """The rows, but for those that together give back more of a purchase than is left of it; out of the stage as well.

    Nothing tells which of several is too many, so all the file's new ones of that purchase are bad. Costs nothing where
    the file returns nothing; else two round trips, and the turn of whoever adds returns.

    Args:
        connection: in the import's transaction, the rows staged.
        tenant_id: the brand.
        rows: `CheckedPurchases.rows`.
        findings: takes the bad ones.
    """
    if not rows["is_return"].any():
        return rows
    await connection.execute(TURN, tenant_id)
    await connection.execute("ANALYZE stage")
    found = [tuple(row) for row in await connection.fetch(_TOO_MANY, tenant_id)]
    if not found:
        return rows
    there = await connection.fetch(_THERE, tenant_id, [row[0] for row in found], [row[1] for row in found])
    purchases = pl.DataFrame(
        found,
        schema={"_of": pl.String, "product": pl.String, "_bought": pl.String, "_all": pl.Decimal(18, 3)},
        orient="row",
    )
    known = pl.DataFrame(
        [tuple(row) for row in there],
        schema={"basket": pl.String, "product": pl.String, "is_return": pl.Boolean},
        orient="row",
    )
    bad = (
        rows.filter("is_return")
        .with_columns(pl.coalesce("return_of", "basket").alias("_of"))
        .join(purchases, on=["_of", "product"], how="inner")
        .join(known, on=KEY, how="anti")
        .sort("line")
    )
    shown = bad.head(LISTED).select(
        "line", -pl.col("quantity"), "_bought", pl.col("_all") + pl.col("quantity")
    )
    findings.add(
        [
            BadRow(
                line, "quantity", _plain(quantity), "import.returned_more_than_bought",
                {"bought": _plain(Decimal(bought)), "returned": _plain(others)},
            )
            for line, quantity, bought, others in shown.iter_rows()
        ],
        rows=bad.height,
        problems=bad.height,
    )  # fmt: skip
    await connection.execute(_KEEP_OUT, bad["basket"].to_list(), bad["product"].to_list())
    return rows.join(bad, on="line", how="anti", maintain_order="left")


def _plain(quantity: Decimal) -> str:
    return f"{quantity.normalize():f}"
