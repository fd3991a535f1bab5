"""Check-ins of a rehearsal: simulated guides go through the same door as real ones."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import groupby
from typing import Any

from temporalio import activity

from activities.context import Context
from domain.check_in import CheckIn
from domain.errors import Refused
from domain.messages import Shift, Worked
from domain.plan import Plan
from domain.simulation import SimulatedItem, simulate
from ledger.check_ins import check_in

GUIDES_AT_ONCE = 6


class CheckInActivities:
    """The simulated guides."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="work_shift")
    async def work_shift(self, shift: Shift) -> Worked:
        """Let every guide of the zone work the part of the list that falls between two instants.

        A guide's items are reported one after another, guides beside each other; run again, every check-in
        finds its command id used and nothing counts twice.
        """
        ledger = self._context.ledger
        async with ledger.connection() as connection:
            rows = await connection.fetch(
                """
                SELECT g.guide_id, g.code, d.listed, d.opens_at, d.closes_at, i.rank, i.task_id,
                       p.spec::text AS spec, c.ends_on
                FROM guide_day d
                JOIN guide g ON g.tenant_id = $1 AND g.guide_id = d.guide_id
                JOIN list_item i ON i.tenant_id = $1 AND i.guide_id = d.guide_id
                     AND i.business_date = d.business_date
                JOIN task t ON t.tenant_id = $1 AND t.task_id = i.task_id AND t.guide_id = d.guide_id
                JOIN plan p ON p.tenant_id = $1 AND p.plan_id = t.plan_id
                JOIN plan_cycle c ON c.tenant_id = $1 AND c.plan_id = t.plan_id AND c.cycle = t.cycle
                WHERE d.tenant_id = $1 AND d.business_date = $2 AND d.time_zone = $3 AND d.state = 'published'
                ORDER BY g.guide_id, i.rank""",
                ledger.tenant_id,
                shift.day,
                shift.time_zone,
            )
        window = asyncio.Semaphore(GUIDES_AT_ONCE)

        async def work(items: list[Any]) -> Worked:
            async with window:
                return await self._work_list(shift, items)

        lists = [list(items) for _, items in groupby(rows, key=lambda row: row["guide_id"])]
        worked = await asyncio.gather(*(work(items) for items in lists))
        return Worked(
            recorded=sum(one.recorded for one in worked), refused=sum(one.refused for one in worked)
        )

    async def _work_list(self, shift: Shift, items: list[Any]) -> Worked:
        recorded = refused = 0
        for row in items:
            plan = Plan.model_validate_json(row["spec"])
            week_on = plan.working_calendar.working_on_or_after(shift.day + timedelta(days=7))
            report = simulate(
                SimulatedItem(row["task_id"], row["code"], row["rank"], row["listed"]),
                seed=shift.seed,
                day=shift.day,
                opens_at=row["opens_at"],
                closes_at=row["closes_at"],
                next_week=week_on,
            )
            if report is None or not shift.after < report.occurred_at <= shift.until:
                continue
            command = CheckIn(
                command_id=f"check-in/{row['task_id']}/{shift.day}",
                task_id=row["task_id"],
                performed_by=row["guide_id"],
                actor=f"guide:{row['guide_id']}",
                occurred_at=report.occurred_at,
                known_at=report.occurred_at,
                channel=report.channel,
                outcome=report.outcome,
                grade=report.grade,
                next_on=report.next_on if report.next_on and report.next_on <= row["ends_on"] else None,
            )
            activity.heartbeat()
            try:
                await check_in(self._context.ledger, command)
            except Refused as refusal:
                activity.logger.debug("check_in_refused", extra={"codes": [p.code for p in refusal.problems]})
                refused += 1
            else:
                recorded += 1
        return Worked(recorded=recorded, refused=refused)
