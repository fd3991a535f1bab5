"""Business time inside a workflow: the server's clock plus the run's offset."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.messages import BusinessTime


def business_now(time: BusinessTime) -> datetime:
    """The business instant of this workflow task."""
    return workflow.now() + timedelta(seconds=time.offset_seconds)


def remaining(instant: datetime, time: BusinessTime) -> timedelta:
    """How long until `instant`; zero or less when it has passed."""
    return instant - business_now(time)


async def sleep_until(instant: datetime, time: BusinessTime) -> None:
    """Sleep until a business instant; not at all when it has passed."""
    left = remaining(instant, time)
    if left > timedelta(0):
        await workflow.sleep(left)


def stamp(instant: datetime, time: BusinessTime) -> datetime:
    """When a step due at `instant` happens: exactly then in a rehearsal, else not before now.

    A rehearsal's figures must not depend on how fast this machine is.
    """
    return instant if time.rehearsal else max(instant, business_now(time))
