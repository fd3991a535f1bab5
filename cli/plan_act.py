"""`daogou plan pause | resume | close | recall | confirm | goal | means | replace-guide`: Act on a running plan, with a reason, on the record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Literal

import click

from activities.acting import (
    PlanActed,
    adjust_goal_of,
    change_plan_status,
    confirm_canary,
    recall_plan,
    replace_guide_in,
    tune_means_of,
)
from activities.asked import Asked
from activities.replacing import Replacement
from cli.plan import ACTOR
from cli.session import Session, json_option, pass_session
from domain.errors import Problem, Refused
from infra.clock import now
from infra.plan_workflows import Told, tell_changed
from ledger.ledger import Ledger

Status = Literal["paused", "running", "closed", "recalled"]

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="为什么 / why; kept on the record."
)


def register(group: click.Group) -> None:
    """Put these commands into the `plan` group."""
    commands: tuple[tuple[str, Status, str], ...] = (
        ("pause", "paused", "暂停计划 / Pause a plan."),
        ("resume", "running", "恢复计划 / Resume a paused plan."),
        ("close", "closed", "提前结束计划 / Close a plan early."),
        (
            "recall",
            "recalled",
            "撤回误发的计划：未完成的任务撤出所有清单 / Undo a wrong launch: its open items leave every list.",
        ),
    )
    for name, status, text in commands:
        group.add_command(_status_command(name, status, text))
    group.add_command(confirm_command)
    group.add_command(goal_command)
    group.add_command(means_command)
    group.add_command(guide_command)


def _status_command(name: str, status: Status, text: str) -> click.Command:
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


async def _change_status(session: Session, plan: str, status: Status, reason: str) -> Told:
    async with session.ledger() as (ledger, _):
        try:
            if status == "recalled":
                await recall_plan(ledger, plan, reason, _asked())
            else:
                await change_plan_status(ledger, plan, status, reason, _asked())
        except Refused as refusal:
            if any(problem.code == "plan_already" for problem in refusal.problems):
                # The plan stands there already; said again because Temporal was away the first time.
                await tell_changed(session.settings, plan)
            raise
    return await tell_changed(session.settings, plan)


@click.command("confirm")
@click.argument("plan", metavar="PLAN")
@reason_option
@json_option
@pass_session
def confirm_command(session: Session, plan: str, reason: str) -> None:
    """试点门店没有问题，推广到全部门店 / The canary stores did well: go to all stores."""
    told = session.run(_confirm(session, plan, reason))
    session.show(
        {"plan": plan, "canary": [], "reason": reason, "workflow_told": told.as_json()},
        session.words("act.confirmed", plan=plan, reason=reason),
        _told(session, told),
    )


async def _confirm(session: Session, plan: str, reason: str) -> Told:
    async with session.ledger() as (ledger, _):
        await confirm_canary(ledger, plan, reason, _asked())
    return await tell_changed(session.settings, plan)


def _asked() -> Asked:
    return Asked(key=None, at=now(), actor=ACTOR)


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
    _adjust(
        session, plan, "goal", reason, lambda ledger: adjust_goal_of(ledger, plan, number, reason, _asked())
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
    _adjust(
        session,
        plan,
        "means",
        reason,
        lambda ledger: tune_means_of(
            ledger, plan, script=script, lead_days=lead_days, reason=reason, asked=_asked()
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
        _, done = await replace_guide_in(ledger, plan, leaving, replacement, reason, _asked())
    return done, await tell_changed(session.settings, plan)


def _adjust(
    session: Session, plan: str, lever: str, reason: str, act: Callable[[Ledger], Awaitable[PlanActed]]
) -> None:
    """Adjust a plan and say what changed."""
    acted, told = session.run(_acted(session, plan, act))
    words = session.words
    changes = [
        words("act.changed", what=words.code("changes", key), before=change["before"], after=change["after"])
        for key, change in acted.change.items()
    ]
    session.show(
        {
            "plan": plan,
            "lever": lever,
            "change": acted.change,
            "reason": reason,
            "workflow_told": told.as_json(),
        },
        words("act.adjusted", plan=plan, reason=reason),
        *changes,
        _told(session, told),
    )


async def _acted(
    session: Session, plan: str, act: Callable[[Ledger], Awaitable[PlanActed]]
) -> tuple[PlanActed, Told]:
    async with session.ledger() as (ledger, _):
        acted = await act(ledger)
    return acted, await tell_changed(session.settings, plan)


def _told(session: Session, told: Told) -> str:
    match told:
        case Told.YES:
            return session.words("act.told")
        case Told.NOT_NEEDED:
            return session.words("act.nobody_to_tell")
        case Told.UNREACHABLE:
            return session.words("act.unreachable")
        case Told.NOT_SET:
            return session.words("act.no_temporal")
