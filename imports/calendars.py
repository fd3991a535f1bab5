"""Calendars and shifts from a file: a row says something of a date, of a span of dates or of a weekday.

What the file says of a date or a weekday takes the place of what was said before; what it does not name stays. Each
subject that says something new gets one event through the door. All valid rows go in or none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import polars as pl

from domain.calendar import EVERY_WEEKDAY, NamedDay
from domain.calendar_facts import CalendarFacts, Scope
from domain.layers import DatedHours, Hours, QuietHours, WeekdayHours
from imports import cells
from imports.calendar_rows import Bad, Row, understood
from imports.checking import Findings
from imports.reading import LINE, read_table
from imports.report import LISTED, BadRow, ImportReport, Kind, Progress
from ledger.calendar_facts import hold_calendars, read_facts, write_facts
from ledger.ledger import Command, Ledger

_TEXTS = ("scope", "subject", "weekday", "state", "name", "country", "quiet")


async def import_calendar(
    ledger: Ledger,
    kind: Kind,
    path: Path,
    *,
    known_at: datetime,
    actor: str,
    skip_bad: bool = False,
    on_progress: Progress,
) -> ImportReport:
    """Say what a CSV, XLSX or Parquet file says of calendars (`Kind.CALENDAR`) or shifts (`Kind.SHIFTS`).

    A handful of round trips a scope, whatever the number of rows.

    Raises:
        Refused: the file cannot be read, or lacks a column; nothing was written.
    """
    began = perf_counter()
    on_progress("read", 0, 1)
    table = await asyncio.to_thread(read_table, path, kind)
    findings = Findings()
    findings.add(
        table.misshapen, rows=len({bad.line for bad in table.misshapen}), problems=len(table.misshapen)
    )
    ids = await _ids(ledger, kind)
    rows, bad = [], []
    for raw in _texts(table.frame):
        try:
            rows.append(understood(raw, kind, ids))
        except Bad as found:
            bad.append(BadRow(int(raw[LINE]), found.column, found.value, found.code))
    findings.add(bad[:LISTED], rows=len(bad), problems=len(bad))
    new = 0
    if skip_bad or not findings.rows:
        on_progress("insert", 0, len(rows))
        try:
            new = await _say(ledger, rows, ids, known_at=known_at, actor=actor)
        except _NeverOpen as found:
            never = [row for row in rows if row.closes_weekday and (row.scope, row.subject) in found.subjects]
            listed = [BadRow(row.line, "weekday", str(row.weekday), "import.never_open") for row in never]
            findings.add(listed[:LISTED], rows=len(never), problems=len(never))
            rows = [row for row in rows if row not in never]
            if skip_bad:
                new = await _say(ledger, rows, ids, known_at=known_at, actor=actor)
    told = len(rows) if skip_bad or not findings.rows else 0
    return ImportReport(
        kind=kind,
        rows_read=table.frame.height + len({bad.line for bad in table.misshapen}),
        rows_new=new,
        rows_same=told - new,
        rows_bad=findings.rows,
        problems=findings.problems,
        bad=findings.listed(),
        batch_id=None,
        root=None,
        already_imported=bool(told and not new),
        ignored=table.ignored,
        headers=table.headers,
        seconds=perf_counter() - began,
    )


async def _ids(ledger: Ledger, kind: Kind) -> dict[str, str]:
    """Code to subject, of the stores or the guides."""
    query = "SELECT code, store_id::text AS id FROM store WHERE tenant_id = $1"
    if kind is Kind.SHIFTS:
        query = "SELECT code, guide_id::text AS id FROM guide WHERE tenant_id = $1"
    async with ledger.connection() as connection:
        return {row["code"]: row["id"] for row in await connection.fetch(query, ledger.tenant_id)}


def _texts(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Every row as text, dates as dates."""
    schema = frame.schema
    exprs = [cells.text(name, schema[name]).alias(name) for name in _TEXTS if name in schema]
    for name in ("date", "until"):
        if name in schema:
            exprs += [
                cells.date(name, schema[name]).alias(name),
                cells.text(name, schema[name]).alias(f"{name}_text"),
            ]
    for name in ("opens_at", "closes_at"):
        if name in schema:
            exprs += [
                cells.clock_time(name, schema[name]).alias(name),
                cells.text(name, schema[name]).alias(f"{name}_text"),
            ]
    return frame.select(LINE, *exprs).to_dicts()


@dataclass
class _Saying:
    """What a subject says, being changed row by row."""

    before: CalendarFacts
    closed: dict[date, str] = field(init=False)
    opened: dict[date, str] = field(init=False)
    dated: dict[date, tuple[Hours, ...]] = field(init=False)
    weekly: dict[int, tuple[Hours, ...]] = field(init=False)
    weekdays: set[int] = field(init=False)
    country: str | None = field(init=False)
    quiet: QuietHours | None = field(init=False)
    named: set[date | int] = field(init=False, default_factory=set)
    """Dates and weekdays that this file names: what was said of them before is gone."""

    def __post_init__(self) -> None:
        self.closed = {one.on: one.name for one in self.before.closed}
        self.opened = {one.on: one.name for one in self.before.opened}
        self.dated = {one.on: one.hours for one in self.before.dated}
        self.weekly = {one.weekday: one.hours for one in self.before.weekly}
        self.weekdays = set(self.before.weekdays or EVERY_WEEKDAY)
        self.country, self.quiet = self.before.country, self.before.quiet

    def take(self, row: Row) -> None:
        self.country = row.country or self.country
        self.quiet = row.quiet or self.quiet
        for day in row.days:
            self._date(day, row)
        if row.weekday is not None:
            self._weekday(row.weekday, row)

    def _date(self, day: date, row: Row) -> None:
        if day not in self.named:
            self.named.add(day)
            for kept in (self.closed, self.opened, self.dated):
                kept.pop(day, None)
        if row.state == "closed":
            self.closed[day] = row.name
        elif row.state == "open":
            if row.scope != "guide":
                self.opened[day] = row.name
            if row.hours is not None:
                self.dated[day] = (*self.dated.get(day, ()), row.hours)

    def _weekday(self, day: int, row: Row) -> None:
        if day not in self.named:
            self.named.add(day)
            self.weekly.pop(day, None)
            self.weekdays.add(day)
        if row.state == "closed":
            if row.scope == "guide":
                self.weekly[day] = ()
            else:
                self.weekdays.discard(day)
        elif row.hours is not None:
            self.weekly[day] = (*self.weekly.get(day, ()), row.hours)

    def facts(self) -> CalendarFacts:
        return CalendarFacts(
            country=self.country,
            weekdays=None if self.weekdays == set(EVERY_WEEKDAY) else tuple(sorted(self.weekdays)),
            closed=tuple(NamedDay(on=day, name=name) for day, name in self.closed.items()),
            opened=tuple(NamedDay(on=day, name=name) for day, name in self.opened.items()),
            weekly=tuple(WeekdayHours(weekday=day, hours=hours) for day, hours in self.weekly.items()),
            dated=tuple(DatedHours(on=day, hours=hours) for day, hours in self.dated.items()),
            quiet=self.quiet,
        ).in_order()


class _NeverOpen(Exception):
    """Of these scopes and subjects no weekday would be left: no list could be cut for a day of theirs, ever."""

    def __init__(self, subjects: frozenset[tuple[Scope, str]]) -> None:
        super().__init__("never_open")
        self.subjects = subjects


async def _say(
    ledger: Ledger, rows: list[Row], ids: Mapping[str, str], *, known_at: datetime, actor: str
) -> int:
    """Say it; returns how many rows are of subjects that say something new.

    Raises:
        _NeverOpen: nothing was said.
    """
    new = 0
    async with ledger.transaction() as connection:
        await hold_calendars(connection, ledger.tenant_id)
        for scope in get_args(Scope):
            of_scope = [row for row in rows if row.scope == scope]
            if not of_scope:
                continue
            subjects = sorted({row.subject for row in of_scope})
            keys = {subject: ids.get(subject, subject) for subject in subjects}
            if scope in {"brand", "region"}:
                keys = {subject: subject for subject in subjects}
            before = await read_facts(connection, ledger.tenant_id, scope, sorted(keys.values()))
            said = {subject: _Saying(before.get(keys[subject], CalendarFacts())) for subject in subjects}
            for row in of_scope:
                said[row.subject].take(row)
            if never := frozenset((scope, subject) for subject, one in said.items() if not one.weekdays):
                raise _NeverOpen(never)
            facts = {keys[subject]: one.facts() for subject, one in said.items()}
            command = Command(f"calendar/{scope}/{known_at.isoformat()}", known_at, known_at, actor)
            changed = await write_facts(connection, ledger.tenant_id, command, scope, facts)
            new += sum(keys[row.subject] in changed for row in of_scope)
    return new
