"""Nudges while something is open, and word of it upwards: into the outbox, never twice for the same, none once finished."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from activities.claiming import push_unclaimed
from activities.context import Context
from activities.purchases import plans_on
from domain.messages import DayStep, EscalatedGuides, NudgedGuides
from domain.plan import clock_text
from domain.urging import Level
from ledger.escalating import Upwards, escalate
from ledger.nudging import nudge

EXPIRES_AFTER = timedelta(hours=2)
"""A nudge that could not be sent by then is not sent any more."""


class ReminderActivities:
    """Set-based, a slot at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="escalate_open_items")
    async def escalate_open_items(self, step: DayStep) -> EscalatedGuides:
        """Tell the store, the region or HQ what guides of the zone have left open."""
        ledger = self._context.ledger
        level = Level(step.escalate_to)
        command = self._context.command(
            f"escalation/{level}/{step.time_zone}/{step.release}/{step.day}/{step.slot}",
            step.at,
            rehearsal=step.rehearsal,
        )
        async with ledger.transaction() as connection:
            guides = await escalate(
                connection,
                ledger.tenant_id,
                command,
                zone_day=(step.day, step.time_zone),
                telling=Upwards(level, step.slot, step.open_percent),
                expires_at=command.known_at + EXPIRES_AFTER,
            )
        return EscalatedGuides(guides=guides)

    @activity.defn(name="nudge_guides")
    async def nudge_guides(self, step: DayStep) -> NudgedGuides:
        """Nudge every guide of the zone whose published list has items nobody touched today.

        What nobody claimed by its cut-off comes on the lists first; a slot that is only a cut-off nudges nobody.
        """
        ledger = self._context.ledger
        await push_unclaimed(ledger, day=step.day, time_zone=step.time_zone, at=step.at)
        async with ledger.connection() as connection:
            plans = [
                standing.plan
                for standing, _ in await plans_on(connection, ledger.tenant_id, step, any_release=True)
            ]
        cut_offs = {clock_text(plan.day.claim_until) for plan in plans if plan.day.claim_until}
        if step.slot in cut_offs - {clock_text(nudge) for plan in plans for nudge in plan.day.nudges}:
            return NudgedGuides(guides=0)
        command = self._context.command(
            f"nudge/{step.time_zone}/{step.release}/{step.day}/{step.slot}", step.at, rehearsal=step.rehearsal
        )
        async with ledger.transaction() as connection:
            guides = await nudge(
                connection,
                ledger.tenant_id,
                command,
                day=step.day,
                time_zone=step.time_zone,
                slot=step.slot,
                expires_at=command.known_at + EXPIRES_AFTER,
            )
        return NudgedGuides(guides=guides)
