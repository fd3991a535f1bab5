"""`daogou feed`: which systems of record may send, and how far each has told everything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import click
from rich.text import Text

from cli.account import reason_option
from cli.layout import NOTHING, number, table
from cli.session import Session, json_option, pass_session
from domain.confirmation import KINDS
from domain.feed_purposes import PURPOSES
from domain.webhook_signature import secret_text
from infra.clock import now
from ledger.feeds import LISTED_SPAN, OVERLAP, FeedLine, create_feed, end_feed, list_feeds, rotate_secret
from ledger.ledger import Command

ACTOR = "hq"
_PURPOSES = "; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in PURPOSES.items())
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@click.group()
def feed() -> None:
    """数据接入：通话、加好友、核销、到店、退货 / Feeds of systems of record: who may send."""


def _kinds(usual: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "--kinds",
        default="",
        metavar="KIND,…",
        callback=lambda _context, _option, told: tuple(one.strip() for one in told.split(",") if one.strip()),
        help=f"可推送的数据种类 / what it may tell: {', '.join(KINDS)}. {usual}",
    )


@feed.command("create")
@click.argument("source", metavar="SOURCE")
@_kinds("默认按名称 / By default by its name's first word: " + _PURPOSES + ".")
@json_option
@pass_session
def create_command(session: Session, source: str, kinds: tuple[str, ...]) -> None:
    """允许来源推送，密钥只显示一次 / Let a source send; its secret is shown once."""

    async def create() -> str:
        async with session.ledger() as (ledger, _):
            command = _command(source, "create")
            return secret_text(await create_feed(ledger, command, source, uuid4(), kinds=kinds))

    _show_secret(session, source, session.run(create()), "feed.created")


@feed.command("rotate")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 24 * 30),
    default=OVERLAP // _HOUR,
    show_default=True,
    help="旧密钥还可用多少小时 / hours the old secret works on.",
)
@_kinds("默认不变 / By default as before.")
@json_option
@pass_session
def rotate_command(session: Session, source: str, overlap_hours: int, kinds: tuple[str, ...]) -> None:
    """换密钥；旧的还可用一段时间 / A new secret; the old one works on for a while."""

    async def rotate() -> str:
        async with session.ledger() as (ledger, _):
            overlap = overlap_hours * _HOUR
            command = _command(source, "rotate")
            return secret_text(
                await rotate_secret(ledger, command, source, uuid4(), overlap=overlap, kinds=kinds)
            )

    _show_secret(session, source, session.run(rotate()), "feed.rotated", hours=overlap_hours)


@feed.command("end")
@click.argument("source", metavar="SOURCE")
@reason_option
@json_option
@pass_session
def end_command(session: Session, source: str, reason: str) -> None:
    """停用来源：不再接收，也不再等它的数据 / Take nothing from it any more, and wait for nothing of it."""

    async def end() -> None:
        async with session.ledger() as (ledger, _):
            await end_feed(ledger, _command(source, "end"), source, reason)

    session.run(end())
    session.show({"source": source, "ended": True}, session.words("feed.ended_now", source=source))


@feed.command("list")
@click.option(
    "--days",
    type=click.IntRange(1, 36_500),
    default=LISTED_SPAN // _DAY,
    show_default=True,
    help="只看最近几天的消息和停用 / messages and sources that ended, of so many days back.",
)
@json_option
@pass_session
def list_command(session: Session, days: int) -> None:
    """列出来源、最近的消息、数据完整到何时 / Sources, their last message, how far they have told everything."""

    async def read() -> list[FeedLine]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            return await list_feeds(connection, ledger.tenant_id, now(), since=days * _DAY)

    lines = session.run(read())
    words = session.words
    if not lines:
        session.show(
            {"feeds": [], "days": days}, words("feed.none", command=session.command("feed", "create", "pbx"))
        )
        return
    made = table(
        words("feed.source"), words("feed.state"), words("feed.kinds"), words("feed.messages"), words("feed.last"),
        words("feed.complete"),
        right=(3,), fold=(2, 5),
    )  # fmt: skip
    for line in lines:
        state = "ended" if line.ended_at else "sends" if line.secrets else "files"
        until = "\n".join(
            f"{words.code('data', kind)} {at:%Y-%m-%d %H:%M} UTC" for kind, at in line.complete_until.items()
        )
        made.add_row(
            line.source,
            words(f"feed.{state}"),
            "\n".join(words.code("data", kind) for kind in line.kinds) or NOTHING,
            number(line.messages),
            f"{line.last_message_at:%Y-%m-%d %H:%M}" if line.last_message_at else NOTHING,
            until or NOTHING,
        )
    session.show({"feeds": lines, "days": days}, made, words("feed.span", days=days))


def _command(source: str, what: str) -> Command:
    at = now()
    return Command(f"feed/{source[:40]}/{what}/{at.isoformat()}", at, at, ACTOR)


def _show_secret(session: Session, source: str, secret: str, key: str, **gaps: Any) -> None:
    session.show(
        {"source": source, "secret": secret},
        session.words(key, source=source, **gaps),
        Text(secret, style="bold"),
        session.words("feed.secret_once", source=source),
    )
