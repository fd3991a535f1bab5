"""`daogou guide month | resources` and `daogou plan board`: what comes of the work, as it stands now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any, get_args

import click
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from activities.reporting import board_json, month_json
from activities.resources import By, make_resources
from cli import check_screen as check
from cli.board_screen import output_options, show
from cli.completeness import complete_line
from cli.layout import heading, number, percent, table
from cli.session import Session, json_option, pass_session
from domain.board import Board
from infra.clock import now
from ledger.guide_month import DayOfMonth, GuideMonth, ItemCounts, read_guide_month
from ledger.guides import guide_id_of
from ledger.plan_board import BoardRow, PlanBoard, read_plan_board


@click.group("guide")
def guide_group() -> None:
    """导购：一个月的数、手里的会员 / A guide: the figures of a month, her own resources."""


@guide_group.command("month")
@click.argument("guide", metavar="GUIDE")
@click.option(
    "--month",
    type=click.DateTime(["%Y-%m"]),
    help="哪个月，如 2026-03（默认本月）/ which month, e.g. 2026-03 (default: the present one).",
)
@json_option
@pass_session
def month_command(session: Session, guide: str, month: datetime | None) -> None:
    """导购的一个月：每天与合计 / A guide's month: every day, and the sum."""
    found = session.run(_month(session, guide, month.date() if month else None))
    session.show(month_json(found), *_month_screen(session, found))


async def _month(session: Session, guide: str, month: date | None) -> GuideMonth:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        return await read_guide_month(connection, ledger.tenant_id, guide, month, at=now())


def _month_screen(session: Session, found: GuideMonth) -> Iterator[RenderableType]:
    words = session.words
    yield heading(
        words("month.title", guide=found.guide_code, name=found.guide_name, month=f"{found.month:%Y-%m}")
    )
    if not found.days:
        yield words("month.none")
        return
    names = (
        "day", "due", "attempted", "attempt", "followed", "completion", "state", "late", "corrected", "version",
    )  # fmt: skip
    made = table(*(words(f"month.{name}") for name in names), right=(1, 2, 3, 4, 5, 7, 8, 9))
    for day in found.days:
        made.add_row(f"{day.day:%m-%d}", *_counts(day.counts), *_rest(session, day))
    total = found.total
    made.add_row(
        words("month.total"), *_counts(total), "", number(total.late), number(total.corrected), "", style="bold"
    )  # fmt: skip
    yield made
    yield words("month.items")


def _counts(counts: ItemCounts) -> tuple[str, ...]:
    return (
        number(counts.due),
        number(counts.attempted),
        percent(counts.attempt_rate),
        number(counts.followed_up),
        percent(counts.completion_rate),
    )


def _rest(session: Session, day: DayOfMonth) -> tuple[str, ...]:
    version = session.words("month.now") if day.figures_version is None else number(day.figures_version)
    state = session.words.code("list_states", day.state)
    return state, number(day.counts.late), number(day.counts.corrected), version


@guide_group.command("resources")
@click.argument("guide", metavar="GUIDE")
@click.option(
    "--by",
    type=click.Choice(get_args(By)),
    default="grade",
    show_default=True,
    help="按等级与产品，或逐个会员 / by grade and product line, or member by member.",
)
@output_options
@json_option
@pass_session
def resources_command(session: Session, /, guide: str, by: By, **more: Any) -> None:
    """导购手里的会员：等级、产品、上次联系 / A guide's own resources: members by grade and product, last contact."""

    async def make() -> Board:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                guide_id = await guide_id_of(connection, ledger.tenant_id, guide)
            return await make_resources(ledger, guide_id, guide, at=now(), by=by)

    show(session, session.run(make()), more["xlsx"], more["page"])


def register(plan: click.Group) -> None:
    """Add `board` to the commands of plans."""
    plan.add_command(board_command)


@click.command("board")
@click.argument("name", metavar="PLAN")
@json_option
@pass_session
def board_command(session: Session, name: str) -> None:
    """本轮看板：此刻的数，每家门店、每位导购 / The running cycle now: every store, every guide."""
    board = session.run(_board(session, name))
    session.show(board_json(board), *_board_screen(session, board))


async def _board(session: Session, name: str) -> PlanBoard:
    async with session.ledger() as (ledger, _):
        return await read_plan_board(ledger, name, at=now())


def _board_screen(session: Session, board: PlanBoard) -> Iterator[RenderableType]:
    words = session.words
    yield heading(words("board.title", name=board.plan.name, plan=board.plan.plan, cycle=board.cycle))
    yield words(
        "board.basis",
        first=board.starts_on,
        last=board.ends_on,
        state=words.code("statuses", board.state),
        as_of=check.local(board.as_of, board.time_zone),
        position=number(board.position),
    )
    if not board.whole:
        yield words("board.part")
    yield ""
    yield check.counted(words, board.total, words("board.now"))
    yield words("board.open_today", count=number(board.open_today))
    yield words("board.settles", command=session.command("plan", "report", board.plan.plan, "--settled"))
    yield complete_line(words, board.complete_until, board.time_zone)
    yield ""
    yield _rows(session, words("check.stores"), board.stores)
    yield ""
    yield _rows(session, words("check.guides"), board.guides)


def _rows(session: Session, title: str, rows: tuple[BoardRow, ...]) -> Table:
    """A row for whoever has somebody due or something to do, most due first; members without either stand last."""
    words = session.words
    made = table(
        title, words("short.due"), words("short.attempted"), words("short.followed"), words("short.completion"),
        words("board.open"), words("short.success"), words("board.waiting"), words("board.revenue"), right=range(1, 9),
    )  # fmt: skip
    busy = [row for row in rows if row.figures.due or row.figures.withdrawn or row.open_today]
    for row in sorted(busy, key=lambda row: (not row.code, -row.figures.due, row.code)):
        figures = row.figures
        made.add_row(
            check.label(words, row.code, row.name),
            number(figures.due),
            number(figures.attempted),
            number(figures.followed_up),
            percent(figures.completion_rate),
            number(row.open_today),
            percent(figures.success_rate),
            f"{figures.provisional_succeeded:,} / {figures.provisional:,}",
            f"{figures.revenue / 100:,.0f} + {figures.provisional_revenue / 100:,.0f}",
        )
    if len(rows) > len(busy):
        made.caption = Text(words("check.idle", count=len(rows) - len(busy)), style="dim")
        made.caption_justify = "left"
    return made
