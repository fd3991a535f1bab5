"""`daogou case`: complaints with their deadlines, answered and closed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID, uuid4

import click
from rich.console import RenderableType
from rich.text import Text

from cli.layout import NOTHING, table
from cli.session import Session, json_option, pass_session
from domain.complaints import RESOLUTIONS, Resolution
from domain.errors import NotFound, Problem
from infra.clock import now
from ledger.cases import Answer, Answered, Case, Selected, Wanted, answer_case, case_command, list_cases
from ledger.ledger import Command
from ledger.notes import SALT_BYTES
from wording.catalogue import Catalogue

ACTOR = "hq"
MOST = 1000
_WANTED: tuple[Wanted, ...] = ("unfinished", "overdue", "closed", "withdrawn")

note_option = click.option(
    "--note", metavar="TEXT", help="说了什么，不进入事件 / what was said; beside the events, and erasable."
)
key_option = click.option("--key", metavar="NAME", help="幂等键：同一键只计一次 / the same name counts once.")


@click.group("case")
def case_group() -> None:
    """投诉：期限、答复、结案 / Complaints: deadlines, answers, ends."""


@case_group.command("list")
@click.option(
    "--state",
    type=click.Choice(_WANTED),
    default="unfinished",
    show_default=True,
    help="哪些：未结、超期、已结、撤销 / which of them.",
)
@click.option("--store", metavar="STORE", help="只看一家门店 / only this store's.")
@click.option("--guide", metavar="GUIDE", help="只看一位导购报的 / only those this guide reported.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=100, show_default=True, help="最多几件 / how many."
)
@json_option
@pass_session
def list_command(session: Session, state: Wanted, store: str | None, guide: str | None, limit: int) -> None:
    """投诉，期限最近的在前 / Complaints, the nearest deadline first."""

    async def read() -> list[Case]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            selected = Selected(state, now(), store=store, guide=guide)
            return await list_cases(connection, ledger, selected, limit=limit)

    found = session.run(read())
    session.show({"cases": [asdict(one) for one in found]}, *_screen(session.words, found))


def _screen(words: Catalogue, cases: Sequence[Case]) -> list[RenderableType]:
    if not cases:
        return [words("case.none")]
    made = table(
        words("case.number"), words("case.deadline"), words("case.state"), words("today.member"), words("staff.store"),
        words("case.guide"), words("case.complaint"), fold=(2, 6),
    )  # fmt: skip
    for one in cases:
        state = words("case.overdue") if one.overdue else words.code("statuses", one.state)
        if one.resolution is not None:
            state += words("case.settled", resolution=words.code("case.resolutions", one.resolution))
        made.add_row(
            str(one.case_id)[:8],
            _at(one.deadline_at),
            state,
            one.member,
            one.store,
            one.guide,
            Text(one.complaint or NOTHING),
        )
    return [made, words("case.how")]


def _at(instant: datetime) -> str:
    return f"{instant:%m-%d %H:%M} UTC"


@case_group.command("answer")
@click.argument("case", metavar="CASE")
@note_option
@key_option
@json_option
@pass_session
def answer_command(session: Session, case: str, note: str | None, key: str | None) -> None:
    """已答复会员 / The member was answered."""
    stands = session.run(_answer(session, case, None, note, key))
    _show(session, case, stands)


@case_group.command("close")
@click.argument("case", metavar="CASE")
@click.argument("resolution", type=click.Choice(RESOLUTIONS))
@note_option
@key_option
@json_option
@pass_session
def close_command(
    session: Session, case: str, resolution: Resolution, note: str | None, key: str | None
) -> None:
    """结案：可以再联系会员 / Close it: the member may be contacted again."""
    stands = session.run(_answer(session, case, resolution, note, key))
    _show(session, case, stands)


def _show(session: Session, case: str, stands: Answered) -> None:
    text = "case.done_before" if stands.duplicate else "case.done"
    state = session.words.code("statuses", stands.state)
    session.show(stands, session.words(text, case=case, state=state))


async def _answer(
    session: Session, case: str, resolution: Resolution | None, note: str | None, key: str | None
) -> Answered:
    at = now()
    command = Command(case_command(f"{ACTOR}/{key or uuid4()}", resolution), at, at, ACTOR)
    async with session.ledger() as (ledger, _):
        async with ledger.connection() as connection:
            found = await connection.fetch(
                "SELECT case_id FROM complaint_case WHERE tenant_id = $1 AND starts_with(case_id::text, $2) LIMIT 2",
                ledger.tenant_id,
                case.lower(),
            )
        if len(found) != 1:
            raise NotFound(Problem("case", case[:80], "unknown_case"))
        answer = Answer(UUID(str(found[0]["case_id"])), resolution, note, secrets.token_bytes(SALT_BYTES))
        return await answer_case(ledger, command, answer)
