"""One transaction an import: rows, batch and the one `imported` event that commits to them, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from domain.errors import Conflict
from domain.events import Imported
from imports.checking import Findings
from imports.decided_staff import without_undoing
from imports.facts import load_purchases
from imports.masters import load_masters
from imports.record_facts import load_records
from imports.records import RECORDS
from imports.report import Kind, Progress, Tenant
from ledger.database import driver_transaction
from ledger.door import Driver, NewEvent, StreamBatch, append, read_head
from ledger.pool import Pool

# The pool's two minutes are for work of a few rows; one slice of an import is far below this.
_LONGEST_STATEMENT = "30min"


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which terms rows go in.

    `known_at` is the import's own instant; with `known_as_occurred` (rehearsals) each purchase becomes
    known when it occurred, and none counts as being in the future. `naive_zone` (IANA) is the zone of
    times that name none; without it, the zone of the row's store.
    """

    known_at: datetime
    actor: str
    skip_bad: bool = False
    known_as_occurred: bool = False
    naive_zone: str | None = None
    source: str = "file"
    """Which system of record the rows come from."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows of the file, and how many of them repeat another one."""

    read: int
    repeated: int


@dataclass(frozen=True, slots=True)
class Held:
    """What the database holds of the file now; `batch_id` and `root` are None if nothing was written."""

    rows_new: int = 0
    rows_same: int = 0
    batch_id: int | None = None
    root: str | None = None
    already_imported: bool = False


class _NothingToKeep(Exception):
    """Rolls the transaction back; `held` says what stood there before it."""

    def __init__(self, held: Held) -> None:
        super().__init__("nothing to keep")
        self.held = held


async def write_batch(
    engine: Pool,
    tenant: Tenant,
    kind: Kind,
    rows: pl.DataFrame,
    counts: Counts,
    terms: Terms,
    findings: Findings,
    on_progress: Progress,
) -> Held:
    """Write the checked rows in one transaction, unless something bad was found that may not be skipped.

    Raises:
        Conflict: the stream of imports moved on in between; nothing was written.
    """
    if (findings.rows and not terms.skip_bad) or not rows.height:
        return Held()
    try:
        async with driver_transaction(engine) as connection:
            return await _write(connection, tenant, kind, rows, counts, terms, findings, on_progress)
    except _NothingToKeep as nothing:
        return nothing.held


async def _write(
    connection: Driver,
    tenant: Tenant,
    kind: Kind,
    rows: pl.DataFrame,
    counts: Counts,
    terms: Terms,
    findings: Findings,
    on_progress: Progress,
) -> Held:
    tenant_id = tenant.tenant_id
    batch_id = await _begin(connection, tenant_id)
    if kind in RECORDS:
        outcome = await load_records(
            connection,
            tenant,
            kind,
            terms.source,
            rows,
            batch_id=batch_id,
            known_at=terms.known_at,
            findings=findings,
            on_progress=on_progress,
        )
    elif kind in {Kind.PURCHASES, Kind.RETURNS}:
        outcome = await load_purchases(
            connection,
            tenant_id,
            kind,
            rows,
            batch_id=batch_id,
            known_at=None if terms.known_as_occurred else terms.known_at,
            findings=findings,
            on_progress=on_progress,
        )
    else:
        if kind is Kind.GUIDES:
            rows = await without_undoing(connection, tenant_id, rows, findings)
        outcome = await load_masters(
            connection,
            kind,
            tenant,
            rows,
            batch_id=batch_id,
            known_at=terms.known_at,
            on_progress=on_progress,
        )
    if findings.rows and not terms.skip_bad:
        raise _NothingToKeep(Held())
    same = outcome.same + counts.repeated
    if not outcome.written:
        root = outcome.root if outcome.earlier else None
        raise _NothingToKeep(Held(0, same, outcome.earlier, root, already_imported=outcome.same > 0))
    imported = Imported(
        kind=kind.value,
        batch=batch_id,
        root=outcome.root,
        rows_read=counts.read,
        rows_new=outcome.written,
        rows_bad=findings.rows,
        source=terms.source if kind in RECORDS else "",
    )
    await _conclude(connection, tenant_id, imported, terms)
    return Held(outcome.written, same, batch_id, outcome.root)


async def _begin(connection: Driver, tenant_id: int) -> int:
    """Take the brand's turn to import and the number of its next batch."""
    await connection.execute(f"SET LOCAL statement_timeout = '{_LONGEST_STATEMENT}'")
    await connection.execute(f"SET LOCAL lock_timeout = '{_LONGEST_STATEMENT}'")
    # One import a brand at a time: categories and batches are numbered without gaps.
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('daogou.import'), $1)", tenant_id)
    number: int = await connection.fetchval(
        "SELECT coalesce(max(batch_id), 0) + 1 FROM import_batch WHERE tenant_id = $1", tenant_id
    )
    return number


async def _conclude(connection: Driver, tenant_id: int, imported: Imported, terms: Terms) -> None:
    """Write the batch and the one event that commits to it."""
    await connection.execute(
        """INSERT INTO import_batch (tenant_id, batch_id, kind, root, rows_read, rows_new, rows_bad, known_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)""",
        tenant_id,
        imported.batch,
        imported.kind,
        imported.root,
        imported.rows_read,
        imported.rows_new,
        imported.rows_bad,
        terms.known_at,
    )
    stream = f"import/{imported.kind}"
    event = NewEvent(imported.type, imported.payload(), occurred_at=terms.known_at, actor=terms.actor)
    appended = await append(
        connection,
        tenant_id=tenant_id,
        command_id=f"{stream}/{imported.root}",
        known_at=terms.known_at,
        batches=[StreamBatch(stream, [event], await read_head(connection, tenant_id, stream))],
    )
    if appended.duplicate:
        raise Conflict(f"the ledger already has the event of {stream}/{imported.root}: nothing was written")
