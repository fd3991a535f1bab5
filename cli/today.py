"""`daogou today`: a guide's list of the day, as the guide sees it."""

from __future__ import annotations

from datetime import date, datetime

import click
from rich.console import RenderableType

from cli.layout import NOTHING, heading, number, table
from cli.session import Session, json_option, pass_session
from ledger.today import ListedItem, TodaysList, read_todays_list

KINDS = ("call", "invitation")


@click.command()
@click.argument("guide")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="哪一天（默认最近）/ which day (default: newest).",
)
@json_option
@pass_session
def today(session: Session, guide: str, day: datetime | None) -> None:
    """导购的今日清单，会员已脱敏 / A guide's list, members masked."""
    listed = session.run(_read(session, guide, day.date() if day else None))
    session.show(listed, *_screen(session, listed))


async def _read(session: Session, guide: str, day: date | None) -> TodaysList:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        return await read_todays_list(connection, ledger.tenant_id, guide, day, keys=ledger.keys)


def _screen(session: Session, listed: TodaysList) -> list[RenderableType]:
    words = session.words
    made = table(
        "", words("today.member"), words("today.why"), words("today.due"), words("today.grade"),
        words("today.quadrant"), words("today.state"), fold=(2,),
    )  # fmt: skip
    for item in listed.items:
        made.add_row(
            "✓" if item.done else number(item.rank),
            item.member,
            (words("today.urged") if item.urged else "") + _why(session, item),
            f"{item.due_on:%m-%d}",
            item.grade or NOTHING,
            words.code("quadrants", item.quadrant),
            _state(session, item),
        )
    done = sum(item.done for item in listed.items)
    parts: list[RenderableType] = [
        heading(
            words(
                "today.title",
                guide=f"{listed.guide_code} {listed.guide_name}".strip(),
                store=listed.store_name,
                day=listed.day,
            )
        ),
        made,
        words("today.done", done=done, listed=len(listed.items), state=words.code("statuses", listed.state)),
    ]
    if listed.target_calls is not None:
        done_of = {kind: sum(item.done for item in listed.items if item.kind == kind) for kind in KINDS}
        parts.append(
            words(
                "today.target",
                calls=done_of["call"],
                target_calls=listed.target_calls,
                invitations=done_of["invitation"],
                target_invitations=listed.target_invitations or 0,
            )
        )
    if listed.rest:
        parts.append(words("today.rest", rest=number(listed.rest)))
    scripts = dict.fromkeys(item.script for item in listed.items)
    parts += [words("today.script", script=script) for script in scripts]
    following = _next(listed)
    if listed.state != "closed" and following is not None:
        command = session.command(
            "check-in", listed.guide_code, str(following.rank), "--outcome", "interested"
        )
        parts.append(words("today.check_in", command=command))
    return parts


def _why(session: Session, item: ListedItem) -> str:
    if item.silent_since is not None:
        return session.words("today.going_cold", since=f"{item.silent_since:%m-%d}", category=item.category)
    return session.words("today.why_text", category=item.category, run_out=f"{item.run_out_on:%m-%d}")


def _next(listed: TodaysList) -> ListedItem | None:
    """The first item still to be done, where there is one; what a paused plan asks for is not."""
    to_do = (
        item for item in listed.items
        if not item.done and item.state == "open" and item.plan_status != "paused" and not item.complaint
    )  # fmt: skip
    return next(to_do, None)


def _state(session: Session, item: ListedItem) -> str:
    """How the item stands; one of a paused plan waits, whatever else."""
    if item.done_by_other:
        return session.words("today.done_by_other")
    if item.state == "open" and item.plan_status == "paused":
        return session.words("today.paused")
    if item.complaint:
        return session.words("today.complaint")
    if item.state == "open" and item.snoozed_until is not None:
        return session.words("today.snoozed", until=f"{item.snoozed_until:%m-%d %H:%M} UTC")
    return session.words.code("statuses", item.state)
