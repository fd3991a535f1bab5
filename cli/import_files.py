"""`daogou import`: a brand's masters, purchases, check-ins and records of other systems from CSV, XLSX or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType
from rich.text import Text

from cli.instants import read_instant
from cli.layout import heading, number, table
from cli.progress import Stages
from cli.session import Session, json_option, pass_session
from domain.errors import Problem
from imports.calendars import import_calendar
from imports.check_ins import SheetTerms, import_check_ins
from imports.columns import in_chinese
from imports.loading import import_file
from imports.records import RECORDS
from imports.report import BadRow, ImportReport, Kind, Tenant
from infra.clock import now
from infra.databases import read_id_secret
from wording.catalogue import LANGUAGES, Catalogue, catalogue

SHOWN = 20
ACTOR = "hq"


@click.group("import")
def import_group() -> None:
    """导入门店、导购、会员、购买记录、其他系统的记录 / Import stores, guides, members, purchases, records."""


def _command(kind: Kind, text: str) -> click.Command:
    @click.command(kind.value, help=text)
    @click.argument("file", type=click.Path(path_type=Path))
    @click.option("--skip-bad", is_flag=True, help="跳过坏行，导入其余 / take the good rows, list the bad.")
    @json_option
    @pass_session
    def command(session: Session, /, file: Path, **options: Any) -> None:
        with Stages(session, group="import_stages") as stages:
            report = session.run(_import(session, kind, file, stages, options))
        session.show(_machine(session.words, file, report), *_screen(session, file, report))
        if report.refused:
            raise SystemExit(1)

    options = {
        Kind.PURCHASES: (_naive_zone, _known_as_occurred, _source("till"), _complete_until),
        Kind.RETURNS: (_naive_zone, _known_as_occurred, _source("till"), _complete_until),
        Kind.CHECK_INS: (_naive_zone, _source("sheet")),
        **dict.fromkeys(RECORDS, (_naive_zone, _source("file"), _complete_until)),
    }
    for option in options.get(kind, ()):
        command = option(command)
    return command


_naive_zone = click.option(
    "--naive-zone", metavar="ZONE", help="无时区时间所属时区 / zone of times that name none."
)
_known_as_occurred = click.option(
    "--known-as-occurred",
    is_flag=True,
    help="发生时即视为已知，演练过去时需要 / known when they occurred; needed to rehearse the past.",
)
_complete_until = click.option(
    "--complete-until",
    metavar="INSTANT",
    callback=lambda _context, _option, told: None if told is None else read_instant("--complete-until", told),
    help="该系统的数据完整到何时 / up to when the system has told everything, e.g. 2026-03-02T21:00+08:00.",
)


def _source(usual: str) -> Any:
    return click.option(
        "--source",
        default=usual,
        show_default=True,
        metavar="NAME",
        help="来自哪个系统 / which system of record it is.",
    )


for _kind, _text in (
    (Kind.STORES, "导入门店 / Import stores."),
    (Kind.GUIDES, "导入导购 / Import guides."),
    (Kind.MEMBERS, "导入会员 / Import members."),
    (Kind.PURCHASES, "导入购买记录 / Import purchases."),
    (Kind.CALLS, "导入通话记录 / Import calls of the telephone system."),
    (Kind.FRIENDS, "导入企业微信加好友记录 / Import who added which guide on WeCom."),
    (Kind.REDEMPTIONS, "导入核销记录 / Import redemptions of vouchers."),
    (Kind.VISITS, "导入到店记录 / Import visits to stores."),
    (Kind.RETURNS, "导入退货 / Import returns of purchases."),
    (
        Kind.CALENDAR,
        "导入品牌、大区、门店的日历和营业时间 / Import calendars and hours of brand, regions, stores.",
    ),
    (Kind.SHIFTS, "导入导购班次 / Import guides' shifts."),
    (Kind.CHECK_INS, "按表格补录签到（代录）/ Enter check-ins from a sheet, on the guides' behalf."),
):
    import_group.add_command(_command(_kind, _text))


async def _import(
    session: Session,
    kind: Kind,
    file: Path,
    on_progress: Callable[[str, int, int], None],
    options: dict[str, Any],
) -> ImportReport:
    async with session.ledger(create=True) as (ledger, _):
        tenant = Tenant(ledger.tenant_id, await read_id_secret(ledger), ledger.keys)
        if kind in {Kind.CALENDAR, Kind.SHIFTS}:
            return await import_calendar(
                ledger, kind, file, known_at=now(), actor=ACTOR, on_progress=on_progress, **options
            )
        if kind is Kind.CHECK_INS:
            terms = SheetTerms(now(), ACTOR, words=_words(), **options)
            return await import_check_ins(ledger, tenant, file, terms, on_progress)
        return await import_file(
            ledger.engine, tenant, kind, file, known_at=now(), actor=ACTOR, on_progress=on_progress, **options
        )


def _words() -> dict[str, str]:
    """The words for outcomes, channels and grades in both languages, each with its code."""
    return {
        word: code
        for language in LANGUAGES
        for group in ("outcomes", "channels")
        for code, word in catalogue(language).group(group).items()
    }


def _screen(session: Session, file: Path, report: ImportReport) -> list[RenderableType]:
    words = session.words
    done = "imports.refused" if report.refused else "imports.done"
    if report.already_imported and not report.refused:
        done = "imports.again"
    parts: list[RenderableType] = [
        heading(words(done, kind=words.code("kinds", report.kind), file=file.name)),
        words(
            "imports.counts",
            read=number(report.rows_read),
            new=number(report.rows_new),
            same=number(report.rows_same),
            bad=number(report.rows_bad),
            seconds=f"{report.seconds:.1f}",
        ),
    ]
    if report.rows_erased:
        parts.append(words("imports.erased", erased=number(report.rows_erased)))
    if report.rows_outside:
        parts.append(words("imports.outside", outside=number(report.rows_outside)))
    if report.ignored:
        parts.append(words("imports.ignored", columns=", ".join(report.ignored)))
    if report.bad:
        made = table(
            words("imports.line"), words("imports.column"), words("imports.value"), words("imports.reason"),
            right=(0,), fold=(2, 3),
        )  # fmt: skip
        for bad in report.bad[:SHOWN]:
            problem = _problem(bad)
            made.add_row(
                number(bad.line),
                Text(header_of(words, report.kind, report.headers, bad.column)),
                "".join(char if char.isprintable() else "�" for char in bad.value[:40]),
                f"{words.reason(problem)} {words.remedy(problem)}",
            )
        parts.append(made)
        if report.problems > SHOWN:
            parts.append(words("imports.more", count=number(report.problems - SHOWN)))
    if report.refused:
        key = "imports.nothing_written"
        if report.kind is Kind.CHECK_INS and report.rows_new + report.rows_same:
            key = "imports.others_entered"
        parts.append(words(key))
    return parts


def _machine(words: Catalogue, file: Path, report: ImportReport) -> dict[str, Any]:
    return {
        "file": str(file),
        "kind": report.kind.value,
        "refused": report.refused,
        "rows_read": report.rows_read,
        "rows_new": report.rows_new,
        "rows_same": report.rows_same,
        "rows_bad": report.rows_bad,
        "rows_erased": report.rows_erased,
        "rows_outside": report.rows_outside,
        "problems": report.problems,
        "already_imported": report.already_imported,
        "batch_id": report.batch_id,
        "root": report.root,
        "ignored": report.ignored,
        "seconds": report.seconds,
        "bad": [
            {
                "line": bad.line,
                "column": bad.column,
                "header": header_of(words, report.kind, report.headers, bad.column),
                "value": bad.value,
                "code": bad.code,
                "reason": words.reason(_problem(bad)),
                "remedy": words.remedy(_problem(bad)),
            }
            for bad in report.bad
        ],
    }


def header_of(words: Catalogue, kind: Kind, headers: Mapping[str, str], column: str) -> str:
    """A column as its file has it, or as the reader calls it where the file has none."""
    return headers.get(column) or (in_chinese(kind, column) if words.language == "zh" else column)


def _problem(bad: BadRow) -> Problem:
    return Problem(bad.column, bad.value, bad.code, bad.params)
