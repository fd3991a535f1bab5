"""`daogou staff`: guides are hired, transferred and leave, stores close; today, a few days back or dated ahead.

It works on the database itself: whoever may run it is trusted. Nothing of it needs Temporal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import click

from activities.asked import Asked
from activities.staff import NewGuide, close_store, hire, leave, transfer
from activities.staff_answers import StaffChanged
from cli.plan import ACTOR
from cli.session import Session, json_option, pass_session
from cli.staff_screens import changed_screen, staff_screen
from domain.errors import Problem, Refused
from infra.clock import now
from ledger.ledger import Ledger
from ledger.staff import ClosingStore, StaffMember, list_closings, list_staff

MOST = 1000
PHONE = re.compile(r"\+?[\d\s()-]{5,24}")
"""As an import takes it."""
_TYPED_AS = {
    "guide": "GUIDE",
    "store": "STORE",
    "from_on": "--from",
    "last_on": "--last-day",
    "replacement": "--replacement",
    "to": "--to",
}

Change = Callable[[Ledger, Asked], Coroutine[Any, Any, StaffChanged]]

from_option = click.option(
    "--from", "from_on", metavar="DATE", help="从哪天起（默认今天）/ from which day on (default: today)."
)
last_option = click.option(
    "--last-day", "last_on", metavar="DATE", help="最后一天（默认今天）/ the last day (default: today)."
)
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="只预览移交什么，什么也不改 / tell what would move, change nothing."
)


@click.group()
def staff() -> None:
    """人员：入职、调店、离职、关店 / Staff: hire, transfer, leave, close a store."""


@staff.command("list")
@click.option("--store", metavar="STORE", help="只看一家门店 / only this store.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="最多几位 / how many."
)
@click.option("--after", metavar="GUIDE", help="从这个编码之后继续 / go on after this code.")
@json_option
@pass_session
def list_command(session: Session, store: str | None, limit: int, after: str | None) -> None:
    """导购在哪家门店，下一次变动是什么 / Where guides stand, and their next change."""
    guides, closings = session.run(_read(session, store, after, limit))
    session.show(
        {"guides": [asdict(one) for one in guides], "closings": [asdict(one) for one in closings]},
        *staff_screen(session.words, guides, closings),
    )


async def _read(
    session: Session, store: str | None, after: str | None, limit: int
) -> tuple[list[StaffMember], list[ClosingStore]]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        guides = await list_staff(connection, ledger.tenant_id, store=store, after=after, limit=limit)
        return guides, await list_closings(connection, ledger.tenant_id)


@staff.command("hire")
@click.argument("guide")
@click.option("--name", required=True, metavar="NAME", help="姓名 / name.")
@click.option("--phone", metavar="PHONE", help="电话，可不填 / phone, may be left out.")
@click.option("--store", required=True, metavar="STORE", help="门店编码 / the store's code.")
@from_option
@dry_run_option
@json_option
@pass_session
def hire_command(
    session: Session,
    guide: str,
    name: str,
    phone: str | None,
    store: str,
    from_on: str | None,
    *,
    dry_run: bool,
) -> None:
    """导购入职，或离职后回来 / A guide begins, or comes back."""
    problems = []
    if not guide.strip() or len(guide) > 200:
        problems.append(Problem("GUIDE", guide[:80], "empty"))
    if not name.strip():
        problems.append(Problem("--name", name, "empty"))
    if phone is not None and not PHONE.fullmatch(phone):
        problems.append(Problem("--phone", phone[:80], "not_a_phone_number"))
    if problems:
        raise Refused(problems)
    new = NewGuide(guide, name, store, phone=phone, from_on=_day("--from", from_on))
    told = _run(session, lambda ledger, asked: hire(ledger, new, asked, dry_run=dry_run))
    line = session.words("staff.hired", guide=guide, day=told.first_on, store=store)
    _show(session, told, line, {"guide": guide, "store": store}, dry_run=dry_run)


@staff.command("transfer")
@click.argument("guide")
@click.argument("store")
@from_option
@dry_run_option
@json_option
@pass_session
def transfer_command(session: Session, guide: str, store: str, from_on: str | None, *, dry_run: bool) -> None:
    """导购调到另一家门店；原店的会员留在原店 / A guide goes to another store; its members stay with the old one."""
    day = _day("--from", from_on)
    told = _run(session, lambda ledger, asked: transfer(ledger, guide, store, day, asked, dry_run=dry_run))
    line = session.words("staff.transferred", guide=guide, day=told.first_on, store=store)
    _show(session, told, line, {"guide": guide, "store": store}, dry_run=dry_run)


@staff.command("leave")
@click.argument("guide")
@last_option
@click.option(
    "--replacement",
    metavar="GUIDE",
    help="谁接替；不写由计划的规则分配 / who takes over; nobody: by the plans' rule.",
)
@dry_run_option
@json_option
@pass_session
def leave_command(
    session: Session, guide: str, last_on: str | None, replacement: str | None, *, dry_run: bool
) -> None:
    """导购离职：未完成的任务移交，业绩不变 / A guide leaves: open items move, credit stays."""
    day = _day("--last-day", last_on)
    told = _run(session, lambda ledger, asked: leave(ledger, guide, day, replacement, asked, dry_run=dry_run))
    last = told.first_on - timedelta(days=1)
    machine = {"guide": guide, "last_on": last, "replacement": replacement}
    _show(session, told, session.words("staff.left", guide=guide, day=last), machine, dry_run=dry_run)


@staff.command("close-store")
@click.argument("store")
@last_option
@click.option("--to", metavar="STORE", help="会员和留下的导购去哪家门店 / where its members and guides go.")
@dry_run_option
@json_option
@pass_session
def close_command(
    session: Session, store: str, last_on: str | None, to: str | None, *, dry_run: bool
) -> None:
    """关店；还有导购留在店里就不办 / Close a store; refused while guides would stay behind."""
    day = _day("--last-day", last_on)
    told = _run(session, lambda ledger, asked: close_store(ledger, store, day, to, asked, dry_run=dry_run))
    words, last = session.words, told.first_on - timedelta(days=1)
    line = words("staff.closed", store=store, day=last)
    if to is not None:
        line += "\n" + words("staff.rehomed", to=to, guides=", ".join(told.guides) or "—")
    _show(session, told, line, {"store": store, "last_on": last, "to": to}, dry_run=dry_run)


def _run(session: Session, change: Change) -> StaffChanged:
    async def work() -> StaffChanged:
        async with session.ledger() as (ledger, _):
            return await change(ledger, Asked(None, now(), ACTOR))

    try:
        return session.run(work())
    except Refused as refused:
        raise Refused([
            Problem(_TYPED_AS.get(one.field, one.field), one.value, one.code, one.params)
            for one in refused.problems
        ]) from refused  # fmt: skip


def _show(session: Session, told: StaffChanged, line: str, machine: dict[str, Any], *, dry_run: bool) -> None:
    session.show(
        {**machine, **asdict(told), "dry_run": dry_run},
        *changed_screen(session.words, told, line, dry_run=dry_run),
    )


def _day(option: str, written: str | None) -> date | None:
    if written is None:
        return None
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise Refused([Problem(option, written[:80], "not_a_date")]) from error
