"""`daogou plan pause | resume | close | goal | means | replace-guide`: Act on a running plan, with a reason, on the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from activities.plans import plan_zone
from activities.replacing import Replacement, replace_guide
from cli.plan import ACTOR
from cli.session import Session, json_option, pass_session
from domain.act import adjust_goal, tune_means
from domain.calendar import business_date
from domain.errors import Conflict, Problem, Refused
from domain.events import PlanAdjusted
from domain.plan import Plan
from infra.clock import now
from infra.plan_workflows import Told, tell_changed
from ledger.cycles import read_check
from ledger.door import Driver
from ledger.ledger import Command
from ledger.plans import PlanState, adjust, change_status, read_plan

Decide = Callable[[Plan, Mapping[str, Any]], PlanAdjusted]
"""From the plan as it stands and the figures that speak for the change, to what is adjusted."""

UNREACHABLE = {
    "zh": "已记入账本。Temporal 没有应答，未通知工作流；它最迟一天内会自己重新读取计划。想立即通知，再执行一次同样的暂停、恢复或结束命令。",
    "en": "It is in the ledger. Temporal does not answer, so no workflow was told; it reads the plan again by itself"
    " within a day. To tell it at once, give the same pause, resume or close again.",
}
"""By language."""

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="为什么 / why; kept on the record."
)


def register(group: click.Group) -> None:
    """Put these commands into the `plan` group."""
    for name, status, text in (
        ("pause", "paused", "暂停计划 / Pause a plan."),
        ("resume", "running", "恢复计划 / Resume a paused plan."),
        ("close", "closed", "提前结束计划 / Close a plan early."),
    ):
        group.add_command(_status_command(name, status, text))
    group.add_command(goal_command)
    group.add_command(means_command)
    group.add_command(guide_command)


def _status_command(name: str, status: str, text: str) -> click.Command:
    @click.command(name, help=text)
    @click.argument("plan", metavar="PLAN")
    @reason_option
    @json_option
    @pass_session
    def command(session: Session, plan: str, reason: str) -> None:
        told = session.run(_change_status(session, plan, status, reason))
        words = session.words
        session.show(
            {"plan": plan, "status": status, "reason": reason, "workflow_told": told.as_json()},
            words("act.status", plan=plan, status=words.code("statuses", status), reason=reason),
            _told(session, told),
        )

    return command


async def _change_status(session: Session, plan: str, status: str, reason: str) -> Told:
    if not reason.strip():
        raise Refused([Problem("reason", reason, "reason_missing")])
    async with session.ledger() as (ledger, _):
        at = now()
        try:
            async with ledger.transaction() as connection:
                standing = await read_plan(connection, ledger.tenant_id, plan)
                command = Command(f"plan/{plan}/{standing.version}/{status}", at, at, ACTOR)
                await change_status(connection, ledger.tenant_id, command, plan, status=status, reason=reason)
        except Refused:
            # The plan stands there already; said again because Temporal was away the first time.
            await tell_changed(session.settings, plan)
            raise
    return await tell_changed(session.settings, plan)


@click.command("goal")
@click.argument("plan", metavar="PLAN")
@click.argument("target", metavar="TARGET")
@reason_option
@json_option
@pass_session
def goal_command(session: Session, plan: str, target: str, reason: str) -> None:
    """提高或降低目标 / Raise or lower the goal."""
    try:
        number = Decimal(target)
    except InvalidOperation as error:
        raise Refused([Problem("goal.target", target, "not_a_number")]) from error
    if not number.is_finite():
        raise Refused([Problem("goal.target", target, "not_a_number")])
    act_on_plan(
        session,
        plan,
        "goal",
        lambda standing, figures: adjust_goal(standing, number, reason=reason, figures=figures),
    )


@click.command("means")
@click.argument("plan", metavar="PLAN")
@click.option("--script", metavar="TEXT", help="新话术 / new script; its version counts up.")
@click.option("--lead-days", type=int, metavar="N", help="提前几天提醒 / days the reminder comes early.")
@reason_option
@json_option
@pass_session
def means_command(
    session: Session, plan: str, script: str | None, lead_days: int | None, reason: str
) -> None:
    """调整手段：话术、提前天数 / Tune the means: script, lead days."""
    act_on_plan(
        session,
        plan,
        "means",
        lambda standing, figures: tune_means(
            standing, script=script, lead_days=lead_days, reason=reason, figures=figures
        ),
    )


@click.command("replace-guide")
@click.argument("plan", metavar="PLAN")
@click.argument("leaving", metavar="LEAVING")
@click.argument("replacement", metavar="REPLACEMENT")
@reason_option
@json_option
@pass_session
def guide_command(session: Session, plan: str, leaving: str, replacement: str, reason: str) -> None:
    """换导购，未完成的任务移交 / Replace a guide; open items move, credit stays with who did the work."""
    done, told = session.run(_replace(session, plan, leaving, replacement, reason))
    session.show(
        {
            "plan": plan,
            "lever": "people",
            "leaving": leaving,
            "replacement": replacement,
            "reason": reason,
            "members": done.members,
            "tasks": done.tasks,
            "unassigned": done.unassigned,
            "workflow_told": told.as_json(),
        },
        session.words(
            "act.replaced",
            plan=plan,
            leaving=leaving,
            replacement=replacement,
            members=done.members,
            tasks=done.tasks,
            unassigned=done.unassigned,
            reason=reason,
        ),
        _told(session, told),
    )


async def _replace(
    session: Session, plan: str, leaving: str, replacement: str, reason: str
) -> tuple[Replacement, Told]:
    async with session.ledger() as (ledger, _):
        at = now()
        async with ledger.transaction() as connection:
            standing = await read_plan(connection, ledger.tenant_id, plan)
            zone = await plan_zone(connection, ledger.tenant_id, standing.plan)
            done = await replace_guide(
                connection,
                ledger.tenant_id,
                Command(f"plan/{plan}/{standing.version}/people", at, at, ACTOR),
                plan_id=plan,
                leaving=leaving,
                replacement=replacement,
                today=business_date(at, zone),
                reason=reason,
                figures=await _latest_figures(connection, ledger.tenant_id, standing),
            )
    return done, await tell_changed(session.settings, plan)


def act_on_plan(session: Session, plan: str, lever: str, decide: Decide) -> None:
    """Adjust a plan and say what changed.

    Raises:
        Refused: the plan is closed, or `decide` refuses.
        Conflict: somebody else changed the plan at the same moment.
    """
    adjusted, told = session.run(_adjust(session, plan, lever, decide))
    words = session.words
    changes = [
        words("act.changed", what=words.code("changes", key), before=change["before"], after=change["after"])
        for key, change in adjusted.change.items()
    ]
    session.show(
        {
            "plan": plan,
            "lever": lever,
            "change": adjusted.change,
            "reason": adjusted.reason,
            "workflow_told": told.as_json(),
        },
        words("act.adjusted", plan=plan, reason=adjusted.reason),
        *changes,
        _told(session, told),
    )


async def _adjust(session: Session, plan: str, lever: str, decide: Decide) -> tuple[PlanAdjusted, Told]:
    async with session.ledger() as (ledger, _):
        at = now()
        async with ledger.transaction() as connection:
            standing = await read_plan(connection, ledger.tenant_id, plan)
            if standing.status == "closed":
                raise Refused([Problem("plan", plan, "plan_closed")])
            adjusted = decide(standing.plan, await _latest_figures(connection, ledger.tenant_id, standing))
            command = Command(f"plan/{plan}/{standing.version}/{lever}", at, at, ACTOR)
            if (await adjust(connection, ledger.tenant_id, command, standing, adjusted)).duplicate:
                raise Conflict(f"plan {plan}: version {standing.version} was adjusted already")
    return adjusted, await tell_changed(session.settings, plan)


async def _latest_figures(connection: Driver, tenant_id: int, standing: PlanState) -> Mapping[str, Any]:
    """The total of the newest stored Check; empty before the first."""
    for cycle in range(standing.cycle, 0, -1):
        for kind in ("settled", "provisional"):
            stored = await read_check(connection, tenant_id, standing.plan.plan, cycle, kind)
            if stored is not None:
                return dict(stored[2]["total"])
    return {}


def _told(session: Session, told: Told) -> str:
    match told:
        case Told.YES:
            return session.words("act.told")
        case Told.NOT_NEEDED:
            return session.words("act.nobody_to_tell")
        case Told.UNREACHABLE:
            return UNREACHABLE[session.words.language]
        case Told.NOT_SET:
            return session.words("act.no_temporal")
