"""The evening: `daogou board day | scores | rates`, `daogou guide score`, and the rules, `daogou day evening | scoring | close-from`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import click
from rich.console import RenderableType

from activities.asked import Asked
from activities.board_audience import EVERYBODY, Where
from activities.evening_boards import make_day_rates, make_day_summary, make_guide_score, make_score_sheet
from activities.evening_rules import EveningStands, evening_on, set_close_hour, set_score_rule
from cli.board_screen import output_options, show
from cli.board_tables import (
    day_of,
    days_of,
    moment_options,
    options,
    span_options,
    when_of,
    where_of,
    where_options,
)
from cli.layout import heading
from cli.session import Session, json_option, pass_session
from domain.board import Board
from domain.errors import Problem, Refused
from domain.evening import MOST_ASKED, MOST_POINTS, STAGES
from infra.clock import now
from ledger.ledger import Ledger

ACTOR = "hq"
BY_THE_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_DAY = click.DateTime(["%Y-%m-%d"])
_points = click.IntRange(0, MOST_POINTS)
_asked = click.IntRange(0, MOST_ASKED)

day_options = options(
    click.option("--on", type=_DAY, help="哪一天（默认今天）/ which day (default: today)."),
)
stores_options = options(
    click.option("--store", metavar="STORE", help="只看这家门店 / of this store only."),
    click.option("--region", metavar="REGION", help="只看这个区域 / of this region only."),
)
reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="为什么改 / why it is changed; kept on the record."
)
from_option = click.option("--from", "from_on", type=_DAY, help="从哪天起 / from which day on.")


def add_to_board(board: click.Group) -> None:
    """Add the evening's boards to `daogou board`."""
    for command in (summary_command, scores_command, rates_command):
        board.add_command(command)


def add_to_guide(guide: click.Group) -> None:
    """Add a guide's own score to `daogou guide`."""
    guide.add_command(score_command)


def add_to_day(day: click.Group) -> None:
    """Add what closes and scores a day to `daogou day`."""
    for command in (evening_command, scoring_command, close_from_command):
        day.add_command(command)


def _show(session: Session, make: Callable[[Ledger], Awaitable[Board]], more: dict[str, Any]) -> None:
    async def made() -> Board:
        async with session.ledger() as (ledger, _):
            return await make(ledger)

    show(session, session.run(made()), more["xlsx"], more["page"])


@click.command("day")
@day_options
@stores_options
@moment_options
@output_options
@json_option
@pass_session
def summary_command(session: Session, /, **more: Any) -> None:
    """门店日结表：清单、结果、结转、得分、薄弱环节 / Day summary of stores: items, results, what is left over, score."""
    where = Where(store=more["store"], region=more["region"])
    _show(
        session,
        lambda ledger: make_day_summary(ledger, EVERYBODY, when_of(more), day_of(more["on"]), where=where),
        more,
    )


@click.command("scores")
@day_options
@stores_options
@moment_options
@output_options
@json_option
@pass_session
def scores_command(session: Session, /, **more: Any) -> None:
    """得分表：每个环节对目标 / Score sheet: every stage of the day against its target."""
    where = Where(store=more["store"], region=more["region"])
    _show(
        session,
        lambda ledger: make_score_sheet(ledger, EVERYBODY, when_of(more), day_of(more["on"]), where=where),
        more,
    )


@click.command("rates")
@span_options
@where_options
@moment_options
@output_options
@json_option
@pass_session
def rates_command(session: Session, /, **more: Any) -> None:
    """每天各计划的比率，按项数 / Rates per day by plan, counted in items."""
    _show(
        session,
        lambda ledger: make_day_rates(ledger, EVERYBODY, when_of(more), days_of(more), where=where_of(more)),
        more,
    )


@click.command("score")
@click.argument("guide", metavar="GUIDE")
@day_options
@moment_options
@output_options
@json_option
@pass_session
def score_command(session: Session, /, guide: str, **more: Any) -> None:
    """导购自己的得分与薄弱环节 / A guide's own score of a day, and her weak stage."""
    _show(session, lambda ledger: make_guide_score(ledger, when_of(more), guide, day_of(more["on"])), more)


@click.command("evening")
@day_options
@json_option
@pass_session
def evening_command(session: Session, on: datetime | None) -> None:
    """夕会规则：计分与最早收尾时间 / Rules of the evening: how days are scored, from when stores may be closed."""
    _stands(session, lambda ledger: evening_on(ledger, day_of(on), now()))


@click.command("scoring")
@click.option(
    "--reached", type=_asked, help="每天要联系上多少项 / items to be reached a day; 0: not asked for."
)
@click.option("--success", type=_asked, help="每天要成功多少项 / successes a day; 0: not asked for.")
@click.option("--calls-points", type=_points, help="电话达标得分 / points of calls.")
@click.option("--invitations-points", type=_points, help="邀约达标得分 / points of invitations.")
@click.option("--reached-points", type=_points, help="联系上达标得分 / points of reached items.")
@click.option("--success-points", type=_points, help="成功达标得分 / points of successes.")
@click.option(
    "--penalty-below",
    type=click.IntRange(0, 100),
    metavar="PERCENT",
    help="低于目标百分之几扣分 / below which percent of a target; 0: never.",
)
@click.option("--penalty", type=_points, help="扣多少分 / points off.")
@from_option
@reason_option
@json_option
@pass_session
def scoring_command(session: Session, /, from_on: datetime | None, reason: str, **told: int | None) -> None:
    """修改计分规则，明天起生效 / Score days otherwise, from tomorrow on or a later day."""
    points: dict[str, int] = {
        stage: value for stage in STAGES if (value := told.pop(f"{stage}_points")) is not None
    }
    changes = {name: value for name, value in told.items() if value is not None}
    _stands(
        session,
        lambda ledger: set_score_rule(ledger, _asked_now(), changes, points, day_of(from_on), reason),
    )


@click.command("close-from")
@click.argument("hour", metavar="HH:MM")
@click.option("--store", metavar="STORE", help="只改这家门店 / of this store only.")
@from_option
@reason_option
@json_option
@pass_session
def close_from_command(
    session: Session, hour: str, store: str | None, from_on: datetime | None, reason: str
) -> None:
    """店长最早几点可以收尾 / From when store managers may close their day."""
    if not BY_THE_CLOCK.fullmatch(hour):
        raise Refused([Problem("HH:MM", hour, "not_a_time")])
    _stands(
        session,
        lambda ledger: set_close_hour(
            ledger, _asked_now(), hour, store=store, from_on=day_of(from_on), reason=reason
        ),
    )


def _asked_now() -> Asked:
    return Asked(secrets.token_hex(8), now(), ACTOR)


def _stands(session: Session, ask: Callable[[Ledger], Awaitable[EveningStands]]) -> None:
    async def asked() -> EveningStands:
        async with session.ledger() as (ledger, _):
            return await ask(ledger)

    told = session.run(asked()).as_json()
    words, score = session.words, told["score"]
    screen: list[RenderableType] = [
        heading(words("evening.title", day=told["day"])),
        words("evening.close_from", from_hour=told["close_from"]),
        *(words("evening.store", store=store, from_hour=hour) for store, hour in told["stores"].items()),
        words("evening.score", reached=score["reached"], success=score["success"]),
        words("evening.points", **score["points"]),
    ]
    if score["penalty_below"] and score["penalty"]:
        screen.append(words("evening.penalty", below=score["penalty_below"], penalty=score["penalty"]))
    if told["score_from"] is not None:
        screen.append(words("evening.since", day=told["score_from"]))
    session.show(told, *screen)
