"""`daogou audit as-of`: how a plan, a guide's day, a member or an item stood at a position or an instant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from rich.console import RenderableType

from activities.looking_back import PlanThen, plan_then
from cli.account_words import as_typed, read_instant
from cli.check_screen import counted
from cli.layout import NOTHING, heading, labelled, number, table
from cli.session import Session, json_option, pass_session
from domain.errors import Problem, Refused
from domain.figures import Figures
from infra.clock import now
from ledger.as_of import resolve
from ledger.looking_back import GuideThen, ItemThen, MemberThen, TaskThen, guide_then, member_then, task_then

Then = PlanThen | GuideThen | MemberThen | TaskThen


@click.command("as-of")
@click.option("--position", type=click.IntRange(min=1), help="账本位置 / position of the ledger.")
@click.option("--at", metavar="INSTANT", help="时刻 / instant, 2026-03-02T10:00:00+08:00.")
@click.option("--plan", help="计划 / plan.")
@click.option("--cycle", type=click.IntRange(min=1), help="第几轮 / cycle, with --plan.")
@click.option("--guide", help="导购编号 / code of a guide.")
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="哪一天（默认当时最近）/ which day, with --guide (default: newest).",
)
@click.option("--member", help="会员编号 / code of a member.")
@click.option("--task", type=click.UUID, help="任务 / id of an item.")
@json_option
@pass_session
def as_of_command(session: Session, /, position: int | None, at: str | None, **asked: Any) -> None:
    """当时的样子：按位置或时刻重看 / How something stood at a position or an instant."""
    named = [name for name in ("plan", "guide", "member", "task") if asked[name] is not None]
    if len(named) != 1:
        raise Refused([Problem("--plan, --guide, --member, --task", " ".join(named), "as_of_one_subject")])
    instant = read_instant("--at", at)
    with as_typed(at="--at", position="--position"):
        then = session.run(_look(session, position, instant, asked))
    session.show(then, *_screen(session, named[0], then))


async def _look(session: Session, position: int | None, at: datetime | None, asked: dict[str, Any]) -> Then:
    async with (
        session.ledger() as (ledger, _),
        ledger.connection() as connection,
        connection.transaction(isolation="repeatable_read"),
    ):
        tenant_id = ledger.tenant_id
        as_of = await resolve(connection, tenant_id, position=position, at=at, now=now())
        if asked["plan"] is not None:
            return await plan_then(connection, tenant_id, as_of, asked["plan"], cycle=asked["cycle"])
        if asked["guide"] is not None:
            day = asked["day"].date() if asked["day"] else None
            return await guide_then(connection, tenant_id, as_of, asked["guide"], day=day, keys=ledger.keys)
        if asked["member"] is not None:
            return await member_then(connection, tenant_id, as_of, asked["member"])
        return await task_then(connection, tenant_id, as_of, UUID(str(asked["task"])))


def _screen(session: Session, subject: str, then: Then) -> Iterator[RenderableType]:
    words = session.words
    match then:
        case PlanThen():
            name, parts = then.plan, _plan(session, then)
        case GuideThen():
            name, parts = then.guide, _guide(session, then)
        case MemberThen():
            name, parts = then.member, _member(session, then)
        case TaskThen():
            name, parts = str(then.item.task_id), _task(session, then)
    yield heading(words("as_of.title", subject=words.code("subjects", subject), name=name))
    position = NOTHING if then.position is None else number(then.position)
    yield words("as_of.moment", at=_instant(then.at), position=position)
    yield from parts


def _plan(session: Session, then: PlanThen) -> Iterator[RenderableType]:
    words = session.words
    rows = [
        (words("as_of.name"), str(then.spec["name"])),
        (words("as_of.status"), words.code("statuses", then.status)),
    ]
    cycle = then.cycle
    if cycle is not None:
        rows += [
            (
                words("as_of.cycle"),
                f"{cycle.cycle} · {cycle.starts_on} – {cycle.ends_on} · {words.code('statuses', cycle.state)}",
            ),
            (
                words("as_of.members"),
                words("as_of.assigned", members=number(cycle.members), assigned=number(cycle.assigned)),
            ),
            (words("as_of.items"), _states(session, cycle.items)),
        ]
    yield labelled(*rows)
    if cycle is not None and cycle.figures is not None:
        yield counted(words, Figures(**cycle.figures["total"]), words("as_of.then"))


def _guide(session: Session, then: GuideThen) -> Iterator[RenderableType]:
    words = session.words
    yield labelled((words("as_of.store"), then.store), (words("as_of.open_items"), number(then.open_items)))
    if then.day is None:
        yield words("as_of.no_day")
        return
    made = table(
        "", words("today.member"), words("today.why"), words("today.due"), words("today.grade"), words("today.state"),
        fold=(2,),
    )  # fmt: skip
    for item in then.day.list.items:
        made.add_row(
            "✓" if item.done else number(item.rank),
            item.member,
            words("today.why_text", category=item.category, run_out=f"{item.run_out_on:%m-%d}"),
            f"{item.due_on:%m-%d}",
            item.grade or NOTHING,
            words.code("statuses", item.state),
        )
    yield heading(
        words("as_of.day", day=then.day.list.day, state=words.code("statuses", then.day.list.state))
    )
    yield made
    yield words(
        "as_of.day_figures",
        listed=number(then.day.listed),
        done=number(then.day.done),
        reached=number(then.day.reached),
    )


def _member(session: Session, then: MemberThen) -> Iterator[RenderableType]:
    words = session.words
    if then.opted_out_at is not None:
        yield words("as_of.opted_out", at=_instant(then.opted_out_at))
    made = table(
        words("as_of.plan"), words("as_of.cycle"), words("as_of.guide"), words("today.grade"),
        words("today.quadrant"), right=(1,),
    )  # fmt: skip
    for one in then.plans:
        quadrant = words.code("quadrants", one["quadrant"])
        made.add_row(
            one["plan"], number(one["cycle"]), one["guide"] or NOTHING, one["grade"] or NOTHING, quadrant
        )
    yield made
    yield from _items(session, then.items)
    for case in then.complaints:
        state = words.code("statuses", case["state"])
        yield words(
            "as_of.complaint",
            at=_instant(case["opened_at"]),
            until=_instant(case["deadline_at"]),
            state=state,
        )


def _task(session: Session, then: TaskThen) -> Iterator[RenderableType]:
    words = session.words
    yield from _items(session, (then.item,))
    for one in then.lists:
        yield words("as_of.listed", guide=one["guide"], day=one["day"], rank=one["rank"])


def _items(session: Session, items: tuple[ItemThen, ...]) -> Iterator[RenderableType]:
    words = session.words
    made = table(
        words("as_of.plan"), words("as_of.category"), words("as_of.guide"), words("today.due"), words("today.state"),
        words("as_of.reports"), fold=(5,),
    )  # fmt: skip
    for item in items:
        reports = " · ".join(
            f"{one['business_date']:%m-%d} {words.code('outcomes', one['outcome'])}" for one in item.check_ins
        )
        state = words.code("statuses", item.state)
        made.add_row(
            item.plan, item.category, item.guide, f"{item.due_on:%Y-%m-%d}", state, reports or NOTHING
        )
    yield made


def _states(session: Session, items: dict[str, int]) -> str:
    words = session.words
    return (
        " · ".join(f"{words.code('statuses', state)} {number(many)}" for state, many in items.items())
        or NOTHING
    )


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")
