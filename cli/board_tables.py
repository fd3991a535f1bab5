"""`daogou board`: leaderboards, lost orders, a plan's funnel, the three sheets, HR's month."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar, cast, get_args

import click

from activities.board_audience import EVERYBODY, When, Where
from activities.board_lists import MOST_LINES, SheetName, WhichLines, list_stage, make_funnel, make_sheet
from activities.boards import Days, make_leaderboard, make_lost_orders, make_month, make_summary
from cli.board_screen import output_options, show
from cli.instants import read_instant
from cli.layout import table
from cli.session import Session, json_option, pass_session
from domain.board import Board
from domain.board_span import SpanKind
from domain.errors import Problem, Refused
from domain.funnel import Stage
from domain.leaderboard import By, Measure
from infra.clock import now

_Command = TypeVar("_Command", bound=Callable[..., Any])
_DAY = click.DateTime(["%Y-%m-%d"])
MOST_MEMBERS = 10_000


def options(*given: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """One decorator of several options, in this order."""

    def add(command: _Command) -> _Command:
        for option in reversed(given):
            command = option(command)
        return command

    return add


moment_options = options(
    click.option("--at", metavar="INSTANT", help="截至此刻（默认现在）/ as of this instant (default: now)."),
    click.option(
        "--position",
        type=click.IntRange(1),
        help="账本位置，与 --at 一起可重查同一张表 / with --at: the same board again.",
    ),
)
span_options = options(
    click.option(
        "--span", type=click.Choice(get_args(SpanKind)), default="day", show_default=True,
        help="日、周、月 / the day, its week, its month.",
    ),
    click.option("--on", type=_DAY, help="其中的一天（默认今天）/ a day of it (default: today)."),
    click.option("--since", type=_DAY, help="起始营业日 / first business day."),
    click.option("--until", type=_DAY, help="最后营业日 / last business day."),
)  # fmt: skip
where_options = options(
    click.option("--plan", metavar="PLAN", help="只看这个计划 / of this plan only."),
    click.option("--store", metavar="STORE", help="只看这家门店 / of this store only."),
    click.option("--region", metavar="REGION", help="只看这个区域 / of this region only."),
)


def _by_option(default: By) -> Callable[[_Command], _Command]:
    return click.option(
        "--by",
        type=click.Choice(get_args(By)),
        default=default,
        show_default=True,
        help="按什么汇总 / by what.",
    )


@click.group()
def board() -> None:
    """榜单与表格：排行榜、跟进表、三张表、流单率、月度考核 / Boards: leaderboards, funnel, sheets, lost orders, month."""


@board.command("leaders")
@click.option(
    "--measure",
    type=click.Choice(get_args(Measure)),
    default="completed",
    show_default=True,
    help="比什么 / of what.",
)
@_by_option("guide")
@span_options
@where_options
@moment_options
@output_options
@json_option
@pass_session
def leaders_command(session: Session, /, measure: str, by: str, **more: Any) -> None:
    """排行榜：并列同名次 / Leaderboard: ties share a rank."""

    async def make() -> Board:
        async with session.ledger() as (ledger, _):
            return await make_leaderboard(
                ledger, EVERYBODY, when_of(more), days_of(more), measure=cast("Measure", measure), by=cast("By", by),
                where=where_of(more),
            )  # fmt: skip

    show(session, session.run(make()), more["xlsx"], more["page"])


@board.command("lost")
@_by_option("store")
@span_options
@where_options
@moment_options
@output_options
@json_option
@pass_session
def lost_command(session: Session, /, by: str, **more: Any) -> None:
    """流单率：到店或预约而未成交，及原因 / Visits or bookings without an order, and why."""

    async def make() -> Board:
        async with session.ledger() as (ledger, _):
            return await make_lost_orders(
                ledger, EVERYBODY, when_of(more), days_of(more), by=cast("By", by), where=where_of(more)
            )

    show(session, session.run(make()), more["xlsx"], more["page"])


@board.command("funnel")
@click.argument("plan", metavar="PLAN")
@click.option(
    "--cycle", type=click.IntRange(1), help="第几轮（默认最新）/ which cycle (default: the newest)."
)
@click.option(
    "--stage", type=click.Choice(get_args(Stage)), help="列出这个环节的会员 / list the members of this stage."
)
@moment_options
@output_options
@json_option
@pass_session
def funnel_command(session: Session, /, plan: str, cycle: int | None, stage: str | None, **more: Any) -> None:
    """顾客跟进表：每个环节多少会员 / The funnel of a plan, stage by stage."""
    if stage is not None:
        _show_stage(session, plan, cast("Stage", stage), cycle, more)
        return

    async def make() -> Board:
        async with session.ledger() as (ledger, _):
            return await make_funnel(ledger, EVERYBODY, when_of(more), plan, cycle=cycle)

    show(session, session.run(make()), more["xlsx"], more["page"])


def _show_stage(session: Session, plan: str, stage: Stage, cycle: int | None, more: dict[str, Any]) -> None:
    async def read() -> list[Any]:
        async with session.ledger() as (ledger, _):
            return await list_stage(
                ledger, EVERYBODY, when_of(more), plan, stage, cycle=cycle, limit=MOST_MEMBERS
            )

    members = session.run(read())
    words = session.words
    made = table(words("boards.columns.member"), "id")
    for one in members:
        made.add_row(one.member, str(one.member_id))
    session.show(
        {"plan": plan, "stage": stage, "members": members},
        made if members else words("boards.none"),
    )


lines_options = options(
    click.option("--guide", metavar="GUIDE", help="只看这位导购 / of this guide only."),
    click.option("--store", metavar="STORE", help="只看这家门店 / of this store only."),
    click.option("--plan", metavar="PLAN", help="只看这个计划 / of this plan only."),
)


@board.command("calls")
@span_options
@lines_options
@moment_options
@output_options
@json_option
@pass_session
def calls_command(session: Session, /, **more: Any) -> None:
    """表一 电话邀约表 / Sheet 1: phone invitations."""
    _show_sheet(session, "invitations", more)


@board.command("successes")
@span_options
@lines_options
@moment_options
@output_options
@json_option
@pass_session
def successes_command(session: Session, /, **more: Any) -> None:
    """表二 邀约成功表 / Sheet 2: who agreed to visit or join, and what came of it."""
    _show_sheet(session, "successes", more)


def _show_sheet(session: Session, name: SheetName, more: dict[str, Any]) -> None:
    which = WhichLines(more["guide"], more["store"], more["plan"])

    async def make() -> tuple[Board, Any]:
        async with session.ledger() as (ledger, _):
            return await make_sheet(ledger, EVERYBODY, when_of(more), days_of(more), which, name)

    made, place = session.run(make())
    if place is not None:
        since = made.basis.since.isoformat()
        raise Refused([Problem("--since", since, "sheet_too_long", {"most": MOST_LINES})])
    show(session, made, more["xlsx"], more["page"])


@board.command("summary")
@click.argument("plan", metavar="PLAN")
@click.option("--since", type=_DAY, help="起始营业日（默认本轮）/ first business day (default: the cycle's).")
@click.option("--until", type=_DAY, help="最后营业日 / last business day.")
@moment_options
@output_options
@json_option
@pass_session
def summary_command(session: Session, /, plan: str, **more: Any) -> None:
    """表三 操盘手汇总表：门店与导购对目标 / Sheet 3: every store and guide against the target."""

    async def make() -> Board:
        async with session.ledger() as (ledger, _):
            return await make_summary(
                ledger,
                EVERYBODY,
                when_of(more),
                plan,
                since=day_of(more["since"]),
                until=day_of(more["until"]),
            )

    show(session, session.run(make()), more["xlsx"], more["page"])


@board.command("month")
@click.argument("month", type=click.DateTime(["%Y-%m"]), metavar="YYYY-MM")
@click.option("--store", metavar="STORE", help="只看这家门店 / of this store only.")
@click.option("--after", default="", metavar="GUIDE", help="从这个工号之后 / guides after this code.")
@click.option("--limit", type=click.IntRange(1), help="最多几位导购 / most guides.")
@moment_options
@output_options
@json_option
@pass_session
def month_command(
    session: Session, /, month: datetime, store: str | None, after: str, limit: int | None, **more: Any
) -> None:
    """月度考核表（人事）/ HR's month sheet: asked again at its instant and position, it is the same."""

    async def make() -> tuple[Board, str | None]:
        async with session.ledger() as (ledger, _):
            return await make_month(
                ledger, EVERYBODY, when_of(more), month.date(), store=store, after=after, limit=limit
            )

    made, following = session.run(make())
    show(session, made, more["xlsx"], more["page"], after=following or "")


def when_of(more: dict[str, Any]) -> When:
    """The moment of `moment_options`."""
    at = more["at"]
    return When(now(), None if at is None else read_instant("--at", at), more["position"])


def days_of(more: dict[str, Any]) -> Days:
    """The days of `span_options`."""
    return Days(more["span"], day_of(more["on"]), day_of(more["since"]), day_of(more["until"]))


def where_of(more: dict[str, Any]) -> Where:
    """The part of `where_options`."""
    return Where(more["plan"], more["store"], more["region"])


def day_of(told: datetime | None) -> date | None:
    """The date of an option."""
    return None if told is None else told.date()
