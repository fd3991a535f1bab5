"""`daogou plan`: check, launch, status, report."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from activities.acting import launch_plan
from activities.asked import Asked
from activities.forecasting import DAYS_AHEAD, MOST_DAYS, Forecast, forecast_plan
from activities.preview import Preview, preview_plan
from activities.reporting import goal_when_counted, report_json
from cli import plan_screens as screens
from cli.forecast_screen import forecast
from cli.playbook_files import read_playbook
from cli.session import Session, json_option, pass_session
from domain.errors import NotFound, Problem, Refused
from domain.plan import Goal, Plan
from infra.clock import now
from infra.plan_workflows import Told, start_plan
from ledger.cycles import CycleState, read_check, read_cycle
from ledger.plans import FINAL, PlanState, list_plans, plan_json, read_plan
from ledger.report import Report, read_report

ACTOR = "hq"
CHECK_WITHIN = timedelta(minutes=1)
LOOK_EVERY = 0.3
"""How long `plan report --wait` waits, and how many seconds pass between two looks."""
MOST_CYCLES = 520
"""As many as a plan may have."""


@click.group()
def plan() -> None:
    """计划：检查、发布、查看、调整 / Plans: check, launch, look at, adjust."""


@plan.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="按这一天检查（默认今天）/ check as of this day (default: today).",
)
@json_option
@pass_session
def check_command(session: Session, file: Path, on: datetime | None) -> None:
    """检查计划并预览，不写入任何内容 / Check a playbook and preview it; writes nothing."""
    written = read_playbook(file)
    preview = session.run(_check(session, written, on.date() if on else None))
    session.show(
        {
            "plan": written.plan,
            "ok": True,
            "preview": {
                **preview.drawn.started.model_dump(mode="json"),
                "guides_taking_part": preview.guides,
                "unassigned_reasons": preview.unassigned,
                "forecast": preview.forecast,
            },
            "notes": [
                {
                    "field": one.field,
                    "value": one.value,
                    "code": one.code,
                    "reason": session.words.reason(one),
                }
                for one in preview.notes
            ],
        },
        *screens.preview(session, written, preview),
        *(f"{session.words.reason(one)} {session.words.remedy(one)}" for one in preview.notes),
    )


async def _check(session: Session, written: Plan, on: date | None) -> Preview:
    async with session.ledger() as (ledger, _):
        return await preview_plan(ledger, written, at=now(), on=on)


@plan.command("launch")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--canary",
    multiple=True,
    metavar="STORE",
    help="先在这家门店试点，确认后再推广（可重复）/ try it in this store first (repeatable); then `plan confirm`.",
)
@json_option
@pass_session
def launch_command(session: Session, file: Path, canary: tuple[str, ...]) -> None:
    """检查并发布计划；同一文件发布两次不会重复 / Check and launch; twice the same file changes nothing."""
    written = read_playbook(file)
    new, runs_in, started = session.run(_launch(session, written, canary))
    words = session.words
    screen = [words("launch.launched" if new else "launch.there", plan=written.plan, name=written.name)]
    if runs_in:
        screen.append(words("launch.canary", stores=session.words("comma").join(runs_in), plan=written.plan))
    again = session.command("plan", "launch", str(file))
    machine: dict[str, object] = {
        "plan": written.plan,
        "launched": new,
        "canary": runs_in,
        "workflow_started": started.as_json(),
    }
    match started:
        case Told.YES:
            screen.append(words("launch.started"))
        case Told.NOT_NEEDED:
            screen.append(words("launch.running"))
        case Told.UNREACHABLE:
            machine["workflow_told"] = False
            screen.append(words("launch.unreachable", again=again))
        case Told.NOT_SET:
            screen.append(words("launch.no_temporal", command=f"TEMPORAL_ADDRESS=host:7233 {again}"))
    session.show(machine, *screen)


async def _launch(
    session: Session, written: Plan, canary: tuple[str, ...]
) -> tuple[bool, tuple[str, ...], Told]:
    """Whether the plan is new to the ledger, the only stores it runs in, and what came of starting its workflow."""
    async with session.ledger() as (ledger, _):
        acted = await launch_plan(ledger, written, Asked(key=None, at=now(), actor=ACTOR), canary=canary)
        async with ledger.connection() as connection:
            standing = await read_plan(connection, ledger.tenant_id, written.plan)
    runs_in = () if standing.status in FINAL else standing.canary
    return not acted.duplicate, runs_in, await start_plan(session.settings, written.plan)


@plan.command("status")
@click.argument("name", metavar="[PLAN]", required=False)
@json_option
@pass_session
def status_command(session: Session, name: str | None) -> None:
    """所有计划，或一个计划的现状 / All plans, or how one stands."""
    if name is None:
        plans = session.run(_plans(session))
        session.show({"plans": plans}, screens.plans(session, plans))
        return
    standing, cycle, checks = session.run(_status(session, name))
    session.show(
        {
            "plan": name,
            "status": standing.status,
            "cycle": standing.cycle,
            "cycle_state": cycle and cycle.state,
            "version": standing.version,
            "launched_at": standing.launched_at,
            "canary": standing.canary,
            "checks": checks,
            "playbook": plan_json(standing.plan),
        },
        screens.status(session, standing, cycle, checks),
    )


async def _plans(session: Session) -> list[dict[str, Any]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        return await list_plans(connection, ledger.tenant_id)


async def _status(session: Session, name: str) -> tuple[PlanState, CycleState | None, list[dict[str, Any]]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        standing = await read_plan(connection, ledger.tenant_id, name)
        state = await read_cycle(connection, ledger.tenant_id, name, standing.cycle)
        checks = [
            {"cycle": cycle, "kind": kind, "as_of": stored[0], "position": stored[1]}
            for cycle in range(1, standing.cycle + 1)
            for kind in ("provisional", "settled")
            if (stored := await read_check(connection, ledger.tenant_id, name, cycle, kind)) is not None
        ]
    return standing, state, checks


@plan.command("forecast")
@click.argument("name", metavar="PLAN")
@click.option(
    "--days",
    type=click.IntRange(1, MOST_DAYS),
    default=DAYS_AHEAD,
    show_default=True,
    help="今后几个工作日 / how many working days.",
)
@json_option
@pass_session
def forecast_command(session: Session, name: str, days: int) -> None:
    """今后几天每位导购的任务量与容量 / Each guide's coming days: load against capacity, all plans."""

    async def foresee() -> Forecast:
        async with session.ledger() as (ledger, _):
            return await forecast_plan(ledger, name, at=now(), days=days)

    found = session.run(foresee())
    session.show({**asdict(found), "over": found.over}, *forecast(session, found))


@plan.command("report")
@click.argument("name", metavar="PLAN")
@click.option(
    "--cycle", type=click.IntRange(1, MOST_CYCLES), help="第几轮（默认最近）/ which cycle (default: newest)."
)
@click.option("--settled", is_flag=True, help="归因期结束后的最终数 / final figures, all windows closed.")
@click.option("--wait", is_flag=True, help="等检查出来，最多一分钟 / wait for the Check, a minute at most.")
@json_option
@pass_session
def report_command(session: Session, name: str, cycle: int | None, settled: bool, wait: bool) -> None:
    """一轮的检查：每家门店、每位导购 / The Check of a cycle: every store, every guide."""
    kind = "settled" if settled else "provisional"
    patience = CHECK_WITHIN if wait else timedelta(0)
    report, goal = session.run(_report(session, name, cycle, kind, patience))
    session.show(report_json(report, goal), *screens.report(session, report, goal))


async def _report(
    session: Session, name: str, cycle: int | None, kind: str, patience: timedelta
) -> tuple[Report, Goal]:
    until = now() + patience
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        while True:
            try:
                report = await read_report(connection, ledger.tenant_id, name, cycle=cycle, kind=kind)
            except NotFound as error:
                if error.problem.code != "not_checked_yet" or not patience:
                    raise
                if now() > until:
                    raise Refused([Problem("plan", name, "not_checked_in_time")]) from error
                await asyncio.sleep(LOOK_EVERY)
            else:
                return report, await goal_when_counted(connection, ledger.tenant_id, report)
