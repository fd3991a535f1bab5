"""Where a plan stands, and when its next steps are due."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from temporalio import activity

from activities.context import Context
from domain.calendar import local_instant
from domain.contact_budget import PRIORITIES
from domain.day_norm import invites
from domain.messages import OpenDays, PlanRun, PlanStep, PlanView
from domain.plan import Plan
from ledger.cycles import CycleState, read_cycle, unsettled_cycles
from ledger.door import Driver
from ledger.due_items import PlanOnDay
from ledger.facts import GuideFacts, guides
from ledger.open_days import OpenDay, count_open_days, open_days
from ledger.plans import FINAL, PlanState, read_plan

SELECT_AHEAD = timedelta(minutes=30)
"""Members are selected so long before the first release."""
CHECK_AFTER = timedelta(minutes=5)
"""The Check is tried so long after the last close."""


class PlanActivities:
    """Reading a plan for its workflow."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="read_plan")
    async def read_plan(self, run: PlanRun) -> PlanView:
        """The plan as it stands now, with the instants of the cycle's steps."""
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            standing = await read_plan(connection, ledger.tenant_id, run.plan_id)
            zone = await plan_zone(connection, ledger.tenant_id, standing.plan)
            unsettled = await unsettled_cycles(connection, ledger.tenant_id, run.plan_id)
        plan = standing.plan
        opens_at, closes_at = cycle_instants(plan, run.cycle, zone)
        return PlanView(
            # To the workflow a recall is a close; what it withdraws is done by the command and the Check.
            status="closed" if standing.status in FINAL else standing.status,
            version=standing.version,
            cycles=plan.period.cycles,
            opens_at=opens_at - SELECT_AHEAD,
            checks_at=closes_at + CHECK_AFTER,
            next_settle_at=min((as_of + plan.attribution_window for _, as_of in unsettled), default=None),
        )

    @activity.defn(name="count_open_days")
    async def count_open_days(self, step: PlanStep) -> OpenDays:
        """Guide-days of the cycle that the Check still has to wait for."""
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            cycle = await read_cycle(connection, ledger.tenant_id, step.plan_id, step.cycle)
            if cycle is None:
                return OpenDays(count=0)
            count = await count_open_days(
                connection, ledger.tenant_id, plan_id=step.plan_id, cycle=step.cycle, until=cycle.ends_on
            )
            days = await open_days_of(connection, ledger.tenant_id, cycle) if count else []
        return OpenDays(count=count, closes_at=max((day.closes_at for day in days), default=None))


async def open_days_of(connection: Driver, tenant_id: int, cycle: CycleState) -> list[OpenDay]:
    """Guide-days within a cycle's days that are not closed, whatever plan their items are of."""
    return await open_days(connection, tenant_id, first=cycle.starts_on, last=cycle.ends_on)


def cycle_instants(plan: Plan, cycle: int, zone: str) -> tuple[datetime, datetime]:
    """First release and last close of a cycle in `zone`."""
    days = plan.cycle_days(cycle)
    return (
        local_instant(days[0], plan.day.release, zone),
        local_instant(days[-1], plan.day.close, zone),
    )


def takes_part(guide: GuideFacts, plan: Plan) -> bool:
    """Whether a guide takes part in a plan."""
    return guide.active and plan.care.takes_part(guide.code)


async def plan_zone(connection: Driver, tenant_id: int, plan: Plan) -> str:
    """The time zone of most of the plan's guides; its cycle's days begin and end there."""
    count: dict[str, int] = {}
    for guide in await guides(connection, tenant_id):
        if takes_part(guide, plan):
            count[guide.time_zone] = count.get(guide.time_zone, 0) + 1
    return min(count, key=lambda zone: (-count[zone], zone), default="UTC")


def on_day(standing: PlanState, *, pooled: bool = False) -> PlanOnDay:
    """The plan as the cut takes it."""
    plan = standing.plan
    return PlanOnDay(
        plan.plan,
        standing.cycle,
        invites(plan),
        plan.day.key_value_first,
        pooled,
        PRIORITIES.index(plan.priority),
    )


def pooled(plan: Plan, day: date, time_zone: str, at: datetime) -> bool:
    """Whether what the plan has due on the day still lies in the stores' pools at `at`."""
    until = plan.day.claim_until
    return until is not None and at < local_instant(day, until, time_zone)
