"""Calendars and shifts from a file: a row says something of a date, of a span of dates or of a weekday.

What the file says of a date or a weekday takes the place of what was said before; what it does not name stays. Each
subject that says something new gets one event through the door. All valid rows go in or none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, get_args

import polars as pl
from pydantic import ValidationError

from domain.calendar import EVERY_WEEKDAY, NamedDay
from domain.calendar_facts import CalendarFacts, Scope
from domain.layers import DatedHours, Hours, QuietHours, WeekdayHours
from imports import cells
from imports.checking import Findings
from imports.reading import LINE, read_table
from imports.report import LISTED, BadRow, ImportReport, Kind, Progress
from ledger.calendars import BRAND, hold_calendars, read_facts, write_facts
from ledger.ledger import Command, Ledger

LONGEST_SPAN = 400
"""Days of one row."""
_TEXTS = ("scope", "subject", "weekday", "state", "name", "country", "quiet")
_SCOPES = {
    "brand": "brand",
    "品牌": "brand",
    "region": "region",
    "大区": "region",
    "区域": "region",
    "store": "store",
    "门店": "store",
}
_CLOSED = ("closed", "no", "off", "休", "休息", "放假", "不营业", "否", "停业")
_OPEN = ("open", "yes", "work", "班", "上班", "营业", "是", "调休")
_USUAL = ("usual", "clear", "平日", "清除", "照常")
_WEEKDAYS = {
    **{str(day): day for day in EVERY_WEEKDAY},
    **{name: day for day, name in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1)},
    **{f"{word}{name}": day for word in ("周", "星期") for day, name in enumerate("一二三四五六日", 1)},
    "周天": 7,
    "星期天": 7,
}


@dataclass(frozen=True, slots=True)
class _Row:
    """One row, understood: who says it, of which days, what."""

    line: int
    scope: Scope
    subject: str
    days: tuple[date, ...]
    weekday: int | None
    state: str | None
    hours: Hours | None
    name: str
    country: str | None
    quiet: QuietHours | None


class _Bad(Exception):
    """A row says nothing that can be kept: the column, its value and why (a word of the catalogue's `calendar_row`)."""

    def __init__(self, column: str, value: str, code: str = "import.calendar_row") -> None:
        super().__init__(code)
        self.column, self.value, self.code = column, value, code


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
            rows.append(_understood(raw, kind, ids))
        except _Bad as found:
            bad.append(BadRow(int(raw[LINE]), found.column, found.value, found.code))
    findings.add(bad[:LISTED], rows=len(bad), problems=len(bad))
    new = 0
    if skip_bad or not findings.rows:
        on_progress("insert", 0, len(rows))
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


def _understood(raw: Mapping[str, Any], kind: Kind, ids: Mapping[str, str]) -> _Row:
    scope = _scope(raw, kind)
    subject = raw.get("subject") or BRAND
    if scope in {"store", "guide"} and subject not in ids:
        raise _Bad("subject", subject, "import.unknown_guide" if scope == "guide" else "import.unknown_store")
    if (scope == "brand") != (subject == BRAND):
        raise _Bad("subject", subject)
    weekday = _weekday(raw)
    days = _days(raw)
    hours = _hours(raw)
    row = _Row(
        line=raw[LINE],
        scope=scope,
        subject=subject,
        days=days,
        weekday=weekday,
        state=_state(raw, hours),
        hours=hours,
        name=(raw.get("name") or "")[:200],
        country=_country(raw),
        quiet=_quiet(raw),
    )
    _check(row, raw)
    return row


def _check(row: _Row, raw: Mapping[str, Any]) -> None:
    """Whether what the row says goes together."""
    if row.days and row.weekday is not None:
        raise _Bad("weekday", raw["weekday"])
    if not row.days and row.weekday is None and row.country is None and row.quiet is None:
        raise _Bad("date", raw.get("date_text") or "")
    if (row.days or row.weekday is not None) and row.state is None:
        raise _Bad("state", raw.get("state") or "")
    if row.hours is not None and (row.scope not in {"store", "guide"} or row.state != "open"):
        raise _Bad("opens_at", raw.get("opens_at_text") or "")
    if row.scope == "guide" and row.state == "open" and row.hours is None:
        raise _Bad("opens_at", "")
    if row.quiet is not None and row.scope != "brand":
        raise _Bad("quiet", raw["quiet"])


def _weekday(raw: Mapping[str, Any]) -> int | None:
    told = raw.get("weekday")
    if told is None:
        return None
    found = _WEEKDAYS.get(told.casefold()[:3] if told.isascii() else told)
    if found is None:
        raise _Bad("weekday", told)
    return found


def _scope(raw: Mapping[str, Any], kind: Kind) -> Scope:
    if kind is Kind.SHIFTS:
        return "guide"
    told = raw.get("scope")
    if told is None:
        return "store" if raw.get("subject") else "brand"
    found = _SCOPES.get(told.casefold())
    if found is None:
        raise _Bad("scope", told)
    return next(scope for scope in get_args(Scope) if scope == found)


def _days(raw: Mapping[str, Any]) -> tuple[date, ...]:
    for name in ("date", "until"):
        if raw.get(f"{name}_text") and raw.get(name) is None:
            raise _Bad(name, raw[f"{name}_text"], "import.not_a_date")
    first, last = raw.get("date"), raw.get("until")
    if first is None:
        if last is not None:
            raise _Bad("until", raw["until_text"])
        return ()
    span = ((last or first) - first).days
    if not 0 <= span <= LONGEST_SPAN:
        raise _Bad("until", raw["until_text"])
    return tuple(first + timedelta(days=ahead) for ahead in range(span + 1))


def _hours(raw: Mapping[str, Any]) -> Hours | None:
    for name in ("opens_at", "closes_at"):
        if raw.get(f"{name}_text") and raw.get(name) is None:
            raise _Bad(name, raw[f"{name}_text"], "import.not_a_time_of_day")
    opens, closes = raw.get("opens_at"), raw.get("closes_at")
    if opens is None and closes is None:
        return None
    if opens is None or closes is None:
        raise _Bad("closes_at" if closes is None else "opens_at", "")
    try:
        return Hours.model_validate({"opens": opens, "closes": closes})
    except ValidationError as error:
        raise _Bad("opens_at", opens, "import.not_a_time_of_day") from error


def _state(raw: Mapping[str, Any], hours: Hours | None) -> str | None:
    told = raw.get("state")
    if told is None:
        return None if hours is None else "open"
    word = told.casefold()
    for state, words in (("closed", _CLOSED), ("open", _OPEN), ("usual", _USUAL)):
        if word in words:
            return state
    raise _Bad("state", told)


def _country(raw: Mapping[str, Any]) -> str | None:
    told = raw.get("country")
    if told is None:
        return None
    country = {"无": "none", "中国": "CN", "none": "none"}.get(told.casefold(), told.upper())
    try:
        return CalendarFacts(country=country).country
    except ValidationError as error:
        raise _Bad("country", told) from error


def _quiet(raw: Mapping[str, Any]) -> QuietHours | None:
    told = raw.get("quiet")
    if told is None:
        return None
    begins, _, ends = told.replace("—", "-").replace("–", "-").replace("~", "-").partition("-")
    try:
        return QuietHours.model_validate({"begins": begins.strip(), "ends": ends.strip()})
    except ValidationError as error:
        raise _Bad("quiet", told) from error


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

    def take(self, row: _Row) -> None:
        self.country = row.country or self.country
        self.quiet = row.quiet or self.quiet
        for day in row.days:
            self._date(day, row)
        if row.weekday is not None:
            self._weekday(row.weekday, row)

    def _date(self, day: date, row: _Row) -> None:
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

    def _weekday(self, day: int, row: _Row) -> None:
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
            weekdays=None if self.weekdays == set(EVERY_WEEKDAY) else tuple(sorted(self.weekdays)) or None,
            closed=tuple(NamedDay(on=day, name=name) for day, name in self.closed.items()),
            opened=tuple(NamedDay(on=day, name=name) for day, name in self.opened.items()),
            weekly=tuple(WeekdayHours(weekday=day, hours=hours) for day, hours in self.weekly.items()),
            dated=tuple(DatedHours(on=day, hours=hours) for day, hours in self.dated.items()),
            quiet=self.quiet,
        ).in_order()


async def _say(
    ledger: Ledger, rows: list[_Row], ids: Mapping[str, str], *, known_at: datetime, actor: str
) -> int:
    """Say it; returns how many rows are of subjects that say something new."""
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
            facts = {keys[subject]: one.facts() for subject, one in said.items()}
            command = Command(f"calendar/{scope}/{known_at.isoformat()}", known_at, known_at, actor)
            changed = await write_facts(connection, ledger.tenant_id, command, scope, facts)
            new += sum(keys[row.subject] in changed for row in of_scope)
    return new
