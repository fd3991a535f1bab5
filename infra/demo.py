"""The demo: a year of real purchases, one plan, 28 business days, a Check. Returns everything a screen shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import polars as pl

from activities.plan_hours import look_at_hours
from domain.errors import Refused
from domain.plan import Plan
from domain.playbook import check_plan
from imports import complete_journey, made_up
from imports.copy_speed import CopySpeed, measure_copy
from imports.loading import import_frame
from imports.report import ImportReport, Kind, Tenant
from infra.databases import open_ledger
from infra.rehearsals import Progress, Rehearsed, rehearse
from infra.settings import Settings
from ledger.ledger import Command, Ledger
from ledger.plans import launch, references
from ledger.report import Report, read_report
from ledger.sequencer import sequence
from ledger.verify import Verification, verify

DATABASE = "demo"
GUIDES = 20

Stage = Literal["servers", "import", "copy", "launch", "rehearse", "verify"]
OnStage = Callable[[Stage, int, int], None]
"""Called with the stage, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo came to."""

    report: Report
    settled: Report
    rehearsed: Rehearsed
    imported: ImportReport
    copied: CopySpeed
    verification: Verification
    summary: dict[str, Any]
    summary_path: Path


async def run_demo(
    settings: Settings,
    plan: Plan,
    *,
    seed: int,
    on_stage: OnStage,
    purchases: pl.DataFrame | None = None,
    guides: int = GUIDES,
) -> DemoResult:
    """Run the demo in a database of its own, which starts empty.

    Args:
        settings: where; the database is always `DATABASE`.
        plan: the playbook to rehearse.
        seed: everything that is made up follows from it.
        on_stage: progress.
        purchases: lines to import instead of all of them (tests take a part).
        guides: how many guides are made up.

    Raises:
        Refused: the playbook does not fit the data.
    """
    began = perf_counter()
    on_stage("servers", 0, 1)
    id_secret = f"rehearsal/{seed}".encode()
    settings = settings.model_copy(update={"database": DATABASE})
    async with open_ledger(settings, fresh=True, id_secret=id_secret) as (ledger, urls):
        on_stage("servers", 1, 1)
        lines = complete_journey.purchases_frame() if purchases is None else purchases
        imported = await import_all(
            ledger,
            Tenant(ledger.tenant_id, id_secret, ledger.keys),
            plan,
            lines,
            seed=seed,
            guides=guides,
            on_stage=on_stage,
        )
        on_stage("copy", 0, imported.rows_new)
        copied = await measure_copy(urls.admin)
        on_stage("copy", copied.rows, copied.rows)
        await launch_for_rehearsal(ledger, plan)
        on_stage("launch", 1, 1)
        days = plan.period.working_days * plan.period.cycles

        def rehearsing(progress: Progress) -> None:
            on_stage("rehearse", progress.days, days)

        rehearsed = await rehearse(ledger, plan, seed=seed, home=settings.home, on_progress=rehearsing)
        async with ledger.connection() as connection:
            await sequence(connection, ledger.tenant_id)
            on_stage("verify", 0, 1)
            # Its database is new: nothing outside it can say yet what was in it, and the screen says so.
            verification = await verify(connection, ledger.tenant_id, keys=ledger.keys)
            report = await read_report(connection, ledger.tenant_id, plan.plan, cycle=1)
            settled = await read_report(connection, ledger.tenant_id, plan.plan, cycle=1, kind="settled")
        on_stage("verify", 1, 1)
    summary = summarise(
        report, rehearsed, imported, copied, verification, wall_seconds=perf_counter() - began
    )
    path = settings.home / "demo" / "summary.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return DemoResult(report, settled, rehearsed, imported, copied, verification, summary, path)


async def import_all(
    ledger: Ledger,
    tenant: Tenant,
    plan: Plan,
    lines: pl.DataFrame,
    *,
    seed: int,
    guides: int,
    on_stage: OnStage | None = None,
) -> ImportReport:
    """Import the made-up brand and the recorded purchases; answers for the purchases."""
    known_at = rehearsal_start(plan)
    home = made_up.home_stores(lines, before=plan.period.start)
    for kind, frame in (
        (Kind.STORES, made_up.stores_frame(seed)),
        (Kind.GUIDES, made_up.guides_frame(seed, home, guides=guides)),
        (Kind.MEMBERS, made_up.members_frame(seed, home)),
    ):
        await import_frame(ledger.engine, tenant, kind, frame, known_at=known_at, actor="demo")

    def importing(stage: str, done: int, total: int) -> None:
        # Reading and checking are quick; the bar shows what goes into the database, in two halves.
        if on_stage is None:
            return
        if stage == "stage":
            on_stage("import", done // 2, total)
        elif stage == "insert":
            on_stage("import", (total + done) // 2, total)

    imported = await import_frame(
        ledger.engine,
        tenant,
        Kind.PURCHASES,
        lines,
        known_at=known_at,
        actor="demo",
        known_as_occurred=True,
        naive_zone=complete_journey.NAIVE_ZONE,
        on_progress=importing,
    )
    if on_stage is not None:
        on_stage("import", imported.rows_read, imported.rows_read)
    return imported


def rehearsal_start(plan: Plan) -> datetime:
    """The business instant at which a rehearsal imports and launches: midnight UTC two days ahead."""
    return datetime.combine(plan.period.start, time(0), UTC) - timedelta(days=2)


async def launch_for_rehearsal(ledger: Ledger, plan: Plan) -> None:
    """Check and launch a plan at its own time.

    Raises:
        Refused: the playbook does not fit the data; nothing is launched.
    """
    at = rehearsal_start(plan)
    async with ledger.transaction() as connection:
        known = await references(connection, ledger.tenant_id)
        problems = check_plan(plan, references=known, today=at.date())
        problems += (await look_at_hours(connection, ledger.tenant_id, plan)).problems
        if problems:
            raise Refused(problems)
        command = Command(f"plan/{plan.plan}/launch", at, at, "hq")
        await launch(connection, ledger.tenant_id, command, plan)


def summarise(
    report: Report,
    rehearsed: Rehearsed,
    imported: ImportReport,
    copied: CopySpeed,
    verification: Verification,
    *,
    wall_seconds: float,
) -> dict[str, Any]:
    """The figures of `.daogou/demo/summary.json`.

    Rates are percentages with one decimal, revenue is in currency units with two. `import_rows_per_s`,
    `copy_rows_per_s` and `wall_seconds` measure this machine and differ from run to run; all else follows
    from the data and the seed.
    """
    total = report.total
    return {
        "members_selected": total.members_at_start,
        "members_assigned": report.assigned,
        "members_unassigned": total.members_at_start - report.assigned,
        "guide_days": report.guide_days,
        "tasks": report.tasks,
        "check_ins": report.check_ins,
        "members_due": total.due,
        "members_attempted": total.attempted,
        "members_followed_up": total.followed_up,
        "completion_rate": _number(total.completion_rate.percent()),
        "members_window_closed": total.window_closed,
        "members_succeeded": total.succeeded,
        "success_rate": _number(total.success_rate.percent()),
        "members_provisional": total.provisional,
        "members_withdrawn": total.withdrawn,
        "members_repurchased": total.repurchased,
        "revenue": total.revenue / 100,
        "temporal_events": rehearsed.temporal_events,
        "temporal_events_per_guide_day": round(rehearsed.temporal_events / max(rehearsed.guide_days, 1), 1),
        "temporal_events_longest_guide_day": rehearsed.most_events_a_guide_day,
        "ledger_events": verification.events,
        "ledger_ok": verification.ok,
        "import_rows": imported.rows_new,
        "import_rows_per_s": round(imported.rows_new / imported.seconds),
        "copy_rows_per_s": round(copied.rows_per_second),
        "wall_seconds": round(wall_seconds, 1),
    }


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
