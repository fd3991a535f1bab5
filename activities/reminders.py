"""Nudges while something is open: into the outbox, never twice for the same slot, none once finished."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from activities.context import Context
from domain.messages import DayStep, NudgedGuides
from ledger.nudging import nudge

EXPIRES_AFTER = timedelta(hours=2)
"""A nudge that could not be sent by then is not sent any more."""


class ReminderActivities:
    """Set-based nudging."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @activity.defn(name="nudge_guides")
    async def nudge_guides(self, step: DayStep) -> NudgedGuides:
        """Nudge every guide of the zone whose published list has items nobody touched today."""
        ledger = self._context.ledger
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
