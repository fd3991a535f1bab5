"""`daogou audit`: the history of anything, the proof that nobody changed it, and what to look into."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import click
import orjson
from rich.text import Text

from cli.audit_as_of import as_of_command
from cli.audit_claims import claims_command, signs_command
from cli.audit_why import why_command
from cli.layout import heading, labelled, number, table
from cli.machine import verification_json
from cli.progress import Stages
from cli.session import Session, json_option, pass_session, to_json
from cli.verified import verified_lines
from infra.anchor_file import anchor_path, read_anchor_file
from infra.clock import now
from infra.databases import read_id_secret
from infra.seal_workflow import remembered_anchors
from infra.temporal_mark import brand_mark
from ledger.anchors import Anchor, anchor_fields, check_value
from ledger.exceptions import LISTED_DAYS, CheckInException, Kind, Wanted, first_day, list_exceptions
from ledger.ledger import Ledger
from ledger.proofs import Proof, proof_fields, prove
from ledger.seals import Seal, last_seal
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
    """审计：历史、核验、未证实与造假迹象 / Audit: history, verification, claims, signs."""


audit.add_command(claims_command)
audit.add_command(signs_command)
audit.add_command(why_command)


audit.add_command(as_of_command)


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


@audit.command("conflicts")
@click.option("--store", metavar="CODE", help="只看这家门店 / of this store only.")
@click.option("--guide", metavar="CODE", help="只看这位导购 / of this guide only.")
@click.option(
    "--from",
    "first",
    type=click.DateTime(["%Y-%m-%d"]),
    help=f"从哪天起，默认 {LISTED_DAYS} 天 / first day; else {LISTED_DAYS} days back.",
)
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="到哪天止 / last day.")
@click.option("--kind", type=click.Choice(get_args(Kind)), help="只看这一类 / only these.")
@click.option("--limit", type=click.IntRange(min=1, max=100_000), default=200, show_default=True)
@json_option
@pass_session
def conflicts_command(
    session: Session, /, first: datetime | None, last: datetime | None, **options: Any
) -> None:
    """补报、更正、作废、冲突的签到，最近得知的在前 / Check-ins late, corrected, voided or in conflict, last known first."""
    limit = options.pop("limit")
    until = last and last.date()
    since = first_day(first and first.date(), until, now().date())
    wanted = Wanted(since, until, **options)
    found = session.run(_exceptions(session, wanted, limit))
    words = session.words
    made = table(
        words("conflicts.day"), words("conflicts.store"), words("conflicts.guide"), words("conflicts.outcome"),
        words("conflicts.what"), words("conflicts.item"), fold=(4,),
    )  # fmt: skip
    for one in found:
        outcome = words.code("outcomes", one.outcome)
        if one.outcome_before is not None:
            outcome = f"{words.code('outcomes', one.outcome_before)} → {outcome}"
        made.add_row(
            f"{one.day:%m-%d}",
            one.store,
            one.guide,
            outcome,
            _what(session, one),
            f"{one.task_id}#{one.version}",
        )
    footer = [words("timeline.cut", limit=number(limit))] if len(found) == limit else []
    session.show(
        {"exceptions": found, "from": since},
        heading(words("conflicts.title")),
        made if found else words("conflicts.none"),
        words("conflicts.since", day=f"{since:%Y-%m-%d}"),
        *footer,
    )


def _what(session: Session, one: CheckInException) -> str:
    words = session.words
    told = [words.code("conflicts.kinds", name) for name in ("late", "voided") if getattr(one, name)]
    told += [words.code("conflicts.kinds", "corrected")] if one.corrects is not None else []
    told += [words.code("conflicts.kinds", one.conflict)] if one.conflict else []
    told += [words("conflicts.skewed", seconds=number(one.skew_s))] if one.skew_s else []
    told += [one.reason] if one.reason else []
    return " · ".join(told)


async def _exceptions(session: Session, wanted: Wanted, limit: int) -> Sequence[CheckInException]:
    async with session.ledger() as (ledger, _), ledger.connection() as connection:
        return await list_exceptions(connection, ledger, wanted, limit=limit)


@audit.command("root")
@json_option
@pass_session
def root_command(session: Session) -> None:
    """最新封印：位置、根、校验值 / The newest seal: position, root, check value, and where it is kept."""
    seal, kept = session.run(_root(session))
    words = session.words
    if seal is None:
        session.show({"sealed": False}, words("root.none"))
        return
    session.show(
        {
            **anchor_fields(seal, session.settings.tenant_id),
            "sealed": True,
            "check_value": check_value(seal),
            "kept": [{"where": one.where, "position": one.position} for one in kept],
        },
        heading(words("root.title", position=number(seal.position))),
        labelled(
            (words("root.root"), seal.root.hex()),
            (words("root.seal"), seal.seal_hash.hex()),
            (words("root.check_value"), check_value(seal)),
            (words("root.sealed_at"), f"{seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC"),
            *(
                (words("root.kept"), words("root.kept_in", where=one.where, position=number(one.position)))
                for one in kept
            ),
        ),
        *([] if kept else [words("root.kept_nowhere")]),
    )


async def _root(session: Session) -> tuple[Seal | None, list[Anchor]]:
    """The newest seal, and the newest anchor of each place that has any."""
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            seal = await last_seal(connection, ledger.tenant_id)
        anchors = await _anchors(session, ledger, ())
    newest: dict[str, Anchor] = {}
    for anchor in anchors:
        known = newest.get(anchor.where)
        if known is None or known.position <= anchor.position:
            newest[anchor.where] = anchor
    return seal, list(newest.values())


@audit.command("verify")
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="另存的锚点文件，可多次 / a file of anchors that you kept elsewhere; several if you like.",
)
@click.option(
    "--since",
    type=click.IntRange(min=0),
    default=0,
    metavar="P",
    help="只核验位置 P 之后的 / only what came after position P; what was sealed by then is taken for granted.",
)
@json_option
@pass_session
def verify_command(session: Session, against: tuple[Path, ...], since: int) -> None:
    """核验账本、封印与锚点 / Verify the ledger against its seals, and against every anchor outside the database."""
    with Stages(session, group="stages") as stages:
        verification = session.run(_verify(session, stages, against, since))
    words = session.words
    made = table(
        words("verify.stream"), words("verify.version"), words("verify.kind"), right=(1,), fold=(0, 2)
    )
    for one in verification.differences[:SHOWN]:
        made.add_row(one.stream, number(one.version), one.kind)
    session.show(
        verification_json(verification),
        *verified_lines(session, verification),
        *([made] if verification.differences else []),
    )
    if not verification.ok:
        raise SystemExit(1)


async def _verify(session: Session, stages: Stages, against: tuple[Path, ...], since: int) -> Verification:
    async with session.ledger() as (ledger, _):
        anchors = await _anchors(session, ledger, against)
        return await _verified(ledger, stages, anchors, since)


async def _verified(ledger: Ledger, stages: Stages, anchors: list[Anchor], since: int) -> Verification:
    async with ledger.connection() as connection:
        start = await last_seal(connection, ledger.tenant_id, up_to=since) if since else None
        total = await connection.fetchval(
            "SELECT count(*) FROM event_position WHERE tenant_id = $1 AND position > $2",
            ledger.tenant_id,
            start.position if start else 0,
        )
        stages("verify", 0, total)
        return await verify(
            connection,
            ledger.tenant_id,
            since=since,
            anchors=anchors,
            keys=ledger.keys,
            on_progress=lambda done: stages("verify", done, total),
        )


async def _anchors(session: Session, ledger: Ledger, against: tuple[Path, ...]) -> list[Anchor]:
    """Every copy of a seal outside the database that can be reached: this machine's file, Temporal, files that are named."""
    settings = session.settings
    # A home has one Temporal, which may be another database's of it, whose seals say nothing of this one.
    mark = brand_mark(await read_id_secret(ledger), ledger.tenant_id)
    anchors = await remembered_anchors(settings, mark=mark) or []
    for path in (anchor_path(settings), *against):
        anchors += await read_anchor_file(path, settings.tenant_id)
    return anchors


@audit.command("proof")
@click.argument("stream")
@click.argument("version", type=click.IntRange(min=1, max=2**31 - 1))
@pass_session
def proof_command(session: Session, stream: str, version: int) -> None:
    """一个事件已被封印的证明（JSON，可独立核对）/ Proof that one event was sealed: JSON that anybody can check."""

    async def read() -> Proof:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            return await prove(connection, ledger.tenant_id, stream, version)

    click.echo(to_json(proof_fields(session.run(read()), session.settings.tenant_id)))
