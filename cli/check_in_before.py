"""`daogou check-in correct` and `daogou check-in late`: what was reported before, and what never was.

The item is named by its number on the guide's list of that day.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Any

import click

from cli.check_in import (
    ACTOR,
    Report,
    Reported,
    as_typed,
    find_guide,
    machine,
    read_line,
    screen,
)
from cli.session import Session, json_option, pass_session
from domain.amending import Correction
from domain.calendar import local_instant
from domain.check_in import NOT_REACHED, CheckIn
from domain.errors import Problem, Refused
from domain.identifiers import derived_id
from infra.clock import now
from ledger import facts
from ledger.check_ins import check_in
from ledger.corrections import Reported as Before
from ledger.corrections import correct, read_report, report_of_day
from ledger.late_reports import Why, report_late
from ledger.ledger import Ledger
from ledger.recorded import Recorded
from ledger.today import ListedItem, TodaysList, read_todays_list

date_option = click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="哪天的清单（默认最近）/ which day's list (default: newest).",
)
at_option = click.option(
    "--at", metavar="HH:MM", help="几点发生的，门店当地 / when it occurred, by the store's clocks."
)
reason_option = click.option("--reason", default="", metavar="TEXT", help="原因 / why.")


@dataclass(frozen=True, slots=True)
class _Named:
    """The item that was named, with the list it is on and whose it is."""

    guide: facts.GuideFacts
    listed: TodaysList
    item: ListedItem


@click.command("late")
@click.argument("guide")
@click.argument("rank")
@date_option
@click.option(
    "--at",
    required=True,
    metavar="HH:MM",
    help="几点发生的，门店当地 / when it occurred, by the store's clocks.",
)
@click.option("--outcome", required=True, metavar="OUTCOME", help="结果 / what came of it, e.g. interested.")
@click.option("--grade", metavar="A|B|C|D", help="意向 / intent.")
@click.option("--next-on", metavar="DATE", help="约好的下次日期 / the next date agreed on.")
@click.option("--channel", default="phone", show_default=True, metavar="CHANNEL", help="方式 / how.")
@click.option("--note", metavar="TEXT", help="备注，不进入事件 / kept beside the events, and erasable.")
@click.option("--key", metavar="KEY", help="幂等键：同一键只计一次 / the same key counts once.")
@reason_option
@json_option
@pass_session
def late_command(
    session: Session, /, guide: str, rank: str, day: datetime | None, at: str, reason: str, **options: Any
) -> None:
    """补报收尾前发生的事 / Report what occurred before the close of a day.

    收尾后 24 小时内照常补报；再晚要 --reason / Within 24 hours of the close like any report; later with --reason.
    """
    number, report = read_line(rank, **options)
    clock = _clock(at)
    done = session.run(_late(session, guide, number, report, day and day.date(), clock, reason))
    session.show(machine(guide, report, done), *screen(session, guide, report, done))


async def _late(
    session: Session,
    guide: str,
    rank: int,
    report: Report,
    day: date | None,
    clock: time,
    reason: str,
) -> Reported:
    async with session.ledger() as (ledger, _):
        named = await _named(ledger, guide, rank, day)
        at = now()
        occurred_at = local_instant(named.listed.day, clock, named.guide.time_zone)
        line = (
            report.outcome,
            report.grade or "",
            str(report.next_on or ""),
            report.channel,
            str(occurred_at),
        )
        own = derived_id("check-in", str(named.item.task_id), *line)
        command = _check_in(named, report, f"check-in/late/{report.key or own}", occurred_at, at)
        salt = secrets.token_bytes(16)
        try:
            if reason:
                why = Why(reason, secrets.token_bytes(16))
                recorded = await report_late(ledger, command, salt=salt, why=why)
            else:
                recorded = await check_in(ledger, command, salt=salt)
        except Refused as refused:
            raise _typed(refused, named, rank) from refused
    return Reported(named.listed, named.item, recorded)


def _check_in(named: _Named, report: Report, command_id: str, occurred_at: datetime, at: datetime) -> CheckIn:
    return CheckIn(
        command_id=command_id,
        task_id=named.item.task_id,
        performed_by=named.guide.guide_id,
        actor=ACTOR,
        occurred_at=occurred_at,
        known_at=at,
        channel=report.channel,
        outcome=report.outcome,
        grade=report.grade,
        next_on=report.next_on,
        note=report.note,
    )


@click.command("correct")
@click.argument("guide")
@click.argument("rank")
@date_option
@click.option("--outcome", metavar="OUTCOME", help="正确的结果 / what really came of it.")
@click.option("--grade", metavar="A|B|C|D", help="意向 / intent.")
@click.option("--next-on", metavar="DATE", help="约好的下次日期 / the next date agreed on.")
@click.option("--channel", metavar="CHANNEL", help="方式 / how.")
@click.option("--note", metavar="TEXT", help="新备注 / a new note.")
@at_option
@click.option("--by", metavar="GUIDE", help="其实是谁做的 / who really did it.")
@click.option("--void", is_flag=True, help="作废：从来没有这回事 / it was never made.")
@click.option("--key", metavar="KEY", help="幂等键：同一键只计一次 / the same key counts once.")
@reason_option
@json_option
@pass_session
def correct_command(session: Session, /, guide: str, rank: str, **options: Any) -> None:
    """更正当天对某一项的签到 / Correct what was reported of an item that day.

    没写的选项保持原样；收尾后的更正和作废要 --reason / What is not given stays as it was; a closed day and a void
    need --reason.
    """
    done, void = session.run(_correct(session, guide, rank, **options))
    told = done.report
    answer = machine(guide, told, done.reported) | {"version": done.reported.recorded.version, "voided": void}
    if void:
        key = "check_in.voided_before" if done.reported.recorded.duplicate else "check_in.voided"
        item = done.reported.item
        line = session.words(key, guide=guide, rank=item.rank, member=item.member, category=item.category)
        session.show(answer | {"outcome": None, "grade": None}, line)
        return
    session.show(answer, *screen(session, guide, told, done.reported))


@dataclass(frozen=True, slots=True)
class _Done:
    report: Report
    reported: Reported


async def _correct(
    session: Session,
    guide: str,
    rank: str,
    *,
    day: datetime | None,
    at: str | None,
    by: str | None,
    void: bool,
    reason: str,
    **options: Any,
) -> tuple[_Done, bool]:
    if void and any(options[name] for name in ("outcome", "grade", "next_on", "channel", "note")):
        raise Refused([Problem("--void", "", "void_says_nothing")])
    # Read with an outcome to begin with, so that every slip is told at once.
    number, typed = read_line(
        rank,
        **(
            options | {"outcome": options["outcome"] or "no_answer", "channel": options["channel"] or "phone"}
        ),
    )
    clock = None if at is None else _clock(at)
    async with session.ledger() as (ledger, _):
        named = await _named(ledger, guide, number, day and day.date())
        async with ledger.connection() as connection:
            found = await report_of_day(
                connection, ledger.tenant_id, named.item.task_id, named.listed.day, named.guide.guide_id
            )
            if found is None:
                told = {"day": named.listed.day.isoformat()}
                raise Refused([Problem("RANK", str(number), "nothing_reported", told)])
            before = await read_report(connection, ledger.tenant_id, named.item.task_id, found)
            doer = before.performed_by
            if by is not None:
                doer = (await find_guide(connection, ledger.tenant_id, by)).guide_id
        report = _merged(before, typed, options)
        occurred_at = before.occurred_at
        if clock is not None:
            occurred_at = local_instant(named.listed.day, clock, named.guide.time_zone)
        try:
            recorded = await _send(ledger, named, found, report, (occurred_at, doer, void, reason))
        except Refused as refused:
            raise _typed(refused, named, number) from refused
    return _Done(report, Reported(named.listed, named.item, recorded)), void


async def _send(
    ledger: Ledger, named: _Named, version: int, report: Report, rest: tuple[datetime, Any, bool, str]
) -> Recorded:
    occurred_at, doer, void, reason = rest
    at = now()
    line = (
        report.outcome,
        report.grade or "",
        str(report.next_on or ""),
        report.channel,
        str(occurred_at),
        str(doer),
    )
    own = derived_id("correction", str(named.item.task_id), str(version), str(void), *line)
    command_id = f"correction/key/{report.key}" if report.key else f"correction/line/{own}"
    told = _check_in(named, report, command_id, occurred_at, at).model_copy(update={"performed_by": doer})
    command = Correction(
        command_id=command_id,
        task_id=named.item.task_id,
        supersedes=version,
        report=None if void else told,
        actor=ACTOR,
        known_at=at,
        why=reason,
    )
    return await correct(ledger, command, salt=secrets.token_bytes(16), why_salt=secrets.token_bytes(16))


def _merged(before: Before, typed: Report, options: dict[str, Any]) -> Report:
    """What was typed, and what was there where nothing was; a grade and a next date need a contact."""
    outcome = typed.outcome if options["outcome"] else before.outcome
    kept = outcome not in NOT_REACHED
    return replace(
        typed,
        outcome=outcome,
        channel=typed.channel if options["channel"] else before.channel,
        grade=typed.grade or (before.grade if kept else None),
        next_on=typed.next_on or (before.next_on if kept else None),
    )


async def _named(ledger: Ledger, guide: str, rank: int, day: date | None) -> _Named:
    async with ledger.connection() as connection:
        found = await find_guide(connection, ledger.tenant_id, guide)
        listed = await read_todays_list(connection, ledger.tenant_id, guide, day, keys=ledger.keys)
    item = next((one for one in listed.items if one.rank == rank), None)
    if item is None:
        last: dict[str, str | int] = {"guide": guide, "last": len(listed.items)}
        raise Refused([Problem("RANK", str(rank), "rank_not_listed", last)])
    return _Named(found, listed, item)


def _clock(told: str) -> time:
    if not re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", told.strip()):
        raise Refused([Problem("--at", told, "not_a_time")])
    return time.fromisoformat(told.strip().zfill(5))


def _typed(refused: Refused, named: _Named, rank: int) -> Refused:
    zone = named.guide.time_zone
    typed = [as_typed(one, named.guide.code, rank, zone) for one in refused.problems]
    return Refused([replace(one, field=_TYPED_AS.get(one.field, one.field)) for one in typed])


_TYPED_AS = {"occurred_at": "--at", "known_at": "--at", "reason": "--reason"}


def register(group: click.Group) -> None:
    """Put the commands beside `daogou check-in GUIDE RANK`."""
    group.add_command(late_command)
    group.add_command(correct_command)
