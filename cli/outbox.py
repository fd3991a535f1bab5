"""`daogou outbox`: messages and where they stand, channels, the one switch, and once more by hand."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click

from channels.addresses import check_address, masked
from cli.outbox_screens import Overview, channel_line, channel_table, messages_screen, stop_reason
from cli.session import Session, json_option, pass_session
from domain.errors import NotFound, Problem, Refused
from infra.clock import now
from ledger.endpoints import SCOPES, Endpoint, add_endpoint, list_endpoints, remove_endpoint
from ledger.ledger import Command
from ledger.outbox import (
    RETRIABLE,
    STATES,
    Message,
    Place,
    Thrown,
    count_messages,
    find_messages,
    list_messages,
    read_switch,
    resume_messages,
    retry_message,
    stop_messages,
)
from wording.catalogue import LANGUAGES, catalogue

ACTOR = "hq"
SETTLED_SINCE = timedelta(days=7)
"""Messages that are settled are counted this far back; what wants a person is counted whole."""
MOST = 1000


@click.group(invoke_without_command=True)
@click.option("--state", metavar="STATE", help=f"只看一种状态 / only one state: {', '.join(STATES)}.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="最多几条 / how many."
)
@click.option("--after", metavar="NEXT", help="从上一页给出的位置继续 / go on where the page before ended.")
@json_option
@click.pass_context
def outbox(context: click.Context, state: str | None, limit: int, after: str | None) -> None:
    """消息：发出的、没发出的、停发与恢复、通知渠道 / Messages out, their switch and their channels."""
    if context.invoked_subcommand is not None:
        return
    session = context.ensure_object(Session)
    state = None if state is None else _read_state(state)
    place = None if after is None else _read_place(after)
    shown = session.run(_overview(session, state, place, limit))
    session.show(_overview_json(shown), *messages_screen(session, shown, SETTLED_SINCE))


async def _overview(session: Session, state: str | None, after: Place | None, limit: int) -> Overview:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        at, tenant = now(), ledger.tenant_id
        found = await list_messages(connection, tenant, state=state, after=after, limit=limit + 1)
        troubled = []
        if state is None and after is None:
            for kind in RETRIABLE:
                troubled += await list_messages(connection, tenant, state=kind, limit=limit)
        return Overview(
            at=at,
            switch=await read_switch(connection, tenant),
            counts=await count_messages(connection, tenant, since=at - SETTLED_SINCE),
            troubled=troubled,
            messages=found[:limit],
            following=_write_place(found[limit - 1].place) if len(found) > limit else None,
        )


def _overview_json(shown: Overview) -> dict[str, Any]:
    return {
        "at": shown.at,
        "switch": asdict(shown.switch),
        "counts": {state: asdict(count) for state, count in shown.counts.items()},
        "counted_since": shown.at - SETTLED_SINCE,
        "troubled": [asdict(message) for message in shown.troubled],
        "messages": [asdict(message) for message in shown.messages],
        "next": shown.following,
    }


def _read_state(written: str) -> str:
    """The code of a state; the word a screen shows for it is understood too."""
    for code in STATES:
        if written.strip().casefold() in {
            code,
            *(catalogue(one).code("statuses", code).casefold() for one in LANGUAGES),
        }:
            return code
    return written


def _write_place(place: Place) -> str:
    return f"{place.created_at.isoformat()},{place.endpoint_id},{place.purpose}"


def _read_place(text: str) -> Place:
    try:
        instant, endpoint_id, purpose = text.split(",", 2)
        place = Place(datetime.fromisoformat(instant), purpose, int(endpoint_id))
    except ValueError as error:
        raise Refused([Problem("--after", text, "not_a_cursor")]) from error
    if place.created_at.tzinfo is None or not 0 <= place.endpoint_id < 2**31:
        raise Refused([Problem("--after", text, "not_a_cursor")])
    return place


# --- the switch --------------------------------------------------------------------------------------

reason_option = click.option(
    "--reason", required=True, metavar="TEXT", help="为什么 / why; kept on the record."
)


@outbox.command("stop")
@reason_option
@json_option
@pass_session
def stop_command(session: Session, reason: str) -> None:
    """停发全部消息，立即生效，不需要 Temporal / Stop all messages, at once and without Temporal."""
    _show_thrown(session, session.run(_throw(session, reason, stop=True)))


@outbox.command("start")
@reason_option
@json_option
@pass_session
def start_command(session: Session, reason: str) -> None:
    """恢复发送；期间过期的不再发 / Send again; what expired meanwhile is not sent."""
    _show_thrown(session, session.run(_throw(session, reason, stop=False)))


async def _throw(session: Session, reason: str, *, stop: bool) -> Thrown:
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            standing = await read_switch(connection, ledger.tenant_id)
        at = now()
        command = Command(f"messages/{standing.version}/{'stop' if stop else 'start'}", at, at, ACTOR)
        throw = stop_messages if stop else resume_messages
        return await throw(ledger, command, reason)


def _show_thrown(session: Session, thrown: Thrown) -> None:
    words, switch = session.words, thrown.switch
    key = f"outbox.{'stopped' if switch.stopped else 'started'}{'' if thrown.changed else '_already'}"
    session.show(
        {"switch": asdict(switch), "changed": thrown.changed},
        words(key, reason=stop_reason(words, switch.reason)),
    )


# --- once more ---------------------------------------------------------------------------------------


@outbox.command("retry")
@click.argument("purpose", metavar="PURPOSE")
@click.option("--endpoint", type=click.IntRange(0, 2**31 - 1), help="渠道编号 / number of the channel.")
@json_option
@pass_session
def retry_command(session: Session, purpose: str, endpoint: int | None) -> None:
    """再发一次：确认对方没收到之后 / Send once more, when somebody knows that it did not arrive."""
    message = session.run(_retry(session, purpose, endpoint))
    session.show(
        {"message": asdict(message)},
        session.words("outbox.retried", purpose=purpose, endpoint=message.endpoint_id),
    )


async def _retry(session: Session, purpose: str, endpoint: int | None) -> Message:
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            found = await find_messages(connection, ledger.tenant_id, purpose)
        if not found:
            raise NotFound(Problem("purpose", purpose, "unknown_message"))
        if endpoint is None:
            wanting = [message for message in found if message.state in RETRIABLE] or found
            if len(wanting) > 1:
                numbers = ", ".join(str(message.endpoint_id) for message in wanting)
                raise Refused([Problem("--endpoint", "", "message_of_several", {"endpoints": numbers})])
            endpoint = wanting[0].endpoint_id
        attempts = next((message.attempts for message in found if message.endpoint_id == endpoint), 0)
        at = now()
        command = Command(f"messages/retry/{purpose}/{endpoint}/{attempts}", at, at, ACTOR)
        return await retry_message(ledger, command, purpose, endpoint)


# --- channels ----------------------------------------------------------------------------------------


@outbox.group("channel")
def channel() -> None:
    """通知渠道：机器人、邮箱、Webhook / Channels: robots, mailboxes, webhooks."""


@channel.command("add")
@click.argument("address", metavar="ADDRESS")
@click.option("--scope", type=click.Choice(SCOPES), required=True, help="服务谁 / whom it serves.")
@click.option(
    "--code",
    default="",
    metavar="CODE",
    help="大区名、门店号或导购号 / region, store or guide; none for the brand.",
)
@click.option("--per-minute", type=int, metavar="N", help="每分钟最多几条 / most messages a minute.")
@json_option
@pass_session
def channel_add(session: Session, address: str, scope: str, code: str, per_minute: int | None) -> None:
    """添加渠道；ADDRESS 写 - 则从标准输入读，不留在命令历史里 / Add a channel; "-" reads the address from stdin."""
    if address == "-":
        address = sys.stdin.readline().strip()
    kind = check_address(address)
    rate = kind.per_minute if per_minute is None else per_minute

    async def add() -> Endpoint:
        async with session.ledger() as (ledger, _):
            return await add_endpoint(
                ledger, scope=scope, code=code, kind=kind.name, address=address, per_minute=rate
            )

    endpoint = session.run(add())
    session.show(
        _endpoint_json(endpoint),
        session.words("outbox.channel_added", channel=channel_line(session, endpoint)),
    )


@channel.command("list")
@click.option("--all", "removed", is_flag=True, help="也列出已移除的 / removed ones too.")
@json_option
@pass_session
def channel_list(session: Session, *, removed: bool) -> None:
    """列出渠道，地址已隐去 / List the channels, addresses masked."""

    async def read() -> list[Endpoint]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            return await list_endpoints(connection, ledger.tenant_id, removed=removed)

    endpoints = session.run(read())
    session.show(
        {"channels": [_endpoint_json(endpoint) for endpoint in endpoints]},
        channel_table(session, endpoints) if endpoints else session.words("outbox.no_channels"),
    )


@channel.command("remove")
@click.argument("number", type=click.IntRange(0, 2**31 - 1), metavar="NUMBER")
@json_option
@pass_session
def channel_remove(session: Session, number: int) -> None:
    """停用渠道；等着它的消息不再发 / Take a channel out of use; what waits for it is not sent."""

    async def remove() -> Endpoint:
        async with session.ledger() as (ledger, _):
            return await remove_endpoint(ledger, number)

    endpoint = session.run(remove())
    session.show(
        _endpoint_json(endpoint),
        session.words("outbox.channel_removed", channel=channel_line(session, endpoint)),
    )


def _endpoint_json(endpoint: Endpoint) -> dict[str, Any]:
    return {**asdict(endpoint), "address": masked(endpoint.address)}
