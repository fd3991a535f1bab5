"""A cycle begins: the segment is drawn, members get their guides, the first items are made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from temporalio import activity

from activities.context import Context
from activities.plans import plan_zone, takes_part
from domain.assignment import (
    AssignmentResult,
    GuideOnDuty,
    MemberToAssign,
    Served,
    StrategyRule,
    assign,
    staffing,
)
from domain.calendar import WorkingCalendar, business_date
from domain.cycle import History, longest_span, task_for, use_rates, use_rhythms
from domain.day_norm import capacity_of
from domain.events import CycleStarted, MemberAssigned, TaskCreated
from domain.layers import Leave
from domain.messages import CycleOpened, PlanStep
from domain.plan import Plan
from domain.rhythm import Rhythm
from domain.segment import select
from domain.value_quadrant import quadrant
from ledger import facts
from ledger.calendars import days_of_guides
from ledger.cycles import dialled_out, start_cycle
from ledger.day_norms import read_day_norm
from ledger.door import Driver
from ledger.plans import read_plan


@dataclass(frozen=True, slots=True)
class Drawn:
    """A cycle as it would start at an instant: nothing of it is written yet."""

    started: CycleStarted
    assigned: tuple[MemberAssigned, ...]
    tasks: tuple[TaskCreated, ...]


class AssignmentActivities:
    """Select and assign."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="start_cycle")
    async def start_cycle(self, step: PlanStep) -> CycleOpened:
        """Draw the cycle at `step.at` and write it, once."""
        ledger = self._context.ledger
        command = self._context.command(
            f"plan/{step.plan_id}/cycle/{step.cycle}/start", step.at, rehearsal=step.rehearsal
        )
        async with ledger.transaction() as connection:
            standing = await read_plan(connection, ledger.tenant_id, step.plan_id)
            drawn = await draw_cycle(connection, ledger.tenant_id, standing.plan, step.cycle, step.at)
            await start_cycle(
                connection,
                ledger.tenant_id,
                command,
                plan_id=step.plan_id,
                started=drawn.started,
                assigned=drawn.assigned,
                tasks=drawn.tasks,
            )
        started = drawn.started
        return CycleOpened(
            selected=started.selected,
            assigned=started.assigned,
            unassigned=started.unassigned,
            tasks=started.tasks,
        )


async def draw_cycle(connection: Driver, tenant_id: int, plan: Plan, cycle: int, at: datetime) -> Drawn:
    """Everything a cycle starts with, from what was known at `at`. Reads only; used by `plan check` too."""
    zone = await plan_zone(connection, tenant_id, plan)
    days = plan.cycle_days(cycle)
    today = business_date(at, zone)
    categories = await facts.category_ids(connection, tenant_id, plan.members.bought_categories)
    histories = await facts.histories(connection, tenant_id, categories=sorted(categories.values()), as_of=at)
    known = await facts.member_facts(connection, tenant_id, plan_id=plan.plan, bought=histories, as_of=at)
    members = [UUID(member) for member in select(plan.members, known, today=today)]
    chosen = frozenset(members)
    own = [history for history in histories if history.member_id in chosen]
    spend = await facts.spend_90_days(
        connection, tenant_id, members=members, today=today, zone=zone, as_of=at
    )
    values = {member: spend.get(member, (0, 0))[1] for member in members}
    results = assign(
        await members_to_assign(connection, tenant_id, plan, values, at=at),
        await guides_on_duty(connection, tenant_id, plan, today=today),
        strategy_rules(plan),
    )
    assigned = tuple(_assigned(plan, cycle, result, spend) for result in results)
    guide_of = {one.member: one.guide for one in assigned if one.guide is not None}
    rates = use_rates(own)
    # Up to a second of reckoning a category: whatever else this process serves meanwhile goes on.
    rhythms = await asyncio.to_thread(use_rhythms, own)
    # They stay in the plan, but nobody may dial them again in it: an item would be due that cannot be done.
    spent = await dialled_out(connection, tenant_id, plan_id=plan.plan, cycle=cycle, as_of=at)
    callable_ = {member: guide for member, guide in guide_of.items() if member not in spent}
    calendars = await days_of_guides(connection, tenant_id, plan.working_calendar, guide_of.values())
    tasks = _tasks(plan, cycle, own, callable_, calendars, rates_and_days=(rates, rhythms, days[0], days[-1]))
    norm = await read_day_norm(connection, tenant_id)
    started = CycleStarted(
        cycle=cycle,
        starts_on=days[0],
        ends_on=days[-1],
        selected=len(members),
        assigned=len(guide_of),
        unassigned=len(members) - len(guide_of),
        tasks=len(tasks),
        staffing_needed=staffing(len(tasks), capacity_of(plan, norm), len(days)),
        guides=len(frozenset(guide_of.values())),
        longest_reminder_months=longest_span(own, plan, rates),
        time_zone=zone,
        days_per_unit={str(category): str(rates[category]) for category in sorted(rates)},
        rhythms={str(category): rhythms[category] for category in sorted(rhythms)},
    )
    return Drawn(started, assigned, tasks)


def _tasks(
    plan: Plan,
    cycle: int,
    histories: list[History],
    guide_of: dict[UUID, UUID],
    calendars: Mapping[UUID, WorkingCalendar],
    *,
    rates_and_days: tuple[dict[int, Decimal], dict[int, Rhythm], date, date],
) -> tuple[TaskCreated, ...]:
    rates, rhythms, first_day, last_day = rates_and_days
    made = (
        task_for(
            history,
            plan=plan,
            cycle=cycle,
            guide_id=guide_of[history.member_id],
            rates=rates,
            rhythms=rhythms,
            first_day=first_day,
            last_day=last_day,
            calendar=calendars[guide_of[history.member_id]],
        )
        for history in histories
        if history.member_id in guide_of
    )
    return tuple(task for task in made if task is not None)


async def members_to_assign(
    connection: Driver, tenant_id: int, plan: Plan, spend: Mapping[UUID, int], *, at: datetime
) -> list[MemberToAssign]:
    """Members as the assignment sees them at `at`; `spend` names them, with their net 90-day spend."""
    members = sorted(spend)
    places = await facts.member_places(connection, tenant_id, members)
    served = await facts.served_by(connection, tenant_id, members=members, as_of=at)
    manual = await facts.manual_assignment(connection, tenant_id, plan)
    skills = tuple(sorted({skill for step in plan.care.strategies for skill in step.skills}))
    return [
        MemberToAssign(
            member_id=str(member),
            position=_position(places[member].latitude, places[member].longitude),
            home_store_id=str(places[member].home_store_id or ""),
            value=spend[member],
            required_skills=skills,
            served_by=tuple(
                Served(str(guide), times, last_on) for guide, times, last_on in served.get(member, ())
            ),
            manual_guide=manual.get(member),
        )
        for member in members
    ]


async def guides_on_duty(connection: Driver, tenant_id: int, plan: Plan, *, today: date) -> list[GuideOnDuty]:
    """The plan's guides as the assignment sees them on `today`."""
    return [
        on_duty(guide, plan, today)
        for guide in await facts.guides(connection, tenant_id)
        if takes_part(guide, plan)
    ]


def on_duty(guide: facts.GuideFacts, plan: Plan, today: date) -> GuideOnDuty:
    """A guide as the assignment sees it on `today`."""
    leave = None
    if guide.on_leave_from is not None:
        leave = Leave(first=guide.on_leave_from, last=guide.on_leave_to)
    return GuideOnDuty(
        guide_id=str(guide.guide_id),
        store_id=str(guide.store_id),
        position=_position(guide.latitude, guide.longitude),
        capacity=plan.care.members_per_guide,
        skills=guide.skills,
        performance=guide.performance,
        on_leave=leave is not None and leave.holds(today),
    )


def strategy_rules(plan: Plan) -> list[StrategyRule]:
    """The plan's fallbacks as the assignment takes them."""
    return [
        StrategyRule(step.strategy, max_km=step.max_km, prefer=step.prefer) for step in plan.care.strategies
    ]


def _assigned(
    plan: Plan, cycle: int, result: AssignmentResult, spend: dict[UUID, tuple[int, int]]
) -> MemberAssigned:
    member = UUID(result.member_id)
    purchases, value = spend.get(member, (0, 0))
    return MemberAssigned(
        plan=plan.plan,
        cycle=cycle,
        member=member,
        guide=UUID(result.guide_id) if result.guide_id else None,
        strategy=result.strategy,
        why=result.why,
        value_minor=value,
        quadrant=quadrant(purchases, value).quadrant,
        score=result.score,
        runner_up=UUID(result.runner_up) if result.runner_up else None,
        full=tuple(UUID(guide) for guide in result.full[:5]),
        tried=result.tried,
    )


def _position(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    return None if latitude is None or longitude is None else (latitude, longitude)
