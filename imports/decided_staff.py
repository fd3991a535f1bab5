"""What a file may not undo: changes of staff that were decided by command (`daogou staff`).

A guides file is the brand's statement of today. Where it says of a guide what held before the newest decision on her, or
anticipates one that is dated ahead, it is an old file or an early one: the row is bad, and the decision stands. Anything
else it says goes in. Members of a closed store are at home in its successor, whatever the file still calls their home.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import polars as pl

from imports.checking import Findings
from imports.report import LISTED, BadRow
from ledger.door import Driver
from ledger.staff import hold_staff


@dataclass(frozen=True, slots=True)
class _Decided:
    """A guide on whom something is decided: where she stands today, and what the newest decision in force changed."""

    store: UUID
    active: bool
    ahead: bool
    applied: bool
    """Whether any decision is in force."""
    before: UUID | None
    after: UUID | None


async def without_undoing(
    connection: Driver, tenant_id: int, rows: pl.DataFrame, findings: Findings
) -> pl.DataFrame:
    """The rows of a guides file that contradict no decision; the others go to `findings`.

    Call it in the import's transaction: no staff is changed until that ends.
    """
    await hold_staff(connection, tenant_id)
    decided = await _decided(connection, tenant_id)
    closed = frozenset(
        row["store_id"]
        for row in await connection.fetch(
            "SELECT store_id FROM store_closing WHERE tenant_id = $1 AND applied_at IS NOT NULL", tenant_id
        )
    )
    if not decided and not closed:
        return rows
    told = rows["active"].to_list() if "active" in rows.columns else [None] * rows.height
    bad = [
        BadRow(line, column, code, problem)
        for line, code, store, active in zip(rows["line"], rows["code"], rows["store_id"], told, strict=True)
        for column, problem in _against(decided.get(code), UUID(store), active, closed)
    ]
    lines = {row.line for row in bad}
    findings.add(bad[:LISTED], rows=len(lines), problems=len(bad))
    return rows.filter(~pl.col("line").is_in(sorted(lines)))


def _against(
    guide: _Decided | None, store: UUID, told: bool | None, closed: frozenset[UUID]
) -> list[tuple[str, str]]:
    active = told if told is not None else (guide is None or guide.active)
    if guide is not None and guide.ahead and (store, active) != (guide.store, guide.active):
        return [("store" if store != guide.store else "active", "import.decided_ahead")]
    if guide is not None and guide.applied:
        left = guide.after is None
        if left and active:
            return [("active", "import.undoes_decision")]
        if guide.before is None and not active:
            return [("active", "import.undoes_decision")]
        if not left and store == guide.before and guide.store != store:
            return [("store", "import.undoes_decision")]
    return [("store", "import.store_closed")] if active and store in closed else []


async def _decided(connection: Driver, tenant_id: int) -> dict[str, _Decided]:
    rows = await connection.fetch(
        """
        SELECT g.code, g.store_id AS store, g.active, a.posting_id IS NOT NULL AS applied,
               a.before_store_id AS before, a.store_id AS after,
               EXISTS (SELECT FROM guide_posting p WHERE p.tenant_id = $1 AND p.guide_id = g.guide_id
                       AND p.applied_at IS NULL AND p.superseded_at IS NULL) AS ahead
        FROM guide g
        LEFT JOIN LATERAL (
            SELECT * FROM guide_posting p
            WHERE p.tenant_id = $1 AND p.guide_id = g.guide_id AND p.applied_at IS NOT NULL
            ORDER BY p.from_on DESC, p.version DESC LIMIT 1
        ) a ON true
        WHERE g.tenant_id = $1
          AND EXISTS (SELECT FROM guide_posting p WHERE p.tenant_id = $1 AND p.guide_id = g.guide_id)""",
        tenant_id,
    )
    return {
        row["code"]: _Decided(**{name: row[name] for name in _Decided.__dataclass_fields__}) for row in rows
    }


async def send_home(connection: Driver, tenant_id: int) -> None:
    """Let staged members of closed stores be at home in the successors."""
    for _ in range(
        await connection.fetchval("SELECT count(*) FROM store_closing WHERE tenant_id = $1", tenant_id)
    ):
        await connection.execute(
            "UPDATE stage s SET home_store_id = c.to_store_id FROM store_closing c"
            " WHERE c.tenant_id = $1 AND c.store_id = s.home_store_id AND c.applied_at IS NOT NULL"
            " AND c.to_store_id IS NOT NULL",
            tenant_id,
        )
