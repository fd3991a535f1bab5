"""`daogou member`: rights of the member: consents, everything about them, erasure."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from rich.console import RenderableType

from activities.asked import Asked
from activities.members import (
    ConsentSet,
    consents_of,
    erase_member,
    export_member,
    masked_member,
    set_consent,
)
from cli.account_words import at_minute
from cli.contacts import contacts_command
from cli.layout import NOTHING, heading, number, table
from cli.session import Session, json_option, pass_session, to_json
from domain.consent import HEARD, Purpose, Source
from domain.errors import Problem, Refused
from infra.clock import now
from ledger.consents import Consent, Heard
from ledger.member_export import with_headings
from ledger.members import Erased
from wording.catalogue import LANGUAGES, Language, catalogue

ACTOR = "hq"


@click.group()
def member() -> None:
    """会员的权利：同意、导出、删除 / Rights of the member: consent, export, erasure."""


member.add_command(contacts_command)


@member.command("consent")
@click.argument("code", metavar="CODE", required=False)
@click.option(
    "--task",
    type=click.UUID,
    metavar="TASK",
    help="用清单上的任务编号代替会员号（today --json）/ the id of an item instead of a code.",
)
@click.option("--purpose", type=click.Choice([one.value for one in Purpose]), help="用途 / what it is about.")
@click.option("--given", "given", is_flag=True, help="同意 / the member agrees.")
@click.option("--withdrawn", "withdrawn", is_flag=True, help="撤回 / the member takes it back.")
@click.option(
    "--source", type=click.Choice([one.value for one in HEARD]), help="怎么得知 / how it was heard."
)
@click.option(
    "--reason", default="", metavar="TEXT", help="理由；管理人员决定时必填 / why; a manager must say."
)
@click.option(
    "--at",
    "occurred_at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]),
    help="什么时候，带时区 / when, with its zone.",
)
@json_option
@pass_session
def consent_command(
    session: Session,
    /,
    code: str | None,
    task: UUID | None,
    *,
    purpose: str | None,
    given: bool,
    withdrawn: bool,
    **told: Any,
) -> None:
    """记录同意或撤回；不写用途则列出 / Record what a member agrees to; without a purpose, list it."""
    if (code is None) is (task is None):
        raise Refused([Problem("CODE", code or "", "member_or_task")])
    who, name = (task, f"{task}") if task is not None else (code or "", code or "")
    if purpose is None and (given or withdrawn or any(told.values())):
        raise Refused([Problem("--purpose", "", "consent_purpose_missing")])
    if purpose is None:
        consents = session.run(_read(session, who))
        session.show({"consents": [asdict(one) for one in consents]}, *_list(session, name, consents))
        return
    if given is withdrawn:
        raise Refused([Problem("--given", "", "consent_choice")])
    heard = Heard(Purpose(purpose), given, Source(told["source"] or Source.FORM), told["reason"])
    done = session.run(_set(session, who, heard, told["occurred_at"]))
    words = session.words
    parts: list[RenderableType] = [
        words(
            "member.consent_as_before" if done.duplicate else "member.consent_set",
            member=name,
            what=words("member.given" if given else "member.withdrawn"),
            purpose=words.code("member.purposes", heard.purpose),
            source=words.code("member.sources", heard.source),
        )
    ]
    if done.items:
        parts.append(words("member.items_left", items=number(done.items)))
    session.show(
        {
            "consents": [asdict(one) for one in done.consents],
            "items": done.items,
            "changed": not done.duplicate,
        },
        *parts,
    )


@member.command("export")
@click.argument("code", metavar="CODE")
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="写到哪里 / where to.",
)
@click.option(
    "--headings", type=click.Choice(LANGUAGES), help="用哪种文字的标题 / keys in words, for people."
)
@json_option
@pass_session
def export_command(session: Session, code: str, *, file: Path, headings: Language | None) -> None:
    """导出会员的全部资料（JSON）/ Everything there is about a member, as JSON."""
    descriptor = _new_file(file)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            document = session.run(_export(session, code))
            if headings is not None:
                words = catalogue(headings)
                document = with_headings(document, words.group("member.headings"), words.code)
            opened.write(to_json(document))
    except BaseException:
        with suppress(OSError):
            file.unlink()  # made by this call a moment ago, and empty or cut short
        raise
    words = session.words
    session.show(
        {"file": str(file)},
        words("member.exported", member=code, file=str(file)),
        words("member.export_once"),
    )


@member.command("erase")
@click.argument("code", metavar="CODE")
@click.option("--reason", required=True, metavar="TEXT", help="为什么 / why; kept beside the ledger.")
@click.option("--yes", "sure", is_flag=True, help="已核对，不能恢复 / checked: it cannot be undone.")
@json_option
@pass_session
def erase_command(session: Session, code: str, *, reason: str, sure: bool) -> None:
    """删除会员的个人信息，不能恢复 / Erase what is personal of a member, for good."""

    async def erase() -> Erased:
        async with session.ledger() as (ledger, _):
            if not sure:
                who = await masked_member(ledger, code)
                raise Refused([Problem("--yes", "", "erase_unconfirmed", {"member": who})])
            return await erase_member(ledger, code, reason, Asked(None, now(), ACTOR))

    erased = session.run(erase())
    words = session.words
    parts: list[RenderableType] = [
        words("member.erased_again" if erased.duplicate else "member.erased", member=code)
    ]
    if erased.items:
        parts.append(words("member.items_left", items=number(erased.items)))
    if erased.copies_missed:
        parts.append(words("member.copies_missed", copies=number(erased.copies_missed)))
    session.show(asdict(erased), *parts, words("member.erased_stays"))


async def _read(session: Session, who: str | UUID) -> list[Consent]:
    async with session.ledger() as (ledger, _):
        return list(await consents_of(ledger, who))


async def _set(session: Session, who: str | UUID, heard: Heard, occurred_at: datetime | None) -> ConsentSet:
    async with session.ledger() as (ledger, _):
        return await set_consent(ledger, who, heard, Asked(None, now(), ACTOR), occurred_at=occurred_at)


async def _export(session: Session, code: str) -> dict[str, object]:
    async with session.ledger() as (ledger, _):
        return await export_member(ledger, code, Asked(None, now(), ACTOR))


def _list(session: Session, code: str, consents: list[Consent]) -> list[RenderableType]:
    words = session.words
    if not consents:
        return [heading(words("member.consents", member=code)), words("member.no_consents")]
    made = table(
        words("member.purpose"), words("member.standing"), words("member.source"), words("member.occurred"),
        words("member.reason"), fold=(4,),
    )  # fmt: skip
    for one in consents:
        made.add_row(
            words.code("member.purposes", one.purpose),
            words("member.given" if one.given else "member.withdrawn"),
            words.code("member.sources", one.source),
            at_minute(one.occurred_at),
            one.reason or NOTHING,
        )
    return [heading(words("member.consents", member=code)), made]


def _new_file(file: Path) -> int:
    """A file nobody had, for its owner alone to read; gives its descriptor.

    Raises:
        Refused: it is there already, or cannot be made.
    """
    try:
        return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise Refused([Problem("--out", str(file), "export_file_taken")]) from error
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Refused([Problem("--out", str(file), "export_file_unusable", {"why": why})]) from error
