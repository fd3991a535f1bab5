"""Named option sets for activities, and the task queues."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityConfig, LocalActivityConfig

PLANS = "daogou-plans"
DAYS = "daogou-days"
BULK = "daogou-bulk"
QUEUES = (PLANS, DAYS, BULK)

# What another attempt cannot mend: rules, unknown names, messages of the wrong shape.
_FINAL = ["Refused", "NotFound", "ValidationError", "TypeError", "ValueError"]

_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(minutes=1),
    non_retryable_error_types=_FINAL,
)

# An outage of PostgreSQL may last a weekend; work then goes on where it stood.
_OUTAGE = timedelta(days=3)

READ: ActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=30),
    "schedule_to_close_timeout": _OUTAGE,
    "retry_policy": _RETRY,
}
"""One or two indexed reads."""

SET_BASED: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=5),
    "schedule_to_close_timeout": _OUTAGE,
    "retry_policy": _RETRY,
}
"""A transaction over all guides or members of a plan."""

STEP_OF_THE_DAY: ActivityConfig = {**SET_BASED, "heartbeat_timeout": timedelta(seconds=30)}
"""The same at an hour people wait for: a killed worker is noticed within seconds, not after five minutes.

The worker beats for it (`infra/heartbeats.py`). Not for steps that compute for long: they would hold up the beat.
"""

FAN_OUT: ActivityConfig = {
    "start_to_close_timeout": timedelta(minutes=30),
    "schedule_to_close_timeout": _OUTAGE,
    "heartbeat_timeout": timedelta(minutes=1),
    "retry_policy": _RETRY,
}
"""Many small calls in a bounded window; reports its progress."""

# Publishing and closing are one short transaction each. As local activities they cost one history event
# instead of six, which keeps a guide-day at 12 events; a longer outage is waited out by timers.
ONE_TRANSACTION: LocalActivityConfig = {
    "start_to_close_timeout": timedelta(seconds=20),
    "schedule_to_close_timeout": _OUTAGE,
    "local_retry_threshold": timedelta(seconds=30),
    "retry_policy": _RETRY,
}
