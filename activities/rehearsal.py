"""What a rehearsal has to run: its days, zone by zone."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from activities.context import Context
from activities.plans import SELECT_AHEAD, takes_part
from domain.calendar import local_instant
from domain.messages import PlanRun, RehearsalView, RehearsedDay
from domain.plan import clock_text
from ledger.facts import guides
from ledger.plans import read_plan

BEFORE_NUDGE = timedelta(minutes=5)
"""The simulated guides report up to shortly before each nudge and the close."""


class RehearsalActivities:
    """Reading the plan for its rehearsal."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="read_rehearsal")
    async def read_rehearsal(self, run: PlanRun) -> RehearsalView:
        """Every working day of every cycle in every zone where a guide of the plan stands."""
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            plan = (await read_plan(connection, ledger.tenant_id, run.plan_id)).plan
            zones = sorted(
                {
                    guide.time_zone
                    for guide in await guides(connection, ledger.tenant_id)
                    if takes_part(guide, plan)
                }
            )
        days = [day for cycle in range(1, plan.period.cycles + 1) for day in plan.cycle_days(cycle)]
        schedule = tuple(
            tuple(
                RehearsedDay(
                    day=day,
                    time_zone=zone,
                    release=clock_text(plan.day.release),
                    opens_at=local_instant(day, plan.day.release, zone),
                    shifts=tuple(
                        local_instant(day, end, zone) - BEFORE_NUDGE
                        for end in (*plan.day.nudges, plan.day.close)
                    ),
                    closes_at=local_instant(day, plan.day.close, zone),
                )
                for day in days
            )
            for zone in zones
        )
        first = min(zone[0].opens_at for zone in schedule)
        return RehearsalView(starts_at=first - SELECT_AHEAD - timedelta(minutes=1), zones=schedule)
