"""What new purchases do: they close the items they answer, and start the next reminder."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio import activity

from activities.context import Context
from domain.cycle import task_for
from domain.events import TaskCreated
from domain.messages import DayStep, Settled
from domain.plan import clock_text
from ledger import facts
from ledger.calendars import days_of_guides, zone_days
from ledger.cycles import CycleState, read_cycle
from ledger.door import Driver
from ledger.going_cold import going_cold, insert_cold_items, spoken_to
from ledger.ledger import Ledger
from ledger.plans import PlanState, holds_running, running_plans
from ledger.tasks import Leaving, bought_again, change_tasks, finished_beforehand, known_task_ids


class PurchaseActivities:
    """Attribution to open items; the Check attributes to contacts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="settle_purchases")
    async def settle_purchases(self, step: DayStep) -> Settled:
        """Settle what is known at `step.at` for every running plan that works on the day.

        There is no cursor: each time it asks what stands against the open items, so a late purchase counts too.
        """
        ledger = self._context.ledger
        left = created = 0
        async with ledger.connection() as connection:
            plans = await plans_on(connection, ledger.tenant_id, step, any_release=True)
        for standing, cycle in plans:
            async with ledger.transaction() as connection:
                if not await holds_running(connection, ledger.tenant_id, standing.plan.plan):
                    continue  # paused, closed or recalled since it was read
                leaving = await finished_beforehand(
                    connection,
                    ledger.tenant_id,
                    plan_id=standing.plan.plan,
                    cycle=standing.cycle,
                    as_of=step.at,
                )
                leaving += await self._spoken_to(connection, standing, step, leaving)
                key = f"plan/{standing.plan.plan}/cycle/{standing.cycle}/settle/{step.at.isoformat()}"
                command = self._context.command(f"{key}/left", step.at, rehearsal=step.rehearsal)
                await change_tasks(connection, ledger.tenant_id, command, leaving=leaving)
                tasks = await _next_tasks(connection, ledger, standing, cycle, step)
                command = self._context.command(f"{key}/created", step.at, rehearsal=step.rehearsal)
                await change_tasks(connection, ledger.tenant_id, command, created=tasks)
                cold = await self._going_cold(connection, standing, step, f"{key}/cold")
            left += len(leaving)
            created += len(tasks) + len(cold)
        return Settled(left=left, created=created)

    async def _spoken_to(
        self, connection: Driver, standing: PlanState, step: DayStep, leaving: Sequence[Leaving]
    ) -> list[Leaving]:
        """In the morning, whom somebody has spoken to since, but for what leaves anyhow."""
        if step.slot:
            return []
        gone = {one.task_id for one in leaving}
        tenant_id = self._context.ledger.tenant_id
        found = await spoken_to(connection, tenant_id, standing.plan.plan, standing.cycle, at=step.at)
        return [one for one in found if one.task_id not in gone]

    async def _going_cold(
        self, connection: Driver, standing: PlanState, step: DayStep, key: str
    ) -> list[TaskCreated]:
        """In the morning, whom nobody has spoken to for long; after what was bought, which may have made them an item."""
        if step.slot:
            return []
        tenant_id = self._context.ledger.tenant_id
        cold = await going_cold(
            connection, tenant_id, standing.plan, standing.cycle, day=step.day, at=step.at
        )
        command = self._context.command(key, step.at, rehearsal=step.rehearsal)
        if cold and await change_tasks(connection, tenant_id, command, created=cold):
            await insert_cold_items(connection, tenant_id, cold)
        return cold


async def plans_on(
    connection: Driver, tenant_id: int, step: DayStep, *, any_release: bool = False
) -> list[tuple[PlanState, CycleState]]:
    """Running plans whose current cycle holds the day as a working day.

    Those of this release hour, unless `any_release`: a guide's list is of all plans, whenever each releases.
    """
    found = []
    zones = await zone_days(connection, tenant_id, zone=step.time_zone)
    for standing in await running_plans(connection, tenant_id):
        plan = standing.plan
        cycle = await read_cycle(connection, tenant_id, plan.plan, standing.cycle)
        if (
            cycle is not None
            and cycle.state == "running"
            and cycle.starts_on <= step.day <= cycle.ends_on
            and (any_release or clock_text(plan.day.release) == step.release)
            and zones.works(plan.working_calendar, step.time_zone, step.day)
        ):
            found.append((standing, cycle))
    return found


async def _next_tasks(
    connection: Driver, ledger: Ledger, standing: PlanState, cycle: CycleState, step: DayStep
) -> list[TaskCreated]:
    plan = standing.plan
    categories = await facts.category_ids(connection, ledger.tenant_id, plan.members.bought_categories)
    since, _ = cycle.span
    bought = await bought_again(
        connection,
        ledger.tenant_id,
        plan_id=plan.plan,
        cycle=standing.cycle,
        categories=sorted(categories.values()),
        since=since,
        as_of=step.at,
    )
    again = {(member, category): guide for member, category, guide in bought}
    if not again:
        return []
    histories = await facts.histories(
        connection,
        ledger.tenant_id,
        categories=sorted(categories.values()),
        as_of=step.at,
        members=sorted({member for member, _ in again}),
    )
    calendars = await days_of_guides(connection, ledger.tenant_id, plan.working_calendar, again.values())
    made = [
        task
        for history in histories
        if (history.member_id, history.category_id) in again
        and (
            task := task_for(
                history,
                plan=plan,
                cycle=standing.cycle,
                guide_id=again[history.member_id, history.category_id],
                rates=cycle.days_per_unit,
                rhythms=cycle.rhythms,
                first_day=step.day,
                last_day=cycle.ends_on,
                calendar=calendars[again[history.member_id, history.category_id]],
            )
        )
        is not None
    ]
    known = await known_task_ids(connection, ledger.tenant_id, [task.task for task in made])
    return [task for task in made if task.task not in known]
