"""`daogou calendar`: the days and hours of a store or a guide, and why something is not permitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import click
from rich.console import RenderableType
from rich.text import Text

from cli.instants import read_instant
from cli.layout import NOTHING, heading, table
from cli.session import Session, json_option, pass_session
from domain.calendar import business_date
from domain.calendar_view import DayView, view_days
from domain.errors import Problem, Refused
from domain.layers import Layers
from domain.permitted import Permitted, Purpose, Reason, next_permitted
from infra.clock import now
from ledger.calendars import calendar_named
from ledger.calendars_then import say_then
from wording.catalogue import Catalogue

LONGEST = 400
SHOWN = 13
"""Days shown after today where no end is named: two weeks."""
_guide = click.option(
    "--guide", is_flag=True, help="编码是导购的 / the code is a guide's, should a store have it too."
)

_as_of = click.option(
    "--as-of",
    metavar="INSTANT",
    callback=lambda _context, _option, told: None if told is None else read_instant("--as-of", told),
    help="按当时说过的 / as it had been said by then.",
)


@click.group()
def calendar() -> None:
    """营业日历、班次、免打扰时段 / Calendars of stores and guides."""


@calendar.command("show")
@click.argument("subject", metavar="STORE|GUIDE")
@click.option(
    "--from", "first", metavar="DATE", help="从哪天起（默认今天）/ from which day on (default: today)."
)
@click.option(
    "--to", "last", metavar="DATE", help="到哪天（默认两周）/ up to which day (default: two weeks)."
)
@_guide
@_as_of
@json_option
@pass_session
def show_command(
    session: Session, subject: str, first: str | None, last: str | None, guide: bool, as_of: datetime | None
) -> None:
    """逐日显示是否营业、时间、依据 / Day by day: whether worked, when, and which layer says so."""
    layers = session.run(_layers(session, subject, guide=guide, as_of=as_of))
    begin = _day("--from", first) or business_date(now(), layers.zone)
    end = _day("--to", last) or begin + timedelta(days=SHOWN)
    if not 0 <= (end - begin).days <= LONGEST:
        raise Refused(
            [Problem("--to", str(end), "too_large", {"limit": str(begin + timedelta(days=LONGEST))})]
        )
    days = view_days(layers, begin, end)
    unknown = layers.days.unknown_years(begin, end)
    session.show(
        {
            "subject": subject,
            "time_zone": layers.zone,
            "quiet_hours": None if layers.quiet is None else str(layers.quiet),
            "unknown_years": unknown,
            "days": [one.model_dump(mode="json") for one in days],
        },
        *_screen(session.words, subject, layers, days),
        *(
            session.words("calendar.unknown", years=", ".join(map(str, years)), country=country)
            for country, years in unknown.items()
        ),
    )


@calendar.command("explain")
@click.argument("subject", metavar="STORE|GUIDE")
@click.option("--at", "at", metavar="INSTANT", help="哪个时刻（默认现在）/ which instant (default: now).")
@click.option(
    "--for",
    "purpose",
    type=click.Choice([one.value for one in Purpose]),
    default=Purpose.WORK.value,
    show_default=True,
    help="导购工作、联系会员、或两者 / a guide's work, contact with a member, or both.",
)
@_guide
@_as_of
@json_option
@pass_session
def explain_command(
    session: Session, subject: str, at: str | None, purpose: str, guide: bool, as_of: datetime | None
) -> None:
    """为什么这个时刻不可以，什么时候可以 / Why an instant is not permitted, and which is the next that is."""
    layers = session.run(_layers(session, subject, guide=guide, as_of=as_of))
    instant = now().replace(microsecond=0) if at is None else read_instant("--at", at)
    found = next_permitted(instant, layers, Purpose(purpose))
    session.show(
        {
            "subject": subject,
            "purpose": purpose,
            "at": instant,
            "permitted": found.reason is None,
            "next": found.instant,
            "moves": [one.model_dump(mode="json") for one in found.moves],
        },
        *_explained(session.words, layers.zone, instant, found),
    )


async def _layers(session: Session, subject: str, *, guide: bool, as_of: datetime | None) -> Layers:
    async with session.ledger() as (ledger, _), ledger.transaction() as connection:
        if as_of is not None:
            await say_then(connection, ledger.tenant_id, as_of)
        return await calendar_named(connection, ledger.tenant_id, subject, guide=True if guide else None)


def _day(option: str, told: str | None) -> date | None:
    try:
        return None if told is None else date.fromisoformat(told)
    except ValueError as error:
        raise Refused([Problem(option, told or "", "not_a_date")]) from error


def _screen(words: Catalogue, subject: str, layers: Layers, days: Sequence[DayView]) -> list[RenderableType]:
    of_guide = layers.guide is not None
    columns = ["day", "worked", "hours", *(["shifts"] if of_guide else []), "why"]
    made = table(*(words(f"calendar.{column}") for column in columns), fold=(len(columns) - 1,))
    for one in days:
        shifts = "" if one.shifts is None else " ".join(one.shifts) or words("calendar.day_off")
        if one.on_leave:
            shifts = words("calendar.day_off")
        made.add_row(
            f"{one.day:%Y-%m-%d}",
            words("calendar.open" if one.worked else "calendar.shut"),
            " ".join(one.hours) or NOTHING,
            *([shifts or NOTHING] if of_guide else []),
            Text(
                _why(
                    words,
                    Reason(code=one.code, layer=one.layer, subject=one.subject, day=one.day, fact=one.name),
                )
            ),
        )
    parts: list[RenderableType] = [heading(words("calendar.title", subject=subject, zone=layers.zone)), made]
    if layers.quiet is not None:
        parts.append(words("calendar.quiet", quiet=str(layers.quiet)))
    return parts


def _explained(words: Catalogue, zone: str, at: datetime, found: Permitted) -> list[RenderableType]:
    if found.reason is None:
        return [words("calendar.permitted", at=_local(at, zone))]
    made = table(words("calendar.why"), words("calendar.day"), fold=(0,))
    for move in found.moves:
        made.add_row(Text(_why(words, move.reason)), words("calendar.until", until=_local(move.until, zone)))
    return [words("calendar.moved", at=_local(at, zone), next=_local(found.instant, zone)), made]


def _why(words: Catalogue, reason: Reason) -> str:
    told = words(f"calendar.reasons.{reason.code}", day=reason.day.isoformat(), fact=reason.fact).strip()
    if reason.code == "usual":
        return told
    whose = " ".join((words(f"calendar.layers.{reason.layer.value}"), reason.subject)).strip()
    return f"{told} · {whose}"


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"
