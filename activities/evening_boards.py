"""Boards of the evening: a store's day summary, the score sheet, a guide's own score, and rates per day by plan.

They count **items**: a day's figures do, a cycle's count distinct members, so days do not add up to a cycle. Cost: that of
`ledger.guide_day_figures`, and six round trips for roster, moment, rules or plans' names, and basis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from activities.board_audience import (
    ANYWHERE,
    EVERYBODY,
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
from domain.calendar import business_date
from domain.errors import NotFound, Problem
from domain.evening import ScoreSheet, add_sheets, score, unasked
from domain.rate import Rate
from ledger.evening_rules import EveningRules, read_evening_rules
from ledger.guide_day_figures import GuideDayFigures, ItemFigures, add_items, read_guide_days
from ledger.ledger import Ledger

_ITEMS = ("items_not_members",)
_STAGE = Column("stage", "code", "boards.day_stages")
_SCORE = (
    _STAGE, Column("count"), Column("target"), Column("share", "rate"), Column("points", "number"),
    Column("most_points", "number"), Column("weak", "flag"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scored:
    """A guide's day with its score sheet, and where she stood."""

    day: GuideDayFigures
    sheet: ScoreSheet
    guide: str
    name: str
    store: str


async def make_day_summary(
    ledger: Ledger, audience: Audience, when: When, on: date | None = None, *, where: Where = ANYWHERE
) -> Board:
    """A day for whoever answers for stores: every store and guide, items and results, what is left over, score and weak stage.

    A campaign is no scope of it: a guide's day is of all plans.
    """
    found = await _read_day(ledger, Audience(audience.stores), when, on, where)
    stores: dict[str, list[_Scored]] = {}
    for one in found.scored:
        stores.setdefault(one.store, []).append(one)
    names = {store.code: store.name for store in found.scope.roster.stores.values()}
    rows = [("store", code, names[code], code, *_summed(every)) for code, every in sorted(stores.items())]
    rows += [("guide", one.guide, one.name, one.store, *_summed([one])) for one in found.scored]
    return Board(
        "day_summary",
        found.basis,
        (
            Column("level", "code", "boards.by"), Column("code", "text"), Column("name", "text"), Column("store", "text"),
            Column("closed", "flag"), Column("version", "number"), Column("listed"), Column("done"),
            Column("attempt_rate", "rate"), Column("reached", heading="boards.columns.items_reached"),
            Column("completion_rate", "rate"), Column("success", heading="boards.columns.day_success"), Column("booked"),
            Column("came"), Column("joined"), Column("added"), Column("carried"), Column("expired"), Column("late"),
            Column("corrected"), Column("complaints"), Column("conflicts"), Column("points", "number"),
            Column("most_points", "number"), Column("weak_stage", "code", "boards.day_stages"),
        ),
        tuple(rows),
        {"day": found.span.since.isoformat()},
        (*_ITEMS, "day_versions", "complaints_open", "points_no_wages"),
        ("total", "", "", "", *_summed(found.scored)),
    )  # fmt: skip


async def make_score_sheet(
    ledger: Ledger, audience: Audience, when: When, on: date | None = None, *, where: Where = ANYWHERE
) -> Board:
    """Each stage of every guide's day against its target, with its points: a row a guide and stage."""
    found = await _read_day(ledger, Audience(audience.stores), when, on, where)
    rows = [(one.guide, one.name, one.store, *cells) for one in found.scored for cells in _stages(one.sheet)]
    return Board(
        "score_sheet",
        found.basis,
        (Column("guide", "text"), Column("name", "text"), Column("store", "text"), *_SCORE),
        tuple(rows),
        {"day": found.span.since.isoformat()},
        (*_ITEMS, "no_target", "points_no_wages"),
    )


async def make_guide_score(ledger: Ledger, when: When, guide: str, on: date | None = None) -> Board:
    """A guide's own score of a day, with her weak stage: nothing of anybody else is in it.

    Raises:
        NotFound: no such guide, or she had no list on that day by then.
    """
    found = await _read_day(ledger, EVERYBODY, when, on, ANYWHERE, guide)
    if not found.scored:
        raise NotFound(Problem("date", found.span.since.isoformat(), "no_list", {"guide": guide}))
    (one,) = found.scored
    sheet = one.sheet
    told = {
        "guide": one.guide,
        "day": one.day.day.isoformat(),
        "points": str(sheet.points),
        "most": str(sheet.most),
        "day_stages": sheet.weak_stage or "none",
    }
    rows = tuple(_stages(sheet))
    return Board("guide_score", found.basis, _SCORE, rows, told, (*_ITEMS, "no_target", "points_no_wages"))


async def make_day_rates(
    ledger: Ledger, audience: Audience, when: When, days: Days, *, where: Where = ANYWHERE
) -> Board:
    """Rates per day by plan, counted in items: a row a day and plan."""
    async with snapshot(ledger) as connection:
        tenant = ledger.tenant_id
        scope = await read_scope(connection, tenant, audience, when, where)
        span = days.span(scope, when)
        found = _in_scope(
            scope, await read_guide_days(connection, tenant, scope.guides(span), span, scope.moment)
        )
        named = await connection.fetch(
            "SELECT plan_id, spec->>'name' AS name FROM plan WHERE tenant_id = $1", tenant
        )
        basis = await read_basis(connection, tenant, scope, span)
    names = {row["plan_id"]: row["name"] for row in named}
    by: dict[tuple[date, str], list[ItemFigures]] = {}
    for one in found:
        for plan, items in one.plans.items():
            if scope.plan_id in (None, plan):
                by.setdefault((one.day, plan), []).append(items)
    summed = {key: add_items(parts) for key, parts in sorted(by.items())}
    return Board(
        "day_rates",
        basis,
        (
            Column("day", "date"), Column("plan", "text"), Column("name", "text"), Column("listed"), Column("done"),
            Column("attempt_rate", "rate"), Column("reached", heading="boards.columns.items_reached"),
            Column("completion_rate", "rate"), Column("success", heading="boards.columns.day_success"),
            Column("day_success_rate", "rate"),
        ),
        tuple((day, plan, names[plan], *_rates(items)) for (day, plan), items in summed.items()),
        {},
        (*_ITEMS, "day_success_is"),
        ("", "", "", *_rates(add_items(summed.values()))),
    )  # fmt: skip


def _rates(items: ItemFigures) -> tuple[Cell, ...]:
    return (
        items.listed, items.done, Rate(items.done, items.listed), items.reached, Rate(items.reached, items.listed),
        items.success, Rate(items.success, items.reached),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Day:
    scope: Scope
    span: Span
    basis: Basis
    scored: Sequence[_Scored]
    """By guide's code."""


async def _read_day(
    ledger: Ledger, audience: Audience, when: When, on: date | None, where: Where, guide: str | None = None
) -> _Day:
    async with snapshot(ledger) as connection:
        tenant = ledger.tenant_id
        scope = await read_scope(connection, tenant, audience, when, where)
        day = on or business_date(when.at or when.now, _zone_of(scope, guide))
        span = Span(day, day)
        guides = (
            scope.guides(span)
            if guide is None
            else [await guide_in_scope(connection, tenant, scope, guide, span)]
        )
        rules = await read_evening_rules(connection, tenant, day, scope.moment)
        found = _in_scope(scope, await read_guide_days(connection, tenant, guides, span, scope.moment))
        basis = await read_basis(connection, tenant, scope, span)
    scored = [_score(scope, one, rules) for one in found]
    return _Day(scope, span, basis, sorted(scored, key=lambda one: one.guide))


def _zone_of(scope: Scope, guide: str | None) -> str:
    """The clock of the guide's own store, or of most of the stores."""
    known = next((one for one in scope.roster.guides.values() if one.code == guide), None)
    return scope.zone() if known is None else scope.roster.stores[known.store_id].time_zone


def _in_scope(scope: Scope, days: Iterable[GuideDayFigures]) -> list[GuideDayFigures]:
    key_of = scope.key_of("guide")
    return [one for one in days if key_of(one.guide_id, one.day) is not None]


def _score(scope: Scope, one: GuideDayFigures, rules: EveningRules) -> _Scored:
    stages = one.items.stages
    sheet = (
        unasked(stages)
        if one.absent
        else score(stages, calls=one.target_calls, invitations=one.target_invitations, rule=rules.score)
    )
    guide = scope.roster.guides[one.guide_id]
    store: UUID = scope.roster.store_on(one.guide_id, one.day)
    return _Scored(one, sheet, guide.code, guide.name, scope.roster.stores[store].code)


def _stages(sheet: ScoreSheet) -> list[tuple[Cell, ...]]:
    return [
        (
            one.stage, one.count, one.target, one.share or Rate(one.count, 0), one.points, one.most, one.stage == sheet.weak_stage,
        )
        for one in sheet.stages
    ]  # fmt: skip


def _summed(every: Sequence[_Scored]) -> tuple[Cell, ...]:
    """Guides' days together. What was left over is told once all of them are closed, and so is the version: their sum."""
    items = add_items(one.day.items for one in every)
    sheet = add_sheets(one.sheet for one in every)
    closed = bool(every) and all(one.day.version is not None for one in every)

    def left(name: str) -> int | None:
        return sum(getattr(one.day, name) for one in every) if closed else None

    return (
        closed, left("version"), items.listed, items.done, Rate(items.done, items.listed), items.reached,
        Rate(items.reached, items.listed), items.success, items.booked, items.came, items.joined, items.added,
        left("carried"), left("expired"), items.late, items.corrected, items.complaints, items.conflicts, sheet.points,
        sheet.most, sheet.weak_stage or "none",
    )  # fmt: skip
