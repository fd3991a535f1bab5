"""The forecast of a plan's coming days: each guide's load from all plans against her capacity. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from activities.plans import plan_zone, takes_part
from domain.calendar import business_date
from domain.day_norm import Capacity, day_capacity, invites
from domain.events import TaskCreated
from domain.forecast import DayLoad, day_loads, first_over, summed
from domain.plan import Plan
from ledger import facts
from ledger.calendars import GuideCalendar, guide_calendars
from ledger.day_norms import read_day_norm
from ledger.door import Driver
from ledger.ledger import Ledger
from ledger.load import ContactsLeft, contacts_left, due_ahead
from ledger.plans import read_plan, running_plans

DAYS_AHEAD = 10
"""Working days that are foreseen where nothing else is asked (ours)."""
MOST_DAYS = 60
SIGHT_DAYS = 400
"""Days among which working days are looked for: a year in which a store may be closed for long."""


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
    contacts: ContactsLeft | None = None
    """Members who have no contact left in the week and the month of the first day that is told; None: no day is."""

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
    able = await read_ability(ledger, plan)
    async with ledger.connection() as connection:
        foreseen = await foresee(connection, ledger.tenant_id, plan, able, today=today, days=days)
    return await with_contacts(ledger, plan, foreseen, able, today=today, at=at)


async def with_contacts(
    ledger: Ledger,
    plan: Plan,
    foreseen: Forecast,
    able: Ability,
    *,
    today: date,
    at: datetime,
    would_make: Sequence[TaskCreated] | None = None,
) -> Forecast:
    """The forecast with how many of the members it is about have no contact left, whoever made those they had.

    Of what guides in the asker's reach look after; two numbers are told, of no member and of no other plan. One round trip.
    """
    days = able.working_days(plan, max(today, plan.period.start), 1)
    if not days:
        return foreseen
    async with ledger.for_upkeep().connection() as connection:
        told = await contacts_left(
            connection,
            ledger.tenant_id,
            day=days[0],
            known_at=at,
            plan_id=plan.plan if would_make is None else None,
            guides=able.calendars,
            members=sorted({task.member for task in would_make or ()}),
        )
    return replace(foreseen, contacts=told)


@dataclass(frozen=True, slots=True)
class Ability:
    """What says how much guides can do on which days."""

    capacities: Mapping[UUID, Capacity]
    """What a list holds, as it is cut (`ledger.day_norms.asked_of_day`): by guide, of the plans she takes part in."""
    calendars: Mapping[UUID, GuideCalendar]
    """Of the guides who take part and are the asker's to see."""

    def works(self, plan: Plan, guide: UUID, day: date) -> bool:
        """Whether a list of the plan's is cut for her on the day, as `ledger.calendars.days_off` has it."""
        layers = self.calendars[guide].layers
        return self.works_there(plan, guide, day) and (layers.guide is None or layers.guide.works(day))

    def works_there(self, plan: Plan, guide: UUID, day: date) -> bool:
        """Whether the plan is worked in her store on the day."""
        layers = self.calendars[guide].layers
        open_then = layers.store is None or bool(layers.store.on(day))
        return open_then and plan.working_calendar.within(layers.days).is_working(day)

    def working_days(self, plan: Plan, first: date, count: int) -> list[date]:
        """The first days from one on that are worked in any of the guides' stores; fewer where so many are not in sight."""
        stores = {one.store_id: guide for guide, one in self.calendars.items()}
        found: list[date] = []
        for ahead in range(SIGHT_DAYS):
            day = first + timedelta(days=ahead)
            if any(self.works_there(plan, guide, day) for guide in stores.values()):
                found.append(day)
            if len(found) == count:
                break
        return found


async def read_ability(ledger: Ledger, plan: Plan) -> Ability:
    """How much the guides in the asker's reach can do for a plan: the same for whoever asks. Two connections, in turn.

    A list's capacity comes from all running plans, and who has a shift from all layers: they are read whole, or two who see
    a guide would be told different numbers of her. Nothing of another plan but the capacity is told.
    """
    async with ledger.connection() as connection:
        guides = await facts.guides(connection, ledger.tenant_id)
    here = [one for one in guides if takes_part(one, plan)]
    async with ledger.for_upkeep().connection() as connection:
        norm = await read_day_norm(connection, ledger.tenant_id)
        running = [standing.plan for standing in await running_plans(connection, ledger.tenant_id)]
        calendars = await guide_calendars(connection, ledger.tenant_id, guides=[one.guide_id for one in here])
    every = [*(one for one in running if one.plan != plan.plan), plan]
    capacities = {
        guide.guide_id: day_capacity([one for one in every if takes_part(guide, one)], norm) for guide in here
    }
    return Ability(capacities, calendars)


async def foresee(
    connection: Driver,
    tenant_id: int,
    plan: Plan,
    able: Ability,
    *,
    today: date,
    days: int = DAYS_AHEAD,
    would_make: Sequence[TaskCreated] | None = None,
) -> Forecast:
    """The forecast from today, or from the plan's first day where that is ahead. Two round trips.

    Args:
        connection: of the ledger.
        tenant_id: the brand.
        plan: launched, or to be.
        able: of `read_ability`, which says which days are worked.
        today: what is overdue then is there on the first day.
        days: how many working days are told.
        would_make: items the plan would begin with, were it launched, in place of those it has.
    """
    first = max(today, plan.period.start)
    told = able.working_days(plan, first, days)
    if not told:
        return Forecast(plan.plan, {}, ())
    # What is due before the plan begins is worked off until then.
    before = [day for day in able.working_days(plan, today, (first - today).days) if day < told[0]]
    working = [*before, *told]
    due: dict[tuple[UUID, bool], Counter[date]] = {}
    for one in await due_ahead(
        connection, tenant_id, until=working[-1], without=None if would_make is None else plan.plan
    ):
        due.setdefault((one.guide_id, one.invitation), Counter())[one.day] += one.items
    for task in would_make or ():
        due.setdefault((task.guide, invites(plan)), Counter())[task.due_on] += 1
    found = []
    for guide in await facts.guides(connection, tenant_id):
        if guide.guide_id not in able.calendars:
            continue
        works = [able.works(plan, guide.guide_id, day) for day in working]
        capacity = able.capacities[guide.guide_id]
        for kind in (False, True):
            if (guide.guide_id, kind) in due:
                most = capacity.invitations if kind else capacity.calls
                hers = day_loads(working, due[guide.guide_id, kind], [most if one else 0 for one in works])
                found.append(_of_guide(guide, kind, hers[len(before) :]))
    totals = {
        kind: summed(loads)
        for kind in ("call", "invitation")
        if (loads := [one.days for one in found if one.kind == kind])
    }
    ordered = sorted(found, key=lambda one: (one.over_from or date.max, one.guide, one.kind))
    return Forecast(plan.plan, totals, tuple(ordered))


def _of_guide(guide: facts.GuideFacts, invitation: bool, loads: tuple[DayLoad, ...]) -> GuideForecast:
    kind = "invitation" if invitation else "call"
    return GuideForecast(guide.code, guide.store_code, kind, first_over(loads), loads)
