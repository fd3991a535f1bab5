"""`daogou clock-in` and `daogou check-in`: a guide's day from the command line, or a manager's on her behalf.

Ledger first: both work while Temporal is away. The item is named by its number on today's list. What was reported
before is corrected by `cli.check_in_before`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import click
from rich.console import RenderableType

from activities.opening import AtWork, clock_in
from cli.session import Session, json_option, pass_session
from domain.calendar import business_date
from domain.check_in import Channel, CheckIn, Grade, Outcome
from domain.errors import NotFound, Problem, Refused
from domain.identifiers import derived_id
from domain.pictures import picture_problem
from domain.playbook import nearest
from infra.clock import now
from ledger import facts
from ledger.check_ins import check_in
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.pictures import NewPicture, keep_picture
from ledger.recorded import Recorded
from ledger.today import ListedItem, TodaysList, read_todays_list
from wording.catalogue import LANGUAGES, catalogue

ACTOR = "hq"
KEY = re.compile(r"[A-Za-z0-9._:/-]{1,100}")
_TYPED_AS = {
    "task_id": "RANK",
    "version": "RANK",
    "performed_by": "GUIDE",
    "guide": "GUIDE",
    "grade": "--grade",
    "next_on": "--next-on",
    "command_id": "--key",
}
"""What a rule of the domain names, as it stands on the command line."""


picture_option = click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="照片或截图作凭证，加密保存 / a photo or screenshot that proves it, kept sealed.",
)


@dataclass(frozen=True, slots=True)
class Report:
    """What was typed, read."""

    outcome: Outcome
    grade: Grade | None
    next_on: date | None
    channel: Channel
    note: str | None
    key: str | None
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """The check-in as it was recorded, with the list it belongs to."""

    listed: TodaysList
    item: ListedItem
    recorded: Recorded


@click.command("clock-in")
@click.argument("guide")
@json_option
@pass_session
def clock_in_command(session: Session, guide: str) -> None:
    """导购打卡：今天的清单就在手里 / A guide clocks in: the list is there."""
    name, at_work = session.run(_clock_in(session, guide))
    words = session.words
    key = "clock_in.done" if at_work.listed else "clock_in.nothing"
    screen: list[RenderableType] = [
        words(key, guide=f"{guide} {name}".strip(), day=at_work.day, listed=at_work.listed)
    ]
    if at_work.listed:
        screen.append(f"  {session.command('today', guide)}")
    session.show({"guide": guide, **asdict(at_work)}, *screen)


async def _clock_in(session: Session, guide: str) -> tuple[str, AtWork]:
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            found = await find_guide(connection, ledger.tenant_id, guide)
        at_work = await _begin(ledger, found, now())
        if not at_work.listed:
            return "", at_work
        async with ledger.connection() as connection:
            listed = await read_todays_list(
                connection, ledger.tenant_id, guide, at_work.day, keys=ledger.keys
            )
    return listed.guide_name, at_work


def read_picture_file(path: Path | None) -> bytes | None:
    """The bytes of a picture that is named; None: none is.

    Raises:
        Refused: it cannot be read, or is no picture to be kept.
    """
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Refused([Problem("--picture", str(path), "picture_unreadable", {"why": why})]) from error
    problem = picture_problem(content)
    if problem is not None:
        raise Refused([Problem("--picture", problem.value, problem.code, problem.params)])
    return content


class ReportingGroup(click.Group):
    """A group whose first word may be a guide's code: then it is a report."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `GUIDE RANK …` as `report GUIDE RANK …`."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["report", *args]
        return super().parse_args(ctx, args)


@click.group("check-in", cls=ReportingGroup)
def check_in_group() -> None:
    """导购签到：报告一项任务；更正、补报 / Report an item: daogou check-in GUIDE RANK --outcome …; correct, late."""


@check_in_group.command("report")
@click.argument("guide")
@click.argument("rank")
@click.option("--outcome", required=True, metavar="OUTCOME", help="结果 / what came of it, e.g. interested.")
@click.option("--grade", metavar="A|B|C|D", help="意向 / intent.")
@click.option("--next-on", metavar="DATE", help="约好的下次日期 / the next date agreed on.")
@click.option("--channel", default="phone", show_default=True, metavar="CHANNEL", help="方式 / how.")
@click.option("--note", metavar="TEXT", help="备注，不进入事件 / kept beside the events, and erasable.")
@click.option("--key", metavar="KEY", help="幂等键：同一键只计一次 / the same key counts once.")
@picture_option
@json_option
@pass_session
def check_in_command(
    session: Session, /, guide: str, rank: str, picture: Path | None, **options: Any
) -> None:
    """导购签到，报告一项任务 / Report an item of today's list.

    RANK 是今日清单上的序号；同一行再敲一次只计一次 / RANK is the item's number on today's list; the same line
    typed twice counts once.
    """
    number, report = read_line(rank, **options)
    report = replace(report, picture=read_picture_file(picture))
    done = session.run(_check_in(session, guide, number, report))
    session.show(machine(guide, report, done), *screen(session, guide, report, done))


async def _check_in(session: Session, guide: str, rank: int, report: Report) -> Reported:
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            found = await find_guide(connection, ledger.tenant_id, guide)
        at = now()
        listed = await _todays(ledger, found, at)
        item = next((one for one in listed.items if one.rank == rank), None)
        if item is None:
            last: dict[str, str | int] = {"guide": guide, "last": len(listed.items)}
            raise Refused([Problem("RANK", str(rank), "rank_not_listed", last)])
        evidence = ""
        if report.picture is not None:
            new = NewPicture(report.picture, found.guide_id, guide, listed.day, item.task_id)
            evidence = (await keep_picture(ledger, new, at=at, actor=ACTOR)).sha256
        command = CheckIn(
            command_id=_command_id(report, item, listed.day, await _voided(ledger, item, listed.day)),
            task_id=item.task_id,
            performed_by=found.guide_id,
            actor=ACTOR,
            occurred_at=at,
            known_at=at,
            channel=report.channel,
            outcome=report.outcome,
            grade=report.grade,
            next_on=report.next_on,
            note=report.note,
            evidence=evidence,
        )
        try:
            recorded = await check_in(ledger, command, salt=secrets.token_bytes(16))
        except Refused as refused:
            zone = found.time_zone
            raise Refused([as_typed(one, guide, rank, zone) for one in refused.problems]) from refused
    return Reported(listed, item, recorded)


async def _todays(ledger: Ledger, guide: facts.GuideFacts, at: datetime) -> TodaysList:
    """Today's list; where nothing has published it yet, clocking in does."""
    day = business_date(at, guide.time_zone)
    try:
        async with ledger.connection() as connection:
            listed = await read_todays_list(connection, ledger.tenant_id, guide.code, day, keys=ledger.keys)
        if listed.state != "cut":
            return listed
    except NotFound:
        listed = None
    await _begin(ledger, guide, at)
    async with ledger.connection() as connection:
        return await read_todays_list(connection, ledger.tenant_id, guide.code, day, keys=ledger.keys)


async def _begin(ledger: Ledger, guide: facts.GuideFacts, at: datetime) -> AtWork:
    try:
        return await clock_in(ledger, guide.code, at=at, actor=ACTOR)
    except Refused as refused:
        typed = [as_typed(one, guide.code, None, guide.time_zone) for one in refused.problems]
        raise Refused(typed) from refused


async def find_guide(connection: Driver, tenant_id: int, code: str) -> facts.GuideFacts:
    """The active guide of a code.

    Raises:
        NotFound: there is none.
    """
    known = {guide.code: guide for guide in await facts.guides(connection, tenant_id) if guide.active}
    if code not in known:
        raise NotFound(
            Problem("GUIDE", code, "unknown_guide", {"nearest": nearest(code, frozenset(known)) or "—"})
        )
    return known[code]


async def _voided(ledger: Ledger, item: ListedItem, day: date) -> int:
    """How many reports of the item on the day were taken back: the same line after that is a new report."""
    async with ledger.connection() as connection:
        found: int = await connection.fetchval(
            "SELECT count(*)::int FROM check_in_superseded"
            " WHERE tenant_id = $1 AND task_id = $2 AND business_date = $3 AND voided",
            ledger.tenant_id,
            item.task_id,
            day,
        )
    return found


def _command_id(report: Report, item: ListedItem, day: date, voided: int) -> str:
    """From the key, else from the line itself. A note is not part of it: what is told of a member can be erased."""
    if report.key is not None:
        return f"check-in/key/{report.key}"
    line = [report.outcome, report.grade or "", str(report.next_on or ""), report.channel]
    line += [str(voided)] if voided else []
    return f"check-in/line/{derived_id('check-in', str(item.task_id), day.isoformat(), *line)}"


def read_line(
    rank: str,
    *,
    outcome: str,
    grade: str | None,
    next_on: str | None,
    channel: str,
    note: str | None,
    key: str | None,
) -> tuple[int, Report]:
    """What was typed, or every problem it has."""
    problems: list[Problem] = []
    if not re.fullmatch(r"0*[1-9][0-9]{0,5}", rank):
        problems.append(Problem("RANK", rank[:80], "not_a_rank"))

    def choice(option: str, value: str, group: str, choices: tuple[str, ...]) -> Any:
        """The code of a choice; its word in either language is understood too."""
        for code in choices:
            words = {catalogue(language).code(group, code).casefold() for language in LANGUAGES}
            if value.strip().casefold() in {code.casefold(), *words}:
                return code
        problems.append(Problem(option, value, "not_a_choice", {"expected": ", ".join(choices)}))
        return None

    chosen = choice("--outcome", outcome, "outcomes", get_args(Outcome))
    graded = None if grade is None else choice("--grade", grade, "", get_args(Grade))
    reached_by = choice("--channel", channel, "channels", get_args(Channel))
    again = None
    if next_on is not None:
        try:
            again = date.fromisoformat(next_on)
        except ValueError:
            problems.append(Problem("--next-on", next_on, "not_a_date"))
    if key is not None and not KEY.fullmatch(key):
        problems.append(Problem("--key", key, "key_not_valid"))
    if note is not None and len(note) > 2000:
        problems.append(Problem("--note", f"{note[:40]}…", "note_too_long", {"limit": 2000}))
    if problems:
        raise Refused(problems)
    return int(rank), Report(chosen, graded, again, reached_by, note or None, key)


def as_typed(problem: Problem, guide: str, rank: int | None, zone: str) -> Problem:
    """A rule's problem in the words of the command line, instants as the store's clocks show them."""
    field = _TYPED_AS.get(problem.field, problem.field)
    value = {"RANK": str(rank), "GUIDE": guide}.get(field, _local(problem.value, zone))
    params = {name: _local(str(told), zone) for name, told in problem.params.items()}
    if problem.code == "next_date_outside_cycle" and params["after"] >= params["last"]:
        return Problem(field, value, "cycle_ends_today")
    return Problem(field, value, problem.code, params)


def _local(told: str, zone: str) -> str:
    """An instant in the store's own time; anything else as it is."""
    try:
        instant = datetime.fromisoformat(told)
    except ValueError:
        return told
    return told if instant.tzinfo is None else f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def machine(guide: str, report: Report, done: Reported) -> dict[str, Any]:
    """The answer for programs."""
    return {
        "guide": guide,
        "day": done.listed.day,
        "rank": done.item.rank,
        "task": done.item.task_id,
        "outcome": report.outcome,
        "grade": report.grade,
        "channel": report.channel,
        "state": done.recorded.state,
        "due_on": done.recorded.due_on,
        "duplicate": done.recorded.duplicate,
    }


def screen(session: Session, guide: str, report: Report, done: Reported) -> list[RenderableType]:
    """The answer for people."""
    words, recorded = session.words, done.recorded
    told = words.code("outcomes", report.outcome)
    if report.grade:
        told = words("check_in.graded", outcome=told, grade=report.grade)
    line = words(
        "check_in.again" if recorded.duplicate else "check_in.done",
        guide=guide,
        rank=done.item.rank,
        member=done.item.member,
        category=done.item.category,
        outcome=told,
    )
    after = words.code("statuses", recorded.state)
    if recorded.state == "open":
        ends_on = done.item.cycle_ends_on
        again = recorded.due_on <= ends_on
        after = words("check_in.next", day=recorded.due_on) if again else words("check_in.over", last=ends_on)
    worked = sum(one.done or one.rank == done.item.rank for one in done.listed.items)
    return [line, words("check_in.state", state=after, done=worked, listed=len(done.listed.items))]
