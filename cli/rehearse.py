"""`daogou rehearse`: a playbook tried on a copy of the database, on recorded purchases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import click

from activities.reporting import report_json
from cli.demo_screen import rehearsal_body, rehearsed_line
from cli.errors import database_problem
from cli.layout import labelled
from cli.machine import verification_json
from cli.playbook_files import read_playbook
from cli.progress import Stages
from cli.session import Session, json_option, logs_to, pass_session
from cli.verified import verified_lines
from domain.errors import NotFound, Problem, Refused
from domain.plan import Plan
from infra.anchor_file import anchor_path, read_anchor_file
from infra.databases import open_ledger
from infra.demo import launch_for_rehearsal
from infra.embedded_postgres import running_postgres
from infra.rehearsals import Progress, Rehearsed, rehearse
from infra.settings import Settings
from ledger.anchors import Anchor
from ledger.ledger import Ledger
from ledger.plans import read_plan
from ledger.report import Report, read_report
from ledger.sequencer import sequence
from ledger.verify import Verification, verify

DATABASE = "rehearsal"
SEED = 1

_Outcome = tuple[Rehearsed, Report, Report | None, Verification]


@click.command("rehearse")
@click.argument("playbook", type=click.Path(path_type=Path))
@click.option(
    "--seed", type=int, default=SEED, show_default=True, help="模拟导购的种子 / seed of the simulated guides."
)
@json_option
@pass_session
def rehearse_command(session: Session, playbook: Path, seed: int) -> None:
    """在数据库副本上演练计划 / Rehearse a playbook on a copy of the database."""
    plan = read_playbook(playbook)
    settings = session.settings
    if settings.database_url is not None:
        raise Refused([Problem("DATABASE_URL", "…", "embedded_only")])
    if settings.database == DATABASE:
        raise Refused([Problem("--database", DATABASE, "database_is_the_copy")])
    log = settings.home / "rehearsal" / "rehearsal.log"
    with logs_to(log), Stages(session, group="stages") as stages:
        rehearsed, report, settled, verification = session.run(_rehearse(settings, plan, seed, stages))
    words = session.words
    machine: dict[str, Any] = {
        "seed": seed,
        "database": DATABASE,
        "log_path": str(log),
        "guide_days": rehearsed.guide_days,
        "temporal_events": rehearsed.temporal_events,
        "temporal_events_longest_guide_day": rehearsed.most_events_a_guide_day,
        "report": report_json(report, plan.goal),
        "settled": None if settled is None else report_json(settled, plan.goal),
        "verification": verification_json(verification),
    }
    shown = Session(settings.model_copy(update={"database": DATABASE}), words)
    session.show(
        machine,
        labelled(
            rehearsed_line(session, report, rehearsed),
            (words("demo.truth"), words("rehearse.truth_text", seed=seed)),
        ),
        *rehearsal_body(session, plan, report, settled, most=8),
        *verified_lines(session, verification),
        labelled(
            (words("demo.shows"), words("demo.shows_text")),
            (words("next.title"), shown.command("plan", "report", plan.plan)),
        ),
    )
    if not verification.ok:
        raise SystemExit(1)


async def _rehearse(settings: Settings, plan: Plan, seed: int, stages: Stages) -> _Outcome:
    stages("servers", 0, 1)
    await _source_exists(settings)
    copy = settings.model_copy(update={"database": DATABASE})
    # Before the copy is made: what was sealed later is not in it.
    anchors = await read_anchor_file(anchor_path(settings), settings.tenant_id)
    try:
        async with open_ledger(copy, fresh=True, template=settings.database) as (ledger, _):
            stages("servers", 1, 1)
            await _not_there_yet(ledger, plan)
            await launch_for_rehearsal(ledger, plan)
            stages("launch", 1, 1)
            days = plan.period.working_days * plan.period.cycles

            def on_progress(progress: Progress) -> None:
                stages("rehearse", min(progress.days, days), days)

            rehearsed = await rehearse(ledger, plan, seed=seed, home=settings.home, on_progress=on_progress)
            return await _review(ledger, plan, rehearsed, anchors, stages)
    except asyncpg.ObjectInUseError as error:
        problem = database_problem(error, settings)
        raise Refused([problem] if problem else []) from error


async def _review(
    ledger: Ledger, plan: Plan, rehearsed: Rehearsed, anchors: list[Anchor], stages: Stages
) -> _Outcome:
    async with ledger.connection() as connection:
        await sequence(connection, ledger.tenant_id)
        stages("verify", 0, 1)
        verification = await verify(connection, ledger.tenant_id, anchors=anchors, keys=ledger.keys)
        stages("verify", 1, 1)
        cycles = plan.period.cycles
        report = await read_report(connection, ledger.tenant_id, plan.plan, cycle=cycles)
        try:
            settled = await read_report(connection, ledger.tenant_id, plan.plan, cycle=cycles, kind="settled")
        except NotFound:
            settled = None
    return rehearsed, report, settled, verification


async def _source_exists(settings: Settings) -> None:
    with running_postgres(settings.home) as (_, address):
        connection = await asyncpg.connect(address.url("postgres"))
        try:
            found = await connection.fetchval(
                "SELECT true FROM pg_database WHERE datname = $1", settings.database
            )
        finally:
            await connection.close()
    if not found:
        raise Refused([Problem("--database", settings.database, "database_missing")])


async def _not_there_yet(ledger: Ledger, plan: Plan) -> None:
    """A plan of this name that ran already has its days behind it: nothing would be left to rehearse."""
    async with ledger.connection() as connection:
        try:
            standing = await read_plan(connection, ledger.tenant_id, plan.plan)
        except NotFound:
            return
    raise Refused([Problem("plan", plan.plan, "plan_exists", {"status": standing.status})])
