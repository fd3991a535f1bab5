"""A cycle's items: who will run out of what, and when the guide should call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

from domain.calendar import WorkingCalendar
from domain.events import TaskCreated
from domain.identifiers import derived_id
from domain.plan import Plan
from domain.replenishment import (
    Purchase,
    due_date,
    estimate,
    longest_reminder_span,
    segment_days_per_unit,
    segment_rhythm,
)
from domain.rhythm import Rhythm


@dataclass(frozen=True, slots=True)
class History:
    """What one member bought of one category, a line a day, up to an instant."""

    member_id: UUID
    category_id: int
    category: str
    purchases: tuple[Purchase, ...]
    bought_at: datetime
    """The last line that was bought (not returned)."""


def use_rates(histories: Iterable[History]) -> dict[int, Decimal]:
    """The segment's own days per unit for each category that was bought again; the last resort of an estimate."""
    rates = {category: segment_days_per_unit(bought) for category, bought in _by_category(histories).items()}
    return {category: rate for category, rate in rates.items() if rate is not None}


def use_rhythms(histories: Iterable[History]) -> dict[int, Rhythm]:
    """The segment's rhythm for each category in which enough members bought again.

    Cost: up to a second a category (`domain.rhythm.fit`), no read: the histories are those of the draw.
    """
    rhythms = {category: segment_rhythm(bought) for category, bought in _by_category(histories).items()}
    return {category: rhythm for category, rhythm in rhythms.items() if rhythm is not None}


def _by_category(histories: Iterable[History]) -> dict[int, list[tuple[Purchase, ...]]]:
    by_category: dict[int, list[tuple[Purchase, ...]]] = {}
    for history in sorted(histories, key=lambda h: (h.category_id, h.member_id)):
        by_category.setdefault(history.category_id, []).append(history.purchases)
    return by_category


def longest_span(histories: Sequence[History], plan: Plan, rates: Mapping[int, Decimal]) -> int:
    """Months within which all members must have been visited; 0 where nothing can be estimated."""
    by_category: dict[int, list[History]] = {}
    for history in histories:
        by_category.setdefault(history.category_id, []).append(history)
    spans = []
    for category_id in sorted(by_category):
        group = by_category[category_id]
        rate = plan.means[0].days_per_unit.get(group[0].category) or rates.get(category_id)
        if rate is not None:
            spans.append(longest_reminder_span((history.purchases for history in group), rate))
    return max(spans, default=0)


GOING_COLD = "going_cold"
"""The basis of an item of a member whom nobody has spoken to for long."""


@dataclass(frozen=True, slots=True)
class Silent:
    """A member graded A or B and the last contact, with what their items were about."""

    member_id: UUID
    guide_id: UUID
    silent_since: datetime
    category_id: int
    bought_at: datetime
    """The last purchase of that category, or the one their last item rests on."""


def silent_task(silent: Silent, *, plan: str, cycle: int, day: date) -> TaskCreated:
    """The item of a member who is going cold, due on `day`; the same for the same contact, whenever it is made."""
    return TaskCreated(
        task=derived_id(
            "task", GOING_COLD, plan, str(cycle), str(silent.member_id), silent.silent_since.isoformat()
        ),
        plan=plan,
        cycle=cycle,
        member=silent.member_id,
        guide=silent.guide_id,
        category=silent.category_id,
        run_out_on=day,
        due_on=day,
        basis=GOING_COLD,
        days_per_unit="",
        bought_at=silent.bought_at,
        silent_since=silent.silent_since,
    )


def task_for(  # noqa: PLR0913 - each a fact of the one decision
    history: History,
    *,
    plan: Plan,
    cycle: int,
    guide_id: UUID,
    rates: Mapping[int, Decimal],
    first_day: date,
    last_day: date,
    calendar: WorkingCalendar,
    rhythms: Mapping[int, Rhythm] = MappingProxyType({}),
) -> TaskCreated | None:
    """The item that `history` calls for in a cycle; None if the member runs out after it.

    An item that should have come before `first_day` is due on it: overdue members come first, none is lost.
    So the due day goes by the run-out, not by when somebody overdue is to be expected now, which is told beside it.
    Its id follows from plan, cycle, member, category and the purchase it rests on, so that the same purchase
    never makes two items.

    `calendar`: the working days where the member is looked after; a due date on which it is closed moves to the
    working day before.
    """
    means = plan.means[0]
    out = estimate(
        history.purchases,
        product_days_per_unit=means.days_per_unit.get(history.category),
        segment_days_per_unit=rates.get(history.category_id),
        rhythm=rhythms.get(history.category_id),
        through=first_day - timedelta(days=1),
    )
    if out is None:
        return None
    due_on = max(due_date(out.run_out, means.lead_days, calendar), first_day)
    if due_on > last_day:
        return None
    return TaskCreated(
        task=derived_id(
            "task",
            plan.plan,
            str(cycle),
            str(history.member_id),
            str(history.category_id),
            history.bought_at.isoformat(),
        ),
        plan=plan.plan,
        cycle=cycle,
        member=history.member_id,
        guide=guide_id,
        category=history.category_id,
        run_out_on=out.run_out,
        due_on=due_on,
        basis=out.basis,
        days_per_unit=f"{out.days_per_unit:.2f}",
        bought_at=history.bought_at,
        expected_on=out.expected_on,
        own_intervals=out.own_intervals,
    )
