"""`daogou day pool | claim | snooze | absent | norm`: the day's lists while it runs, and what is asked of a guide a day."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, time
from uuid import UUID
from zoneinfo import ZoneInfo

import click
from rich.console import RenderableType

from activities.absence import Absent, tell_absent
from activities.asked import Asked
from activities.claiming import Claimed, Pool, claim, store_pool
from cli.contacts import limits_command
from cli.layout import heading, number, table
from cli.session import Session, json_option, pass_session
from domain.calendar import business_date
from domain.day_norm import MOST_A_DAY, DayNorm
from domain.errors import Problem, Refused
from domain.events import DayNormSet
from domain.identifiers import derived_id
from domain.snooze import REASONS
from infra.clock import now
from ledger.day_norms import read_day_norm, set_day_norm
from ledger.door import Driver
from ledger.guides import guide_id_of
from ledger.ledger import Command
from ledger.snoozing import Snoozed, snooze
from ledger.today import read_todays_list

ACTOR = "hq"
BY_THE_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
a_number = click.IntRange(0, MOST_A_DAY)


def register(day: click.Group) -> None:
    """Add these commands to `daogou day`."""
    for command in (
        pool_command,
        claim_command,
        snooze_command,
        absent_command,
        norm_command,
        limits_command,
    ):
        day.add_command(command)


@click.command("pool")
@click.argument("store", metavar="STORE")
@json_option
@pass_session
def pool_command(session: Session, store: str) -> None:
    """门店任务池：可领取的任务 / A store's pool: items its guides can claim now."""

    async def read() -> Pool:
        async with session.ledger() as (ledger, _):
            return await store_pool(ledger, store, now())

    found = session.run(read())
    session.show(asdict(found), *_pool(session, found))


def _pool(session: Session, found: Pool) -> Iterator[RenderableType]:
    words = session.words
    yield heading(words("pool.title", store=found.store, day=found.day))
    if not found.items:
        yield words("pool.empty")
        return
    made = table(
        words("pool.item"), words("today.member"), words("today.why"), words("today.due"), words("pool.assigned"), fold=(2,)
    )  # fmt: skip
    for one in found.items:
        why = words("today.why_text", category=one.category, run_out=f"{one.run_out_on:%m-%d}")
        made.add_row(str(one.task_id), one.member, why, f"{one.due_on:%m-%d}", one.assigned_to)
    yield made
    yield words("pool.claim", command=session.command("day", "claim", "G1", str(found.items[0].task_id)))


@click.command("claim")
@click.argument("guide", metavar="GUIDE")
@click.argument("task", metavar="TASK", type=click.UUID)
@json_option
@pass_session
def claim_command(session: Session, guide: str, task: UUID) -> None:
    """领取一项任务，只有一人领得到 / Claim an item of the pool; exactly one guide gets it."""

    async def take() -> Claimed:
        async with session.ledger() as (ledger, _):
            return await claim(ledger, guide, task, Asked(None, now(), ACTOR))

    done = session.run(take())
    key = "pool.claimed_before" if done.duplicate else "pool.claimed"
    session.show(asdict(done), session.words(key, guide=guide, rank=done.rank))


@click.command("snooze")
@click.argument("guide", metavar="GUIDE")
@click.argument("rank", metavar="RANK", type=click.IntRange(1))
@click.option(
    "--until",
    required=True,
    metavar="HH:MM|DATE",
    help="今天几点以后，或哪一天 / later today, or a day like 2026-03-05.",
)
@click.option("--reason", required=True, type=click.Choice(REASONS), help="原因代码 / why, as a code.")
@json_option
@pass_session
def snooze_command(session: Session, guide: str, rank: int, until: str, reason: str) -> None:
    """推迟一项任务，不算联系过 / Put an item off; it counts as no attempt."""
    wanted = _until(until)

    async def put_off() -> tuple[Snoozed, str]:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                guide_id = await guide_id_of(connection, ledger.tenant_id, guide)
                listed = await read_todays_list(connection, ledger.tenant_id, guide, None, keys=ledger.keys)
                zone = await _zone(connection, ledger.tenant_id, guide_id)
            item = next((one for one in listed.items if one.rank == rank), None)
            if item is None:
                last = max((one.rank for one in listed.items), default=0)
                raise Refused([
                    Problem("RANK", str(rank), "rank_not_listed", {"guide": guide, "last": last})
                ])  # fmt: skip
            at = now()
            # The same line typed twice puts it off once.
            line = (str(item.task_id), business_date(at, zone).isoformat(), until, reason)
            command = Command(f"snooze/line/{derived_id('snooze', *line)}", at, at, ACTOR, str(guide_id))
            with _as_typed(str(rank), until):
                return await snooze(ledger, command, item.task_id, guide_id, wanted, reason), zone

    done, zone = session.run(put_off())
    local = done.until.astimezone(ZoneInfo(zone))
    session.show(
        asdict(done), session.words("snooze.done", guide=guide, rank=rank, until=f"{local:%Y-%m-%d %H:%M}")
    )


@contextmanager
def _as_typed(rank: str, until: str) -> Iterator[None]:
    """Name what stands against it as it was typed."""
    typed = {"task_id": ("RANK", rank), "until": ("--until", until)}
    try:
        yield
    except Refused as error:
        raise Refused([
            Problem(*typed.get(one.field, (one.field, one.value)), one.code, one.params) for one in error.problems
        ]) from error  # fmt: skip


async def _zone(connection: Driver, tenant_id: int, guide_id: UUID) -> str:
    return str(
        await connection.fetchval(
            "SELECT s.time_zone FROM guide g JOIN store s ON s.tenant_id = $1 AND s.store_id = g.store_id"
            " WHERE g.tenant_id = $1 AND g.guide_id = $2",
            tenant_id,
            guide_id,
        )
    )


def _until(written: str) -> time | date:
    if BY_THE_CLOCK.fullmatch(written):
        return time.fromisoformat(written)
    try:
        return datetime.strptime(written, "%Y-%m-%d").date()  # noqa: DTZ007 - a day, in the store's zone
    except ValueError as error:
        raise Refused([Problem("--until", written, "snooze_until_one")]) from error


@click.command("absent")
@click.argument("guide", metavar="GUIDE")
@json_option
@pass_session
def absent_command(session: Session, guide: str) -> None:
    """导购今天缺勤：未完成的分给同店其他人 / Absent today: what is open goes to others of the store."""

    async def tell() -> Absent:
        async with session.ledger() as (ledger, _):
            return await tell_absent(ledger, guide, Asked(None, now(), ACTOR))

    told = session.run(tell())
    words = session.words
    screen = [words("absent.before" if told.duplicate else "absent.done", guide=guide, day=told.day)]
    screen += [words("absent.to", guide=code, items=number(items)) for code, items in told.to.items()]
    if told.stays:
        screen.append(words("absent.stays", items=number(told.stays)))
    session.show(asdict(told), *screen)


@click.command("norm")
@click.option("--calls", type=a_number, help="每人每天电话数 / calls a guide a day.")
@click.option("--invitations", type=a_number, help="每人每天群邀请数 / group invitations a guide a day.")
@click.option(
    "--a-visit", type=a_number, help="每个预约到店抵多少邀请 / invitations a booked visit takes off."
)
@click.option("--reason", metavar="TEXT", help="为什么改 / why it is changed; kept on the record.")
@json_option
@pass_session
def norm_command(
    session: Session, calls: int | None, invitations: int | None, a_visit: int | None, reason: str | None
) -> None:
    """基本考核指标：查看或修改 / What is asked of a guide a day: show or change."""
    changes = [calls, invitations, a_visit]

    async def ask() -> DayNorm:
        async with session.ledger() as (ledger, _), ledger.transaction() as connection:
            standing = await read_day_norm(connection, ledger.tenant_id)
            if changes == [None, None, None]:
                return standing
            if not (reason or "").strip():
                raise Refused([Problem("--reason", reason or "", "reason_missing")])
            at = now()
            new = DayNormSet(
                calls=standing.calls if calls is None else calls,
                invitations=standing.invitations if invitations is None else invitations,
                invitations_a_visit=standing.invitations_a_visit if a_visit is None else a_visit,
                reason=reason or "",
            )
            command = Command(f"day-norm/{secrets.token_hex(8)}", at, at, ACTOR)
            await set_day_norm(connection, ledger.tenant_id, command, new)
            return await read_day_norm(connection, ledger.tenant_id)

    norm = session.run(ask())
    session.show(
        asdict(norm),
        session.words(
            "norm.shown",
            calls=norm.calls,
            invitations=norm.invitations,
            a_visit=norm.invitations_a_visit,
        ),
    )
