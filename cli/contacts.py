"""`daogou day limits` and `daogou member contacts`: how often members are contacted at most, and what an account says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

import click
from rich.console import RenderableType

from activities.asked import Asked
from activities.contacts import LimitsOfDay, account_of, limits_of, say_limits
from cli.layout import NOTHING, heading, number, table
from cli.session import Session, json_option, pass_session
from domain.contact_budget import MOST_CONTACTS
from domain.errors import Problem, Refused
from infra.clock import now
from ledger.contact_accounts import RESERVED, ContactAccount

ACTOR = "hq"
a_limit = click.IntRange(1, MOST_CONTACTS)


@click.command("limits")
@click.option("--day", type=a_limit, help="每天最多 / contacts a day.")
@click.option("--week", type=a_limit, help="每周最多 / contacts a week, from Monday.")
@click.option("--month", type=a_limit, help="每月最多 / contacts a month.")
@click.option(
    "--from",
    "from_on",
    type=click.DateTime(["%Y-%m-%d"]),
    help="从哪天起（默认今天）/ from which day on (default: today).",
)
@click.option("--reason", metavar="TEXT", help="为什么改 / why it is changed; kept on the record.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="当时的设定，带时区 / as it had been said by then, with its zone.",
)
@json_option
@pass_session
def limits_command(
    session: Session,
    /,
    *,
    day: int | None,
    week: int | None,
    month: int | None,
    from_on: datetime | None,
    reason: str | None,
    as_of: datetime | None,
) -> None:
    """会员联系次数上限：查看或修改 / How often a member is contacted at most: show or change."""
    changing = (day, week, month) != (None, None, None)
    if changing and as_of is not None:
        raise Refused([Problem("--as-of", as_of.isoformat(), "as_of_changes_nothing")])
    on = None if from_on is None else from_on.date()

    async def ask() -> LimitsOfDay:
        async with session.ledger() as (ledger, _):
            if not changing:
                return await limits_of(ledger, now(), day=on, known_at=as_of)
            asked = Asked(None, now(), ACTOR)
            try:
                return await say_limits(
                    ledger, asked, from_on=on, day=day, week=week, month=month, reason=reason or ""
                )
            except Refused as error:  # named as it was typed
                raise Refused([
                    replace(one, field=f"--{one.field.removesuffix('_on')}") for one in error.problems
                ]) from error  # fmt: skip

    found = session.run(ask())
    session.show(asdict(found), *_limits(session, found))


def _limits(session: Session, found: LimitsOfDay) -> Iterator[RenderableType]:
    words = session.words
    yield words("contacts.limits", on=found.day, **asdict(found.limits))
    later = [one for one in found.said if one.from_on is not None and one.from_on > found.day]
    for one in later:
        yield words("contacts.limits_later", on=one.from_on, **asdict(one.limits))


@click.command("contacts")
@click.argument("code", metavar="CODE", required=False)
@click.option(
    "--task",
    type=click.UUID,
    metavar="TASK",
    help="用清单上的任务编号代替会员号（today --json）/ the id of an item instead of a code.",
)
@json_option
@pass_session
def contacts_command(session: Session, code: str | None, task: UUID | None) -> None:
    """会员的联系次数：已用、预留、还剩 / A member's contacts: had, reserved, left."""
    if (code is None) is (task is None):
        raise Refused([Problem("CODE", code or "", "member_or_task")])

    async def read() -> ContactAccount:
        async with session.ledger() as (ledger, _):
            return await account_of(ledger, task if task is not None else code or "", now())

    found = session.run(read())
    session.show(asdict(found), *_account(session, found))


def _account(session: Session, found: ContactAccount) -> Iterator[RenderableType]:
    words = session.words
    yield heading(words("contacts.title", day=found.day))
    made = table(
        words("contacts.period"), words("contacts.taken"), words("contacts.limit"), words("contacts.anew"), right=(1, 2)
    )  # fmt: skip
    for one in found.periods:
        name = words.code("contacts.periods", one.period)
        made.add_row(name, number(one.taken), number(one.limit), f"{one.begins_anew}")
    yield made
    if found.contacts:
        made = table(
            words("contacts.day"),
            words("contacts.plan"),
            words("contacts.kind"),
            words("contacts.number"),
            right=(3,),
        )
        for contact in found.contacts:
            kind = (
                words.code("contacts.kinds", contact.kind)
                if contact.kind in {RESERVED, "message"}
                else words.code("channels", contact.kind)
            )
            made.add_row(f"{contact.day}", contact.plan or NOTHING, kind, number(contact.contacts))
        yield made
    yield (
        words("contacts.left", left=number(found.left))
        if found.left
        else words("contacts.none_left", day=found.free_on)
    )
