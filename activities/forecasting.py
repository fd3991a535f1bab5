"""The forecast of a plan's coming days: each guide's load from all plans against her capacity. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from activities.plans import plan_zone, takes_part
from domain.calendar import business_date
from domain.day_norm import Capacity, DayNorm, day_capacity, invites
from domain.events import TaskCreated
from domain.forecast import DayLoad, day_loads, first_over, summed
from domain.plan import Plan
from ledger import facts
from ledger.day_norms import read_day_norm
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.load import due_ahead
from ledger.plans import read_plan, running_plans

DAYS_AHEAD = 10
"""Working days that are foreseen where nothing else is asked (ours)."""
MOST_DAYS = 60


@dataclass(frozen=True, slots=True)
class GuideForecast:
    """A guide's coming days for one kind of item; `over_from` is the first day with more than she can do."""

    guide: str
    store: str
    kind: str
    over_from: date | None
    days: tuple[DayLoad, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The coming working days: all guides together by kind, and each; those that come to be over capacity first."""

    plan: str
    totals: dict[str, tuple[DayLoad, ...]]
    guides: tuple[GuideForecast, ...]

    @property
    def over(self) -> int:
        """How many guides come to have more than they can do."""
        return len({one.guide for one in self.guides if one.over_from is not None})


async def forecast_plan(ledger: Ledger, plan_id: str, *, at: datetime, days: int = DAYS_AHEAD) -> Forecast:
    """What the coming working days of a launched plan bring its guides, from all running plans.

    Raises:
        NotFound: there is no such plan.
    """
    async with ledger.connection() as connection:
        plan = (await read_plan(connection, ledger.tenant_id, plan_id)).plan
        today = business_date(at, await plan_zone(connection, ledger.tenant_id, plan))
        return await foresee(connection, ledger.tenant_id, plan, today=today, days=days)


async def foresee(
    connection: Driver,
    tenant_id: int,
    plan: Plan,
    *,
    today: date,
    days: int = DAYS_AHEAD,
    would_make: Sequence[TaskCreated] | None = None,
) -> Forecast:
    """The forecast from today, or from the plan's first day where that is ahead. Five round trips.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        plan: launched, or to be; its calendar says which days are worked.
        today: what is overdue then is there on the first day.
        days: how many working days are told.
        would_make: items the plan would begin with, were it launched, in place of those it has.
    """
    calendar = plan.working_calendar
    first = calendar.working_on_or_after(max(today, plan.period.start))
    told = calendar.working_days(first, days)
    # What is due before the plan begins is worked off until then.
    before = calendar.working_days(today, calendar.count_working(today, first) - 1) if today < first else []
    working = [*before, *told]
    due: dict[tuple[UUID, bool], Counter[date]] = {}
    for one in await due_ahead(
        connection, tenant_id, until=working[-1], without=None if would_make is None else plan.plan
    ):
        due.setdefault((one.guide_id, one.invitation), Counter())[one.day] += one.items
    for task in would_make or ():
        due.setdefault((task.guide, invites(plan)), Counter())[task.due_on] += 1
    norm = await read_day_norm(connection, tenant_id)
    others = [standing.plan for standing in await running_plans(connection, tenant_id)]
    every = [*(one for one in others if one.plan != plan.plan), plan]
    found = [
        _of_guide(guide, kind, working, len(before), due[guide.guide_id, kind], _capacity(guide, every, norm))
        for guide in await facts.guides(connection, tenant_id)
        for kind in (False, True)
        if takes_part(guide, plan) and (guide.guide_id, kind) in due
    ]
    totals = {
        kind: summed(loads)
        for kind in ("call", "invitation")
        if (loads := [one.days for one in found if one.kind == kind])
    }
    ordered = sorted(found, key=lambda one: (one.over_from or date.max, one.guide, one.kind))
    return Forecast(plan.plan, totals, tuple(ordered))


def _of_guide(
    guide: facts.GuideFacts,
    invitation: bool,
    working: Sequence[date],
    untold: int,
    due: Counter[date],
    capacity: Capacity,
) -> GuideForecast:
    most = capacity.invitations if invitation else capacity.calls
    loads = day_loads(working, due, [0 if _away(guide, day) else most for day in working])[untold:]
    kind = "invitation" if invitation else "call"
    return GuideForecast(guide.code, guide.store_code, kind, first_over(loads), loads)


def _capacity(guide: facts.GuideFacts, plans: Sequence[Plan], norm: DayNorm) -> Capacity:
    """As lists hold it (`ledger.day_norms.asked_of_day`)."""
    return day_capacity([one for one in plans if takes_part(guide, one)], norm)


def _away(guide: facts.GuideFacts, day: date) -> bool:
    return (
        guide.on_leave_from is not None
        and guide.on_leave_from <= day
        and (guide.on_leave_to is None or day <= guide.on_leave_to)
    )
