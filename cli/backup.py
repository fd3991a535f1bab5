"""`daogou backup` and `daogou restore`."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from cli.layout import NOTHING, heading, labelled, number
from cli.machine import verification_json
from cli.progress import Stages
from cli.session import Session, json_option, pass_session, program
from cli.verified import verified_lines
from domain.errors import Problem, Refused
from infra.backup import KEEP, Backup, back_up, refuse_managed
from infra.backup_record import instant_text
from infra.clock import now
from infra.restore import Restored, Target, restore

LATEST = "latest"
_MEGABYTE = 1_000_000


@click.command("backup")
@click.option(
    "--to", metavar="FOLDER", type=click.Path(path_type=Path), help="备份到这个文件夹 / the folder to make."
)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help=f"只留最近几份（默认目录 {KEEP}）/ how many to keep ({KEEP} in the usual place).",
)
@json_option
@pass_session
def backup_command(session: Session, to: Path | None, keep: int | None) -> None:
    """备份内置数据库，可恢复到任意时刻 / Back up the embedded database."""
    with Stages(session, group="backup_stages") as stages:
        made = back_up(session.settings, to=to, keep=keep, on_stage=stages)
    session.show(_backup_json(made), *_backup_screen(session, made))


@click.command("restore")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--into",
    metavar="HOME",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="恢复到这个数据目录 / the data folder to restore into.",
)
@click.option(
    "--at",
    metavar="INSTANT",
    help=f"恢复到这一刻，如 2026-03-02T09:30:00+08:00；{LATEST} 为最新 / recover up to here; {LATEST}: all there is.",
)
@click.option(
    "--wal",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="WAL 归档移动过时，指明它在哪里 / the WAL archive, if it was moved.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="已有数据库则移到一旁，不删除 / move a database there aside, never delete it.",
)
@json_option
@pass_session
def restore_command(
    session: Session, folder: Path, into: Path, at: str | None, wal: Path | None, replace: bool
) -> None:
    """从备份恢复数据库 / Restore the database from a backup."""
    refuse_managed(session.settings, "restore")
    target = _instant(at)
    with Stages(session, group="backup_stages") as stages:
        done = restore(
            folder, into=into, at=target, wal=wal, replace=replace, as_of=now(), on_stage=stages,
            keys_url=session.settings.keys_url, anchors=session.settings.anchors,
        )  # fmt: skip
    there = dataclasses.replace(
        session,
        settings=session.settings.model_copy(update={"home": into, "database": done.record.database}),
    )
    session.show(_restore_json(there, done, target), *_restore_screen(there, done, target))
    if not done.ledger.verification.ok:
        raise SystemExit(1)


def _instant(text: str | None) -> Target:
    if text is None:
        return None
    if text == LATEST:
        return "latest"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused([Problem("--at", text, "restore_not_an_instant")]) from error
    if instant.tzinfo is None:  # 09:30 where? a wrong guess would be eight hours off
        raise Refused([Problem("--at", text, "restore_instant_without_zone")])
    return instant


def _backup_screen(session: Session, made: Backup) -> list[RenderableType]:
    words, record = session.words, made.record
    rows: list[tuple[str, str | Text]] = [
        (words("backup.folder"), str(made.folder)),
        (
            words("backup.size"),
            words("backup.size_text", size=_size(made.size), seconds=f"{made.seconds:.1f}"),
        ),
        (words("backup.ledger"), _ledger(session, record.position, record.last_event_at)),
        (words("backup.archive"), _archive(session, made)),
    ]
    if made.keys is not None:
        rows.append((words("backup.keys"), words("backup.keys_text", file=made.keys)))
    if made.removed:
        removed = words(
            "backup.removed_text", count=len(made.removed), segments=number(made.segments_removed)
        )
        rows.append((words("backup.removed"), removed))
    rows += [
        (words("backup.restore"), _again(made)),
        (words("backup.private"), words("backup.private_text")),
    ]
    return [heading(words("backup.title")), labelled(*rows)]


def _archive(session: Session, made: Backup) -> Text:
    words, archive = session.words, made.archive
    if made.record.archive is None or archive.folder is None:
        return Text(words("backup.archive_off"), style="yellow")
    if archive.failed_at is not None:
        told = words(
            "backup.archive_failing",
            at=instant_text(archive.failed_at),
            waiting=number(archive.waiting),
            folder=archive.folder,
        )
        return Text(told, style="bold red")
    return Text(words("backup.archive_on", first=instant_text(made.record.ended_at), folder=archive.folder))


def _restore_screen(session: Session, done: Restored, target: Target) -> list[RenderableType]:
    words, ledger = session.words, done.ledger
    rows: list[tuple[str, str | Text]] = [
        (words("restore.home"), str(done.home)),
        (words("restore.upto"), _upto(session, done, target)),
        (words("restore.last"), _ledger(session, ledger.position, ledger.last_event_at)),
    ]
    start = session.command("outbox", "start", "--reason", "…")
    if ledger.erased_again:
        rows.append(
            (words("restore.erased"), words("restore.erased_text", count=number(ledger.erased_again)))
        )
    access = ledger.access
    told = words(
        "restore.access_text",
        sessions=number(access.sessions),
        tokens=number(access.tokens),
        devices=number(access.devices),
        pins=number(access.pins),
    )
    rows.append((words("restore.access"), told))
    if done.aside is not None:
        rows.append((words("restore.aside"), words("restore.aside_text", folder=done.aside)))
    if done.anchors is not None:
        rows.append((words("restore.anchors"), words("restore.anchors_text", folder=done.anchors)))
    return [
        heading(words("restore.title")),
        labelled(*rows),
        *verified_lines(session, ledger.verification),
        *(
            [words("restore.anchors_after", anchors=number(ledger.anchors_after))]
            if ledger.anchors_after
            else []
        ),
        Text(""),
        heading(words("restore.next")),
        labelled(
            (words("restore.up"), session.command("up")),
            (words("restore.resume"), session.command("resume")),
            (words("restore.backup"), session.command("backup")),
        ),
        Text(words("restore.outbox", command=start), style="yellow"),
        Text(_to_look_through(session, done), style="yellow"),
    ]


def _to_look_through(session: Session, done: Restored) -> str:
    access = done.ledger.access
    return session.words(
        "restore.look",
        accounts=number(access.accounts),
        grants=number(access.grants),
        accounts_command=session.command("account", "list"),
        shut=session.command("account", "shut"),
        end=session.command("account", "end-grant"),
        reset=session.command("account", "reset"),
    )


def _upto(session: Session, done: Restored, target: Target) -> str:
    words, reach = session.words, done.reach
    if target is None and reach.last > reach.first:
        first, last = instant_text(reach.first), instant_text(reach.last)
        return words("restore.upto_backup_more", first=first, last=last)
    if target is None:
        return words("restore.upto_backup", first=instant_text(reach.first))
    return instant_text(target if isinstance(target, datetime) else reach.last)


def _ledger(session: Session, position: int, last: datetime | None) -> str:
    when = NOTHING if last is None else instant_text(last)
    return session.words("backup.ledger_text", position=number(position), at=when)


def _again(made: Backup) -> str:
    return f"{program()} restore {shlex.quote(str(made.folder))} --into HOME"


def _size(count: int) -> str:
    return f"{count / _MEGABYTE:,.1f} MB"


def _backup_json(made: Backup) -> dict[str, object]:
    return {
        "folder": str(made.folder),
        "size_bytes": made.size,
        "seconds": round(made.seconds, 3),
        **made.record.model_dump(mode="json"),
        "archiving": asdict(made.archive),
        "keys": None if made.keys is None else str(made.keys),
        "removed": [str(folder) for folder in made.removed],
        "segments_removed": made.segments_removed,
        "restore": _again(made),
    }


def _restore_json(session: Session, done: Restored, target: Target) -> dict[str, object]:
    return {
        "home": str(done.home),
        "at": target,
        "position": done.ledger.position,
        "last_event_at": done.ledger.last_event_at,
        "verification": verification_json(done.ledger.verification),
        "anchors_after": done.ledger.anchors_after,
        "reachable": {"from": done.reach.first, "to": done.reach.last, "missing_segment": done.reach.missing},
        "messages_stopped": True,
        "erased_again": done.ledger.erased_again,
        "access_ended": {
            "sessions": done.ledger.access.sessions,
            "tokens": done.ledger.access.tokens,
            "devices": done.ledger.access.devices,
            "one_time_pins": done.ledger.access.pins,
        },
        "to_look_through": {
            "accounts": done.ledger.access.accounts,
            "grants": done.ledger.access.grants,
            "command": session.command("account", "list"),
        },
        "replaced": None if done.aside is None else str(done.aside),
        "anchors_aside": None if done.anchors is None else str(done.anchors),
        "seconds": round(done.seconds, 3),
    }
