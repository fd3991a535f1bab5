"""Screens of the `outbox` commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from channels.addresses import masked
from cli.layout import NOTHING, heading, number, table
from cli.session import Session
from ledger.endpoints import Endpoint
from ledger.outbox import Message, StateCount, Switch
from wording.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Overview:
    """What `daogou outbox` shows."""

    at: datetime
    switch: Switch
    counts: dict[str, StateCount]
    troubled: list[Message]
    """Unknown and dead, newest first, where no state was asked for."""
    messages: list[Message]
    following: str | None
    """`--after` of the next page; None: this is the last."""


def stop_reason(words: Catalogue, reason: str) -> str:
    """Why messages are stopped: what a person wrote, or the wording of a reason of ours."""
    return words.code("outbox.stop_reasons", reason)


def messages_screen(session: Session, shown: Overview, settled: timedelta) -> Iterator[RenderableType]:
    """The switch, the counts, what wants a person with reason and remedy, then the list."""
    words, switch = session.words, shown.switch
    if switch.stopped and switch.changed_at is not None:
        since = age(switch.changed_at, shown.at)
        why, start = stop_reason(words, switch.reason), session.command("outbox", "start", "--reason", "…")
        yield Text(words("outbox.is_stopped", age=since, reason=why, command=start), style="bold red")
    yield heading(words("outbox.title", days=settled.days))
    counts = table(words("outbox.state"), words("outbox.count"), words("outbox.oldest"), right=(1, 2))
    for state, count in shown.counts.items():
        if count.messages:
            oldest = NOTHING if count.oldest is None else age(count.oldest, shown.at)
            counts.add_row(words.code("statuses", state), number(count.messages), oldest)
    yield counts if counts.row_count else words("outbox.none")
    if shown.troubled:
        yield ""
        yield heading(words("outbox.troubled"))
        yield _table(session, shown.troubled, shown.at)
        told = {
            (
                f"{words.code('statuses', one.state)} · {_why(session, one.why or '')}",
                _remedy(session, one, shown.at),
            )
            for one in shown.troubled
        }
        for trouble, remedy in sorted(told):
            yield trouble
            yield f"  {words('error.remedy', remedy=remedy)}"
    if shown.messages:
        yield ""
        yield heading(words("outbox.newest"))
        yield _table(session, shown.messages, shown.at)
    if shown.following:
        yield words("outbox.more", next=shown.following)


def channel_table(session: Session, endpoints: Sequence[Endpoint]) -> Table:
    """The channels, addresses masked."""
    words = session.words
    made = table(
        words("outbox.channel_number"), words("outbox.channel_serves"), words("outbox.channel_kind"),
        words("outbox.channel_address"), words("outbox.channel_rate"), words("outbox.state"), right=(0, 4), fold=(3,),
    )  # fmt: skip
    for endpoint in endpoints:
        made.add_row(
            str(endpoint.endpoint_id),
            _serves(session, endpoint.scope, endpoint.code),
            words.code("outbox.kinds", endpoint.kind),
            masked(endpoint.address),
            str(endpoint.per_minute),
            words("outbox.channel_active" if endpoint.active else "outbox.channel_gone"),
        )
    return made


def channel_line(session: Session, endpoint: Endpoint) -> str:
    """A channel in a sentence."""
    kind = session.words.code("outbox.kinds", endpoint.kind)
    serves = _serves(session, endpoint.scope, endpoint.code)
    return (
        f"{endpoint.endpoint_id} · {serves} · {kind} · {masked(endpoint.address)} · {endpoint.per_minute}/min"
    )


def age(then: datetime, at: datetime) -> str:
    """How long ago: 40 s, 12 min, 3 h, 5 d."""
    seconds = max(0, int((at - then).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _table(session: Session, messages: Sequence[Message], at: datetime) -> Table:
    words = session.words
    made = table(
        words("outbox.state"), words("outbox.age"), words("outbox.guide"), words("outbox.channel"),
        words("outbox.attempts"), words("outbox.why"), words("outbox.purpose"), right=(1, 4), fold=(5, 6),
    )  # fmt: skip
    for message in messages:
        made.add_row(
            words.code("statuses", message.state),
            age(message.created_at, at),
            message.guide_code or NOTHING,
            NOTHING
            if message.channel is None
            else f"{message.endpoint_id} {words.code('outbox.kinds', message.channel)}",
            str(message.attempts),
            NOTHING if message.why is None else _why(session, message.why),
            message.purpose,
        )
    return made


def _serves(session: Session, scope: str, code: str) -> str:
    return f"{session.words.code('outbox.scopes', scope)} {code}".strip()


def _why(session: Session, why: str) -> str:
    """The words for a reason; with the other side's own code, where it gave one (`http_403`, `code_93000`)."""
    family, _, code = why.partition("_")
    if code.lstrip("-").isdigit():
        return session.words(f"outbox.whys.{family}", code=code)
    return session.words.code("outbox.whys", why)


def _remedy(session: Session, message: Message, at: datetime) -> str:
    """What to do about it; nothing that would be refused."""
    words = session.words
    if not message.channel_active:
        return words("outbox.remedies.channel_gone", channel=message.endpoint_id)
    if message.expires_at <= at:
        return words("outbox.remedies.too_late")
    if message.state == "unknown":
        return words("outbox.remedies.unknown")
    if message.why in {"not_connected", "certificate"}:
        return words("outbox.remedies.unreachable")
    return words("outbox.remedies.refused")
