"""`daogou audit`: the history of anything, and the proof that nobody changed it."""

from __future__ import annotations

from typing import Any

import click
import orjson
from rich.text import Text

from cli.demo_screen import verified_line
from cli.layout import heading, number, table
from cli.machine import verification_json
from cli.progress import Stages
from cli.session import Session, json_option, pass_session
from ledger.timeline import Subject, TimelineEntry, timeline, told_with_codes, with_codes
from ledger.verify import Verification, verify

SUBJECTS: dict[str, Subject] = {
    "plan": "plan",
    "task": "task",
    "guide": "guide",
    "member": "member",
    "account": "account",
    "stream": "stream",
}
SHOWN = 20
DETAILS = 36
"""Where so many columns of the screen are not left for the details, they stand below their event."""
LONGEST = 60


@click.group()
def audit() -> None:
    """审计：历史与核验 / Audit: history and verification."""


@audit.command("timeline")
@click.argument("subject", type=click.Choice(list(SUBJECTS)))
@click.argument("name")
@click.option("--limit", type=click.IntRange(min=1, max=100_000), default=200, show_default=True)
@json_option
@pass_session
def timeline_command(session: Session, subject: str, name: str, limit: int) -> None:
    """按得知顺序列出事件 / Events in the order they became known."""
    entries = session.run(_timeline(session, SUBJECTS[subject], name, limit))
    words = session.words
    several = len({entry.stream for entry in entries}) > 1
    made = table(
        words("timeline.known"), words("timeline.event"), words("timeline.actor"), words("timeline.details"),
        fold=(3,),
    )  # fmt: skip
    made.columns[3].min_width = DETAILS
    for entry in entries:
        stream = told_with_codes(entry, entry.stream) if several else ""
        details = Text(f"{stream}#{entry.version} ", style="dim")
        details.append(_details(entry), style="default")
        made.add_row(
            f"{entry.known_at:%Y-%m-%d %H:%M}", words.code("events", entry.type), _actor(entry), details
        )
    footer = [words("timeline.cut", limit=number(limit))] if len(entries) == limit else []
    if any(_is_nested(value) for entry in entries for value in entry.payload.values()):
        footer.append(words("timeline.nested"))
    session.show(
        {"subject": subject, "name": name, "events": entries},
        heading(words("timeline.title", subject=words.code("subjects", subject), name=name)),
        made,
        *footer,
    )


async def _timeline(session: Session, subject: Subject, name: str, limit: int) -> list[TimelineEntry]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        entries = await timeline(connection, ledger.tenant_id, subject, name, limit=limit)
        return await with_codes(connection, ledger.tenant_id, entries)


def _actor(entry: TimelineEntry) -> str:
    """Who it was; of an account the first digits of its id, which `account show` and `--json` tell whole."""
    kind, _, key = entry.actor.partition("/")
    return f"{kind}/{key[:8]}…" if kind == "account" else entry.actor


def _details(entry: TimelineEntry) -> str:
    """The payload's plain values, guides and stores by their codes; what is nested is for `--json`."""
    shown = []
    for key, value in entry.payload.items():
        if _is_nested(value):
            text = f"[{len(value)}]" if isinstance(value, list) else "{…}"
        elif isinstance(value, dict | list):
            text = orjson.dumps(value).decode()
        else:
            text = "" if value is None else str(value)
        if text not in ("", "[]", "{}"):
            shown.append(f"{key}={text}")
    return told_with_codes(entry, " ".join(shown))


def _is_nested(value: Any) -> bool:
    """Whether it is too long a list or object for a line."""
    return isinstance(value, dict | list) and len(orjson.dumps(value)) > LONGEST


@audit.command("verify")
@json_option
@pass_session
def verify_command(session: Session) -> None:
    """重算整个账本 / Recompute every chain of the ledger."""
    with Stages(session, group="stages") as stages:
        verification = session.run(_verify(session, stages))
    words = session.words
    made = table(
        words("verify.stream"), words("verify.version"), words("verify.kind"), right=(1,), fold=(0, 2)
    )
    for one in verification.differences[:SHOWN]:
        made.add_row(one.stream, number(one.version), one.kind)
    session.show(
        verification_json(verification),
        verified_line(session, verification),
        *([made] if verification.differences else []),
    )
    if not verification.ok:
        raise SystemExit(1)


async def _verify(session: Session, stages: Stages) -> Verification:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        total = await connection.fetchval("SELECT count(*) FROM event WHERE tenant_id = $1", ledger.tenant_id)
        stages("verify", 0, total)
        return await verify(
            connection, ledger.tenant_id, on_progress=lambda done: stages("verify", done, total)
        )
