"""Boards about members: the funnel of a plan with who stands where, and the two sheets of a phone invitation drive.

Lists of members are read on the asker's own connection, so row-level security decides who is on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from activities.board_audience import (
    Audience,
    Scope,
    When,
    Where,
    guide_in_scope,
    read_basis,
    read_scope,
    snapshot,
)
from activities.boards import Days
from domain.board import Basis, Board, Cell, Column
from domain.board_span import Span
from domain.errors import NotFound, Problem, Refused
from domain.funnel import SOURCES, Stage, funnel
from ledger.board_moment import Moment
from ledger.funnels import StagesReached, read_stages, seen_members, within
from ledger.ledger import Ledger
from ledger.people import NOBODY, read_people
from ledger.phone_sheets import Asked, PhoneLine, Place, read_calls, read_successes
from ledger.plan_in_reach import plan_is_seen

AT_ONCE = timedelta(minutes=10)
"""A success is written at once within so long after the talk (ours)."""
MOST_LINES = 10_000
"""Lines of one sheet (ours)."""

SheetName = Literal["invitations", "successes"]


async def refuse_unseen_plan(ledger: Ledger, plan_id: str) -> None:
    """Nobody is told of a plan they do not see.

    Raises:
        NotFound: no such plan, or it is not in reach.
    """
    async with ledger.connection() as connection:
        if not await plan_is_seen(connection, ledger.tenant_id, plan_id):
            raise NotFound(Problem("plan", plan_id, "unknown_plan"))


@dataclass(frozen=True, slots=True)
class FunnelMember:
    """A member on a stage of the funnel."""

    member_id: UUID
    member: str
    """Masked."""


async def make_funnel(
    ledger: Ledger, audience: Audience, when: When, plan_id: str, *, cycle: int | None = None
) -> Board:
    """The funnel of a plan's cycle: of the whole campaign, or of the members in reach."""
    found, scope, basis = await _stages(ledger, audience, when, plan_id, cycle)
    members = within(found, await _seen(ledger, scope, found))
    rows: list[tuple[Cell, ...]] = [
        (one.stage, one.source, one.members, one.of_before, one.of_due) for one in funnel(members)
    ]
    return Board(
        "funnel",
        basis,
        (
            Column("stage", "code", "boards.stages"), Column("source", "code", "boards.sources"), Column("members"),
            Column("of_before", "rate"), Column("of_due", "rate"),
        ),
        tuple(rows),
        {"plan": plan_id, "name": found.plan.name, "cycle": str(found.cycle)},
        ("not_recorded", "stages_overlap"),
    )  # fmt: skip


async def list_stage(
    ledger: Ledger,
    audience: Audience,
    when: When,
    plan_id: str,
    stage: Stage,
    *,
    cycle: int | None = None,
    after: UUID | None = None,
    limit: int,
) -> list[FunnelMember]:
    """The members on a stage, in the order of their ids, those after one; of those the asker sees.

    Raises:
        Refused: no fact of today tells this stage.
    """
    if SOURCES[stage] is None:
        raise Refused([Problem("stage", stage, "stage_not_recorded")])
    found, scope, _ = await _stages(ledger, audience, when, plan_id, cycle)
    members = within(found, await _seen(ledger, scope, found))[stage]
    shown = sorted(one for one in members if after is None or one > after)[:limit]
    async with ledger.connection() as connection:
        people = await read_people(connection, ledger.tenant_id, ledger.keys, shown)
    return [FunnelMember(one, people.get(one, NOBODY).masked) for one in shown]


async def _stages(
    ledger: Ledger, audience: Audience, when: When, plan_id: str, cycle: int | None
) -> tuple[StagesReached, Scope, Basis]:
    await refuse_unseen_plan(ledger, plan_id)
    async with snapshot(ledger) as connection:
        scope = await read_scope(connection, ledger.tenant_id, audience, when, Where(plan=plan_id))
        found = await read_stages(connection, ledger.tenant_id, plan_id, cycle, scope.moment)
        span = Span(found.starts_on, found.ends_on)
        basis = await read_basis(connection, ledger.tenant_id, scope, span, found.time_zone)
    return found, scope, basis


async def _seen(ledger: Ledger, scope: Scope, found: StagesReached) -> frozenset[UUID] | None:
    if scope.whole:
        return None
    async with ledger.connection() as connection:
        return await seen_members(connection, ledger.tenant_id, found.plan.plan, found.cycle)


@dataclass(frozen=True, slots=True)
class WhichLines:
    """Which lines of a sheet; at most `limit` after a place."""

    guide: str | None = None
    store: str | None = None
    plan: str | None = None
    after: Place | None = None
    limit: int = MOST_LINES


async def make_sheet(
    ledger: Ledger, audience: Audience, when: When, days: Days, which: WhichLines, name: SheetName
) -> tuple[Board, Place | None]:
    """Sheet 1 or 2 of a phone invitation drive, and where the next page begins, if there is one.

    The lines are as of the instant; no position is needed to ask again, for a report keeps its times.
    """
    if which.plan is not None:
        await refuse_unseen_plan(ledger, which.plan)
    async with snapshot(ledger) as connection:
        where = Where(plan=which.plan, store=which.store)
        scope = await read_scope(connection, ledger.tenant_id, audience, when, where)
        span = days.span(scope, when)
        guides = scope.guides(span)
        if which.guide is not None:
            guides = [await guide_in_scope(connection, ledger.tenant_id, scope, which.guide, span)]
        basis = await read_basis(connection, ledger.tenant_id, scope, span)
    asked = Asked(guides, span, Moment(scope.moment.at), which.limit + 1, which.plan, which.after)
    read = read_calls if name == "invitations" else read_successes
    async with ledger.connection() as connection:
        lines = await read(connection, ledger.tenant_id, ledger.keys, asked)
    shown = lines[: which.limit]
    cells = _call if name == "invitations" else _success
    board = Board(
        name,
        Basis(basis.since, basis.until, basis.at, None, basis.time_zone, basis.complete_until, basis.whole),
        _COLUMNS[name],
        tuple(cells(scope, line) for line in shown),
        {},
        ("masked", "joined_by_qr") if name == "invitations" else ("masked", "at_once"),
    )
    return board, shown[-1].place if len(lines) > len(shown) else None


_COLUMNS: dict[SheetName, tuple[Column, ...]] = {
    "invitations": (
        Column("guide", "text"), Column("store", "text"), Column("member", "text"), Column("products", "text"),
        Column("grade", "text"), Column("dialled_at", "instant"), Column("outcome", "code", "outcomes"),
        Column("added", "flag", heading="boards.columns.added_friend"), Column("joined_by", "code", "channels"),
    ),
    "successes": (
        Column("guide", "text"), Column("store", "text"), Column("member", "text"), Column("agreed_at", "instant"),
        Column("outcome", "code", "outcomes"), Column("channel", "code", "channels"), Column("products", "text"),
        Column("next_on", "date"), Column("joined", "flag"), Column("bought", "flag"), Column("written_at", "instant"),
        Column("at_once", "flag"),
    ),
}  # fmt: skip


def _who(scope: Scope, line: PhoneLine) -> Sequence[str]:
    roster = scope.roster
    store = roster.stores[roster.store_on(line.guide_id, line.business_date)]
    return (roster.guides[line.guide_id].code, store.code, line.member)


def _call(scope: Scope, line: PhoneLine) -> tuple[Cell, ...]:
    return (
        *_who(scope, line), " · ".join(line.products), line.grade or "", line.occurred_at, line.outcome, line.added,
        line.joined_by or "",
    )  # fmt: skip


def _success(scope: Scope, line: PhoneLine) -> tuple[Cell, ...]:
    return (
        *_who(scope, line), line.occurred_at, line.outcome, line.channel, " · ".join(line.products), line.next_on or "",
        line.joined_by is not None, line.bought, line.known_at, line.written_after <= AT_ONCE,
    )  # fmt: skip
