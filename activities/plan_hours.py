"""A plan's hours and the calendars of its stores, read for the check before launch."""

from __future__ import annotations

from dataclasses import dataclass

from activities.plans import takes_part
from domain.errors import Problem
from domain.plan import Plan
from domain.plan_hours import hours_notes, hours_problems
from ledger.calendars import store_calendars
from ledger.door import Driver
from ledger.facts import guides


@dataclass(frozen=True, slots=True)
class HoursFound:
    """What stands against a plan's hours, and what should be known of them."""

    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


async def look_at_hours(connection: Driver, tenant_id: int, plan: Plan) -> HoursFound:
    """Hold a plan's hours against the stores whose guides take part. Two round trips."""
    there = {
        one.store_id: one.store_code for one in await guides(connection, tenant_id) if takes_part(one, plan)
    }
    layers = await store_calendars(connection, tenant_id, stores=there)
    stores = {there[store_id]: found for store_id, found in layers.items()}
    return HoursFound(tuple(hours_problems(plan, stores)), tuple(hours_notes(plan, stores)))
