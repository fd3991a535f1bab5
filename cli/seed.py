"""`daogou seed`: a small made-up brand and a plan of one day, so that a newcomer sees something at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import click
from rich.console import RenderableType

from cli.layout import heading, labelled, number
from cli.session import Session, json_option, pass_session
from domain.errors import Problem, Refused
from imports.report import Tenant
from infra.clock import now
from infra.databases import read_id_secret
from infra.durable_files import write_durably
from infra.practice import STORES, Seeded, playbook_text, seed_practice
from wording.catalogue import Catalogue

ACTOR = "hq"
PLAYBOOK = "practice.yaml"
OURS = "# daogou seed: "


@click.command("seed")
@click.option(
    "--to",
    "to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="计划写到哪里（默认：数据目录下的 practice.yaml）/ where the playbook goes (default: practice.yaml in the home).",
)
@json_option
@pass_session
def seed(session: Session, to: Path | None) -> None:
    """虚构的练习品牌和今天的计划 / A made-up brand, a plan for today."""
    file = _as_seen_here(to or session.settings.home / PLAYBOOK)
    seeded, written = session.run(_seed(session, file))
    session.show(_machine(seeded, file, written=written), *_screen(session, seeded, file, written=written))


async def _seed(session: Session, file: Path) -> tuple[Seeded, bool]:
    _refuse_foreign(file)
    async with session.ledger(create=True) as (ledger, _):
        tenant = Tenant(ledger.tenant_id, await read_id_secret(ledger), ledger.keys)
        seeded = await seed_practice(ledger, tenant, at=now(), actor=ACTOR)
    return seeded, _write(file, seeded)


def _refuse_foreign(file: Path) -> None:
    """A file somebody else wrote is never overwritten; asked before anything is done."""
    head = _first_line(file)
    if head is not None and not head.startswith(OURS):
        raise Refused([Problem("--to", str(file), "file_is_not_ours")])
    folder = file.absolute().parent
    if not os.access(folder, os.W_OK):
        raise _unwritable(file, os.strerror(errno.EACCES if folder.is_dir() else errno.ENOENT))


def _as_seen_here(file: Path) -> Path:
    """The file as one would type it in the present folder."""
    here = Path.cwd()
    return file.absolute().relative_to(here) if file.absolute().is_relative_to(here) else file


def _first_line(file: Path) -> str | None:
    try:
        with file.open(encoding="utf-8", errors="replace") as text:
            return text.readline().rstrip("\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(file, _why(error)) from error


def _write(file: Path, seeded: Seeded) -> bool:
    """Write the playbook unless that of this day is there, which may have been edited."""
    if _first_line(file) == seeded.today.mark:
        return False
    try:
        write_durably(file, playbook_text(seeded.today))
    except OSError as error:
        raise _unwritable(file, _why(error)) from error
    return True


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _unwritable(file: Path, why: str) -> Refused:
    return Refused([Problem("--to", str(file), "file_unwritable", {"why": why})])


def _named(words: Catalogue, column: int) -> str:
    """What the practice stores have in a column, each once, in their order."""
    return words("comma").join(dict.fromkeys(str(store[column]) for store in STORES if store[column]))


def _machine(seeded: Seeded, file: Path, *, written: bool) -> dict[str, Any]:
    today = seeded.today
    return {
        "changed": seeded.changed,
        "made_up": True,
        **{kind.value: report.rows_read for kind, report in seeded.imported.items()},
        "time_zone": today.zone,
        "day": today.day,
        "release": f"{today.release:%H:%M}",
        "close": f"{today.close:%H:%M}",
        "plan": today.plan_id,
        "launched": seeded.launched,
        "playbook": str(file),
        "playbook_written": written,
    }


def _screen(session: Session, seeded: Seeded, file: Path, *, written: bool) -> list[RenderableType]:
    words, today = session.words, seeded.today
    counts = {kind.value: number(report.rows_read) for kind, report in seeded.imported.items()}
    hours = {
        "zone": today.zone,
        "now": f"{today.at:%H:%M}",
        "day": today.day,
        "release": f"{today.release:%H:%M}",
        "close": f"{today.close:%H:%M}",
    }
    there = words("seed.written" if written else "seed.kept", file=file, plan=today.plan_id)
    parts: list[RenderableType] = [
        heading(words("seed.new" if seeded.changed else "seed.same")),
        labelled(
            (words("seed.brand"), words("seed.brand_text", **counts)),
            (
                words("seed.places"),
                words("seed.places_text", regions=_named(words, 2), dealers=_named(words, 3)),
            ),
            (words("seed.truth"), words("seed.truth_text")),
            (words("seed.day"), words(f"seed.day_{today.why}", **hours)),
            (words("seed.playbook"), there),
        ),
    ]
    if seeded.launched:
        return [*parts, words("seed.launched", plan=today.plan_id)]
    steps = [("plan", "check", str(file)), ("plan", "launch", str(file)), ("day", "open"), ("today", "G1")]
    return [*parts, words("seed.next"), *(f"  {session.command(*step)}" for step in steps)]
