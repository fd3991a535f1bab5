"""Imports end to end: read, check, then one transaction of rows, batch and `imported` event.

All valid rows go in or none: a bad row keeps everything out unless the caller skips bad rows. Whatever
goes wrong on the way, nothing of the file stays behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import perf_counter

import polars as pl

from domain.confirmation import KINDS
from domain.errors import Problem, Refused
from imports import cells
from imports.batches import Counts, Terms, write_batch
from imports.checking import Findings
from imports.known import bought, known, known_guides, known_members, record_codes, without_erased
from imports.masters import sealed_members
from imports.people import check_people
from imports.purchases import KnownCodes, check_purchases
from imports.reading import Table, read_table, table_of
from imports.records import RECORDS, check_records
from imports.report import ImportReport, Kind, Progress, Tenant
from imports.returns import check_returns
from ledger.database import driver_connection
from ledger.feed_terms import check_file
from ledger.feeds import check_source
from ledger.ledger import Ledger
from ledger.pool import Pool
from ledger.watermarks import check_until, move_by_import


async def import_file(  # noqa: PLR0913 - the options of a command, all by name
    engine: Pool,
    tenant: Tenant,
    kind: Kind,
    path: Path,
    *,
    known_at: datetime,
    actor: str,
    skip_bad: bool = False,
    known_as_occurred: bool = False,
    naive_zone: str | None = None,
    source: str = "file",
    complete_until: datetime | None = None,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Import a CSV, XLSX or Parquet file with English or Chinese headers.

    Args:
        engine: a pool bound to the tenant, of a role that writes.
        tenant: the brand and the secret of its ids.
        kind: what the file holds.
        path: the file; its ending names the format.
        known_at: the instant of this import, with a zone.
        actor: who imports.
        skip_bad: take the good rows although there are bad ones.
        known_as_occurred: purchases become known when they occurred (rehearsals).
        naive_zone: IANA zone of times that name none; default: the zone of the row's store.
        source: which system of record the rows come from.
        complete_until: up to when that system has told everything of this kind, the file included; said by whoever
            imports, never guessed.
        on_progress: called with stage, rows done, rows in all.

    Returns:
        What was found and done; look at `refused`.

    Raises:
        Refused: the file cannot be read, lacks a column, `naive_zone` is unknown, or the source sends and was not
            registered for this kind; nothing was written.
        Conflict: another import ended at the same moment; do it again.
    """
    terms = Terms(known_at, actor, skip_bad, known_as_occurred, naive_zone, source)
    check_source(source, "--source")
    if complete_until is not None:
        check_until(complete_until, known_at, "--complete-until")
    if kind.value in KINDS:
        async with driver_connection(engine) as connection:
            await check_file(connection, tenant.tenant_id, source, kind.value, known_at)
    report = await _run(engine, tenant, kind, lambda: read_table(path, kind), terms, on_progress or _silent)
    if complete_until is not None and not report.refused:
        # After the rows: whoever reads in between takes the data for less complete than it is.
        ledger = Ledger(engine, tenant.tenant_id)
        await move_by_import(ledger, source, kind.value, complete_until, known_at=known_at, actor=actor)
    return report


async def import_frame(  # noqa: PLR0913 - the options of a command, all by name
    engine: Pool,
    tenant: Tenant,
    kind: Kind,
    frame: pl.DataFrame,
    *,
    known_at: datetime,
    actor: str,
    skip_bad: bool = False,
    known_as_occurred: bool = False,
    naive_zone: str | None = None,
    source: str = "file",
    on_progress: Progress | None = None,
) -> ImportReport:
    """Import a frame whose columns are named like a file's; all else as `import_file`."""
    terms = Terms(known_at, actor, skip_bad, known_as_occurred, naive_zone, source)
    return await _run(engine, tenant, kind, lambda: table_of(frame, kind), terms, on_progress or _silent)


async def _run(
    engine: Pool,
    tenant: Tenant,
    kind: Kind,
    read: Callable[[], Table],
    terms: Terms,
    on_progress: Progress,
) -> ImportReport:
    began = perf_counter()
    if terms.naive_zone is not None and not cells.zones_known([terms.naive_zone])[terms.naive_zone]:
        raise Refused([Problem("naive_zone", terms.naive_zone, "import.unknown_time_zone")])
    on_progress("read", 0, 1)
    table = await asyncio.to_thread(read)
    findings = Findings()
    lines = len({bad.line for bad in table.misshapen})
    findings.add(table.misshapen, rows=lines, problems=len(table.misshapen))
    read_rows = table.frame.height + lines
    on_progress("check", 0, read_rows)
    rows, repeated, outside = await _check(engine, tenant, kind, table.frame, terms, findings)
    erased = 0
    if kind is Kind.MEMBERS and (terms.skip_bad or not findings.rows):
        rows, marked = await without_erased(engine, tenant, rows, "id")
        rows, keyless = await sealed_members(tenant, rows)
        erased = marked + keyless
    elif kind in {Kind.PURCHASES, Kind.RETURNS, *RECORDS}:
        rows, erased = await without_erased(engine, tenant, rows, "member_id")
    on_progress("check", read_rows, read_rows)

    held = await write_batch(
        engine, tenant, kind, rows, Counts(read_rows, repeated), terms, findings, on_progress
    )
    return ImportReport(
        kind=kind,
        rows_read=read_rows,
        rows_new=held.rows_new,
        rows_same=held.rows_same,
        rows_bad=findings.rows,
        problems=findings.problems,
        bad=findings.listed(),
        batch_id=held.batch_id,
        root=held.root,
        already_imported=held.already_imported,
        ignored=table.ignored,
        headers=table.headers,
        seconds=perf_counter() - began,
        rows_erased=erased,
        rows_outside=outside,
    )


async def _check(
    engine: Pool, tenant: Tenant, kind: Kind, table: pl.DataFrame, terms: Terms, findings: Findings
) -> tuple[pl.DataFrame, int, int]:
    """The valid rows, how many repeat another one, and how many are of numbers that no member has."""
    stores = await known(
        engine,
        "SELECT code, store_id::text, time_zone FROM store WHERE tenant_id = $1",
        ("store", "store_id", "zone"),
        tenant.tenant_id,
    )
    latest = None if terms.known_as_occurred else terms.known_at
    if kind in RECORDS:
        codes = await record_codes(engine, tenant, table, stores)
        told = await asyncio.to_thread(
            check_records,
            kind,
            table,
            codes,
            findings,
            latest=terms.known_at,
            naive_zone=terms.naive_zone,
        )
        return told.rows, told.repeated, told.outside
    if kind is Kind.RETURNS:
        returned = await bought(engine, tenant, table)
        checked = await asyncio.to_thread(
            check_returns, table, returned, findings, latest=latest, naive_zone=terms.naive_zone
        )
        return checked.rows, checked.repeated, 0
    if kind is not Kind.PURCHASES:
        masters = await asyncio.to_thread(
            check_people, kind, table, stores, tenant, findings, latest=terms.known_at
        )
        return *masters, 0
    named = table.select(cells.text("member", table.schema["member"])).to_series().drop_nulls().unique()
    checked = await asyncio.to_thread(
        check_purchases,
        table,
        KnownCodes(
            members=await known_members(engine, tenant, named),
            stores=stores,
            guides=(await known_guides(engine, tenant)).drop("guide_zone"),
        ),
        findings,
        latest=latest,
        naive_zone=terms.naive_zone,
    )
    return checked.rows, checked.repeated, 0


def _silent(_stage: str, _done: int, _total: int) -> None:
    """Nobody watches."""
