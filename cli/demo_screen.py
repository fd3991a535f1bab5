"""The one screen the demo ends with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from cli import check_screen as check
from cli.completeness import complete_line
from cli.layout import heading, labelled, number
from cli.session import Session
from cli.verified import verified_lines
from domain.plan import Plan
from imports.complete_journey import households, stores
from infra.demo import GUIDES, DemoResult
from infra.rehearsals import Rehearsed
from ledger.report import Report


def demo_screen(
    session: Session, plan: Plan, result: DemoResult, *, seed: int, log: Path
) -> Iterator[RenderableType]:
    """What was done, what is real, the Check, who was left out, the proof, and where to go on."""
    words, summary = session.words, result.summary
    speed = result.imported.rows_new / result.imported.seconds
    yield Rule(Text(words("demo.title", name=plan.name), style="bold"), align="left", style="cyan")
    yield labelled(
        (
            words("demo.imported"),
            words(
                "demo.imported_text",
                members=number(len(households())),
                stores=number(len(stores())),
                purchases=number(result.imported.rows_new),
                speed=number(round(speed)),
                ratio=f"{speed / result.copied.rows_per_second:.2f}",
            ),
        ),
        rehearsed_line(session, result.report, result.rehearsed),
        (words("demo.truth"), words("demo.truth_text", seed=seed, guides=GUIDES)),
    )
    yield from rehearsal_body(session, plan, result.report, result.settled, most=check.TOP_ROWS)
    yield from verified_lines(session, result.verification)
    yield labelled(
        (
            words("demo.temporal"),
            words(
                "demo.temporal_text",
                mean=summary["temporal_events_per_guide_day"],
                longest=summary["temporal_events_longest_guide_day"],
                events=number(result.rehearsed.temporal_events),
                days=number(result.rehearsed.guide_days),
            ),
        ),
        (words("demo.shows"), words("demo.shows_text")),
        (
            words("demo.files"),
            words("demo.files_text", summary=_near(result.summary_path), log=_near(log), database="demo"),
        ),
    )
    yield next_commands(session, plan, result.report)


def rehearsed_line(session: Session, report: Report, rehearsed: Rehearsed) -> tuple[str, str]:
    """What was rehearsed, in numbers."""
    words = session.words
    return words("demo.rehearsed"), words(
        "demo.rehearsed_text",
        days=rehearsed.outcome.days,
        first=report.starts_on,
        last=report.ends_on,
        members=number(report.total.members_at_start),
        assigned=number(report.assigned),
        guide_days=number(rehearsed.guide_days),
        tasks=number(report.tasks),
        check_ins=number(report.check_ins),
    )


def rehearsal_body(
    session: Session, plan: Plan, report: Report, settled: Report | None, *, most: int | None
) -> Iterator[RenderableType]:
    """The Check with its breakdowns; `plan` is the playbook as written, whose goal held in the cycle."""
    words = session.words
    yield ""
    yield check.rates(words, report, settled)
    yield check.goal_line(words, report, plan.goal)
    if report.complete_until:
        yield complete_line(words, report.complete_until, report.time_zone)
    yield ""
    yield check.side_by_side(
        check.breakdown(words, words("check.stores"), report.stores, most=most),
        check.breakdown(words, words("check.guides"), report.guides, most=most),
        width=session.out.width,
    )
    yield ""
    yield check.unassigned(words, report.unassigned, most=check.TOP_REASONS if most else None)
    yield ""


def next_commands(session: Session, plan: Plan, report: Report) -> RenderableType:
    """Commands that work as typed here."""
    words = session.words
    guides = [row.code for row in sorted(report.guides, key=lambda row: -row.figures.due) if row.code]
    commands = [
        ("next.report", ("plan", "report", plan.plan)),
        *([("next.today", ("today", guides[0]))] if guides else []),
        ("next.timeline", ("audit", "timeline", "plan", plan.plan)),
        ("next.verify", ("audit", "verify")),
    ]
    shown = Session(session.settings.model_copy(update={"database": "demo"}), words)
    # A DATABASE_URL of the shell's would lead the commands elsewhere than the demo went.
    prefix = "env -u DATABASE_URL " if os.environ.get("DATABASE_URL") else ""
    lines = Table.grid(padding=(0, 2, 0, 0))
    lines.add_row(heading(words("next.title")))
    wide = session.out.width >= check.WIDE
    for key, command in commands:
        comment = Text(f"# {words(key)}" if wide else "", style="dim")
        lines.add_row(f"  {prefix}{shown.command(*command)}", comment)
    return lines


def _near(path: Path) -> str:
    """The path from the present folder, where it lies below."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)
