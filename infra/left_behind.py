"""What a killed `daogou up` left: its workers and API processes, which drain once the lifeline is cut."""

from __future__ import annotations

import signal

import structlog

from infra.processes import send, wait_ended
from infra.supervised_slot import DRAIN_S
from infra.up_state import UpState

CHILDREN = ("worker-", "api-")

log = structlog.get_logger(__name__)


def end_left_behind(left: UpState) -> None:
    """Wait until none of them runs, for they hold the API's port; kill who has not drained in ten seconds."""
    found = [
        process
        for part in left.parts
        if part.name.startswith(CHILDREN) and part.process is not None
        if (process := part.process.process()) is not None
    ]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in found:
            log.warning("orphan_ended", pid=process.pid, signal=number.name)
            send(process, number)
        found = wait_ended(found, DRAIN_S)
