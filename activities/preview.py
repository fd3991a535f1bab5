"""A plan before it is launched: checked against the brand, and what it would start with. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time

from activities.assignment import Drawn, draw_cycle
from activities.plan_hours import look_at_hours
from activities.plans import plan_zone
from domain.calendar import business_date, local_instant
from domain.errors import Problem, Refused
from domain.plan import Plan
from domain.playbook import check_plan
from ledger.ledger import Ledger
from ledger.plans import references
from ledger.report import UnassignedReason, by_reasons


@dataclass(frozen=True, slots=True)
class Preview:
    """What a plan would start with: the first cycle, how many guides take part, and why nobody takes some members."""

    drawn: Drawn
    guides: int
    unassigned: tuple[UnassignedReason, ...]
    notes: tuple[Problem, ...] = ()
    """What should be known and may be launched with."""


async def preview_plan(ledger: Ledger, plan: Plan, *, at: datetime, on: date | None = None) -> Preview:
    """Check a plan and draw its first cycle as of `at`, or as of the first instant of the day `on`.

    Raises:
        Refused: what is missing or unknown in it, all of it.
    """
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
            drawn = await draw_cycle(connection, ledger.tenant_id, plan, 1, instant)
    nobody = by_reasons(one.tried for one in drawn.assigned if one.guide is None)
    return Preview(drawn, sum(plan.care.takes_part(code) for code in known.guides), nobody, hours.notes)
