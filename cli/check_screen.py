"""The Check of a cycle on one screen: rates with their counts, the goal, who stands where, who was left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cli.layout import NOTHING, counts, heading, labelled, money, number, percent, table
from domain.act import measured
from domain.calendar import business_date
from domain.confirmation import Claims
from domain.figures import Figures
from domain.plan import Goal
from ledger.report import Report, ReportRow, UnassignedReason
from wording.catalogue import Catalogue

SHORT = ("due", "completion", "success", "revenue")
FULL = (
    "due",
    "attempted",
    "followed",
    "completion",
    "closed",
    "succeeded",
    "success",
    "revenue",
    "confirmed",
)
TOP_ROWS = 8
TOP_REASONS = 4
WIDE = 90
"""Columns from which two breakdowns stand side by side."""


def rates(words: Catalogue, report: Report, settled: Report | None) -> Table:
    """Every rate with the counts it comes from; the settled figures beside, where there are any."""
    columns = [words("check.figure"), _as_of(words, report), words("check.counts")]
    if settled is not None:
        columns += [_as_of(words, settled), words("check.counts")]
    made = table(*columns, right=(1, 2, 3, 4))
    every = [report.total] if settled is None else [report.total, settled.total]
    for name, cells in _LINES:
        made.add_row(words(f"figures.{name}"), *(cell for figures in every for cell in cells(words, figures)))
    return made


def counted(words: Catalogue, figures: Figures, when: str) -> Table:
    """Every rate with the counts it comes from, of figures counted as of a moment."""
    made = table(words("check.figure"), when, words("check.counts"), right=(1, 2))
    for name, cells in _LINES:
        made.add_row(words(f"figures.{name}"), *cells(words, figures))
    return made


def _as_of(words: Catalogue, report: Report) -> str:
    """The day the figures stand at, on the stores' calendar: the last close, or the end of its last window."""
    planned = (
        report.ends_on if report.kind == "provisional" else report.ends_on + report.plan.attribution_window
    )
    return words(
        f"check.{report.kind}", as_of=f"{min(business_date(report.as_of, report.time_zone), planned):%m-%d}"
    )


def local(instant: datetime, time_zone: str) -> str:
    """An instant as the plan's clocks show it, and which those are."""
    return f"{instant.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M} {time_zone}"


_Cells = Callable[[Catalogue, Figures], tuple[str, str]]
_LINES: tuple[tuple[str, _Cells], ...] = (
    ("completion_rate", lambda _, f: (percent(f.completion_rate), counts(f.completion_rate))),
    ("attempt_rate", lambda _, f: (percent(f.attempt_rate), counts(f.attempt_rate))),
    ("success_rate", lambda _, f: (percent(f.success_rate), counts(f.success_rate))),
    (
        "provisional",
        lambda words, f: (
            number(f.provisional),
            words("check.bought", count=number(f.provisional_succeeded)) if f.provisional else "",
        ),
    ),
    ("withdrawn", lambda _, f: (number(f.withdrawn), "")),
    ("repurchase_rate", lambda _, f: (percent(f.repurchase_rate), counts(f.repurchase_rate))),
    (
        "revenue",
        lambda _, f: (money(f.revenue), f"+ {money(f.provisional_revenue)}" if f.provisional_revenue else ""),
    ),
)


def goal_line(words: Catalogue, report: Report, goal: Goal) -> Text:
    """The goal, the result, and whether the one reached the other; then what Act made of the goal since."""
    result = measured(report.plan.model_copy(update={"goal": goal}), report.total)
    unit = " %" if goal.measure.endswith("_rate") else ""
    text = Text(
        words(
            "check.goal",
            measure=words.code("measures", goal.measure),
            target=f"{goal.target:f}{unit}",
            by=goal.by,
            result=NOTHING if result is None else f"{result:,}{unit}",
        )
    )
    text.append(" ")
    if result is None:
        text.append(words("check.no_result"), style="yellow")
    elif result >= goal.target:
        text.append(words("check.reached"), style="bold green")
    else:
        text.append(words("check.not_reached"), style="bold red")
    now = report.plan.goal.target
    if now != goal.target:
        direction = "raised" if now > goal.target else "lowered"
        text.append(
            f" {words(f'check.{direction}', before=f'{goal.target:f}{unit}', after=f'{now:f}{unit}')}"
        )
    return text


def claims_line(words: Catalogue, claims: Claims) -> Text:
    """How the check-ins stand against systems of record, with every count."""
    gaps = {name: number(value) for name, value in asdict(claims).items()}
    return Text(words("check.claims", **gaps))


def breakdown(words: Catalogue, title: str, rows: Sequence[ReportRow], *, most: int | None = None) -> Table:
    """A row a store or guide with somebody due, most first; members without either stand last."""
    short = most is not None
    columns = SHORT if short else FULL
    made = table(title, *(words(f"short.{name}") for name in columns), right=range(1, len(columns) + 1))
    busy = [row for row in rows if row.figures.due or row.figures.withdrawn]
    ordered = sorted(busy, key=lambda row: (not row.code, -row.figures.due, row.code))
    for row in ordered[:most]:
        figures = row.figures
        cells = {
            "due": number(figures.due),
            "attempted": number(figures.attempted),
            "followed": number(figures.followed_up),
            "completion": percent(figures.completion_rate),
            "closed": number(figures.window_closed),
            "succeeded": number(figures.succeeded),
            "success": percent(figures.success_rate),
            "revenue": f"{figures.revenue / 100:,.0f}" if short else money(figures.revenue),
            "confirmed": f"{row.claims.confirmed:,} / {row.claims.claimed:,}",
        }
        made.add_row(label(words, row.code, row.name), *(cells[name] for name in columns))
    caption = ""
    if most is not None and len(ordered) > most:
        caption = words("check.more", count=len(ordered) - most)
    elif most is None and len(rows) > len(busy):
        caption = words("check.idle", count=len(rows) - len(busy))
    if caption:
        made.caption = Text(caption, style="dim")
        made.caption_justify = "left"
    return made


def label(words: Catalogue, code: str, name: str) -> str:
    """A store or guide, or nobody."""
    if not code:
        return words("check.nobody")
    return name if code in name else f"{code} {name}".strip()


def side_by_side(left: Table, right: Table, *, width: int) -> RenderableType:
    """Two tables beside each other where the screen is wide enough, else one above the other."""
    if width < WIDE:
        grid = Table.grid()
        grid.add_row(left)
        grid.add_row("")
        grid.add_row(right)
        return grid
    grid = Table.grid(padding=(0, 2), expand=False)
    grid.add_row(left, right)
    return grid


def unassigned(words: Catalogue, reasons: Sequence[UnassignedReason], *, most: int | None = None) -> Table:
    """How many members nobody could take, for each chain of reasons in words."""
    total = sum(reason.members for reason in reasons)
    if not reasons:
        return labelled((words("unassigned.title"), words("unassigned.none")))
    made = Table.grid(padding=(0, 1))
    made.add_column(justify="right")
    made.add_column(overflow="fold")
    made.add_row(heading(number(total)), heading(words("unassigned.members")))
    for reason in reasons[:most]:
        made.add_row(number(reason.members), chain(words, reason.tried))
    rest = reasons[most:] if most is not None else ()
    if rest:
        left = sum(reason.members for reason in rest)
        made.add_row(number(left), Text(words("unassigned.more", count=len(rest)), style="dim"))
    return made


def chain(words: Catalogue, tried: Sequence[tuple[str, str]]) -> str:
    """The strategies in the order tried, each with why it could not place the member."""
    return " → ".join(
        words("unassigned.step", strategy=words.code("strategies", step), reason=words.code("why", reason))
        for step, reason in tried
    )
