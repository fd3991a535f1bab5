"""Boards of figures: leaderboards, lost orders, the organiser's summary, HR's month. Each is a `domain.board.Board`.

Cost: that of their readers (`ledger.performances`, `ledger.visits`), and five round trips for roster, moment and basis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from activities.board_audience import ANYWHERE, Audience, Scope, When, Where, read_basis, read_scope, snapshot
from domain.act import measured
from domain.board import Board, Cell, Column
from domain.board_span import MOST_DAYS, Span, SpanKind, named_span, span_of
from domain.calendar import business_date
from domain.errors import NotFound, Problem
from domain.leaderboard import By, Measure, Performance, leaderboard
from domain.lost_orders import DID_NOT_COME, NOT_TOLD, LostOrders, add_lost, lost_orders
from domain.plan import Plan
from ledger.cycles import read_cycle
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.performances import Lists, read_lists, read_performances, total
from ledger.plans import read_plan
from ledger.visits import read_visits

NO_COMMISSION = "no_commission"
"""No commission is kept yet: none is shown."""
NO_POINTS = "no_points"

_COUNTS = (
    Column("due"), Column("completed"), Column("completion_rate", "rate"), Column("success"), Column("window_closed"),
    Column("success_rate", "rate"), Column("revenue", "money"), Column("added"),
)  # fmt: skip


def _counts(one: Performance) -> tuple[Cell, ...]:
    figures = one.figures
    return (
        figures.due, figures.followed_up, figures.completion_rate, one.succeeded, figures.window_closed,
        figures.success_rate, one.revenue, one.added,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Days:
    """Which days: named ones, or the day, week or month that `on` is in; today where nothing is named."""

    kind: SpanKind = "day"
    on: date | None = None
    since: date | None = None
    until: date | None = None

    def span(self, scope: Scope, when: When) -> Span:
        """The days.

        Raises:
            Refused: they are none, or too many.
        """
        today = business_date(when.at or when.now, scope.zone())
        if self.since is not None or self.until is not None:
            until = self.until or max(today, self.since or today)
            return named_span(self.since or until - timedelta(days=MOST_DAYS - 1), until)
        return span_of(self.kind, self.on or today)


async def make_leaderboard(
    ledger: Ledger,
    audience: Audience,
    when: When,
    days: Days,
    *,
    measure: Measure,
    by: By = "guide",
    where: Where = ANYWHERE,
) -> Board:
    """Who did most, by guide, store or region; a guide sees her store's."""
    async with snapshot(ledger) as connection:
        scope = await read_scope(connection, ledger.tenant_id, audience, when, where)
        span = days.span(scope, when)
        found = await _performances(connection, ledger.tenant_id, scope, span, by)
        basis = await read_basis(connection, ledger.tenant_id, scope, span)
    names = _Names(scope, by, span)
    rows = [
        (
            rank,
            *names(one.key),
            *_counts(one),
            *([] if scope.guide is None else [one.key == str(scope.guide)]),
        )
        for rank, one in leaderboard(found, measure, name=lambda key: str(names(key)[0]))
    ]
    me = () if scope.guide is None else (Column("me", "flag"),)
    return Board(
        "leaderboard",
        basis,
        (Column("rank", "number"), *_NAMED[by], *_COUNTS, *me),
        tuple(rows),
        {"measure": measure, "by": by},
        (*_partly(scope, by), "success_so_far", NO_COMMISSION),
    )


_NAMED = {
    "guide": (Column("guide", "text"), Column("name", "text"), Column("store", "text")),
    "store": (Column("store", "text"), Column("name", "text"), Column("region", "text")),
    "region": (Column("region", "text"),),
}


@dataclass(frozen=True, slots=True)
class _Names:
    """Code, name and place of a key."""

    scope: Scope
    by: By
    span: Span

    def __call__(self, key: str) -> tuple[str, ...]:
        roster = self.scope.roster
        if self.by == "region":
            return (key,)
        if self.by == "store":
            store = roster.stores[UUID(key)]
            return (store.code, store.name, store.region)
        guide = roster.guides[UUID(key)]
        return (guide.code, guide.name, roster.stores[self._stood(UUID(key))].code)

    def _stood(self, guide: UUID) -> UUID:
        """Where she stood last in the span, of the stores in scope."""
        stores = self.scope.stores
        for offset in range(self.span.days):
            store = self.scope.roster.store_on(guide, self.span.until - timedelta(days=offset))
            if stores is None or store in stores:
                return store
        return self.scope.roster.store_on(guide, self.span.until)


def _partly(scope: Scope, by: By) -> tuple[str, ...]:
    return ("in_reach",) if by == "region" and scope.stores is not None else ()


async def _performances(
    connection: Driver, tenant_id: int, scope: Scope, span: Span, by: By, guides: Sequence[UUID] | None = None
) -> list[Performance]:
    return await read_performances(connection, tenant_id, scope.work(by, span, guides))


async def make_lost_orders(
    ledger: Ledger,
    audience: Audience,
    when: When,
    days: Days,
    *,
    by: By = "store",
    where: Where = ANYWHERE,
) -> Board:
    """Visits and bookings that brought no order, and why (流单率)."""
    async with snapshot(ledger) as connection:
        scope = await read_scope(connection, ledger.tenant_id, audience, when, where)
        span = days.span(scope, when)
        visits = await read_visits(connection, ledger.tenant_id, scope.work(by, span))
        basis = await read_basis(connection, ledger.tenant_id, scope, span)
    names = _Names(scope, by, span)
    counted = lost_orders(visits, as_of=scope.moment.at)
    summed = add_lost(counted.values())
    reasons = sorted(summed.reasons, key=lambda reason: (-summed.reasons[reason], reason))
    rows = sorted(
        ((*names(key), *_lost(one, reasons)) for key, one in counted.items()), key=lambda row: str(row[0])
    )
    blank = tuple("" for _ in _NAMED[by][1:])
    return Board(
        "lost_orders",
        basis,
        (
            *_NAMED[by], Column("visits"), Column("ordered"), Column("lost"), Column("lost_rate", "rate"),
            Column("still_open"),
            *(Column(f"reason_{reason}", heading=_reason_heading(reason)) for reason in reasons),
        ),
        tuple(rows),
        {"by": by},
        (*_partly(scope, by), "visits_are"),
        ("", *blank, *_lost(summed, reasons)),
    )  # fmt: skip


def _reason_heading(reason: str) -> str:
    own = {NOT_TOLD, DID_NOT_COME}
    return f"boards.reasons.{reason}" if reason in own else f"outcomes.{reason}"


def _lost(one: LostOrders, reasons: Sequence[str]) -> tuple[Cell, ...]:
    return (
        one.visits, one.ordered, one.lost, one.rate, one.open, *(one.reasons.get(reason, 0) for reason in reasons),
    )  # fmt: skip


async def make_summary(
    ledger: Ledger,
    audience: Audience,
    when: When,
    plan_id: str,
    *,
    since: date | None = None,
    until: date | None = None,
) -> Board:
    """Sheet 3, the organiser's: every store and guide of a campaign against its target."""
    async with snapshot(ledger) as connection:
        tenant = ledger.tenant_id
        standing = await read_plan(connection, tenant, plan_id)
        cycle = await read_cycle(connection, tenant, plan_id, standing.cycle)
        if cycle is None:
            raise NotFound(Problem("plan", plan_id, "cycle_not_begun", {"plan": plan_id}))
        scope = await read_scope(connection, tenant, audience, when, Where(plan=plan_id))
        last = until or min(
            cycle.ends_on, max(business_date(when.at or when.now, cycle.time_zone), cycle.starts_on)
        )
        first = since or max(cycle.starts_on, last - timedelta(days=MOST_DAYS - 1))
        span = named_span(min(first, last) if since is None else first, last)
        by_store = await _performances(connection, tenant, scope, span, "store")
        by_guide = await _performances(connection, tenant, scope, span, "guide")
        basis = await read_basis(connection, tenant, scope, span, cycle.time_zone)
    plan = standing.plan
    rows: list[tuple[Cell, ...]] = []
    stores, guides = _Names(scope, "store", span), _Names(scope, "guide", span)
    for one in sorted(by_store, key=lambda one: stores(one.key)[0]):
        code, name, _ = stores(one.key)
        rows.append(("store", code, name, *_against(plan, one)))
    for one in sorted(by_guide, key=lambda one: guides(one.key)[0]):
        code, name, _ = guides(one.key)
        rows.append(("guide", code, name, *_against(plan, one)))
    summed = total(by_store)
    return Board(
        "summary",
        basis,
        (
            Column("level", "code", "boards.by"), Column("code", "text"), Column("name", "text"), Column("due"),
            Column("attempted"), Column("completed"), Column("completion_rate", "rate"), Column("added"), Column("joined"),
            Column("booked"), Column("came"), Column("success"), Column("success_rate", "rate"), Column("revenue", "money"),
            Column("target", "text"), Column("result", "text"), Column("reached", "flag"),
        ),
        tuple(rows),
        {"plan": plan_id, "name": plan.name, "cycle": str(standing.cycle)},
        ("success_so_far", NO_COMMISSION),
        ("total", "", "", *_against(plan, summed, whole=True)),
    )  # fmt: skip


def _against(plan: Plan, one: Performance, *, whole: bool = False) -> tuple[Cell, ...]:
    """What was done, and the plan's goal beside it: a rate is everybody's, a sum is the whole campaign's only."""
    figures, goal = one.figures, plan.goal
    is_rate = goal.measure.endswith("_rate")
    # Members in the plan at the cycle's start are the Check's: a span of days has none.
    shown = (is_rate or whole) and goal.measure != "repurchase_rate"
    result = measured(plan, figures) if shown else None
    unit = " %" if is_rate else ""
    return (
        figures.due, figures.attempted, figures.followed_up, figures.completion_rate, one.added,
        one.outcomes.get("joined_group", 0), one.outcomes.get("booked_visit", 0), one.outcomes.get("came", 0),
        one.succeeded, figures.success_rate, one.revenue, f"{goal.target:f}{unit}" if shown else "",
        "" if result is None else f"{result:f}{unit}", "" if result is None else result >= goal.target,
    )  # fmt: skip


async def make_month(
    ledger: Ledger,
    audience: Audience,
    when: When,
    month: date,
    *,
    store: str | None = None,
    after: str = "",
    limit: int | None = None,
) -> tuple[Board, str | None]:
    """HR's sheet of a month: a row a guide, those after a code; and the last code where there are more.

    Asked for again at the instant and position it names, it is the same. A campaign is no scope of it: a guide's days and
    lists are of all plans.
    """
    audience = Audience(audience.stores)
    async with snapshot(ledger) as connection:
        tenant = ledger.tenant_id
        scope = await read_scope(connection, tenant, audience, when, Where(store=store))
        span = span_of("month", month)
        every = [one for one in scope.guides(span) if scope.roster.guides[one].code > after]
        shown = every if limit is None else every[:limit]
        lists = await read_lists(connection, tenant, shown, span, scope.moment)
        found = await _performances(connection, tenant, scope, span, "guide", shown)
        basis = await read_basis(connection, tenant, scope, span)
    did = {one.key: one for one in found}
    names = _Names(scope, "guide", span)
    rows = [
        (
            *names(str(guide)),
            *_month_of(scope, guide, lists.get(guide), did.get(str(guide), Performance(str(guide)))),
        )
        for guide in shown
    ]
    board = Board(
        "month",
        basis,
        (
            *_NAMED["guide"], Column("days_worked"), Column("lists"), Column("due"), Column("attempted"),
            Column("attempt_rate", "rate"), Column("completed"), Column("completion_rate", "rate"), Column("window_closed"),
            Column("succeeded"), Column("success_rate", "rate"), Column("provisional"), Column("provisional_succeeded"),
            Column("revenue_closed", "money"), Column("provisional_revenue", "money"),
        ),
        tuple(rows),
        {"month": f"{month:%Y-%m}"},
        (NO_POINTS, NO_COMMISSION),
    )  # fmt: skip
    more = scope.roster.guides[shown[-1]].code if len(shown) < len(every) else None
    return board, more


def _month_of(scope: Scope, guide: UUID, lists: Lists | None, did: Performance) -> tuple[Cell, ...]:
    key_of, known, figures = scope.key_of("guide"), lists or Lists(), did.figures
    here = frozenset(day for day in known.days | known.clocked_in if key_of(guide, day) is not None)
    return (
        len(known.clocked_in & here | did.days), len(known.days & here), figures.due, figures.attempted,
        figures.attempt_rate, figures.followed_up, figures.completion_rate, figures.window_closed, figures.succeeded,
        figures.success_rate, figures.provisional, figures.provisional_succeeded, figures.revenue,
        figures.provisional_revenue,
    )  # fmt: skip
