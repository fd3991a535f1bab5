"""Check-ins of a rehearsal: simulated guides go through the same door as real ones."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import groupby

from temporalio import activity

from activities.context import Context
from domain.check_in import CheckIn
from domain.errors import Refused
from domain.messages import Shift, Worked
from domain.simulation import SimulatedItem, simulate
from ledger.check_ins import check_in
from ledger.today import PublishedItem, published_items

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
            items = await published_items(
                connection, ledger.tenant_id, day=shift.day, time_zone=shift.time_zone
            )
        window = asyncio.Semaphore(GUIDES_AT_ONCE)

        async def work(listed: list[PublishedItem]) -> Worked:
            async with window:
                return await self._work_list(shift, listed)

        lists = [list(one) for _, one in groupby(items, key=lambda item: item.guide_id)]
        worked = await asyncio.gather(*(work(items) for items in lists))
        return Worked(
            recorded=sum(one.recorded for one in worked), refused=sum(one.refused for one in worked)
        )

    async def _work_list(self, shift: Shift, items: list[PublishedItem]) -> Worked:
        recorded = refused = 0
        for item in items:
            week_on = item.plan.working_calendar.working_on_or_after(shift.day + timedelta(days=7))
            report = simulate(
                SimulatedItem(item.task_id, item.guide_code, item.rank, item.listed),
                seed=shift.seed,
                day=shift.day,
                opens_at=item.opens_at,
                closes_at=item.closes_at,
                next_week=week_on,
            )
            if report is None or not shift.after < report.occurred_at <= shift.until:
                continue
            command = CheckIn(
                command_id=f"check-in/{item.task_id}/{shift.day}",
                task_id=item.task_id,
                performed_by=item.guide_id,
                actor=f"guide:{item.guide_id}",
                occurred_at=report.occurred_at,
                known_at=report.occurred_at,
                channel=report.channel,
                outcome=report.outcome,
                grade=report.grade,
                next_on=report.next_on if report.next_on and report.next_on <= item.ends_on else None,
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
