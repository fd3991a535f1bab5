"""`daogou list`: the day's list on A4, and a filled-in sheet entered by the codes of its lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import RenderableType

from activities.day_sheets import (
    MOST_SHEET_LINES,
    EnteredLine,
    Entering,
    FilledLine,
    enter_sheet,
    make_day_sheet,
)
from cli.board_screen import output_options, show
from cli.check_in import ACTOR, picture_option, read_picture_file
from cli.layout import table
from cli.session import Session, json_option, pass_session
from domain.board import Board
from domain.check_in import Channel, Grade, Outcome
from domain.errors import Problem, Refused
from domain.sheet_codes import read_code
from infra.clock import now
from ledger.guides import guide_id_of
from ledger.pictures import NewPicture, keep_picture
from wording.catalogue import LANGUAGES, catalogue

_DAY = click.DateTime(["%Y-%m-%d"])
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@click.group("list")
def list_group() -> None:
    """纸质清单：打印、代录 / The day's list on paper: print it, enter what was written on it."""


@list_group.command("print")
@click.option("--guide", metavar="GUIDE", help="一位导购的清单 / one guide's list.")
@click.option("--store", metavar="STORE", help="整家门店的清单 / the lists of a whole store.")
@click.option("--date", "day", type=_DAY, help="哪一天（默认最近）/ which day (default: newest).")
@output_options
@json_option
@pass_session
def print_command(
    session: Session, /, guide: str | None, store: str | None, day: datetime | None, **more: Any
) -> None:
    """打印今日清单，每行有一个短编号 / The list of the day to print, with a short code a line."""
    if (guide is None) == (store is None):
        raise Refused([Problem("--guide, --store", guide or "", "sheet_of_one")])

    async def make() -> Board:
        async with session.ledger() as (ledger, _):
            on = None if day is None else day.date()
            return await make_day_sheet(ledger, guide=guide, store=store, day=on, at=now())

    show(session, session.run(make()), more["xlsx"], more["page"])


@list_group.command("enter")
@click.argument("day", type=_DAY, metavar="DATE")
@click.argument("lines", nargs=-1, metavar="[LINE]...")
@picture_option
@json_option
@pass_session
def enter_command(session: Session, day: datetime, lines: Sequence[str], picture: Path | None) -> None:
    """代录纸质清单，一行一次签到 / Enter a filled-in sheet, a check-in a line.

    LINE 如 "G1-3KT 感兴趣 A 2026-03-06 10:30"：编号、结果，可加等级、下次日期、时间、方式；不写则从标准输入逐行读取。
    重复录入只计一次 / LINE is e.g. "G1-3KT interested A 2026-03-06 10:30": code, outcome, and grade, next date, time, channel as far
    as they are told; without any, lines are read from standard input. Entered again it counts once.
    """
    told = [line for line in (lines or sys.stdin.read().splitlines()) if line.strip()]
    filled = _read(told)
    entered = session.run(_enter(session, day.date(), filled, read_picture_file(picture)))
    session.show({"day": day.date(), "lines": [asdict(one) for one in entered]}, *_screen(session, entered))


def _read(lines: Sequence[str]) -> list[FilledLine]:
    problems: list[Problem] = []
    if not lines:
        problems.append(Problem("LINE", "", "empty"))
    if len(lines) > MOST_SHEET_LINES:
        problems.append(Problem("LINE", str(len(lines)), "sheet_too_long", {"most": MOST_SHEET_LINES}))
    filled = []
    for line in lines[:MOST_SHEET_LINES]:
        one = _read_line(line)
        if one is None:
            problems.append(Problem("LINE", line[:80], "not_a_sheet_line"))
        else:
            filled.append(one)
    if problems:
        raise Refused(problems)
    return filled


def _read_line(line: str) -> FilledLine | None:
    """Code and outcome, and what else there is by its look; None: something of it is nothing of these."""
    code, *words = line.split()
    told: dict[str, Any] = {}
    for word in words:
        key, value = _meaning(word)
        if not key or key in told:
            return None
        told[key] = value
    return FilledLine(code, **told) if "outcome" in told else None


def _meaning(word: str) -> tuple[str, Any]:
    if _CLOCK.fullmatch(word):
        return "at", time.fromisoformat(word)
    if word.upper() in get_args(Grade):
        return "grade", word.upper()
    try:
        return "next_on", date.fromisoformat(word)
    except ValueError:
        pass
    for key, group, choices in (
        ("outcome", "outcomes", get_args(Outcome)),
        ("channel", "channels", get_args(Channel)),
    ):
        for one in choices:
            known = {one, *(catalogue(language).code(group, one) for language in LANGUAGES)}
            if word.casefold() in {name.casefold().replace(" ", "_") for name in known}:
                return key, one
    return "", None


async def _enter(
    session: Session, day: date, lines: Sequence[FilledLine], picture: bytes | None
) -> list[EnteredLine]:
    async with session.ledger() as (ledger, _):

        async def guide(code: str) -> Any:
            async with ledger.connection() as connection:
                return await guide_id_of(connection, ledger.tenant_id, code)

        entered = await enter_sheet(ledger, Entering(day, ACTOR, "check-in/", now()), lines, guide)
        taken = {one.code for one in entered if one.result != "refused"}
        on_it = sorted({code.guide for code in map(read_code, taken) if code is not None})
        for one in on_it if picture is not None else ():
            new = NewPicture(picture or b"", await guide(one), one, day)
            await keep_picture(ledger, new, at=now(), actor=ACTOR)
        return entered


def _screen(session: Session, entered: Sequence[EnteredLine]) -> list[RenderableType]:
    words = session.words
    made = table(words("sheet.code"), words("sheet.result"), words("sheet.after"), fold=(2,))
    for one in entered:
        after = " ".join(f"{words.reason(problem)}{words.remedy(problem)}" for problem in one.problems)
        made.add_row(one.code, words(f"sheet.{one.result}"), after or words.code("statuses", one.state))
    counted = {
        name: sum(one.result == name for one in entered) for name in ("taken", "taken_before", "refused")
    }
    return [made, words("sheet.sum", **counted)]
