"""What a killed `daogou up` left: its workers and API processes, which drain once the lifeline is cut."""

from __future__ import annotations

import signal
import time
from urllib.parse import urlsplit

import structlog

from infra.processes import send, wait_ended
from infra.stable_ports import can_listen
from infra.supervised_slot import DRAIN_S
from infra.up_state import UpState

LOOK_EVERY_S = 0.1
CHILDREN = ("worker-", "api-")

log = structlog.get_logger(__name__)


def end_left_behind(left: UpState) -> None:
    """Wait until none of them runs and the API's port is free; kill who has not drained in ten seconds.

    A child that had just been started is in no state yet; it lets go of the port by itself once it looks.
    """
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
    at = urlsplit(left.api or "")
    deadline = time.monotonic() + DRAIN_S
    while at.port and at.hostname and not can_listen(at.port, at.hostname) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)
