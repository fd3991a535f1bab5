"""`daogou plan`: check, launch, status, report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import click

from activities.assignment import Drawn, draw_cycle
from activities.plans import plan_zone
from cli import plan_screens as screens
from cli.machine import report_json
from cli.playbook_files import read_playbook
from cli.session import Session, json_option, pass_session
from domain.calendar import business_date, local_instant
from domain.errors import NotFound, Refused
from domain.plan import Goal, Plan
from domain.playbook import References, check_plan
from infra.clock import now
from infra.plan_workflows import Told, start_plan
from ledger.cycles import read_check, read_cycle
from ledger.door import Driver
from ledger.ledger import Command
from ledger.plans import PlanState, launch, list_plans, plan_json, read_plan, references, without_member_codes
from ledger.report import Report, UnassignedReason, read_report
from ledger.timeline import timeline

ACTOR = "hq"
MOST_CYCLES = 520
"""As many as a plan may have."""
UNREACHABLE = {
    "zh": "已记入账本，但 Temporal 没有应答，未通知工作流。Temporal 恢复后再执行一次：{again}",
    "en": "It is in the ledger, but Temporal does not answer and no workflow was told. Once it does, do it again: {again}",
}
"""By language."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would start with today; nothing of it is written."""

    drawn: Drawn
    guides: int
    unassigned: tuple[UnassignedReason, ...]


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
            },
        },
        *screens.preview(session, written, preview.drawn.started, preview.guides, preview.unassigned),
    )


async def _check(session: Session, written: Plan, on: date | None) -> Preview:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        known = await references(connection, ledger.tenant_id)
        at, zone = now(), await plan_zone(connection, ledger.tenant_id, written)
        _refuse_problems(written, known, on or business_date(at, zone))
        async with connection.transaction(readonly=True):
            if on is not None:
                at = local_instant(on, time(0), zone)
            drawn = await draw_cycle(connection, ledger.tenant_id, written, 1, at)
    return Preview(drawn, sum(written.care.takes_part(code) for code in known.guides), _unassigned(drawn))


def _refuse_problems(written: Plan, known: References, today: date) -> None:
    problems = check_plan(written, references=known, today=today)
    if problems:
        raise Refused(problems)


def _unassigned(drawn: Drawn) -> tuple[UnassignedReason, ...]:
    count: dict[tuple[tuple[str, str], ...], int] = {}
    for one in drawn.assigned:
        if one.guide is None:
            count[one.tried] = count.get(one.tried, 0) + 1
    ordered = sorted(count, key=lambda tried: (-count[tried], tried))
    return tuple(UnassignedReason(tried, count[tried]) for tried in ordered)


@plan.command("launch")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@pass_session
def launch_command(session: Session, file: Path) -> None:
    """检查并发布计划；同一文件发布两次不会重复 / Check and launch; twice the same file changes nothing."""
    written = read_playbook(file)
    new, started = session.run(_launch(session, written))
    words = session.words
    screen = [words("launch.launched" if new else "launch.there", plan=written.plan, name=written.name)]
    again = session.command("plan", "launch", str(file))
    machine: dict[str, object] = {
        "plan": written.plan,
        "launched": new,
        "workflow_started": started.as_json(),
    }
    match started:
        case Told.YES:
            screen.append(words("launch.started"))
        case Told.NOT_NEEDED:
            screen.append(words("launch.running"))
        case Told.UNREACHABLE:
            machine["workflow_told"] = False
            screen.append(UNREACHABLE[words.language].format(again=again))
        case Told.NOT_SET:
            screen.append(words("launch.no_temporal", command=f"TEMPORAL_ADDRESS=host:7233 {again}"))
    session.show(machine, *screen)


async def _launch(session: Session, written: Plan) -> tuple[bool, Told]:
    """Whether the plan is new to the ledger, and what came of starting its workflow."""
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            there = await _launched_before(connection, ledger.tenant_id, written)
            if not there:
                known = await references(connection, ledger.tenant_id)
                zone = await plan_zone(connection, ledger.tenant_id, written)
                _refuse_problems(written, known, business_date(now(), zone))
        if not there:
            at = now()
            async with ledger.transaction() as connection:
                command = Command(f"plan/{written.plan}/launch", at, at, ACTOR)
                appended = await launch(connection, ledger.tenant_id, command, written)
            there = appended.duplicate
    return not there, await start_plan(session.settings, written.plan)


async def _launched_before(connection: Driver, tenant_id: int, written: Plan) -> bool:
    """Whether this very playbook was launched, whatever was adjusted since."""
    try:
        first = (await timeline(connection, tenant_id, "plan", written.plan, limit=1))[0]
    except NotFound:
        return False
    kept = await without_member_codes(connection, tenant_id, written)
    return bool(first.payload.get("spec") == plan_json(kept))


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
            "cycle_state": cycle,
            "version": standing.version,
            "launched_at": standing.launched_at,
            "checks": checks,
            "playbook": plan_json(standing.plan),
        },
        screens.status(session, standing, cycle, checks),
    )


async def _plans(session: Session) -> list[dict[str, Any]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        return await list_plans(connection, ledger.tenant_id)


async def _status(session: Session, name: str) -> tuple[PlanState, str | None, list[dict[str, Any]]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        standing = await read_plan(connection, ledger.tenant_id, name)
        state = await read_cycle(connection, ledger.tenant_id, name, standing.cycle)
        checks = [
            {"cycle": cycle, "kind": kind, "as_of": stored[0], "position": stored[1]}
            for cycle in range(1, standing.cycle + 1)
            for kind in ("provisional", "settled")
            if (stored := await read_check(connection, ledger.tenant_id, name, cycle, kind)) is not None
        ]
    return standing, state.state if state else None, checks


@plan.command("report")
@click.argument("name", metavar="PLAN")
@click.option(
    "--cycle", type=click.IntRange(1, MOST_CYCLES), help="第几轮（默认最近）/ which cycle (default: newest)."
)
@click.option("--settled", is_flag=True, help="归因期结束后的最终数 / final figures, all windows closed.")
@json_option
@pass_session
def report_command(session: Session, name: str, cycle: int | None, settled: bool) -> None:
    """一轮的检查：每家门店、每位导购 / The Check of a cycle: every store, every guide."""
    report, goal = session.run(_report(session, name, cycle, "settled" if settled else "provisional"))
    session.show(report_json(report, goal), *screens.report(session, report, goal))


async def _report(session: Session, name: str, cycle: int | None, kind: str) -> tuple[Report, Goal]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        report = await read_report(connection, ledger.tenant_id, name, cycle=cycle, kind=kind)
        return report, await _goal_then(connection, ledger.tenant_id, report)


async def _goal_then(connection: Driver, tenant_id: int, report: Report) -> Goal:
    """The goal that held when the cycle was counted first: Act may have moved it since."""
    goal = report.plan.goal
    for entry in await timeline(connection, tenant_id, "plan", report.plan.plan, limit=10_000):
        if entry.type == "cycle_checked" and entry.payload["cycle"] == report.cycle:
            return goal
        if "spec" in entry.payload:
            goal = Goal.model_validate(entry.payload["spec"]["goal"])
    return goal
