"""A phone's clock that is wrong: when something occurred is put right by as much as the clock is off.

A phone says what its clock shows while it sends (`device_at`). What it says of before is off by as much, as far as we
know: it may have been set in between. So what is put right stays between the publishing of the day's list, which is the
server's, and the receipt, and the event says by how many seconds.
"""

from __future__ import annotations

from datetime import datetime, timedelta

TOLERATED = timedelta(minutes=2)
"""Networks are slow and clocks drift; below that nothing is put right (ours)."""


def skew(device_at: datetime, received_at: datetime) -> timedelta:
    """By how much the phone's clock is ahead; zero where that is tolerable."""
    ahead = device_at - received_at
    return ahead if abs(ahead) > TOLERATED else timedelta()


def put_right(
    occurred_at: datetime, ahead: timedelta, *, published_at: datetime | None, received_at: datetime
) -> datetime:
    """When it occurred by the server's clock.

    Args:
        occurred_at: by the phone's clock.
        ahead: see `skew`.
        published_at: when the list of the day of `occurred_at - ahead` was published; None: there was none.
        received_at: now.
    """
    moved = min(occurred_at - ahead, received_at)
    return moved if published_at is None else max(moved, min(published_at, received_at))
