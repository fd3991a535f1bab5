"""`daogou audit claims` and `daogou audit signs`: what to look into, with the facts each line rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click
from rich.console import RenderableType

from activities.auditing import CODES, SignsFound, audit_signs, codes_by_id
from cli.completeness import complete_line
from cli.instants import read_instant
from cli.layout import heading, number, table
from cli.session import Session, json_option, pass_session
from domain.confirmation import Claims, Standing
from domain.errors import Problem, Refused
from domain.playbook import nearest
from infra.clock import now
from ledger import facts
from ledger.confirmations import CountedClaims, ListedClaims, Scope, count_claims, list_claims
from ledger.door import Driver

DAYS = 7
MOST = 10_000
COUNTS = ("claimed", "confirmed", "contradicted", "unconfirmed", "not_checkable", "outcome")

since_option = click.option(
    "--since", metavar="INSTANT", help="从何时起（默认七天前）/ default: seven days ago."
)
until_option = click.option("--until", metavar="INSTANT", help="到何时止（默认现在）/ default: now.")
guide_option = click.option("--guide", metavar="GUIDE", help="只看这位导购 / of this guide only.")


@click.command("claims")
@since_option
@until_option
@guide_option
@click.option("--plan", metavar="PLAN", help="只看这个计划 / of this plan only.")
@click.option(
    "--standing",
    "standings",
    multiple=True,
    type=click.Choice([one.value for one in Standing]),
    help="默认未证实与矛盾 / default: unconfirmed and contradicted.",
)
@click.option(
    "--by",
    type=click.Choice(["guide", "store", "plan"]),
    default="guide",
    show_default=True,
    help="按什么汇总 / what the counts are by.",
)
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@json_option
@pass_session
def claims_command(
    session: Session, /, standings: tuple[str, ...], by: str, limit: int, **where: str | None
) -> None:
    """已报告而未被系统证实的签到 / Check-ins that no system of record confirms."""
    wanted = frozenset(map(Standing, standings)) or frozenset({Standing.UNCONFIRMED, Standing.CONTRADICTED})

    async def read() -> tuple[Scope, CountedClaims, ListedClaims, dict[str, str]]:
        async with session.ledger() as (ledger, _), ledger.connection() as connection:
            tenant = ledger.tenant_id
            scope = await _scope(connection, tenant, **where)
            counted = await count_claims(connection, tenant, scope)
            listed = await list_claims(connection, tenant, scope, wanted, limit=limit)
            ids = getattr(counted, f"{by}s")
            codes = await codes_by_id(connection, tenant, by, ids) if by in CODES else {}
            return scope, counted, listed, codes

    scope, counted, listed, codes = session.run(read())
    rows: Mapping[str, Claims] = getattr(counted, f"{by}s")
    named = {codes.get(name, name): one for name, one in rows.items()}
    session.show(
        {
            "since": scope.since,
            "until": scope.until,
            "total": asdict(counted.total),
            "by": by,
            "rows": [{"code": code, **asdict(named[code])} for code in sorted(named)],
            "complete_until": counted.complete_until,
            "claims": [{**asdict(one), "stream": one.stream} for one in listed.claims],
        },
        *_claims_screen(session, scope, counted, listed, named, by),
    )


def _claims_screen(
    session: Session,
    scope: Scope,
    counted: CountedClaims,
    listed: ListedClaims,
    named: Mapping[str, Claims],
    by: str,
) -> list[RenderableType]:
    words = session.words
    counts = table(
        words(f"claims.{by}"), *(words(f"claims.{name}") for name in COUNTS), right=range(1, len(COUNTS) + 1)
    )
    for code in sorted(named):
        counts.add_row(code, *(number(getattr(named[code], name)) for name in COUNTS))
    counts.add_row(
        words("claims.total"), *(number(getattr(counted.total, name)) for name in COUNTS), style="bold"
    )
    parts: list[RenderableType] = [
        heading(words("claims.title", since=_at(scope.since), until=_at(scope.until))),
        counts,
        complete_line(words, counted.complete_until),
    ]
    if not listed.claims:
        return [*parts, words("claims.none")]
    made = table(
        words("claims.when"), words("claims.guide"), words("claims.claim"), words("claims.standing"), words("claims.records"),
        words("claims.item"), fold=(4, 5),
    )  # fmt: skip
    for one in listed.claims:
        made.add_row(
            f"{one.occurred_at:%m-%d %H:%M}",
            one.guide,
            f"{words.code('channels', one.channel)} {words.code('outcomes', one.outcome)}",
            words.code("standings", one.standing),
            "\n".join(one.records),
            f"{one.task_id}#{one.version}",
        )
    return [*parts, made, f"  {session.command('audit', 'timeline', 'task', str(listed.claims[0].task_id))}"]


@click.command("signs")
@since_option
@until_option
@guide_option
@json_option
@pass_session
def signs_command(session: Session, /, **where: str | None) -> None:
    """造假迹象，供督导判断 / Signs of faking, for the supervisor to judge."""

    async def read() -> tuple[Scope, SignsFound]:
        async with session.ledger() as (ledger, _):
            async with ledger.connection() as connection:
                scope = await _scope(connection, ledger.tenant_id, **where)
            return scope, await audit_signs(ledger, scope)

    scope, found = session.run(read())
    words = session.words
    parts: list[RenderableType] = [
        heading(words("signs.title", since=_at(scope.since), until=_at(scope.until))),
        complete_line(words, found.complete_until),
    ]
    made = table(
        words("signs.sign"), words("claims.guide"), words("signs.since"), words("signs.rests_on"), fold=(3,)
    )
    for sign in found.signs:
        rests_on = (*sign.records, *sign.others, *sign.check_ins)
        made.add_row(
            words.code("sign_codes", sign.code),
            sign.guide,
            f"{sign.since:%m-%d %H:%M}",
            "\n".join(rests_on),
        )
    parts += [made] if found.signs else [words("signs.none")]
    parts += [
        words("signs.not_looked_for", sign=words.code("sign_codes", code)) for code in found.not_looked_for
    ]
    streams = [name.partition("#")[0] for sign in found.signs for name in sign.check_ins]
    if streams:
        parts.append(f"  {session.command('audit', 'timeline', 'stream', streams[0])}")
    session.show(
        {
            "since": scope.since,
            "until": scope.until,
            "complete_until": found.complete_until,
            "signs": [asdict(sign) for sign in found.signs],
            "not_looked_for": found.not_looked_for,
        },
        *parts,
    )


async def _scope(
    connection: Driver,
    tenant_id: int,
    *,
    since: str | None,
    until: str | None,
    guide: str | None,
    plan: str | None = None,
) -> Scope:
    at = now()
    last = at if until is None else read_instant("--until", until)
    first = last - timedelta(days=DAYS) if since is None else read_instant("--since", since)
    if first >= last:
        raise Refused([Problem("--since", first.isoformat(), "span_empty", {"until": last.isoformat()})])
    guides = None
    if guide is not None:
        known = {one.code: one.guide_id for one in await facts.guides(connection, tenant_id)}
        if guide not in known:
            near = {"nearest": nearest(guide, frozenset(known)) or "—"}
            raise Refused([Problem("--guide", guide, "unknown_guide", near)])
        guides = [known[guide]]
    return Scope(as_of=at, since=first, until=last, guides=guides, plan_id=plan)


def _at(instant: datetime | None) -> Any:
    return "" if instant is None else f"{instant:%Y-%m-%d %H:%M} UTC"
