"""Rows of calendars and shifts: from cells to what a row says of a date, a span of dates or a weekday."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, get_args

from pydantic import ValidationError

from domain.calendar import EVERY_WEEKDAY
from domain.calendar_facts import REASONS, CalendarFacts, Scope
from domain.layers import Hours, QuietHours
from imports.reading import LINE
from imports.report import Kind
from ledger.calendar_facts import BRAND

LONGEST_SPAN = 400
"""Days of one row."""
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
class Row:
    """One row, understood: who says it, of which days, what."""

    line: int
    scope: Scope
    subject: str
    days: tuple[date, ...]
    weekday: int | None
    state: str | None
    hours: Hours | None
    name: str
    """Of a date, a word of `domain.calendar_facts.REASONS` or nothing; of a guide's nothing."""
    country: str | None
    quiet: QuietHours | None

    @property
    def closes_weekday(self) -> bool:
        """Whether it takes a weekday out of a week; a guide without a shift takes none."""
        return self.weekday is not None and self.state == "closed" and self.scope != "guide"


class Bad(Exception):
    """A row says nothing that can be kept: the column, its value and why (a word of the catalogue's `calendar_row`)."""

    def __init__(self, column: str, value: str, code: str = "import.calendar_row") -> None:
        super().__init__(code)
        self.column, self.value, self.code = column, value, code


def understood(raw: Mapping[str, Any], kind: Kind, ids: Mapping[str, str]) -> Row:
    """What a row says.

    Args:
        raw: its cells, as `imports.calendars` reads them.
        kind: a calendar or shifts.
        ids: the codes of the stores or the guides that exist.

    Raises:
        Bad: nothing that can be kept.
    """
    scope = _scope(raw, kind)
    subject = raw.get("subject") or BRAND
    if scope in {"store", "guide"} and subject not in ids:
        raise Bad("subject", subject, "import.unknown_guide" if scope == "guide" else "import.unknown_store")
    if (scope == "brand") != (subject == BRAND):
        raise Bad("subject", subject)
    weekday = _weekday(raw)
    days = _days(raw)
    hours = _hours(raw)
    row = Row(
        line=raw[LINE],
        scope=scope,
        subject=subject,
        days=days,
        weekday=weekday,
        state=_state(raw, hours),
        hours=hours,
        name=_reason(raw, scope),
        country=_country(raw),
        quiet=_quiet(raw),
    )
    _check(row, raw)
    return row


def _check(row: Row, raw: Mapping[str, Any]) -> None:
    """Whether what the row says goes together."""
    if row.days and row.weekday is not None:
        raise Bad("weekday", raw["weekday"])
    if not row.days and row.weekday is None and row.country is None and row.quiet is None:
        raise Bad("date", raw.get("date_text") or "")
    if (row.days or row.weekday is not None) and row.state is None:
        raise Bad("state", raw.get("state") or "")
    if row.hours is not None and (row.scope not in {"store", "guide"} or row.state != "open"):
        raise Bad("opens_at", raw.get("opens_at_text") or "")
    if row.scope == "guide" and row.state == "open" and row.hours is None:
        raise Bad("opens_at", "")
    if row.quiet is not None and row.scope != "brand":
        raise Bad("quiet", raw["quiet"])


def _weekday(raw: Mapping[str, Any]) -> int | None:
    told = raw.get("weekday")
    if told is None:
        return None
    found = _WEEKDAYS.get(told.casefold()[:3] if told.isascii() else told)
    if found is None:
        raise Bad("weekday", told)
    return found


def _scope(raw: Mapping[str, Any], kind: Kind) -> Scope:
    if kind is Kind.SHIFTS:
        return "guide"
    told = raw.get("scope")
    if told is None:
        return "store" if raw.get("subject") else "brand"
    found = _SCOPES.get(told.casefold())
    if found is None:
        raise Bad("scope", told)
    return next(scope for scope in get_args(Scope) if scope == found)


def _days(raw: Mapping[str, Any]) -> tuple[date, ...]:
    for name in ("date", "until"):
        if raw.get(f"{name}_text") and raw.get(name) is None:
            raise Bad(name, raw[f"{name}_text"], "import.not_a_date")
    first, last = raw.get("date"), raw.get("until")
    if first is None:
        if last is not None:
            raise Bad("until", raw["until_text"])
        return ()
    span = ((last or first) - first).days
    if not 0 <= span <= LONGEST_SPAN:
        raise Bad("until", raw["until_text"])
    return tuple(first + timedelta(days=ahead) for ahead in range(span + 1))


def _hours(raw: Mapping[str, Any]) -> Hours | None:
    for name in ("opens_at", "closes_at"):
        if raw.get(f"{name}_text") and raw.get(name) is None:
            raise Bad(name, raw[f"{name}_text"], "import.not_a_time_of_day")
    opens, closes = raw.get("opens_at"), raw.get("closes_at")
    if opens is None and closes is None:
        return None
    if opens is None or closes is None:
        raise Bad("closes_at" if closes is None else "opens_at", "")
    try:
        return Hours.model_validate({"opens": opens, "closes": closes})
    except ValidationError as error:
        raise Bad("opens_at", opens, "import.not_a_time_of_day") from error


def _state(raw: Mapping[str, Any], hours: Hours | None) -> str | None:
    told = raw.get("state")
    if told is None:
        return None if hours is None else "open"
    word = told.casefold()
    for state, words in (("closed", _CLOSED), ("open", _OPEN), ("usual", _USUAL)):
        if word in words:
            return state
    raise Bad("state", told)


def _reason(raw: Mapping[str, Any], scope: Scope) -> str:
    """A reason of the closed list; whatever else stands there may name somebody, and goes no further than here."""
    told = (raw.get("name") or "").strip().casefold()
    return told if scope != "guide" and told in REASONS else ""


def _country(raw: Mapping[str, Any]) -> str | None:
    told = raw.get("country")
    if told is None:
        return None
    country = {"无": "none", "中国": "CN", "none": "none"}.get(told.casefold(), told.upper())
    try:
        return CalendarFacts(country=country).country
    except ValidationError as error:
        raise Bad("country", told) from error


def _quiet(raw: Mapping[str, Any]) -> QuietHours | None:
    told = raw.get("quiet")
    if told is None:
        return None
    begins, _, ends = told.replace("—", "-").replace("–", "-").replace("~", "-").partition("-")
    try:
        return QuietHours.model_validate({"begins": begins.strip(), "ends": ends.strip()})
    except ValidationError as error:
        raise Bad("quiet", told) from error
