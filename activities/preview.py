"""A plan before it is launched: checked against the brand, and what it would start with. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from activities.assignment import Drawn, draw_cycle
from activities.forecasting import DAYS_AHEAD, Forecast, foresee, read_ability, with_contacts
from activities.plan_hours import look_at_hours
from activities.plans import plan_zone
from domain.calendar import business_date, local_instant
from domain.day_norm import capacity_of
from domain.errors import Problem, Refused
from domain.plan import Plan
from domain.playbook import check_plan
from ledger.day_norms import read_day_norm
from ledger.ledger import Ledger
from ledger.plans import references
from ledger.report import UnassignedReason, by_reasons


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would start with: the first cycle, how many guides take part, and why nobody takes some members."""

    drawn: Drawn
    guides: int
    unassigned: tuple[UnassignedReason, ...]
    a_day: int
    """How many of its items a guide can do in a day."""
    forecast: Forecast
    """The first working days, with what the other plans ask for."""
    notes: tuple[Problem, ...] = ()
    """What should be known and may be launched with."""


async def preview_plan(ledger: Ledger, plan: Plan, *, at: datetime, on: date | None = None) -> Preview:
    """Check a plan and draw its first cycle as of `at`, or as of the first instant of the day `on`.

    Raises:
        Refused: what is missing or unknown in it, all of it.
    """
    able = await read_ability(ledger, plan)
    async with ledger.connection() as connection:
        known = await references(connection, ledger.tenant_id)
        zone = await plan_zone(connection, ledger.tenant_id, plan)
        problems = check_plan(plan, references=known, today=on or business_date(at, zone))
        hours = await look_at_hours(connection, ledger.tenant_id, plan)
        problems += hours.problems
        if problems:
            raise Refused(problems)
        async with connection.transaction(readonly=True):
            instant = at if on is None else local_instant(on, time(0), zone)
            norm = await read_day_norm(connection, ledger.tenant_id)
            drawn = await draw_cycle(connection, ledger.tenant_id, plan, 1, instant)
            today = business_date(instant, zone)
            foreseen = await foresee(
                connection,
                ledger.tenant_id,
                plan,
                able,
                today=today,
                days=min(DAYS_AHEAD, plan.period.working_days),
                would_make=drawn.tasks,
            )
    foreseen = await with_contacts(
        ledger, plan, foreseen, able, today=today, at=instant, would_make=drawn.tasks
    )
    nobody = by_reasons(one.tried for one in drawn.assigned if one.guide is None)
    taking_part = sum(plan.care.takes_part(code) for code in known.guides)
    return Preview(drawn, taking_part, nobody, capacity_of(plan, norm), foreseen, hours.notes)
